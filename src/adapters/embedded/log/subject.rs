//! Subjects and filters: tokens joined by dots, `*` for one token, a last `>` for the rest.

use crate::ports::Stream;

/// Bytes of a subject or a filter.
const SUBJECT_BYTES_MAX: usize = 255;
/// Tokens that the index of INGEST is made of: `wharf.ingest.v1.<shard>`.
const INGEST_INDEX_TOKENS: usize = 4;

/// Whether records can stand there.
pub(super) fn is_subject(text: &str) -> bool {
    text.len() <= SUBJECT_BYTES_MAX && text.split('.').all(is_token)
}

/// Whether a consumer can have this name.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64 && is_token(text)
}

fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The part of a subject by which a stream's records can be found without looking at all of them.
///
/// INGEST is read by shard and EVENTS by user; the DLQ is read whole.
pub(super) fn index_of(stream: Stream, subject: &str) -> Option<&str> {
    match stream {
        Stream::Ingest => {
            subject.match_indices('.').nth(INGEST_INDEX_TOKENS - 1).map(|(end, _)| &subject[..end])
        }
        Stream::Events => subject.rsplit('.').next(),
        Stream::Dlq => None,
    }
}

/// Which subjects to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter(String);

/// Text that is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a filter of subjects: {0:?}")]
pub(super) struct FilterError(String);

impl Filter {
    /// Takes tokens, `*`, and a last `>`.
    pub(super) fn parse(text: &str) -> Result<Self, FilterError> {
        let last = text.split('.').count() - 1;
        let is_filter = text.len() <= SUBJECT_BYTES_MAX
            && text
                .split('.')
                .enumerate()
                .all(|(at, token)| token == "*" || (token == ">" && at == last) || is_token(token));
        if is_filter { Ok(Self(text.to_owned())) } else { Err(FilterError(text.chars().take(80).collect())) }
    }

    /// Its text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it takes a subject.
    pub(super) fn takes(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for wanted in self.0.split('.') {
            match (wanted, tokens.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                (_, Some(_)) => return false,
            }
        }
        tokens.next().is_none()
    }

    /// What [`index_of`] gives for every subject it takes, if that is one and the same.
    pub(super) fn index(&self, stream: Stream) -> Option<&str> {
        index_of(stream, &self.0).filter(|part| part.split('.').all(is_token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &str, subject: &str, takes: bool) {
        assert_eq!(Filter::parse(filter).unwrap().takes(subject), takes, "{filter} on {subject}");
    }

    #[test]
    fn a_filter_takes_what_its_tokens_say() {
        check("a.b.c", "a.b.c", true);
        check("a.b.c", "a.b", false);
        check("a.b", "a.b.c", false);
        check("a.*.c", "a.b.c", true);
        check("a.*.c", "a.b.d", false);
        check("*.*", "a.b", true);
        check("*.*", "a.b.c", false);
        check("a.>", "a.b", true);
        check("a.>", "a.b.c.d", true);
        check("a.>", "a", false);
        check("a.*.>", "a.b", false);
        check(">", "a", true);
        check("a.b", "a.bc", false);
    }

    #[test]
    fn what_is_not_a_filter_or_a_subject_is_refused() {
        for bad in ["", ".", "a.", "a..b", "a.>.b", ">.a", "a b", "a.b*", "a.>>", &"x".repeat(256)] {
            assert!(Filter::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a.", "a.*", "a.>", "a b", "ä"] {
            assert!(!is_subject(bad), "{bad:?}");
        }
        assert!(is_subject("wharf.ingest.v1.3.0199a3c4-0000-7000-8000-000000000001"));
        assert!(!is_name("a.b") && !is_name("") && is_name("shard-3_a"));
    }

    #[test]
    fn an_index_serves_only_filters_that_pin_it() {
        let index = |stream, filter| Filter::parse(filter).unwrap().index(stream).map(ToOwned::to_owned);
        assert_eq!(index(Stream::Ingest, "wharf.ingest.v1.3.>").as_deref(), Some("wharf.ingest.v1.3"));
        assert_eq!(index(Stream::Ingest, "wharf.ingest.v1.3.u").as_deref(), Some("wharf.ingest.v1.3"));
        assert_eq!(index(Stream::Ingest, "wharf.ingest.v1.*.u"), None);
        assert_eq!(index(Stream::Ingest, "wharf.ingest.>"), None);
        assert_eq!(index(Stream::Events, "wharf.*.v1.*.user-1").as_deref(), Some("user-1"));
        assert_eq!(index(Stream::Events, "wharf.files.v1.>"), None);
        assert_eq!(index(Stream::Events, "wharf.files.v1.processed.*"), None);
        assert_eq!(index(Stream::Dlq, "wharf.dlq.v1.queue"), None);
    }

    #[test]
    fn the_index_of_a_subject_is_that_of_every_filter_that_takes_it() {
        let subject = "wharf.ingest.v1.3.user-1";
        assert_eq!(index_of(Stream::Ingest, subject), Some("wharf.ingest.v1.3"));
        assert_eq!(index_of(Stream::Events, subject), Some("user-1"));
        assert_eq!(index_of(Stream::Ingest, "wharf.ingest.v1"), None);
    }
}
