//! The body of a presign, read and checked: every fault is told, and what comes out cannot be wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::error::{ErrorCode, Problem};
use super::json::Object;
use super::media;
use super::services::HttpOptions;
use crate::domain::file::{Sha256, Visibility};
use crate::limits;

/// An upload that somebody asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UploadRequest {
    /// Normalised.
    pub(super) filename: String,
    /// Lower case.
    pub(super) content_type: String,
    /// From 1 to the operator's limit.
    pub(super) size_bytes: u64,
    /// If the client declared one.
    pub(super) checksum_sha256: Option<Sha256>,
    /// Private unless asked otherwise.
    pub(super) visibility: Visibility,
}

impl UploadRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// `invalid_json`, `validation_failed` with every fault; then `file_too_large`, `content_type_not_allowed`.
    pub(super) fn read(body: &[u8], options: &HttpOptions) -> Result<Self, Problem> {
        let mut object = Object::parse(body)?;
        let filename = object.needed_text("filename").and_then(|text| filename_of(&mut object, &text));
        let size_bytes = object.needed_count("size_bytes");
        let content_type = object.needed_text("content_type").and_then(|text| type_of(&mut object, &text));
        let checksum_sha256 = object.text("checksum_sha256").and_then(|text| checksum_of(&mut object, &text));
        let visibility = object.text("visibility").and_then(|text| visibility_of(&mut object, &text));
        object.end()?;
        let (Some(filename), Some(size_bytes), Some(content_type)) = (filename, size_bytes, content_type)
        else {
            return Err(Problem::new(ErrorCode::Internal).because(&"a field without value and without fault"));
        };
        if size_bytes > options.file_bytes_max {
            return Err(Problem::too_large(ErrorCode::FileTooLarge, options.file_bytes_max));
        }
        if !media::is_allowed(&content_type, &options.allowed_types) {
            let detail = format!("Taken are {}.", options.allowed_types.join(", "));
            return Err(Problem::new(ErrorCode::ContentTypeNotAllowed).detail(detail));
        }
        let visibility = visibility.unwrap_or_default();
        Ok(Self { filename, content_type, size_bytes, checksum_sha256, visibility })
    }
}

/// A file's name in NFC, without control characters; anything else is only data and stays.
pub(super) fn filename_of(object: &mut Object<'_>, text: &str) -> Option<String> {
    let name = match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.to_owned(),
        IsNormalized::No | IsNormalized::Maybe => text.nfc().collect(),
    };
    if name.is_empty() {
        object.fault("filename", "empty", "A file needs a name.");
        None
    } else if name.len() > limits::FILENAME_BYTES_MAX {
        let detail = format!("At most {} bytes in UTF-8.", limits::FILENAME_BYTES_MAX);
        object.fault("filename", "too_long", detail);
        None
    } else if name.chars().any(char::is_control) {
        object.fault("filename", "control_character", "Control characters are not taken.");
        None
    } else {
        Some(name)
    }
}

/// A visibility's word.
pub(super) fn visibility_of(object: &mut Object<'_>, text: &str) -> Option<Visibility> {
    let found = Visibility::ALL.into_iter().find(|visibility| visibility.as_str() == text);
    if found.is_none() {
        object.fault("visibility", "unknown_value", "This must be one of private, public_link, team.");
    }
    found
}

fn type_of(object: &mut Object<'_>, text: &str) -> Option<String> {
    let declared = media::declared(text);
    if declared.is_none() {
        object.fault("content_type", "malformed", "This must be a media type such as image/png.");
    }
    declared
}

fn checksum_of(object: &mut Object<'_>, text: &str) -> Option<Sha256> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    if bytes.is_none() {
        object.fault("checksum_sha256", "malformed", "This must be the base64 of 32 bytes.");
    }
    bytes.map(Sha256)
}

#[cfg(test)]
mod tests;
