//! What pages of other origins may send to a bucket, and read of its answers: the same for the embedded one and S3.

/// Headers of a request that a page may set: what is signed, conditions and ranges, and what tracing adds to every
/// request of a page. A star stands for any rest.
pub(super) const REQUEST_HEADERS: [&str; 18] = [
    "content-type",
    "content-md5",
    "content-disposition",
    "content-encoding",
    "content-language",
    "cache-control",
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "x-amz-*",
    "x-requested-with",
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
];

/// Headers of an answer that a page may read.
pub(super) const ANSWER_HEADERS: [&str; 9] = [
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "ETag",
    "Last-Modified",
    "x-amz-mp-parts-count",
    "x-amz-request-id",
];

/// Whether a page may set this header of a request; names in any case.
pub(super) fn may_send(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    REQUEST_HEADERS.iter().any(|allowed| match allowed.strip_suffix('*') {
        Some(start) => name.strip_prefix(start).is_some_and(|rest| !rest.is_empty()),
        None => name == *allowed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_rest_and_no_other_header_passes() {
        for name in ["traceparent", "Baggage", " range ", "x-amz-meta-a", "X-Amz-Checksum-Sha256", "if-range"]
        {
            assert!(may_send(name), "{name}");
        }
        for name in ["authorization", "cookie", "x-amz-", "x-amz", "*", "", "traceparent2"] {
            assert!(!may_send(name), "{name}");
        }
    }
}
