//! A running `wharfinger serve` with settings of a test.

use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io::BufRead as _, io::BufReader};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tempfile::TempDir;
use wharfinger::ports::Clock;

use super::{Api, SOON, client, wharfinger};

const KEY: [u8; 32] = [7; 32];

/// A folder with a settings file, its secrets and its data.
pub(crate) struct Site {
    folder: TempDir,
    api: u16,
    admin: u16,
}

/// `wharfinger serve` on a site, killed with its value.
pub(crate) struct Serve {
    child: Child,
    api_url: String,
    admin_url: String,
    said: Arc<Mutex<String>>,
    /// Ends with the process.
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Site {
    /// With free ports, an issuer, and these settings beside.
    pub(crate) fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [api, admin, s3] = free_ports();
        let has_endpoint = !settings.contains("[objects]\nkind = \"s3\"");
        let s3 = if has_endpoint { format!("s3.listen = \"127.0.0.1:{s3}\"\n") } else { String::new() };
        let at = |name: &str| folder.path().join(name).display().to_string();
        let text = format!(
            "data_dir = {:?}\nsingle_node = true\nhttp.listen = \"127.0.0.1:{api}\"\n\
             admin.listen = \"127.0.0.1:{admin}\"\n{s3}telemetry.filter = \"info\"\n\
             http.allowed_origins = [\"https://app.example.com\"]\n\
             [[auth.issuers]]\nissuer = \"test\"\naudience = \"wharfinger\"\nalgorithm = \"HS256\"\nkey_file = {:?}\n\
             {settings}\n",
            at("data"),
            at("issuer.key"),
        );
        fs::write(folder.path().join("issuer.key"), KEY).expect("a file");
        fs::write(folder.path().join("wharfinger.toml"), text).expect("a file");
        Self { folder, api, admin }
    }

    /// Where a file of this site is; what `settings` of a test must know before there is a site.
    pub(crate) fn secret(text: &str) -> (TempDir, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        fs::write(&path, text).expect("a file");
        (folder, path.display().to_string())
    }

    /// Runs another command with these settings, to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = wharfinger();
        command.args(args).arg("--config").arg(self.folder.path().join("wharfinger.toml"));
        command.output().expect("the binary starts")
    }

    /// Starts, and waits until it answers; it need not be ready.
    pub(crate) async fn serve(&self) -> Serve {
        let mut command = wharfinger();
        command.arg("serve").arg("--config").arg(self.folder.path().join("wharfinger.toml"));
        Serve::start(command, [self.api, self.admin]).await
    }
}

impl Site {
    /// The settings file.
    pub(crate) fn config(&self) -> String {
        self.folder.path().join("wharfinger.toml").display().to_string()
    }

    /// Starts, expecting that it ends by itself; returns the exit code and what it said on standard error.
    pub(crate) async fn serve_to_its_end(&self) -> (Option<i32>, String) {
        let mut command = wharfinger();
        command.arg("serve").arg("--config").arg(self.folder.path().join("wharfinger.toml"));
        let mut serve = Serve::spawn(command, [self.api, self.admin]);
        let code = serve.wait_for_end().await;
        (code, serve.said())
    }
}

/// Ports that nobody listens on at the moment.
pub(crate) fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

impl Serve {
    /// Starts by a command that listens on these ports, and waits until it answers.
    pub(crate) async fn start(command: Command, ports: [u16; 2]) -> Self {
        let mut serve = Self::spawn(command, ports);
        serve.wait_for_life().await;
        serve
    }

    fn spawn(mut command: Command, [api, admin]: [u16; 2]) -> Self {
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let said = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let kept = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let api_url = format!("http://127.0.0.1:{api}");
        let admin_url = format!("http://127.0.0.1:{admin}");
        Self { child, api_url, admin_url, said, reader: Some(reader) }
    }

    /// Waits until the process ends by itself; returns its exit code.
    pub(crate) async fn wait_for_end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                if let Some(reader) = self.reader.take() {
                    reader.join().expect("it reads to the end");
                }
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn wait_for_life(&mut self) {
        let deadline = Instant::now() + SOON;
        let api = self.user("anybody");
        while api.try_send("GET", "/livez", &[], "").await.is_err() {
            let ended = self.child.try_wait().expect("it can be waited for");
            assert!(ended.is_none() && Instant::now() < deadline, "it does not live: {}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -TERM`: returns the exit code.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
        self.wait_for_end().await
    }

    /// A client of this user.
    pub(crate) fn user(&self, sub: &str) -> Api {
        let exp = Clock::System.now().after(Duration::from_secs(3600)).as_secs();
        let claims = json!({"iss": "test", "aud": "wharfinger", "sub": sub, "exp": exp, "roles": ["user"]});
        let token =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&KEY));
        self.with_token(&token.expect("a token"))
    }

    /// A client with any token.
    pub(crate) fn with_token(&self, token: &str) -> Api {
        Api { http: client(), base: self.api_url.clone(), token: token.to_owned() }
    }

    /// What operators see of its parts.
    pub(crate) async fn parts(&self) -> String {
        let url = format!("{}/readyz?verbose", self.admin_url);
        String::from_utf8_lossy(&self.user("operator").get(&url).await.body).into_owned()
    }

    /// Waits until operators see this.
    pub(crate) async fn wait_for_part(&self, line: &str) {
        let deadline = Instant::now() + SOON;
        loop {
            let parts = self.parts().await;
            if parts.lines().any(|seen| seen.starts_with(line)) {
                return;
            }
            assert!(Instant::now() < deadline, "no {line:?} in:\n{parts}\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it measures, as Prometheus reads it.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.admin_url);
        String::from_utf8_lossy(&self.user("operator").get(&url).await.body).into_owned()
    }

    /// Waits until the series that a line begins with has such a value.
    pub(crate) async fn wait_for_metric(&self, start: &str, is_so: impl Fn(f64) -> bool) {
        let deadline = Instant::now() + SOON;
        loop {
            let metrics = self.metrics().await;
            let value = metrics.lines().find_map(|line| line.strip_prefix(start)?.trim().parse().ok());
            if value.is_some_and(&is_so) {
                return;
            }
            let found: Vec<&str> = metrics.lines().filter(|line| line.contains("sweep")).collect();
            assert!(Instant::now() < deadline, "{start:?} is {value:?}: {found:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All that it logged so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
