//! Uploads in parts: a folder each, with what the object will be and a file a part.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::draft::{Finished, hex};
use super::layout;
use super::record::{self, PartRecord};
use super::store::{self, Store};
use crate::domain::time::Timestamp;
use crate::ports::{ListedUpload, UploadCursor, UploadPage};

/// The highest number of a part, as S3 has it.
pub(super) const PART_NUMBER_MAX: u16 = 10_000;
/// Describes an upload, beside its parts.
const ABOUT: &str = "upload.json";

/// Why a part was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum PartError {
    /// There is no such upload of this key.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// Parts have numbers from 1 to 10,000.
    #[error("{number} is not the number of a part")]
    Number {
        /// What was given.
        number: u16,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What an upload will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) content_type: Option<String>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) started_at: Timestamp,
}

impl Store {
    /// Starts an upload; returns its id.
    pub(super) fn start_upload(&self, upload: &Upload) -> Result<String, store::PutError> {
        self.layout.object(&upload.key)?;
        // An upload of which no part could be taken is not begun.
        drop(self.room.promise(0)??);
        let upload_id = self.clock.op_id().uuid().simple().to_string();
        let tmp = self.layout.tmp();
        fs::create_dir(&tmp)?;
        let about = serde_json::to_vec(upload).map_err(io::Error::from)?;
        store::write_whole(&tmp.join(ABOUT), &about)?;
        fs::rename(&tmp, self.layout.upload(&upload_id))?;
        layout::sync_folder(self.layout.uploads())?;
        Ok(upload_id)
    }

    /// Finds an upload of this key: its folder and what it will be.
    pub(super) fn find_upload(&self, key: &str, upload_id: &str) -> io::Result<Option<(PathBuf, Upload)>> {
        // Only ids of ours become paths.
        if upload_id.len() != 32 || !upload_id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(None);
        }
        let folder = self.layout.upload(upload_id);
        let about = match fs::read(folder.join(ABOUT)) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let upload: Upload = serde_json::from_slice(&about)?;
        Ok(Some((folder, upload)).filter(|(_, upload)| upload.key == key))
    }

    /// Keeps a part, durably, in the place of one with the same number.
    pub(super) fn put_part(
        &self,
        key: &str,
        upload_id: &str,
        number: u16,
        finished: Finished,
    ) -> Result<PartRecord, PartError> {
        if number == 0 || number > PART_NUMBER_MAX {
            return Err(PartError::Number { number });
        }
        let (folder, _) = self.find_upload(key, upload_id)?.ok_or(PartError::NoSuchUpload)?;
        let part = PartRecord {
            size_bytes: finished.size_bytes,
            etag: hex(&finished.md5),
            landed_at: self.clock.now(),
        };
        let Finished { mut file, tmp, turn: _until_it_is_there, .. } = finished;
        let synced = record::append(&mut file, &part).and_then(|()| file.sync_all());
        synced.inspect_err(|error| self.room.note(error))?;
        match fs::rename(tmp.path(), folder.join(part_name(number)))
            .and_then(|()| layout::sync_folder(&folder))
        {
            Ok(()) => Ok(part),
            // It was completed or given up meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(PartError::NoSuchUpload),
            Err(error) => Err(error.into()),
        }
    }

    /// The parts of an upload, in order.
    pub(super) fn parts(&self, key: &str, upload_id: &str) -> Result<Vec<(u16, PartRecord)>, PartError> {
        let (folder, _) = self.find_upload(key, upload_id)?.ok_or(PartError::NoSuchUpload)?;
        // It may be completed or given up at the same time.
        let gone = |error: io::Error| match error {
            error if error.kind() == io::ErrorKind::NotFound => PartError::NoSuchUpload,
            error => error.into(),
        };
        let mut parts = Vec::new();
        for entry in fs::read_dir(&folder).map_err(gone)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(number) = name.to_str().and_then(|name| name.parse::<u16>().ok()) else { continue };
            let (part, _) = record::read::<PartRecord>(&fs::File::open(entry.path()).map_err(gone)?)?;
            parts.push((number, part));
        }
        parts.sort_unstable_by_key(|(number, _)| *number);
        Ok(parts)
    }

    /// Gives an upload up and frees its bytes. Returns whether it was there.
    pub(super) fn drop_upload(&self, key: &str, upload_id: &str) -> io::Result<bool> {
        let Some((folder, _)) = self.find_upload(key, upload_id)? else { return Ok(false) };
        // The rename makes it disappear at once; what follows may be cut short.
        let tmp = self.layout.tmp();
        match fs::rename(&folder, &tmp) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        layout::sync_folder(self.layout.uploads())?;
        layout::remove(&tmp)?;
        Ok(true)
    }
}

impl Store {
    /// Uploads that were begun and have not ended, in order of key and id.
    pub(super) fn open_uploads(
        &self,
        prefix: &str,
        after: Option<&UploadCursor>,
        uploads_max: usize,
    ) -> io::Result<UploadPage> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.layout.uploads())? {
            let entry = entry?;
            let about = match fs::read(entry.path().join(ABOUT)) {
                Ok(about) => about,
                // It ended meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let upload: Upload = serde_json::from_slice(&about)?;
            let upload_id = entry.file_name().to_string_lossy().into_owned();
            let place = UploadCursor { key: upload.key, upload_id };
            if place.key.starts_with(prefix) && after.is_none_or(|after| place > *after) {
                found.push((place, upload.started_at));
            }
        }
        found.sort_unstable();
        // A page of none has no end to go on from.
        let is_truncated = uploads_max > 0 && found.len() > uploads_max;
        found.truncate(uploads_max);
        let next = found.last().map(|(place, _)| place.clone()).filter(|_| is_truncated);
        let listed = |(place, started_at): (UploadCursor, Timestamp)| ListedUpload {
            key: place.key,
            upload_id: place.upload_id,
            started_at,
        };
        Ok(UploadPage { uploads: found.into_iter().map(listed).collect(), next })
    }
}

/// The file name of a part.
pub(super) fn part_name(number: u16) -> String {
    format!("{number:05}")
}
