//! Signatures of any request, as a client of S3 makes them.

use aws_lc_rs::{digest, hmac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use wharfinger::ports::Clock;

use crate::world::World;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signs with one key at one time.
pub(crate) struct Signing {
    now: String,
    scope: String,
    key: Vec<u8>,
}

impl Signing {
    /// `now` as SigV4 writes it, `20261120T101112Z`.
    pub(crate) fn new(secret: &str, now: &str, region: &str) -> Self {
        let start = format!("AWS4{secret}").into_bytes();
        let steps = [&now[..8], region, "s3", "aws4_request"];
        let key = steps.iter().fold(start, |key, step| hmac(&key, step));
        Self { now: now.to_owned(), scope: steps.join("/"), key }
    }

    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// The signature of a canonical request.
    pub(crate) fn request(&self, canonical: &str) -> String {
        self.sign("AWS4-HMAC-SHA256", &sha256(canonical.as_bytes()))
    }

    /// The signature of a chunk behind another, or behind the request.
    pub(crate) fn chunk(&self, before: &str, bytes: &[u8]) -> String {
        self.sign("AWS4-HMAC-SHA256-PAYLOAD", &format!("{before}\n{}\n{}", sha256(b""), sha256(bytes)))
    }

    /// The signature of trailers, a line each, behind the last chunk.
    pub(crate) fn trailer(&self, before: &str, lines: &str) -> String {
        self.sign("AWS4-HMAC-SHA256-TRAILER", &format!("{before}\n{}", sha256(lines.as_bytes())))
    }

    fn sign(&self, kind: &str, rest: &str) -> String {
        hex(&hmac(&self.key, &format!("{kind}\n{}\n{}\n{rest}", self.now, self.scope)))
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// A request to sign.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    /// As it is on the wire.
    pub(crate) path: &'a str,
    /// As it is on the wire: `name=value&…`, encoded.
    pub(crate) query: &'a str,
    /// Besides `host`; names in lower case and sorted, all above `host`.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) region: &'a str,
}

impl Asked<'_> {
    /// The URL, signed with the world's key, for a minute.
    pub(crate) fn url(&self, world: &World) -> String {
        let keys = world.bucket.credentials();
        self.url_of(world, keys.access_key(), keys.expose_secret())
    }

    /// The URL, signed with any key.
    pub(crate) fn url_of(&self, world: &World, access_key: &str, secret: &str) -> String {
        let now = Clock::System.now().to_iso_basic();
        let signing = Signing::new(secret, &now, self.region);
        let scope = signing.scope();
        let names: Vec<_> =
            std::iter::once("host").chain(self.headers.iter().map(|(name, _)| *name)).collect();
        let signed = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{access_key}/{scope}")),
            ("X-Amz-Date", now.clone()),
            ("X-Amz-Expires", "60".to_owned()),
            ("X-Amz-SignedHeaders", names.join(";")),
        ];
        let mut pairs: Vec<String> =
            signed.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let own = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs.extend(own.map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") }));
        pairs.sort();
        let query = pairs.join("&");
        let host = world.url.strip_prefix("http://").unwrap();
        let mut headers = format!("host:{host}\n");
        self.headers.iter().for_each(|(name, value)| headers += &format!("{name}:{value}\n"));
        let canonical = format!(
            "{}\n{}\n{query}\n{headers}\n{}\nUNSIGNED-PAYLOAD",
            self.method,
            self.path,
            names.join(";")
        );
        let signature = signing.request(&canonical);
        format!("{}{}?{query}&X-Amz-Signature={signature}", world.url, self.path)
    }
}
