//! Names and values of a query.

use percent_encoding::percent_decode_str;

/// Names and values of a query, decoded as `s3s` decodes them.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// The first value of a name.
pub(super) fn value(query: &str, name: &str) -> Option<String> {
    parameters(query).find(|(found, _)| found == name).map(|(_, value)| value)
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let query = "a=1&%61b=x%2By+z&&flag&a=2&c=d=e";
        let all: Vec<_> = parameters(query).collect();
        let expected = [("a", "1"), ("ab", "x+y z"), ("flag", ""), ("a", "2"), ("c", "d=e")];
        assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(value(query, "a").as_deref(), Some("1"));
        assert_eq!(value(query, "b"), None);
    }
}
