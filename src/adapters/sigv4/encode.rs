//! The encodings of SigV4: percent, hexadecimal, and values of headers.

const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

/// What a path keeps besides the unreserved characters.
pub(super) const SLASH: bool = true;
/// What a query keeps besides the unreserved characters: nothing.
pub(super) const NO_SLASH: bool = false;

/// Appends `text`, with everything but `A-Z a-z 0-9 - . _ ~` (and `/`, if it is kept) as `%XX`.
pub(super) fn push_percent(out: &mut String, text: &str, keeps_slash: bool) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if keeps_slash => out.push('/'),
            _ => {
                out.push('%');
                push_byte(out, byte, UPPER);
            }
        }
    }
}

/// Appends `bytes` as lower-case hexadecimal.
pub(super) fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        push_byte(out, *byte, LOWER);
    }
}

fn push_byte(out: &mut String, byte: u8, digits: &[u8; 16]) {
    out.push(char::from(digits[usize::from(byte >> 4)]));
    out.push(char::from(digits[usize::from(byte & 15)]));
}

/// Appends a header's value as it is signed: without spaces around it, and with single spaces inside.
pub(super) fn push_header_value(out: &mut String, value: &str) {
    let value = value.trim_matches(' ');
    if !value.contains("  ") {
        out.push_str(value);
        return;
    }
    let mut is_first = true;
    for word in value.split(' ').filter(|word| !word.is_empty()) {
        if !is_first {
            out.push(' ');
        }
        is_first = false;
        out.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, keeps_slash: bool, expected: &str) {
        let mut out = String::new();
        push_percent(&mut out, text, keeps_slash);
        assert_eq!(out, expected, "{text:?}");
    }

    #[test]
    fn only_unreserved_characters_stay() {
        check("azAZ09-._~", NO_SLASH, "azAZ09-._~");
        check("a/b", SLASH, "a/b");
        check("a/b", NO_SLASH, "a%2Fb");
        check(" +%é\n", SLASH, "%20%2B%25%C3%A9%0A");
    }

    #[test]
    fn a_header_value_is_signed_with_single_spaces() {
        let mut out = String::new();
        for value in ["a", "  a  b ", "", "   "] {
            push_header_value(&mut out, value);
            out.push('|');
        }
        assert_eq!(out, "a|a b|||");
    }
}
