//! `ETag`, `If-None-Match`, `If-Match` (RFC 9110 section 13) for files, whose tag is their revision.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};

/// The strong tag of a revision.
pub(in crate::http) fn etag(revision: u32) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).expect("a number in quotes is visible ASCII")
}

/// What a caller asks of the revision before a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum IfMatch {
    /// Nothing.
    Any,
    /// To be one of these.
    OneOf(Vec<u32>),
}

impl IfMatch {
    /// Whether it is what the caller asks for.
    pub(in crate::http) fn takes(&self, revision: u32) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(revisions) => revisions.contains(&revision),
        }
    }
}

/// Whether the caller has this revision already. Compares weakly, as the header asks.
pub(in crate::http) fn has_already(headers: &HeaderMap, revision: u32) -> bool {
    let ours = format!("\"{revision}\"");
    tags(headers, &IF_NONE_MATCH).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == ours)
}

/// What the caller asks of the revision. Tags that are not ours, weak ones too, match nothing.
pub(in crate::http) fn if_match(headers: &HeaderMap) -> IfMatch {
    if !headers.contains_key(IF_MATCH) || tags(headers, &IF_MATCH).any(|tag| tag == "*") {
        return IfMatch::Any;
    }
    let revisions = tags(headers, &IF_MATCH).filter_map(|tag| {
        let number = tag.strip_prefix('"')?.strip_suffix('"')?;
        number.parse::<u32>().ok().filter(|revision| revision.to_string() == number)
    });
    IfMatch::OneOf(revisions.collect())
}

fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    fn check_none_match(value: &str, expected: bool) {
        assert_eq!(has_already(&headers(IF_NONE_MATCH, value), 3), expected, "{value}");
    }

    #[test]
    fn a_caller_that_has_the_revision_is_not_sent_it_again() {
        check_none_match("\"3\"", true);
        check_none_match("W/\"3\"", true);
        check_none_match("\"1\", \"3\"", true);
        check_none_match("*", true);
        check_none_match("\"4\"", false);
        check_none_match("3", false);
        assert!(!has_already(&HeaderMap::new(), 3));
    }

    fn check_match(value: &str, expected: IfMatch) {
        assert_eq!(if_match(&headers(IF_MATCH, value)), expected, "{value}");
    }

    #[test]
    fn a_change_can_be_bound_to_a_revision() {
        assert_eq!(if_match(&HeaderMap::new()), IfMatch::Any);
        check_match("*", IfMatch::Any);
        check_match("\"3\"", IfMatch::OneOf(vec![3]));
        check_match("\"1\",\"3\"", IfMatch::OneOf(vec![1, 3]));
        check_match("W/\"3\"", IfMatch::OneOf(vec![]));
        check_match("\"03\"", IfMatch::OneOf(vec![]));
        check_match("\"x\"", IfMatch::OneOf(vec![]));
    }
}
