//! The conditions of a read: RFC 9110 section 13, which is also what S3 documents.

use std::time::UNIX_EPOCH;

use hyper::header::{
    HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};

/// What conditions are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validators<'a> {
    /// Without quotes; always strong.
    pub(super) etag: &'a str,
    /// `Last-Modified` as the answer has it: in whole seconds since 1970.
    pub(super) modified_secs: u64,
}

/// What the conditions of a request amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConditionResult {
    /// The request is answered as if there were none.
    Proceed,
    /// The client has it already.
    NotModified,
    /// This header's condition does not hold.
    Failed(&'static str),
}

/// Evaluates the conditions in the order of section 13.2.2. A date that cannot be read counts as none.
pub(super) fn check(headers: &HeaderMap, object: Validators<'_>) -> ConditionResult {
    match tags(headers, IF_MATCH) {
        Some(tags) if !tags.iter().any(|tag| tag.is_strongly(object.etag)) => {
            return ConditionResult::Failed("If-Match");
        }
        Some(_) => {}
        None => {
            if secs(headers, IF_UNMODIFIED_SINCE).is_some_and(|date| object.modified_secs > date) {
                return ConditionResult::Failed("If-Unmodified-Since");
            }
        }
    }
    let is_known = match tags(headers, IF_NONE_MATCH) {
        Some(tags) => tags.iter().any(|tag| tag.is_weakly(object.etag)),
        None => secs(headers, IF_MODIFIED_SINCE).is_some_and(|date| object.modified_secs <= date),
    };
    if is_known { ConditionResult::NotModified } else { ConditionResult::Proceed }
}

/// Whether `If-Range` lets the range count: its tag or date is exactly the object's, or there is no such header.
pub(super) fn lets_range(headers: &HeaderMap, object: Validators<'_>) -> bool {
    if !headers.contains_key(IF_RANGE) {
        return true;
    }
    match secs(headers, IF_RANGE) {
        Some(date) => date == object.modified_secs,
        None => match tags(headers, IF_RANGE).as_deref() {
            Some([tag @ (Tag::Strong(_) | Tag::Weak(_))]) => tag.is_strongly(object.etag),
            Some(_) | None => false,
        },
    }
}

/// A member of a list of entity tags.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tag {
    Any,
    Strong(String),
    Weak(String),
}

impl Tag {
    fn is_strongly(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Strong(tag) => tag == etag,
            Self::Weak(_) => false,
        }
    }

    fn is_weakly(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Strong(tag) | Self::Weak(tag) => tag == etag,
        }
    }
}

/// All tags of a header, of all its lines; none if it is not there or empty. S3 also takes a tag without quotes.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Vec<Tag>> {
    let lines: Vec<_> =
        headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    let whole = lines.join(",");
    let is_space = |c: char| c == ' ' || c == '\t';
    let mut rest = whole.as_str();
    let mut tags = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c| is_space(c) || c == ',');
        if rest.is_empty() {
            return Some(tags).filter(|tags| !tags.is_empty());
        }
        let (is_weak, after) = rest.strip_prefix("W/").map_or((false, rest), |after| (true, after));
        let quoted = after.strip_prefix('"').and_then(|after| after.split_once('"'));
        let (tag, after) = match quoted {
            Some(quoted) => quoted,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        rest = after;
        let tag = tag.trim_end_matches(is_space);
        tags.push(match (tag, is_weak) {
            ("*", false) if quoted.is_none() => Tag::Any,
            (tag, false) => Tag::Strong(tag.to_owned()),
            (tag, true) => Tag::Weak(tag.to_owned()),
        });
    }
}

/// The seconds since 1970 of a date, in any of the three forms of RFC 9110 section 5.6.7.
fn secs(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    let mut lines = headers.get_all(name).iter();
    let (date, None) = (lines.next()?, lines.next()) else { return None };
    let date = httpdate::parse_http_date(date.to_str().ok()?.trim()).ok()?;
    Some(date.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sunday, 06-Nov-94 08:49:36 GMT";
    const AFTER: &str = "Sun Nov  6 08:49:38 1994";
    const OBJECT: Validators<'static> = Validators { etag: "e", modified_secs: 784_111_777 };

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn check_all(lines: &[(&'static str, &str)], expected: ConditionResult) {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        assert_eq!(check(&map, OBJECT), expected, "{lines:?}");
    }

    #[test]
    fn tags_are_compared_strongly_for_if_match_and_weakly_for_if_none_match() {
        for list in ["\"e\"", "*", "e", " \"a\" , \"e\"", "\"a\",,\"e\",", "W/\"e\", \"e\"", "\"a,b\",\"e\""]
        {
            check_all(&[("if-match", list)], ConditionResult::Proceed);
            check_all(&[("if-none-match", list)], ConditionResult::NotModified);
        }
        for list in ["\"a\"", "\"\"", "\"*\"", "\"E\"", "\"e", "\"a\" \"b\""] {
            check_all(&[("if-match", list)], ConditionResult::Failed("If-Match"));
            check_all(&[("if-none-match", list)], ConditionResult::Proceed);
        }
        check_all(&[("if-match", "W/\"e\"")], ConditionResult::Failed("If-Match"));
        check_all(&[("if-none-match", "W/\"e\"")], ConditionResult::NotModified);
        check_all(&[("if-none-match", "\"a\""), ("if-none-match", "\"e\"")], ConditionResult::NotModified);
        check_all(&[("if-match", ""), ("if-none-match", "")], ConditionResult::Proceed);
    }

    #[test]
    fn dates_of_all_three_forms_count_and_others_do_not() {
        check_all(&[("if-modified-since", AT)], ConditionResult::NotModified);
        check_all(&[("if-modified-since", AFTER)], ConditionResult::NotModified);
        check_all(&[("if-modified-since", BEFORE)], ConditionResult::Proceed);
        check_all(&[("if-unmodified-since", AT)], ConditionResult::Proceed);
        check_all(&[("if-unmodified-since", AFTER)], ConditionResult::Proceed);
        check_all(&[("if-unmodified-since", BEFORE)], ConditionResult::Failed("If-Unmodified-Since"));
        for date in ["yesterday", "", "1994-11-06T08:49:37Z"] {
            check_all(&[("if-modified-since", date)], ConditionResult::Proceed);
            check_all(&[("if-unmodified-since", date)], ConditionResult::Proceed);
        }
        check_all(&[("if-modified-since", AT), ("if-modified-since", AT)], ConditionResult::Proceed);
    }

    #[test]
    fn tags_go_before_dates() {
        check_all(&[("if-match", "\"e\""), ("if-unmodified-since", BEFORE)], ConditionResult::Proceed);
        check_all(&[("if-none-match", "\"a\""), ("if-modified-since", AFTER)], ConditionResult::Proceed);
        check_all(&[("if-none-match", "\"e\""), ("if-modified-since", BEFORE)], ConditionResult::NotModified);
        check_all(&[("if-match", "\"a\""), ("if-none-match", "\"e\"")], ConditionResult::Failed("If-Match"));
        check_all(&[("if-match", "\"e\""), ("if-none-match", "\"e\"")], ConditionResult::NotModified);
        check_all(
            &[("if-unmodified-since", BEFORE), ("if-none-match", "\"e\"")],
            ConditionResult::Failed("If-Unmodified-Since"),
        );
    }

    #[test]
    fn a_range_counts_only_for_exactly_this_object() {
        assert!(lets_range(&HeaderMap::new(), OBJECT));
        for (value, expected) in [
            ("\"e\"", true),
            (AT, true),
            ("W/\"e\"", false),
            ("\"a\"", false),
            ("*", false),
            ("\"e\", \"a\"", false),
            (BEFORE, false),
            (AFTER, false),
            ("", false),
        ] {
            assert_eq!(lets_range(&headers(&[("if-range", value)]), OBJECT), expected, "{value}");
        }
    }
}
