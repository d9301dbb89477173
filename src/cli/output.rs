//! Standard output, and warnings of commands that keep no log. Nothing else in the crate writes to it.

use std::io::{ErrorKind, Write};

use super::failure::CommandFailure;

/// Writes `text` and a line end. A reader that has gone is no failure.
pub(super) fn line(text: &str) -> Result<(), CommandFailure> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CommandFailure::other(format!("cannot write to standard output: {error}"))),
    }
}

/// Writes a warning to standard error, where the answer on standard output stays clean.
pub(super) fn warning(text: &str) {
    // When standard error is closed there is no place left to say so.
    drop(writeln!(std::io::stderr().lock(), "wharfinger: warning: {text}"));
}

/// A number and the word for what it counts: `1 user`, `2 users`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
