//! `Content-Disposition` with a file's name (RFC 6266, RFC 8187).

use std::fmt::Write as _;

/// How a browser handles a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Disposition {
    /// To be saved.
    Attachment,
    /// To be shown.
    Inline,
}

/// The header's value: a plain name for old clients, the true one in UTF-8 for the others.
///
/// Whatever the name, the value is visible ASCII and the name stays inside its quotes.
pub(in crate::http) fn value(disposition: Disposition, filename: &str) -> String {
    let word = match disposition {
        Disposition::Attachment => "attachment",
        Disposition::Inline => "inline",
    };
    let mut value = format!("{word}; filename=\"");
    value.extend(filename.chars().map(|c| if is_plain(c) { c } else { '_' }));
    value.push_str("\"; filename*=UTF-8''");
    for byte in filename.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            write!(value, "%{byte:02X}").expect("text goes to memory");
        }
    }
    value
}

/// Printable ASCII but for what ends or escapes a quoted text, what clients decode, and what separates folders.
const fn is_plain(c: char) -> bool {
    (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '%' | '/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    fn check(filename: &str, expected: &str) {
        assert_eq!(value(Disposition::Attachment, filename), format!("attachment; {expected}"));
    }

    #[test]
    fn a_name_is_told_twice() {
        check("a.txt", "filename=\"a.txt\"; filename*=UTF-8''a.txt");
        check("ä €.txt", "filename=\"_ _.txt\"; filename*=UTF-8''%C3%A4%20%E2%82%AC.txt");
        check("a\"; x=\"b", "filename=\"a_; x=_b\"; filename*=UTF-8''a%22%3B%20x%3D%22b");
        check(
            "Q3 (final), v2 & more!.pdf",
            "filename=\"Q3 (final), v2 & more!.pdf\"; filename*=UTF-8''Q3%20%28final%29%2C%20v2%20&%20more!.pdf",
        );
        check("100%/a", "filename=\"100__a\"; filename*=UTF-8''100%25%2Fa");
        check("../\\x", "filename=\"..__x\"; filename*=UTF-8''..%2F%5Cx");
    }

    proptest! {
        #[test]
        fn any_name_reads_back_and_breaks_nothing(filename in any::<String>()) {
            let value = value(Disposition::Inline, &filename);
            prop_assert!(value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
            let rest = value.strip_prefix("inline; filename=\"").unwrap();
            let (plain, extended) = rest.split_once("\"; filename*=UTF-8''").unwrap();
            prop_assert!(plain.chars().all(is_plain));
            prop_assert!(!extended.contains(['"', ';', ' ', '\'', ',']));
            prop_assert_eq!(percent_decode_str(extended).decode_utf8().unwrap(), filename);
        }
    }
}
