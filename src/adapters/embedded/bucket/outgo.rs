//! What a read answers with: bytes, and values that no header can hold as they are.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use s3s::dto::StreamingBlob;

use super::blocking::blocking;

/// Bytes that are read at once.
const READ_BYTES: u64 = 256 << 10;
/// Bytes of an encoded word before their encoding: a word has at most 75 characters.
const ENCODED_WORD_BYTES: usize = 45;

/// A value of metadata as a header holds it: what is not plain ASCII as encoded words (RFC 2047), as S3 has it.
pub(super) fn metadata_value(value: &str) -> String {
    if value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return value.to_owned();
    }
    let mut words: Vec<String> = vec![String::new()];
    for character in value.chars() {
        if words.last().is_some_and(|word| word.len() + character.len_utf8() > ENCODED_WORD_BYTES) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    let encoded = words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join(" ")
}

/// A range of a file, read as it is taken.
pub(super) fn bytes(file: File, range: std::ops::Range<u64>) -> StreamingBlob {
    let start = (Arc::new(file), range);
    StreamingBlob::wrap(stream::try_unfold(start, |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.end.min(range.start.saturating_add(READ_BYTES));
        let (reads, from) = (Arc::clone(&file), range.start);
        let read = move || {
            let length = usize::try_from(end - from).map_err(io::Error::other)?;
            let mut buffer = vec![0_u8; length];
            reads.read_exact_at(&mut buffer, from).map(|()| buffer)
        };
        let buffer: Vec<u8> = blocking("read an object", read).await?;
        Ok::<_, io::Error>(Some((Bytes::from(buffer), (file, end..range.end))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_that_no_header_can_hold_is_encoded_in_words() {
        assert_eq!(metadata_value("plain text"), "plain text");
        assert_eq!(metadata_value("é"), "=?UTF-8?B?w6k=?=");
        let long = metadata_value(&"é".repeat(50));
        assert!(long.split(' ').all(|word| word.len() <= 75), "{long}");
        let decoded = long.split(' ').flat_map(|word| STANDARD.decode(&word[10..word.len() - 2]).unwrap());
        assert_eq!(String::from_utf8(decoded.collect()).unwrap(), "é".repeat(50));
    }
}
