//! The body of a presign, read and checked: every fault is reported, and the result is valid.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::domain::file::{Sha256, Visibility};
use crate::http::error::{ErrorCode, Problem};
use crate::http::options::HttpOptions;
use crate::http::wire::json::Object;
use crate::http::wire::media;
use crate::limits;

/// A requested upload.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct UploadRequest {
    /// Normalised.
    pub(in crate::http) filename: String,
    /// Lower case.
    pub(in crate::http) content_type: String,
    /// From 0 to the operator's limit.
    pub(in crate::http) size_bytes: u64,
    /// If the client declared one.
    pub(in crate::http) checksum_sha256: Option<Sha256>,
    /// Private unless asked otherwise.
    pub(in crate::http) visibility: Visibility,
    /// If it comes in chunks: bytes of every chunk but the last.
    pub(in crate::http) chunk_bytes: Option<u64>,
}

impl UploadRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// `invalid_json`, `validation_failed` with every fault; then `file_too_large`, `content_type_not_allowed`.
    pub(in crate::http) fn read(body: &[u8], options: &HttpOptions) -> Result<Self, Problem> {
        let mut object = Object::parse(body)?;
        let fields = Fields::take(&mut object);
        object.end()?;
        fields.checked(options)
    }

    /// Reads the body of a batch: `{"files": […]}` with 1 to [`limits::BATCH_UPLOADS_MAX`] of them.
    ///
    /// # Errors
    /// As [`UploadRequest::read`]; pointers name the item, `/files/3/size_bytes`.
    pub(in crate::http) fn read_batch(body: &[u8], options: &HttpOptions) -> Result<Vec<Self>, Problem> {
        let mut object = Object::parse(body)?;
        let items = object.needed_objects("files", limits::BATCH_UPLOADS_MAX);
        let mut all = Vec::with_capacity(items.len());
        for mut item in items {
            all.push(Fields::take(&mut item));
            object.absorb(item);
        }
        object.end()?;
        all.into_iter().map(|fields| fields.checked(options)).collect()
    }
}

/// The fields of one upload as they were found: none where there is a fault.
struct Fields {
    place: String,
    filename: Option<String>,
    size_bytes: Option<u64>,
    content_type: Option<String>,
    checksum_sha256: Option<Sha256>,
    visibility: Option<Visibility>,
    chunk_bytes: Option<u64>,
}

impl Fields {
    fn take(object: &mut Object<'_>) -> Self {
        let fields = Self {
            place: object.place().to_owned(),
            filename: object.needed_text("filename").and_then(|text| filename_of(object, &text)),
            size_bytes: object.needed_size("size_bytes"),
            content_type: object.needed_text("content_type").and_then(|text| type_of(object, &text)),
            checksum_sha256: object.text("checksum_sha256").and_then(|text| checksum_of(object, &text)),
            visibility: object.text("visibility").and_then(|text| visibility_of(object, &text)),
            chunk_bytes: object.count("chunk_bytes").and_then(|count| chunk_bytes_of(object, count)),
        };
        if fields.chunk_bytes.is_some() && fields.size_bytes == Some(0) {
            object.fault(
                "chunk_bytes",
                "not_for_empty_files",
                "An empty file has no chunks; leave this out.",
            );
        }
        if fields.chunk_bytes.is_some() && fields.checksum_sha256.is_some() {
            let detail = "The bucket cannot check the sum of a whole file that comes in chunks.";
            object.fault("checksum_sha256", "not_with_chunks", detail);
        }
        fields
    }

    /// What an operator allows, once the body is known to be as it should.
    fn checked(self, options: &HttpOptions) -> Result<UploadRequest, Problem> {
        let (Some(filename), Some(size_bytes), Some(content_type)) =
            (self.filename, self.size_bytes, self.content_type)
        else {
            return Err(Problem::new(ErrorCode::Internal).because(&"a field without value and without fault"));
        };
        let place = self.place;
        if size_bytes > options.file_bytes_max {
            let problem = Problem::too_large(ErrorCode::FileTooLarge, options.file_bytes_max);
            return Err(problem.at(format!("{place}/size_bytes")));
        }
        if !media::is_allowed(&content_type, &options.allowed_types) {
            let detail = format!("Taken are {}.", options.allowed_types.join(", "));
            let problem = Problem::new(ErrorCode::ContentTypeNotAllowed).detail(detail);
            return Err(problem.at(format!("{place}/content_type")));
        }
        Ok(UploadRequest {
            filename,
            content_type,
            size_bytes,
            checksum_sha256: self.checksum_sha256,
            visibility: self.visibility.unwrap_or_default(),
            chunk_bytes: self.chunk_bytes,
        })
    }
}

/// A text in Unicode's normal form C, as names are kept.
pub(in crate::http) fn in_nfc(text: &str) -> String {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.to_owned(),
        IsNormalized::No | IsNormalized::Maybe => text.nfc().collect(),
    }
}

/// Controls of the direction of text: they make `gnp.exe` look like `exe.png`.
const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A file's name in NFC, without controls; anything else is only data and stays.
pub(in crate::http) fn filename_of(object: &mut Object<'_>, text: &str) -> Option<String> {
    let name = in_nfc(text);
    if name.is_empty() {
        object.fault("filename", "empty", "A file needs a name.");
        None
    } else if name.len() > limits::FILENAME_BYTES_MAX || name.chars().count() > limits::FILENAME_CHARS_MAX {
        let detail = format!("At most {} characters in Unicode's form C.", limits::FILENAME_CHARS_MAX);
        object.fault("filename", "too_long", detail);
        None
    } else if name.chars().any(char::is_control) {
        object.fault("filename", "control_character", "Control characters are not taken.");
        None
    } else if name.chars().any(is_bidi_control) {
        let detail = "Characters that change the direction of text (U+202A to U+202E, U+2066 to U+2069) are not taken.";
        object.fault("filename", "direction_control", detail);
        None
    } else {
        Some(name)
    }
}

/// A visibility's word. Those that nothing grants access by yet are refused, so that no client relies on them.
pub(in crate::http) fn visibility_of(object: &mut Object<'_>, text: &str) -> Option<Visibility> {
    match Visibility::ALL.into_iter().find(|visibility| visibility.as_str() == text) {
        Some(Visibility::Private) => Some(Visibility::Private),
        Some(visibility @ (Visibility::PublicLink | Visibility::Team)) => {
            let detail = format!("{} is not available yet; this must be private.", visibility.as_str());
            object.fault("visibility", "not_available", detail);
            None
        }
        None => {
            object.fault("visibility", "unknown_value", "This must be private.");
            None
        }
    }
}

fn type_of(object: &mut Object<'_>, text: &str) -> Option<String> {
    let declared = media::declared(text);
    if declared.is_none() {
        object.fault("content_type", "malformed", "This must be a media type such as image/png.");
    }
    declared
}

fn chunk_bytes_of(object: &mut Object<'_>, count: u64) -> Option<u64> {
    let (min, max) = (limits::CHUNK_BYTES_MIN, limits::CHUNK_BYTES_MAX);
    let is_taken = (min..=max).contains(&count);
    if !is_taken {
        object.fault(
            "chunk_bytes",
            "out_of_range",
            format!("This must be a whole number from {min} to {max}."),
        );
    }
    is_taken.then_some(count)
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
