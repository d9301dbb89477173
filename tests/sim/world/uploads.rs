//! Uploads in parts: begun, filled, and joined into one object or given up.

use std::collections::BTreeMap;

use wharfinger::domain::file::PublicStatus;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::{ListedUpload, ObjectsError, Part, UploadCursor, UploadPage};

use super::bucket::{AHEAD_MAX, Object};
use super::fate::Crooked;
use super::state::State;

/// An upload in parts.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    key: ObjectKey,
    content_type: String,
    parts: BTreeMap<u16, Part>,
    is_complete: bool,
    started_at: u64,
}

/// A signed part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartUrl {
    pub(crate) key: ObjectKey,
    pub(crate) upload_id: String,
    pub(crate) number: u16,
    pub(crate) size_bytes: u64,
    pub(crate) signed_at: u64,
    pub(crate) expires_at: u64,
}

impl State {
    pub(crate) fn create_upload(&mut self, key: ObjectKey, content_type: &str) -> String {
        let id = format!("upload-{}", self.bucket.next());
        let upload = Upload {
            key,
            content_type: content_type.to_owned(),
            parts: BTreeMap::new(),
            is_complete: false,
            started_at: self.now,
        };
        let name = self.key_name(key);
        self.note(format_args!("{id} is begun for {name}"));
        self.bucket.uploads.insert(id.clone(), upload);
        id
    }

    /// A part's last byte is there. Returns the status that its sender gets.
    pub(crate) fn put_part(&mut self, url: &PartUrl, started_at: u64, size_bytes: u64) -> u16 {
        let PartUrl { key, upload_id, number, .. } = url;
        let is_time = url.signed_at <= started_at + AHEAD_MAX && started_at <= url.expires_at;
        let etag = format!("{:032x}", self.bucket.next());
        let open = self.bucket.uploads.get_mut(upload_id);
        let status = match open.filter(|upload| upload.key == *key && !upload.is_complete) {
            _ if !is_time || size_bytes != url.size_bytes => 403,
            None => 404,
            Some(upload) => {
                upload.parts.insert(*number, Part { number: *number, size_bytes, etag });
                200
            }
        };
        self.note(format_args!("PUT part {number} of {upload_id} is {status}"));
        status
    }

    pub(crate) fn parts(&self, key: ObjectKey, upload_id: &str) -> Result<Vec<Part>, ObjectsError> {
        let open = self.bucket.uploads.get(upload_id);
        let open = open.filter(|upload| upload.key == key && !upload.is_complete);
        open.map(|upload| upload.parts.values().cloned().collect()).ok_or_else(refused)
    }

    pub(crate) fn complete_upload(
        &mut self,
        key: ObjectKey,
        id: &str,
        parts: &[Part],
    ) -> Result<(), ObjectsError> {
        let upload = self.bucket.uploads.get(id).filter(|upload| upload.key == key).ok_or_else(refused)?;
        if upload.is_complete {
            return Ok(());
        }
        let is_there = self.bucket.objects.contains_key(&key.to_string());
        let found: Vec<&Part> = upload.parts.values().collect();
        if is_there || parts.is_empty() || found != parts.iter().collect::<Vec<_>>() {
            return Err(refused());
        }
        let object = Object {
            size_bytes: parts.iter().map(|part| part.size_bytes).sum(),
            etag: String::new(),
            content_type: upload.content_type.clone(),
            checksum_sha256: None,
            landed_at: self.now,
        };
        if let Some(upload) = self.bucket.uploads.get_mut(id) {
            upload.is_complete = true;
        }
        self.note(format_args!("{id} becomes one object"));
        self.history.uploaded.insert(key);
        self.land(key, object);
        Ok(())
    }

    /// Uploads that were begun and neither completed nor given up, all on one page.
    pub(crate) fn open_uploads(&self, prefix: &str, after: Option<&UploadCursor>) -> UploadPage {
        let listed = |(id, upload): (&String, &Upload)| ListedUpload {
            key: upload.key.to_string(),
            upload_id: id.clone(),
            started_at: Timestamp::from_millis(upload.started_at),
        };
        let open = self.bucket.uploads.iter().filter(|(_, upload)| !upload.is_complete).map(listed);
        let mut uploads: Vec<ListedUpload> = open
            .filter(|upload| upload.key.starts_with(prefix))
            .filter(|upload| {
                let cursor = UploadCursor { key: upload.key.clone(), upload_id: upload.upload_id.clone() };
                after.is_none_or(|after| cursor > *after)
            })
            .collect();
        uploads.sort_by(|a, b| (&a.key, &a.upload_id).cmp(&(&b.key, &b.upload_id)));
        UploadPage { uploads, next: None }
    }

    pub(crate) fn abort_upload(&mut self, key: ObjectKey, id: &str) {
        let is_open = self.bucket.uploads.get(id).is_some_and(|upload| upload.key == key);
        if is_open && self.crooked != Crooked::KeepsUploads {
            self.note(format_args!("{id} is given up"));
            self.bucket.uploads.remove(id);
        }
    }

    /// 7: a file that is to come in chunks, by an answer, has an upload that takes them.
    pub(crate) fn check_chunked(&mut self, key: ObjectKey) {
        let Some(row) = self.file(key.user, key.file) else { return };
        if let Some(multipart) =
            row.multipart.as_ref().filter(|_| row.public_status() == PublicStatus::Pending)
            && !self.bucket.uploads.contains_key(&multipart.upload_id)
        {
            let id = multipart.upload_id.clone();
            self.broken(format_args!("I7: acknowledged with {id}, which takes no chunks"));
        }
    }

    /// 17: no upload is left open.
    pub(crate) fn check_uploads(&mut self) {
        for upload in self.open_uploads("", None).uploads {
            self.broken(format_args!("I17: {} is left open", upload.upload_id));
        }
    }
}

fn refused() -> ObjectsError {
    ObjectsError::Refused { reason: "no such upload, or not those parts".to_owned() }
}
