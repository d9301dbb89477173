//! TLS: the servers' certificate is checked, and ours is shown if asked for.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use wharfinger::config::NatsSettings;

use crate::server::{Server, Setup};
use crate::tools::{arrival, connect, eventually, publish, ready_log, test_url};

/// An authority with one certificate, for servers on loopback and for us.
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Option<Self> {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        fs::write(folder.path("san"), "subjectAltName=IP:127.0.0.1\n").expect("write");
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        let is_made = folder
            .openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca -days 2"))
            && folder.openssl(&format!("req {key} -keyout key.pem -out csr -subj /CN=wharf"))
            && folder
                .openssl("x509 -req -in csr -CA ca.pem -CAkey ca.key -days 2 -extfile san -out cert.pem");
        if !is_made {
            drop(writeln!(std::io::stderr(), "skipped: no openssl, nothing ran on NATS with TLS"));
        }
        is_made.then_some(folder)
    }

    fn openssl(&self, arguments: &str) -> bool {
        let run = Command::new("openssl").args(arguments.split(' ')).current_dir(self.0.path()).output();
        run.is_ok_and(|output| output.status.success())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.0.path()).join(name)
    }

    async fn server(&self) -> Option<Server> {
        let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| self.path(name));
        let rest = format!("tls {{ ca_file: {ca:?}, cert_file: {cert:?}, key_file: {key:?}, verify: true }}");
        Server::start_with(Setup { rest, ..Setup::default() }).await
    }

    fn settings(&self, server: &Server) -> NatsSettings {
        NatsSettings {
            tls_ca_file: Some(self.path("ca.pem")),
            tls_cert_file: Some(self.path("cert.pem")),
            tls_key_file: Some(self.path("key.pem")),
            tls_required: true,
            ..server.settings()
        }
    }
}

#[tokio::test]
async fn both_sides_show_a_certificate() {
    if test_url().is_none() {
        return;
    }
    let Some(certificates) = Certificates::make() else { return };
    let Some(server) = certificates.server().await else { return };
    let log = ready_log(certificates.settings(&server)).await;
    publish(&log, arrival("a")).await;
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_refused() {
    if test_url().is_none() {
        return;
    }
    let (Some(certificates), Some(others)) = (Certificates::make(), Certificates::make()) else { return };
    let Some(server) = certificates.server().await else { return };
    let ours = certificates.settings(&server);
    for settings in [
        NatsSettings { tls_ca_file: Some(others.path("ca.pem")), ..ours.clone() },
        NatsSettings { tls_cert_file: None, tls_key_file: None, ..ours },
    ] {
        let log = connect(settings).await;
        let is_refused =
            || async { log.ready().await.is_err_and(|error| error.reason.starts_with("not connected: ")) };
        eventually("it is refused", is_refused).await;
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_if_it_is_required() {
    let Some(server) = Server::start().await else { return };
    let log = connect(NatsSettings { tls_required: true, ..server.settings() }).await;
    let is_refused =
        || async { log.ready().await.is_err_and(|error| error.reason.starts_with("not connected: ")) };
    eventually("it is refused", is_refused).await;
}
