//! Settings of a ledger on ScyllaDB or Apache Cassandra.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to reach the servers, and how data is kept there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScyllaSettings {
    /// Where to begin, `host:port`; the rest of the cluster is learned from them.
    pub nodes: Vec<String>,
    /// The keyspace: lower case letters, digits and `_`, at most 48.
    pub keyspace: String,
    /// The datacenter to talk to, as the servers call it. None: whichever answers, and one replica a node.
    pub datacenter: Option<String>,
    /// Copies of every row (in the datacenter, if one is named). Read when the keyspace is created, only.
    pub replication: u32,
    /// Which replicas a conditional write is agreed between.
    pub serial: SerialLevel,
    /// Who to log in as; none: without.
    pub user: Option<String>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Certificates of the authorities to trust, in PEM. Naming it turns TLS on. The servers' certificates must
    /// name their IP addresses.
    pub tls_ca_file: Option<PathBuf>,
    /// Our own certificate and the chain above it, in PEM, where the servers ask for one.
    pub tls_cert_file: Option<PathBuf>,
    /// The key of our own certificate, in PEM.
    pub tls_key_file: Option<PathBuf>,
    /// How long one request may take, in milliseconds. A little above the server's own limit for a write.
    pub request_timeout_ms: u64,
}

/// Which replicas a conditional write is agreed between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SerialLevel {
    /// Those of one datacenter: right as long as a user is written from one datacenter only.
    #[default]
    Local,
    /// Those of all datacenters.
    Global,
}

/// Faults of the settings of a ledger on CQL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScyllaSettingsError {
    /// There is no node to connect to.
    #[error("nodes must name at least one host:port")]
    NoNodes,
    /// The keyspace could not be written into a statement.
    #[error("keyspace must be 1 to 48 lower case letters, digits and underscores, a letter first: {0:?}")]
    Keyspace(String),
    /// The datacenter could not be written into a statement.
    #[error("datacenter must be letters, digits, '-', '_' and '.': {0:?}")]
    Datacenter(String),
    /// No copies, or more than there are clusters for.
    #[error("replication must be 1 to 9, not {0}")]
    Replication(u32),
    /// A login has two halves.
    #[error("user and password_file come together")]
    HalfALogin,
    /// A client certificate has two halves, and only means something over TLS.
    #[error("tls_cert_file and tls_key_file come together, with tls_ca_file")]
    HalfACertificate,
    /// No request could be answered before its caller times out.
    #[error("request_timeout_ms must be 100 to 6000, not {0}")]
    Timeout(u64),
}

impl ScyllaSettings {
    /// How long one request may take.
    #[must_use]
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Checks what can be checked without a server.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ScyllaSettingsError> {
        if self.nodes.is_empty() {
            return Err(ScyllaSettingsError::NoNodes);
        }
        if !is_keyspace(&self.keyspace) {
            return Err(ScyllaSettingsError::Keyspace(self.keyspace.clone()));
        }
        if let Some(name) = self.datacenter.as_ref().filter(|name| !is_datacenter(name)) {
            return Err(ScyllaSettingsError::Datacenter(name.clone()));
        }
        if !(1..=9).contains(&self.replication) {
            return Err(ScyllaSettingsError::Replication(self.replication));
        }
        if self.user.is_some() != self.password_file.is_some() {
            return Err(ScyllaSettingsError::HalfALogin);
        }
        let has_cert = self.tls_cert_file.is_some();
        if has_cert != self.tls_key_file.is_some() || (has_cert && self.tls_ca_file.is_none()) {
            return Err(ScyllaSettingsError::HalfACertificate);
        }
        if !(100..=6000).contains(&self.request_timeout_ms) {
            return Err(ScyllaSettingsError::Timeout(self.request_timeout_ms));
        }
        Ok(())
    }
}

fn is_keyspace(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= 48 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_word)
}

fn is_datacenter(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.chars().all(is_word)
}

impl Default for ScyllaSettings {
    fn default() -> Self {
        Self {
            nodes: vec!["127.0.0.1:9042".to_owned()],
            keyspace: "wharfinger".to_owned(),
            datacenter: None,
            replication: 1,
            serial: SerialLevel::default(),
            user: None,
            password_file: None,
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            request_timeout_ms: 3000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut ScyllaSettings), expected: Result<(), ScyllaSettingsError>) {
        let mut settings = ScyllaSettings::default();
        change(&mut settings);
        assert_eq!(settings.check(), expected, "{settings:?}");
    }

    #[test]
    fn the_defaults_are_fine() {
        check(|_| {}, Ok(()));
    }

    #[test]
    fn names_that_could_end_a_statement_are_refused() {
        for bad in ["", "Wharf", "1wharf", "wharf; DROP", "wharf-1", &"x".repeat(49)] {
            check(|s| s.keyspace = bad.to_owned(), Err(ScyllaSettingsError::Keyspace(bad.to_owned())));
        }
        for bad in ["", "dc'1", "dc 1", "dc\u{e9}"] {
            let expected = Err(ScyllaSettingsError::Datacenter(bad.to_owned()));
            check(|s| s.datacenter = Some(bad.to_owned()), expected);
        }
        check(|s| s.datacenter = Some("eu-west_1.a".to_owned()), Ok(()));
    }

    #[test]
    fn halves_are_refused() {
        check(|s| s.user = Some("wharf".to_owned()), Err(ScyllaSettingsError::HalfALogin));
        check(|s| s.password_file = Some("p".into()), Err(ScyllaSettingsError::HalfALogin));
        check(|s| s.tls_key_file = Some("k".into()), Err(ScyllaSettingsError::HalfACertificate));
        let certificate = |s: &mut ScyllaSettings| {
            s.tls_cert_file = Some("c".into());
            s.tls_key_file = Some("k".into());
        };
        check(certificate, Err(ScyllaSettingsError::HalfACertificate));
    }

    #[test]
    fn numbers_have_bounds() {
        check(|s| s.nodes.clear(), Err(ScyllaSettingsError::NoNodes));
        check(|s| s.replication = 0, Err(ScyllaSettingsError::Replication(0)));
        check(|s| s.request_timeout_ms = 99, Err(ScyllaSettingsError::Timeout(99)));
    }
}
