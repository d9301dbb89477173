//! Where a list goes on: sealed, bound to the user and the filters, and valid though its row be gone.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::ids::UserId;
use crate::http::error::{ErrorCode, Problem};

const VERSION: u8 = 1;
const SEAL_BYTES: usize = 16;
const POSITION_BYTES: usize = 16;
const CURSOR_BYTES: usize = 1 + POSITION_BYTES + SEAL_BYTES;

/// What a cursor belongs to, beside the user: the list's own name and its filters, in one text.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Scope<'a> {
    /// Whose list it is.
    pub(in crate::http) user: UserId,
    /// Which list, with which filters.
    pub(in crate::http) list: &'a str,
}

/// A place in a list: whatever the list is ordered by, as 16 bytes.
pub(in crate::http) type Position = [u8; POSITION_BYTES];

/// A cursor behind `last`.
pub(in crate::http) fn seal(key: &[u8; 32], scope: Scope<'_>, last: Position) -> String {
    let mut bytes = Vec::with_capacity(CURSOR_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(&last);
    let seal = seal_of(key, scope, &bytes);
    bytes.extend_from_slice(&seal);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position that the cursor continues after.
///
/// # Errors
/// `cursor_invalid` for one that was not made by `seal` with the same key and scope.
pub(in crate::http) fn open(key: &[u8; 32], scope: Scope<'_>, cursor: &str) -> Result<Position, Problem> {
    read(key, scope, cursor).ok_or_else(|| Problem::new(ErrorCode::CursorInvalid))
}

fn read(key: &[u8; 32], scope: Scope<'_>, cursor: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().filter(|bytes| bytes.len() == CURSOR_BYTES)?;
    let (said, seal) = bytes.split_at(CURSOR_BYTES - SEAL_BYTES);
    verify_slices_are_equal(seal, &seal_of(key, scope, said)).ok()?;
    let (version, position) = said.split_first()?;
    let position = position.try_into().ok()?;
    (*version == VERSION).then_some(position)
}

fn seal_of(key: &[u8; 32], scope: Scope<'_>, said: &[u8]) -> [u8; SEAL_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    // Fixed lengths first, so that no two scopes say the same bytes.
    context.update(said);
    context.update(scope.user.uuid().as_bytes());
    context.update(scope.list.as_bytes());
    let mut seal = [0; SEAL_BYTES];
    seal.copy_from_slice(&context.sign().as_ref()[..SEAL_BYTES]);
    seal
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn user(name: &str) -> UserId {
        UserId::from_subject("issuer", name).unwrap()
    }

    const LAST: Position = *b"one of 16 bytes.";

    fn check(key: [u8; 32], name: &str, list: &str, edit: impl Fn(&str) -> String, is_valid: bool) {
        let cursor = seal(&KEY, Scope { user: user("alice"), list: "files:" }, LAST);
        let opened = open(&key, Scope { user: user(name), list }, &edit(&cursor));
        let expected = if is_valid { Ok(LAST) } else { Err(ErrorCode::CursorInvalid) };
        assert_eq!(opened.map_err(|problem| problem.code()), expected, "{name} {list}");
    }

    // proves: I27
    #[test]
    fn a_cursor_opens_only_where_it_was_made() {
        check(KEY, "alice", "files:", str::to_owned, true);
        check([8; 32], "alice", "files:", str::to_owned, false);
        check(KEY, "bob", "files:", str::to_owned, false);
        check(KEY, "alice", "files:processed", str::to_owned, false);
    }

    #[test]
    fn a_cursor_that_was_touched_does_not_open() {
        check(KEY, "alice", "files:", |cursor| format!("{cursor}="), false);
        check(KEY, "alice", "files:", |cursor| format!("{cursor}AA"), false);
        check(KEY, "alice", "files:", |cursor| cursor[1..].to_owned(), false);
        check(KEY, "alice", "files:", |_| String::new(), false);
        for at in 0..44 {
            let flip = |cursor: &str| {
                let other = if cursor.as_bytes()[at] == b'A' { "B" } else { "A" };
                format!("{}{other}{}", &cursor[..at], &cursor[at + 1..])
            };
            check(KEY, "alice", "files:", flip, false);
        }
    }
}
