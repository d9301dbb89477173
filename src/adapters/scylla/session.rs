//! A connection to the cluster, and how each kind of request is made on it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileBuilder, ExecutionProfileHandle};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::statement::{Consistency, SerialConsistency};

use super::errors::ConnectError;
use super::retry::ReadRetryPolicy;
use super::tls;
use crate::config::{ScyllaSettings, SerialLevel};

/// How long a connection may take to be made. Every node is waited for, one that drops packets too.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long a connection rests until its node is asked whether it still is there, and how long it may take to say so.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(3);
/// How long one node may take to answer a read until another is asked too.
const ASK_ANOTHER_AFTER: Duration = Duration::from_secs(1);
/// How long the nodes may take to agree on a change of the tables.
const AGREE_WITHIN: Duration = Duration::from_secs(30);

/// A connection to the cluster. Cheap to clone.
#[derive(Clone)]
pub struct CqlSession {
    pub(super) session: Arc<Session>,
    pub(super) profiles: Profiles,
    pub(super) settings: Arc<ScyllaSettings>,
}

/// How each kind of request is made.
#[derive(Clone, Debug)]
pub(super) struct Profiles {
    /// Reads that see every write that returned before: serial.
    pub(super) linear: ExecutionProfileHandle,
    /// Reads that a quorum answers.
    pub(super) read: ExecutionProfileHandle,
    /// Conditional writes: tried once, never twice at a time, for their outcome may be unknown.
    pub(super) write: ExecutionProfileHandle,
}

impl Profiles {
    fn new(settings: &ScyllaSettings) -> Self {
        let (serial, linear) = match settings.serial {
            SerialLevel::Local => (SerialConsistency::LocalSerial, Consistency::LocalSerial),
            SerialLevel::Global => (SerialConsistency::Serial, Consistency::Serial),
        };
        // A second reader does no harm: a serial read finishes a write that others accepted, or sees none; it
        // proposes nothing of its own, so the first answer of two is as true as the only one.
        let another =
            SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval: ASK_ANOTHER_AFTER };
        let reads = || {
            profile(settings)
                .retry_policy(Arc::new(ReadRetryPolicy))
                .speculative_execution_policy(Some(Arc::new(another.clone())))
        };
        Self {
            linear: reads().consistency(linear).build().into_handle(),
            read: reads().consistency(Consistency::LocalQuorum).build().into_handle(),
            write: profile(settings)
                .retry_policy(Arc::new(FallthroughRetryPolicy))
                .speculative_execution_policy(None)
                .consistency(Consistency::LocalQuorum)
                .serial_consistency(Some(serial))
                .build()
                .into_handle(),
        }
    }
}

fn profile(settings: &ScyllaSettings) -> ExecutionProfileBuilder {
    let mut nodes = DefaultPolicy::builder().token_aware(true).permit_dc_failover(false);
    if let Some(datacenter) = &settings.datacenter {
        nodes = nodes.prefer_datacenter(datacenter.clone());
    }
    ExecutionProfile::builder()
        .load_balancing_policy(nodes.build())
        .request_timeout(Some(settings.request_timeout()))
}

impl CqlSession {
    /// Connects. The keyspace need not be there yet.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(settings: &ScyllaSettings) -> Result<Self, ConnectError> {
        settings.check()?;
        let mut builder = SessionBuilder::new()
            .known_nodes(&settings.nodes)
            .connection_timeout(CONNECT_WITHIN)
            .keepalive_interval(KEEPALIVE_EVERY)
            .keepalive_timeout(KEEPALIVE_WITHIN)
            .schema_agreement_timeout(AGREE_WITHIN)
            // No timestamp generator: conditional writes take the server's timestamp.
            .tls_context(tls::client_config(settings)?);
        if let (Some(user), Some(file)) = (&settings.user, &settings.password_file) {
            builder = builder.user(user, password(file).await?);
        }
        let session =
            builder.build().await.map_err(|error| ConnectError::Unreachable { reason: error.to_string() })?;
        Ok(Self {
            session: Arc::new(session),
            profiles: Profiles::new(settings),
            settings: Arc::new(settings.clone()),
        })
    }

    /// Whether the servers are ScyllaDB, by what they say of their shards.
    pub(super) fn is_scylla(&self) -> bool {
        self.session.get_cluster_state().get_nodes_info().iter().any(|node| node.sharder().is_some())
    }
}

impl fmt::Debug for CqlSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CqlSession").field("keyspace", &self.settings.keyspace).finish_non_exhaustive()
    }
}

/// The first line of a file.
async fn password(path: &Path) -> Result<String, ConnectError> {
    let unusable = |reason: String| ConnectError::File { path: path.display().to_string(), reason };
    let text = tokio::fs::read_to_string(path).await.map_err(|error| unusable(error.to_string()))?;
    match text.lines().next() {
        None | Some("") => Err(unusable("its first line is empty".to_owned())),
        Some(line) => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(serial: SerialLevel) -> Profiles {
        Profiles::new(&ScyllaSettings { serial, ..ScyllaSettings::default() })
    }

    // proves: F33 F34
    #[test]
    fn a_conditional_write_is_tried_once() {
        let write = profiles(SerialLevel::Local).write.to_profile();
        // The default policy repeats `Unavailable`, which may come after the write was accepted.
        assert!(format!("{:?}", write.get_retry_policy()).contains("Fallthrough"));
        assert!(write.get_speculative_execution_policy().is_none());
        assert_eq!(write.get_request_timeout(), Some(Duration::from_secs(3)));
    }

    // A read of a host that is gone is answered by another within the time a request has.
    #[test]
    fn a_slow_read_is_asked_of_one_more_node_in_time() {
        let profiles = profiles(SerialLevel::Local);
        for read in [profiles.linear.to_profile(), profiles.read.to_profile()] {
            let another = format!("{:?}", read.get_speculative_execution_policy());
            assert!(another.contains("max_retry_count: 1"), "{another}");
            assert!(read.get_request_timeout() > Some(ASK_ANOTHER_AFTER * 2));
        }
    }

    /// A host that accepts and says nothing, as one that was frozen.
    #[tokio::test]
    async fn a_host_that_falls_silent_is_given_up_within_seconds() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let nodes = vec![silent.local_addr().expect("bound").to_string()];
        let settings = ScyllaSettings { nodes, ..ScyllaSettings::default() };
        // By itself the driver takes a minute.
        let outcome = tokio::time::timeout(Duration::from_secs(30), CqlSession::connect(&settings)).await;
        assert!(matches!(outcome, Ok(Err(ConnectError::Unreachable { .. }))), "{outcome:?}");
    }

    #[test]
    fn writes_and_linear_reads_agree_on_who_agrees() {
        use {Consistency as Level, SerialConsistency as Serial};
        for (chosen, of_write, of_read) in [
            (SerialLevel::Local, Serial::LocalSerial, Level::LocalSerial),
            (SerialLevel::Global, Serial::Serial, Level::Serial),
        ] {
            let profiles = profiles(chosen);
            let write = profiles.write.to_profile();
            assert_eq!(write.get_consistency(), Level::LocalQuorum);
            assert_eq!(write.get_serial_consistency(), Some(of_write));
            assert_eq!(profiles.linear.to_profile().get_consistency(), of_read);
            assert_eq!(profiles.read.to_profile().get_consistency(), Level::LocalQuorum);
        }
    }

    #[tokio::test]
    async fn a_password_is_the_first_line_of_its_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("password");
        for (text, expected) in
            [("secret\n", Some("secret")), (" a b \nc", Some(" a b ")), ("", None), ("\n", None)]
        {
            std::fs::write(&path, text).expect("write");
            let found = password(&path).await;
            assert_eq!(found.as_deref().ok(), expected, "{text:?}");
        }
        assert!(password(&dir.path().join("missing")).await.is_err());
    }
    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error_soon() {
        let nowhere = ScyllaSettings { nodes: vec!["127.0.0.1:1".to_owned()], ..ScyllaSettings::default() };
        let outcome = tokio::time::timeout(CONNECT_WITHIN, CqlSession::connect(&nowhere)).await;
        assert!(matches!(outcome, Ok(Err(ConnectError::Unreachable { .. }))), "{outcome:?}");
    }
}
