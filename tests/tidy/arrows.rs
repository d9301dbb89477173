//! Who may name whom: imports point downwards.

use crate::expect_none;
use crate::masked::words;
use crate::source::{self, Source};

/// Which rooms a room may name. Anything not listed is refused.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("domain", &["limits"]),
    ("ports", &["domain", "limits"]),
    ("telemetry", &["domain", "limits"]),
    ("config", &["telemetry", "domain", "limits"]),
    ("admission", &["limits"]),
    ("net", &["telemetry", "domain", "limits"]),
    ("adapters", &["net", "admission", "ports", "config", "telemetry", "domain", "limits"]),
    ("bridge", &["adapters", "ports", "config", "telemetry", "domain", "limits"]),
    ("actors", &["admission", "adapters", "ports", "config", "telemetry", "domain", "limits"]),
    ("http", &["net", "actors", "adapters", "ports", "config", "telemetry", "domain", "limits"]),
    ("app", &["http", "actors", "bridge", "adapters", "ports", "config", "telemetry", "domain", "limits"]),
    ("cli", &["app", "ports", "config", "telemetry", "domain", "limits"]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Rooms that show their upper neighbours types only: what stands in their folders is their own business.
const TYPES_ONLY: &[&str] = &["adapters", "actors"];
/// Who puts the parts together may look inside.
const COMPOSERS: &[&str] = &["app"];

/// What a path names: a room, and what stands after it.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    room: String,
    next: Option<String>,
}

/// Everything that this file names in other rooms and may not.
fn findings(source: &Source) -> Vec<String> {
    let room = source.room();
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}: the room {room} is not in the table", source.path)];
    };
    let mut findings = Vec::new();
    for Named { room: other, next } in named(source) {
        let is_inside =
            next.as_deref().is_some_and(|next| next.starts_with(|c: char| c.is_ascii_lowercase()));
        if other == room {
            continue;
        }
        if !allowed.contains(&other.as_str()) {
            findings.push(format!("{}: {room} may not name {other}", source.path));
        } else if is_inside && TYPES_ONLY.contains(&other.as_str()) && !COMPOSERS.contains(&room) {
            let next = next.unwrap_or_default();
            findings.push(format!("{}: {other}::{next} is inside {other}; name its types", source.path));
        }
    }
    findings
}

/// All rooms that the production code of a file names, by `crate::`, `wharfinger::` or enough `super::`.
fn named(source: &Source) -> Vec<Named> {
    let code = source.production.split_whitespace().collect::<Vec<_>>().join(" ");
    let code = code.replace(":: ", "::").replace(" ::", "::").replace("{ ", "{").replace(", ", ",");
    let mut found = Vec::new();
    for root in ["crate::", "wharfinger::"] {
        for (at, _) in code.match_indices(root) {
            let is_whole_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if is_whole_word {
                found.extend(heads(&code[at + root.len()..]));
            }
        }
    }
    let depth = source.module().len();
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("::") {
            continue;
        }
        let mut rest = &code[at..];
        let mut steps = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            (rest, steps) = (after, steps + 1);
        }
        if steps >= depth {
            found.extend(heads(rest));
        }
    }
    found
}

/// The first names of a path or of a group of paths.
fn heads(path: &str) -> Vec<Named> {
    members(path).into_iter().filter_map(head).collect()
}

/// The paths of a group `{a, b::{c, d}}`, or the path itself.
pub(crate) fn members(path: &str) -> Vec<&str> {
    let Some(group) = path.trim_start().strip_prefix('{') else { return vec![path.trim_start()] };
    let mut depth = 0_usize;
    let mut members = Vec::new();
    let mut start = 0;
    for (at, c) in group.char_indices() {
        let is_end = c == '}' && depth == 0;
        if is_end || (c == ',' && depth == 0) {
            members.push(group[start..at].trim());
            start = at + 1;
        }
        match c {
            _ if is_end => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    members
}

/// The room at the start of a path, and what is named in it; of a group, what is no type if there is any.
fn head(path: &str) -> Option<Named> {
    let room = words(path).next().filter(|room| path.starts_with(room))?;
    let below = path.strip_prefix(room).and_then(|rest| rest.strip_prefix("::"));
    let names = below.map(members).unwrap_or_default();
    let names: Vec<_> = names.into_iter().filter_map(|name| words(name).next()).collect();
    let is_lower = |name: &&&str| name.starts_with(|c: char| c.is_ascii_lowercase());
    let next = names.iter().find(is_lower).or(names.first()).map(|name| (*name).to_owned());
    Some(Named { room: room.to_owned(), next })
}

#[test]
fn imports_point_downwards() {
    let sources = source::rust(&["src"]);
    let all: Vec<_> = sources.iter().filter(|source| !source.is_test).flat_map(findings).collect();
    expect_none(&all);
}

#[test]
fn every_room_names_only_rooms_above_it_in_the_table() {
    for (index, (room, allowed)) in MAY_IMPORT.iter().enumerate() {
        let above: Vec<_> = MAY_IMPORT[..index].iter().map(|(name, _)| *name).collect();
        let is_listed = |name: &&str| above.contains(name);
        assert!(allowed.iter().all(is_listed), "{room}: a circle, or a room that is not in the table");
    }
}

mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let found = findings(&Source::new(path, text));
        let expected: Vec<_> = expected.iter().map(|finding| format!("{path}: {finding}")).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_name_from_above_is_found_however_it_is_written() {
        let finding: &[&str] = &["domain may not name ports"];
        check("src/domain/file.rs", "use crate::ports::Clock;", finding);
        check("src/domain/file.rs", "use crate::{limits, ports::Clock};", finding);
        check("src/domain/file.rs", "use crate::{\n    limits::{A, B},\n    ports,\n};", finding);
        check("src/domain/file.rs", "fn x() { crate::ports::now() }", finding);
        check("src/domain/file.rs", "fn x() { crate :: ports :: now() }", finding);
        check("src/domain/file.rs", "use super::super::ports::Clock;", finding);
        check("src/domain/mod.rs", "use super::ports::Clock;", finding);
        check("src/main.rs", "fn main() { wharfinger::app::run() }", &["main may not name app"]);
        check("src/bridge/x.rs", "use crate::actors::Handle;", &["bridge may not name actors"]);
        check("src/shed/x.rs", "", &["the room shed is not in the table"]);
    }

    #[test]
    fn what_is_allowed_passes() {
        check(
            "src/domain/file.rs",
            "use crate::limits;\nuse super::ids::UserId;\nuse crate::domain::x;",
            &[],
        );
        check("src/domain/file.rs", "// crate::ports\nconst X: &str = \"crate::ports\";", &[]);
        check("src/domain/file.rs", "#[cfg(test)]\nmod tests { use crate::ports::Clock; }", &[]);
        check("src/domain/file.rs", "pub(crate) fn x() {}", &[]);
        check("src/domain/file/more.rs", "use super::super::ids::UserId;", &[]);
        check("src/main.rs", "fn main() { wharfinger::cli::main() }", &[]);
    }

    #[test]
    fn rooms_show_types_only() {
        check("src/http/x.rs", "use crate::adapters::Ledger;\nuse crate::actors::{Handle, DeskError};", &[]);
        check("src/http/x.rs", "use crate::adapters::{Ledger, Log};\nstruct X { pub ledger: Ledger }", &[]);
        check("src/http/x.rs", "use crate::{adapters::{Ledger, Log}, limits::{a, b}};", &[]);
        let inside = "adapters::embedded is inside adapters; name its types";
        check("src/http/x.rs", "use crate::adapters::embedded::Store;", &[inside]);
        check("src/http/x.rs", "use crate::adapters::{Ledger, embedded};", &[inside]);
        check("src/app.rs", "use crate::adapters::embedded::Store;", &[]);
    }
}
