//! Signed URLs of any request, as a client of S3 makes them: SigV4 in the query.

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
        let scope = format!("{}/{}/s3/aws4_request", &now[..8], self.region);
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
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{hash}");
        let sign = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
        };
        let start = format!("AWS4{secret}").into_bytes();
        let key =
            [&now[..8], self.region, "s3", "aws4_request"].iter().fold(start, |key, step| sign(&key, step));
        format!("{}{}?{query}&X-Amz-Signature={}", world.url, self.path, hex(&sign(&key, &text)))
    }
}
