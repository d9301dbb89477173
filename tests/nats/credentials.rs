//! A credentials file that is rotated while we run.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use wharfinger::config::NatsSettings;
use wharfinger::ports::{LogPort, Stream};

use crate::server::{Server, Setup};
use crate::tools::{arrival, connect, eventually, publish, unique};

/// An operator with one account, and a user of it.
struct Keys {
    /// Their part of a server's configuration.
    config: String,
    /// The user's credentials file.
    credentials: String,
}

impl Keys {
    fn new() -> Self {
        let (operator, user) = (KeyPair::new_operator(), KeyPair::new_user());
        // Servers of an operator have JetStream only beside a system account.
        let (account, system) = (KeyPair::new_account(), KeyPair::new_account());
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let operator_token = token(&operator, &operator, json!({"type": "operator"}));
        let account_token = token(&operator, &account, json!({"type": "account", "limits": limits}));
        let system_token = token(&operator, &system, json!({"type": "account"}));
        let user_token =
            token(&account, &user, json!({"type": "user", "subs": -1, "data": -1, "payload": -1}));
        let config = format!(
            "operator: {operator_token}\nresolver: MEMORY\nsystem_account: {0}\n\
             resolver_preload: {{ {0}: {system_token}, {1}: {account_token} }}",
            system.public_key(),
            account.public_key()
        );
        let seed = user.seed().expect("a seed");
        let credentials = format!(
            "-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        Self { config, credentials }
    }
}

/// A token about `subject`, signed by `issuer`.
fn token(issuer: &KeyPair, subject: &KeyPair, mut nats: Value) -> String {
    nats["version"] = json!(2);
    let claims = json!({
        "jti": unique(), "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": "test", "nats": nats,
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&json!({"typ": "JWT", "alg": "ed25519-nkey"})), encode(&claims));
    let signature = issuer.sign(signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn credentials_are_read_at_every_connect() {
    let (first, second) = (Keys::new(), Keys::new());
    let setup = Setup { rest: first.config.clone(), ..Setup::default() };
    let Some(mut server) = Server::start_with(setup).await else { return };
    let file = server.write("user.creds", &first.credentials);
    let log = connect(NatsSettings { credentials_file: Some(file), ..server.settings() }).await;
    eventually("the first key is used", || async { log.ready().await.is_ok() }).await;
    log.publish(Stream::Ingest, arrival("a")).await.expect("publish");

    server.kill();
    server.configure(&second.config);
    server.again().await;
    eventually("the old key is refused", || async {
        log.ready().await.is_err_and(|error| error.reason.contains("authorization violation"))
    })
    .await;
    server.write("user.creds", &second.credentials);
    eventually("the new key is used", || async { log.ready().await.is_ok() }).await;
    // Another account has no streams yet.
    publish(&log, arrival("b")).await;
}
