//! Where a bucket is reached: scheme, host and path in front of a key.

use super::encode;

/// How a URL names the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `https://host/bucket/key`.
    Path,
    /// `https://bucket.host/key`.
    VirtualHost,
}

/// A URL that is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an endpoint of the form http(s)://host[:port]: {url:?}")]
pub struct AddressError {
    /// What was given.
    pub url: String,
}

/// The address of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `https://bucket.host:port/` or `https://host:port/bucket/`: what stands in front of a key.
    prefix: String,
    /// Where in `prefix` the path starts.
    path_at: usize,
    /// What an HTTP client sends as `Host`: the URL's own, without the port of the scheme.
    host: String,
}

impl Address {
    /// Takes an endpoint such as `http://127.0.0.1:9000`, with or without a final slash.
    ///
    /// # Errors
    /// Other schemes, a path, a query, a user name, or no host at all.
    pub fn new(endpoint: &str, bucket: &str, style: Style) -> Result<Self, AddressError> {
        let refused = || AddressError { url: endpoint.to_owned() };
        let (scheme, rest) = endpoint.split_once("://").ok_or_else(refused)?;
        let default_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(refused()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
        if authority.is_empty() || bucket.is_empty() || !authority.bytes().all(is_plain) {
            return Err(refused());
        }
        let authority = authority.to_ascii_lowercase();
        let (authority, path) = match style {
            Style::Path => {
                let mut path = String::from("/");
                encode::push_percent(&mut path, bucket, encode::SLASH);
                path.push('/');
                (authority, path)
            }
            Style::VirtualHost => (format!("{bucket}.{authority}"), "/".to_owned()),
        };
        // Some clients send the port of the scheme as part of `Host` and some do not: a URL without it is the same for all.
        let host = authority.strip_suffix(default_port).unwrap_or(&authority).to_owned();
        let origin = format!("{scheme}://{host}");
        Ok(Self { path_at: origin.len(), prefix: origin + &path, host })
    }

    /// What stands in front of a key: `https://host/bucket/`.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The path of `prefix`: `/bucket/` or `/`.
    pub(super) fn path(&self) -> &str {
        &self.prefix[self.path_at..]
    }

    /// The value of the `Host` header.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str, style: Style, prefix: &str, path: &str, host: &str) {
        let address = Address::new(endpoint, "wharf", style).unwrap();
        assert_eq!((address.prefix(), address.path(), address.host()), (prefix, path, host));
    }

    #[test]
    fn a_bucket_stands_in_the_path_or_in_the_host() {
        check(
            "http://127.0.0.1:9000",
            Style::Path,
            "http://127.0.0.1:9000/wharf/",
            "/wharf/",
            "127.0.0.1:9000",
        );
        check(
            "https://S3.example/",
            Style::VirtualHost,
            "https://wharf.s3.example/",
            "/",
            "wharf.s3.example",
        );
        check("http://[::1]:9000", Style::Path, "http://[::1]:9000/wharf/", "/wharf/", "[::1]:9000");
    }

    #[test]
    fn the_port_of_the_scheme_is_in_neither_url_nor_host() {
        check("http://h:80", Style::Path, "http://h/wharf/", "/wharf/", "h");
        check("https://h:443/", Style::Path, "https://h/wharf/", "/wharf/", "h");
        check("https://h:443", Style::VirtualHost, "https://wharf.h/", "/", "wharf.h");
        check("http://[::1]:80", Style::Path, "http://[::1]/wharf/", "/wharf/", "[::1]");
        check("http://h:8080", Style::Path, "http://h:8080/wharf/", "/wharf/", "h:8080");
        check("http://h:443", Style::Path, "http://h:443/wharf/", "/wharf/", "h:443");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "h:80", "ftp://h", "http://", "http:///", "http://h/path", "http://u@h", "http://h?q"]
        {
            assert_eq!(Address::new(bad, "b", Style::Path), Err(AddressError { url: bad.to_owned() }));
        }
        assert!(Address::new("http://h", "", Style::Path).is_err());
    }
}
