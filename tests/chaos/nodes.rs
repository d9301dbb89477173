//! Our own processes: three on one ledger, log and queue; the last also holds the bucket.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use wharfinger::ports::Clock;

use crate::disk;
use crate::links::{BUCKET, BUCKET_LISTENS, Link};
use crate::servers;
use crate::support::{Api, wharfinger};

/// How many.
pub(crate) const NODES: usize = 3;
/// The one that holds the bucket.
const KEEPER: usize = 2;
/// Where all that we write is; `scripts/chaos` empties it.
pub(crate) const FOLDER: &str = "target/chaos";
const KEY: [u8; 32] = [7; 32];
/// A user's quota: less than the busier ones want within five minutes, so that some presigns must be refused.
const QUOTA_BYTES: u64 = 80_000;
/// How long a start, or a stop, may take.
const WITHIN: Duration = Duration::from_secs(60);

/// A process that is started again and again.
struct Node {
    index: usize,
    child: Mutex<Option<Child>>,
    /// What it counted: in former lives, and in this one.
    before: Mutex<BTreeMap<String, f64>>,
    now: Mutex<BTreeMap<String, f64>>,
    /// It is not we who ended it, if it ends.
    is_wanted: AtomicBool,
    /// How often it ended by itself.
    ended: AtomicU64,
}

/// All of them.
pub(crate) struct Nodes(Vec<Node>);

/// Makes tokens of the issuer that the nodes know.
#[derive(Clone, Copy)]
pub(crate) struct Tokens;

impl Tokens {
    /// A client of this user at this node.
    pub(crate) fn client(self, user: usize, node: usize) -> Api {
        let exp = Clock::System.now().after(Duration::from_secs(24 * 3600)).as_secs();
        let sub = format!("chaos-{user}");
        let claims = json!({"iss": "chaos", "aud": "wharfinger", "sub": sub, "exp": exp, "roles": ["user"]});
        let token =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&KEY));
        let mut api = Api::nobody();
        (api.base, api.token) = (format!("http://127.0.0.1:{}", api_port(node)), token.expect("a token"));
        api
    }
}

fn api_port(node: usize) -> usize {
    18_080 + node
}

fn admin_port(node: usize) -> usize {
    18_090 + node
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(FOLDER).join(name)
}

fn settings_of(index: usize) -> PathBuf {
    path(&format!("node-{}.toml", index + 1))
}

impl Nodes {
    /// Writes settings, makes queue and tables, and starts all.
    pub(crate) async fn start() -> Self {
        write_settings();
        must(&["aws", "setup"], KEEPER);
        must(&["schema", "apply"], 0);
        let node = |index| Node {
            index,
            child: Mutex::default(),
            before: Mutex::default(),
            now: Mutex::default(),
            is_wanted: AtomicBool::new(false),
            ended: AtomicU64::new(0),
        };
        let nodes = Self((0..NODES).map(node).collect());
        for index in [KEEPER, 0, 1] {
            nodes.begin(index);
            nodes.ready(index).await;
        }
        nodes
    }

    pub(crate) fn tokens(&self) -> Tokens {
        Tokens
    }

    /// Sends a signal.
    pub(crate) async fn signal(&self, index: usize, signal: &str) {
        let pid = held(&self.0[index].child).as_ref().map(Child::id);
        if let Some(pid) = pid {
            servers::send(pid, signal).await;
        }
    }

    /// `kill -9`, with its last word noted.
    pub(crate) async fn kill(&self, index: usize) {
        self.0[index].is_wanted.store(false, Ordering::SeqCst);
        self.scrape_one(index).await;
        self.signal(index, "-KILL").await;
        self.reap(index);
    }

    /// Stops it as an operator would; after too long, for good.
    pub(crate) async fn stop(&self, index: usize) {
        self.0[index].is_wanted.store(false, Ordering::SeqCst);
        self.scrape_one(index).await;
        self.signal(index, "-CONT").await;
        self.signal(index, "-TERM").await;
        let deadline = Instant::now() + WITHIN;
        while Instant::now() < deadline && self.is_alive(index) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.signal(index, "-KILL").await;
        self.reap(index);
    }

    /// Starts it.
    pub(crate) fn begin(&self, index: usize) {
        let name = format!("node-{}", index + 1);
        let log =
            File::options().create(true).append(true).open(path(&format!("{name}.log"))).expect("a log");
        let child = program()
            .arg("serve")
            .arg("--config")
            .arg(settings_of(index))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        fs::write(path(&format!("{name}.pid")), child.id().to_string()).expect("a file");
        *held(&self.0[index].child) = Some(child);
        self.0[index].is_wanted.store(true, Ordering::SeqCst);
    }

    /// Restarts a process that ended by itself, as a supervisor would.
    pub(crate) fn revive(&self) {
        for (index, node) in self.0.iter().enumerate() {
            if node.is_wanted.load(Ordering::SeqCst) && !self.is_alive(index) {
                println!("chaos: node-{} ended by itself; starting it again", index + 1);
                node.ended.fetch_add(1, Ordering::SeqCst);
                self.reap(index);
                self.begin(index);
            }
        }
    }

    /// How often one of them ended by itself.
    pub(crate) fn ended(&self) -> u64 {
        self.0.iter().map(|node| node.ended.load(Ordering::SeqCst)).sum()
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self, index: usize) {
        let deadline = Instant::now() + WITHIN;
        let url = format!("http://127.0.0.1:{}/readyz", admin_port(index));
        loop {
            let answer = Api::nobody().try_send("GET", &url, &[], "").await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return;
            }
            assert!(self.is_alive(index), "node {} ended; see its log in {FOLDER}", index + 1);
            assert!(Instant::now() < deadline, "node {} does not get ready", index + 1);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn is_alive(&self, index: usize) -> bool {
        let mut child = held(&self.0[index].child);
        child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    fn reap(&self, index: usize) {
        if let Some(mut child) = held(&self.0[index].child).take() {
            child.wait().expect("it can be waited for");
        }
        let node = &self.0[index];
        for (name, value) in std::mem::take(&mut *held(&node.now)) {
            *held(&node.before).entry(name).or_default() += value;
        }
    }

    /// Notes what all count.
    pub(crate) async fn scrape(&self) {
        for index in 0..NODES {
            self.scrape_one(index).await;
        }
    }

    async fn scrape_one(&self, index: usize) {
        let url = format!("http://127.0.0.1:{}/metrics", admin_port(index));
        let api = Api::nobody();
        let asked = api.try_send("GET", &url, &[], "");
        let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(2), asked).await else { return };
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            let is_count = name.split('{').next().is_some_and(|name| name.ends_with("_total"));
            Some((name.to_owned(), value.parse().ok()?)).filter(|_| is_count)
        };
        *held(&self.0[index].now) = text.lines().filter_map(sample).collect();
    }

    /// What all counted in all their lives, as far as it was noted.
    pub(crate) fn counters(&self) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for node in &self.0 {
            for counts in [held(&node.before), held(&node.now)] {
                for (name, value) in counts.iter().filter(|(_, value)| **value > 0.0) {
                    *sums.entry(name.clone()).or_default() += value;
                }
            }
        }
        sums
    }

    /// The product's own audit of the deployment. A start sweeps through everything, so nothing waits for the next time.
    pub(crate) async fn audit(&self, grace_secs: u64) -> Output {
        let grace = grace_secs.to_string();
        let args = ["audit", "--json", "--grace", &grace, "--set", "sweep.deep_every_secs=1"];
        servers::output_of(command(&args, 0)).await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = held(&self.child).as_mut() {
            child.kill().ok();
            child.wait().ok();
        }
        fs::remove_file(path(&format!("node-{}.pid", self.index + 1))).ok();
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The copy that `scripts/chaos` made: a build meanwhile changes nothing. Without settings from around it.
fn program() -> Command {
    let mut command = Command::new(path("wharfinger"));
    for (name, _) in wharfinger().get_envs().filter(|(_, value)| value.is_none()) {
        command.env_remove(name);
    }
    command
}

fn command(args: &[&str], node: usize) -> Command {
    let mut command = program();
    command.args(args).arg("--config").arg(settings_of(node));
    command
}

/// Other commands of the product, which may find a server that is not quite awake yet.
fn must(args: &[&str], node: usize) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let output = command(args, node).output().expect("the binary starts");
        if output.status.success() {
            return;
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(Instant::now() < deadline, "{args:?}: {said}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn write_settings() {
    let bucket = path("data-3").join("bucket");
    fs::create_dir_all(&bucket).expect("a folder");
    let (id, secret) = ("WHRFCHAOSCHAOSCHAOS2", "chaos-is-not-a-secret-chaos-is-no-secret");
    let keys = json!({"access_key": id, "secret_key": secret}).to_string();
    fs::write(bucket.join("credentials.json"), keys).expect("a file");
    fs::write(path("secret"), secret).expect("a file");
    fs::write(path("issuer.key"), KEY).expect("a file");
    for index in 0..NODES {
        let objects = if index == KEEPER {
            format!(
                "[s3]\nlisten = \"{BUCKET_LISTENS}\"\nreserve_bytes = {}\n[objects]\npublic_endpoint = \"http://{BUCKET}\"\n",
                disk::reserve_bytes()
            )
        } else {
            format!(
                "[objects]\nkind = \"s3\"\nendpoint = \"http://{BUCKET}\"\npath_style = true\naccess_key_id = \"{id}\"\n\
                 secret_key_file = \"{FOLDER}/secret\"\n[signer]\nkind = \"s3\"\n"
            )
        };
        fs::write(settings_of(index), format!("{}{objects}", common(index))).expect("a file");
    }
}

/// The settings of every node.
fn common(index: usize) -> String {
    let three = |link: fn(u8) -> Link, scheme: &str| {
        [1, 2, 3].map(|nth| format!("\"{scheme}{}\"", link(nth).listen())).join(", ")
    };
    // The bucket of all nodes is embedded in one of them, which the settings of that one must allow.
    let is_keeper = index == KEEPER;
    let (cql, nats, sqs) = (three(Link::Cql, ""), three(Link::Nats, "nats://"), Link::Sqs.listen());
    format!(
        "data_dir = \"{FOLDER}/data-{}\"\nsingle_node = {is_keeper}\ndeployment = \"chaos\"\nshards = 8\nhttp.listen = \"127.0.0.1:{}\"\n\
         admin.listen = \"127.0.0.1:{}\"\ntelemetry.filter = \"warn\"\nquota.default_bytes = {QUOTA_BYTES}\n\
         [[auth.issuers]]\nissuer = \"chaos\"\naudience = \"wharfinger\"\nalgorithm = \"HS256\"\n\
         key_file = \"{FOLDER}/issuer.key\"\n\
         [ledger]\nkind = \"scylla\"\nhistory_days = 0\n[ledger.scylla]\nnodes = [{cql}]\nkeyspace = \"chaos\"\nreplication = 3\n\
         [log]\nkind = \"nats\"\n[log.nats]\nurls = [{nats}]\nreplicas = 3\n\
         [queue]\nkind = \"sqs\"\nname = \"chaos\"\nendpoint = \"http://{sqs}\"\nregion = \"us-east-1\"\n\
         access_key_id = \"any\"\nsecret_key_file = \"{FOLDER}/secret\"\n",
        index + 1,
        api_port(index),
        admin_port(index),
    )
}
