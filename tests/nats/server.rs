//! A nats-server of our own, to be killed, stopped and started again.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::TcpStream;
use wharfinger::config::NatsSettings;

use crate::tools::{eventually, setting};

/// A server with a data folder and a port that stay the same over restarts.
pub(crate) struct Server {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    jetstream: &'static str,
    passwords: Vec<(String, String)>,
}

/// What stands in the configuration beside the port.
pub(crate) struct Setup {
    /// Of the `jetstream` block.
    pub(crate) jetstream: &'static str,
    /// At the end.
    pub(crate) rest: String,
    /// Environment variables.
    pub(crate) passwords: Vec<(String, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { jetstream: "max_file: 8GB", rest: String::new(), passwords: Vec::new() }
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

/// Where nats-server is.
pub(crate) fn program() -> PathBuf {
    setting("WHARFDEV_TEST_NATS_BIN").map_or_else(
        || {
            let home = setting("WHARFDEV_SERVERS_DIR").unwrap_or_else(|| "target/servers".to_owned());
            Path::new(env!("CARGO_MANIFEST_DIR")).join(home).join("bin/nats-server")
        },
        PathBuf::from,
    )
}

impl Server {
    /// A server without users, if tests on real servers are wanted.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(Setup::default()).await
    }

    pub(crate) async fn start_with(setup: Setup) -> Option<Self> {
        crate::tools::test_url()?;
        let port = free_port();
        let folder = tempfile::tempdir().expect("a folder");
        let Setup { jetstream, rest, passwords } = setup;
        let mut server = Self { child: None, folder, port, jetstream, passwords };
        server.configure(&rest);
        server.again().await;
        Some(server)
    }

    /// Rewrites its configuration, with this at the end; it counts from the next start or [`Server::reload`] on.
    pub(crate) fn configure(&self, rest: &str) {
        let Self { folder, port, jetstream, .. } = self;
        let data = folder.path().join("data");
        let config =
            format!("listen: 127.0.0.1:{port}\njetstream {{ store_dir: {data:?}, {jetstream} }}\n{rest}\n");
        fs::write(folder.path().join("server.conf"), config).expect("write");
    }

    /// It reads its configuration again, and goes on.
    pub(crate) fn reload(&self) {
        self.signal("-HUP");
    }

    /// Starts it, or starts it again, and waits until it answers.
    pub(crate) async fn again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = fs::File::create(self.folder.path().join("server.log")).expect("a log");
        let child = Command::new(program())
            .arg("-c")
            .arg(self.folder.path().join("server.conf"))
            .envs(self.passwords.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; see WHARFDEV_TEST_NATS_BIN", program().display()));
        self.child = Some(child);
        let port = self.port;
        eventually(
            "the server answers",
            || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() },
        )
        .await;
    }

    /// Like a power cut of the process: nothing is flushed.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    /// As an operator stops it: everything is written first.
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        self.child.take().expect("it runs").wait().expect("wait");
    }

    /// It is frozen; connections stay open.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// It goes on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("it runs");
        let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill");
        assert!(sent.success(), "kill {name}");
    }

    /// A file in its folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("write");
        path
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Settings for it; small, so that streams fit.
    pub(crate) fn settings(&self) -> NatsSettings {
        NatsSettings { urls: vec![self.url()], ..NatsSettings::default() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Only a child that has ended already cannot be killed.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
