//! What is logged: never a link, a key of the endpoint or a body, at any level.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;
use wharfinger::ports::SignerPort as _;

use crate::world::{World, download, grant, new_key};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// On one thread, so that the subscriber of the test sees all that the endpoint says.
#[tokio::test]
async fn no_link_is_logged_at_any_level() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let key = new_key();
    let signed = world.upload(&grant(key, b"a secret body")).await;
    assert_eq!(world.http.follow(&signed, b"a secret body").await.status, 200);
    assert_eq!(world.http.follow(&signed, b"a secret body").await.status, 412);
    assert_eq!(world.http.follow(&signed, b"another").await.status, 403);
    let link = world.signer.download(&download(key)).await.unwrap();
    assert_eq!(world.http.follow(&link, b"").await.status, 200);

    let all = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(all.contains("the bucket answered 412"), "the endpoint was heard: {all}");
    let signature = |url: &str| url.split_once("X-Amz-Signature=").unwrap().1.to_owned();
    let keys = world.bucket.credentials();
    for secret in [
        &signature(signed.url.expose()),
        &signature(link.url.expose()),
        "X-Amz-Signature",
        keys.expose_secret(),
        "secret body",
    ] {
        assert!(!all.contains(secret), "{secret} is in the log");
    }
}
