//! The ways to the servers, all through toxiproxy, which makes them bad.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::plan::Fault;
use crate::support::{Answer, Api};

const TOXIPROXY: &str = "http://127.0.0.1:8474";
/// How long the proxy may take for anything.
const WITHIN: Duration = Duration::from_secs(10);
/// Where the embedded bucket listens, and where it is reached.
pub(crate) const BUCKET_LISTENS: &str = "127.0.0.1:19000";
pub(crate) const BUCKET: &str = "127.0.0.1:19100";

/// A way to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Nats(u8),
    Cql(u8),
    Sqs,
    S3,
}

/// All of them.
const ALL: [Link; 8] = [
    Link::Nats(1),
    Link::Nats(2),
    Link::Nats(3),
    Link::Cql(1),
    Link::Cql(2),
    Link::Cql(3),
    Link::Sqs,
    Link::S3,
];

impl Link {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Nats(nth) => format!("nats-{nth}"),
            Self::Cql(nth) => format!("cql-{nth}"),
            Self::Sqs => "sqs".to_owned(),
            Self::S3 => "s3".to_owned(),
        }
    }

    /// Where clients reach it. A CQL node names its address and the driver keeps the port: same address, other port.
    pub(crate) fn listen(self) -> String {
        match self {
            Self::Nats(nth) => format!("127.0.0.1:1422{nth}"),
            Self::Cql(nth) => format!("127.0.0.{nth}:19042"),
            Self::Sqs => "127.0.0.1:19324".to_owned(),
            Self::S3 => BUCKET.to_owned(),
        }
    }

    /// The server itself.
    pub(crate) fn upstream(self) -> String {
        match self {
            Self::Nats(nth) => format!("127.0.0.1:422{nth}"),
            Self::Cql(nth) => format!("127.0.0.{nth}:9042"),
            Self::Sqs => "127.0.0.1:9324".to_owned(),
            Self::S3 => BUCKET_LISTENS.to_owned(),
        }
    }
}

/// Makes them all, good ones.
pub(crate) async fn make() {
    for link in ALL {
        ask("DELETE", &format!("/proxies/{}", link.name()), &Value::Null).await;
        let proxy = json!({"name": link.name(), "listen": link.listen(), "upstream": link.upstream(), "enabled": true});
        let made = ask("POST", "/proxies", &proxy).await;
        assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
    }
}

/// Makes one bad. Both ways, for a server that is slow to answer is as bad as one that is slow to hear.
pub(crate) async fn spoil(link: Link, fault: Fault) {
    match fault {
        Fault::Cut => enable(link, false).await,
        Fault::Latency => toxic(link, "latency", &json!({"latency": 400, "jitter": 300})).await,
        Fault::BlackHole => toxic(link, "timeout", &json!({"timeout": 0})).await,
        Fault::Slow => toxic(link, "bandwidth", &json!({"rate": 8})).await,
        Fault::Kill | Fault::Freeze | Fault::Fill | Fault::Delete | Fault::Tombstones => {
            unreachable!("a wire has no process and no rows")
        }
    }
}

/// Makes it good again.
pub(crate) async fn heal(link: Link) {
    for way in ["upstream", "downstream"] {
        ask("DELETE", &format!("/proxies/{}/toxics/{way}", link.name()), &Value::Null).await;
    }
    enable(link, true).await;
}

/// Makes all good again.
pub(crate) async fn heal_all() {
    for link in ALL {
        heal(link).await;
    }
}

async fn enable(link: Link, enabled: bool) {
    let changed = ask("POST", &format!("/proxies/{}", link.name()), &json!({"enabled": enabled})).await;
    assert_eq!(changed.status, 200, "{}", String::from_utf8_lossy(&changed.body));
}

async fn toxic(link: Link, kind: &str, attributes: &Value) {
    for way in ["upstream", "downstream"] {
        let toxic = json!({"name": way, "type": kind, "stream": way, "attributes": attributes});
        ask("POST", &format!("/proxies/{}/toxics", link.name()), &toxic).await;
    }
}

async fn ask(method: &str, path: &str, body: &Value) -> Answer {
    let began = Instant::now();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    loop {
        let headers = [("content-type", "application/json")];
        match Api::nobody().try_send(method, &format!("{TOXIPROXY}{path}"), &headers, body.clone()).await {
            Ok(answer) => return answer,
            Err(error) => assert!(began.elapsed() < WITHIN, "toxiproxy does not answer: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
