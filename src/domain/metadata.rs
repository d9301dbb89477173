//! Metadata stored with an object, so that a file's row could be rebuilt from the bucket alone.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::ids::FileId;
use crate::limits::METADATA_NAME_BYTES_MAX;

/// Names and values, printable ASCII: the file's id, its name (percent-encoded) and its declared size.
///
/// A name is cut after the last whole character that fits into [`METADATA_NAME_BYTES_MAX`].
#[must_use]
pub fn metadata_of(file: FileId, filename: &str, size_bytes: u64) -> Vec<(String, String)> {
    vec![
        ("file-id".to_owned(), file.to_string()),
        ("name".to_owned(), encoded(filename)),
        ("size".to_owned(), size_bytes.to_string()),
    ]
}

fn encoded(filename: &str) -> String {
    let mut encoded = String::with_capacity(filename.len());
    for (at, c) in filename.char_indices() {
        let before = encoded.len();
        encoded.extend(utf8_percent_encode(&filename[at..at + c.len_utf8()], NON_ALPHANUMERIC));
        if encoded.len() > METADATA_NAME_BYTES_MAX {
            encoded.truncate(before);
            break;
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_names_fit_into_what_s3_takes() {
        let file = FileId::parse("0199a3c4-0000-7000-8000-000000000001").unwrap();
        for (name, chars) in [("a", 255), ("文", 200), ("\u{1f4e6}", 150)] {
            let metadata = metadata_of(file, &name.repeat(255), u64::MAX);
            let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(bytes < 2048, "{bytes} bytes");
            let kept = percent_encoding::percent_decode_str(&metadata[1].1).decode_utf8().unwrap();
            assert_eq!(kept, name.repeat(chars), "cut between characters");
        }
    }

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
