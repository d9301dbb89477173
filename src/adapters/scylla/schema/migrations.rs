//! The migrations that this release brings: ordered, embedded, known by their checksum.

use std::fmt;
use std::fmt::Write as _;

use aws_lc_rs::digest;

use crate::domain::time::Timestamp;

/// One file of statements. Never edited once released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number, from 1, rising.
    pub version: i32,
    /// Its file.
    pub name: String,
    /// Its statements. Each can be repeated.
    pub text: String,
}

/// Migrations in the order of their versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrations(pub(super) Vec<Migration>);

/// The table and the column that a statement adds. `ADD IF NOT EXISTS` is unknown to ScyllaDB, so who runs the statement
/// looks first whether the column is there.
pub(super) fn added_column(statement: &str) -> Option<(&str, &str)> {
    let rest = statement.strip_prefix("ALTER TABLE ")?;
    let (table, rest) = rest.split_once(" ADD ")?;
    let (column, _) = rest.split_once(' ')?;
    Some((table, column))
}

/// Where a migration stands in a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its number.
    pub version: i32,
    /// Its file; none if this release does not know it.
    pub name: Option<String>,
    /// Whether it was applied.
    pub state: MigrationState,
}

/// Whether a migration was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationState {
    /// Not yet.
    Pending,
    /// It was, as this release knows it.
    Applied(Timestamp),
    /// It was, but with other statements than this release knows. Nothing is applied on top.
    Changed(Timestamp),
    /// It was, by a newer release.
    Newer(Timestamp),
}

impl fmt::Display for MigrationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("(unknown to this release)");
        write!(f, "{:04} {name} ", self.version)?;
        match self.state {
            MigrationState::Pending => write!(f, "pending"),
            MigrationState::Applied(at) => write!(f, "applied {at}"),
            MigrationState::Changed(at) => write!(f, "applied {at} with other statements"),
            MigrationState::Newer(at) => write!(f, "applied {at} by a newer release"),
        }
    }
}

impl Migration {
    /// Whether accounts have anchor rows from this one on.
    pub(super) fn brings_anchor_rows(&self) -> bool {
        self.name == ANCHOR_ROWS
    }

    /// What the keyspace remembers of it: SHA-256 of its text, in hex.
    #[must_use]
    pub fn checksum(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.text.as_bytes());
        digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
            hex
        })
    }

    /// Its statements, without comments.
    ///
    /// Text in quotes must hold neither `;` nor `--`; nobody but us writes these files, and a test reads them.
    pub(super) fn statements(&self) -> Vec<String> {
        let code = |line: &str| line.split_once("--").map_or(line, |(code, _)| code).trim_end().to_owned();
        let text = self.text.lines().map(code).collect::<Vec<_>>().join("\n");
        text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
    }
}

/// The file from which on accounts have anchor rows.
const ANCHOR_ROWS: &str = "0002_anchor_rows.cql";

impl Migrations {
    /// Those of this release.
    #[must_use]
    pub fn shipped() -> Self {
        let file = |version, name: &str, text: &str| Migration {
            version,
            name: name.to_owned(),
            text: text.to_owned(),
        };
        Self(vec![
            file(1, "0001_ledger.cql", include_str!("../../../../scylla/0001_ledger.cql")),
            file(2, ANCHOR_ROWS, include_str!("../../../../scylla/0002_anchor_rows.cql")),
            file(
                3,
                "0003_bounded_partition.cql",
                include_str!("../../../../scylla/0003_bounded_partition.cql"),
            ),
        ])
    }

    /// Those of another release.
    #[must_use]
    pub const fn of(migrations: Vec<Migration>) -> Self {
        Self(migrations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_file_is_never_edited() {
        let sums: Vec<String> = Migrations::shipped().0.iter().map(Migration::checksum).collect();
        assert_eq!(sums, SUMS, "write a new file instead: this one was applied somewhere");
    }

    const SUMS: [&str; 3] = [
        "c0782589fb69901561adef3019d4e3393e15803d3c6551450977b93133872e74",
        "5adc743a93998547c51c0fa4459761e9ed39c58969b10353b2de6c8782beccf5",
        "685e8595fda0a88985c839b6cc9624afbd0bc1d24baa10d78409a1384c5e0c97",
    ];

    #[test]
    fn versions_rise_and_files_are_named_after_them() {
        let all = Migrations::shipped().0;
        assert!(all.is_sorted_by(|one, next| one.version < next.version));
        for migration in all {
            let version = migration.version;
            assert!(migration.name.starts_with(&format!("{version:04}_")), "{}", migration.name);
        }
    }

    #[test]
    fn every_statement_can_be_repeated() {
        for migration in Migrations::shipped().0 {
            assert!(!migration.statements().is_empty());
            for statement in migration.statements() {
                let is_setting = statement.starts_with("ALTER TABLE user_ledger WITH ");
                let is_guarded = statement.contains(" IF NOT EXISTS ") || added_column(&statement).is_some();
                assert!(is_setting || is_guarded, "{statement}");
                assert!(!statement.contains(['\'', '"']), "quotes and ; do not mix: {statement}");
            }
        }
    }

    // proves: I5
    #[test]
    fn no_table_gives_its_rows_a_time_to_live() {
        for migration in Migrations::shipped().0 {
            for statement in migration.statements() {
                assert!(!statement.contains("default_time_to_live"), "statics would expire: {statement}");
            }
        }
    }

    #[test]
    fn comments_are_not_statements() {
        let text = "-- a; b\nCREATE A; -- c;\n\nCREATE\n  B; -- d\n-- e\n";
        let migration = Migration { version: 1, name: "x".to_owned(), text: text.to_owned() };
        assert_eq!(migration.statements(), ["CREATE A", "CREATE\n  B"]);
    }

    #[test]
    fn a_status_reads_as_a_line() {
        let at = Timestamp::from_millis(0);
        let line = |name: Option<&str>, state| {
            MigrationStatus { version: 2, name: name.map(str::to_owned), state }.to_string()
        };
        assert_eq!(line(Some("0002_x.cql"), MigrationState::Pending), "0002 0002_x.cql pending");
        assert_eq!(
            line(None, MigrationState::Newer(at)),
            "0002 (unknown to this release) applied 1970-01-01T00:00:00.000Z by a newer release"
        );
    }
}
