//! What is stored with an object, so that a file's row could be rebuilt from the bucket alone.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::ids::FileId;

/// Names and values, printable ASCII: the file's id, its name (percent-encoded) and its declared size.
#[must_use]
pub fn metadata_of(file: FileId, filename: &str, size_bytes: u64) -> Vec<(String, String)> {
    vec![
        ("file-id".to_owned(), file.to_string()),
        ("name".to_owned(), utf8_percent_encode(filename, NON_ALPHANUMERIC).to_string()),
        ("size".to_owned(), size_bytes.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_plain_text() {
        let file = FileId::parse("0199a3c4-0000-7000-8000-000000000001").unwrap();
        let expected = [
            ("file-id", "0199a3c4-0000-7000-8000-000000000001"),
            ("name", "%C3%BC%20%22%2Etxt"),
            ("size", "5"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(metadata_of(file, "ü \".txt", 5), expected);
    }
}
