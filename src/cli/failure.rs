//! How a command fails: lines for standard error, and an exit code.

use std::io::Write;
use std::process::ExitCode;

use crate::config::ConfigError;

/// A command that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandFailure {
    lines: Vec<String>,
    code: u8,
}

impl CommandFailure {
    /// The command or a setting is wrong.
    pub(super) fn usage(line: impl Into<String>) -> Self {
        Self { lines: vec![line.into()], code: 2 }
    }

    /// Something else is in the way.
    pub(super) fn other(line: impl Into<String>) -> Self {
        Self { lines: vec![line.into()], code: 1 }
    }

    /// The same with another exit code.
    pub(super) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// Writes each line to standard error, `wharfinger: ` before it, and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        let mut stderr = std::io::stderr().lock();
        for line in &self.lines {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            // Standard error may be closed; the exit code still reports the failure.
            drop(writeln!(stderr, "wharfinger: {line}"));
        }
        ExitCode::from(self.code)
    }
}

impl From<ConfigError> for CommandFailure {
    fn from(error: ConfigError) -> Self {
        Self { lines: error.problems.iter().map(ToString::to_string).collect(), code: 2 }
    }
}
