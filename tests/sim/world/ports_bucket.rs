//! The bucket and its signer, as a node sees them.

use std::time::Duration;

use crate::fault_injection::Op;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::ports::{
    DownloadGrant, ObjectMeta, ObjectPage, ObjectsError, ObjectsPort, Part, PartGrant, SignedRequest,
    SignedUrl, SignerError, SignerPort, UploadCursor, UploadGrant, UploadPage,
};

use super::bucket::Url;
use super::coming::Coming;
use super::fate::Crooked;
use super::port::{Port, Trouble};

/// How far off a clock may be that the bucket answers, in ms.
const SKEW_MAX: u64 = 15 * 60 * 1000;

impl ObjectsPort for Port {
    async fn head(&self, key: ObjectKey) -> Result<Option<ObjectMeta>, ObjectsError> {
        self.call(Op::Head, None, away, |state| Ok(state.head(key))).await
    }

    async fn first_bytes(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, ObjectsError> {
        // Objects have no bytes here, and nothing that is simulated reads any.
        self.call(Op::FirstBytes, None, away, |state| Ok(state.head(key).map(|_| Vec::new()))).await
    }

    async fn delete(&self, key: ObjectKey) -> Result<(), ObjectsError> {
        self.call(Op::ObjectDelete, Some(Coming::Delete(key)), away, |state| {
            state.delete_object(key);
            Ok(())
        })
        .await
    }

    async fn list(&self, prefix: String, after: Option<String>) -> Result<ObjectPage, ObjectsError> {
        self.call(Op::List, None, away, |state| {
            // As S3 does (`RequestTimeTooSkewed`), so that nothing final is decided on a clock that is far off.
            if state.watches[self.node].skew.unsigned_abs() > SKEW_MAX {
                return Err(away(Trouble::Refused));
            }
            Ok(state.list(&prefix, after.as_ref()))
        })
        .await
    }

    async fn create_multipart(
        &self,
        key: ObjectKey,
        content_type: &str,
        _metadata: Vec<(String, String)>,
    ) -> Result<String, ObjectsError> {
        self.call(Op::CreateMultipart, None, away, |state| Ok(state.create_upload(key, content_type))).await
    }

    async fn list_parts(&self, key: ObjectKey, upload_id: &str) -> Result<Vec<Part>, ObjectsError> {
        self.call(Op::ListParts, None, away, |state| state.parts(key, upload_id)).await
    }

    async fn complete_multipart(
        &self,
        key: ObjectKey,
        upload_id: &str,
        parts: Vec<Part>,
    ) -> Result<(), ObjectsError> {
        let late = Coming::Join { key, upload_id: upload_id.to_owned(), parts: parts.clone() };
        self.call(Op::CompleteMultipart, Some(late), away, |state| {
            state.complete_upload(key, upload_id, &parts)
        })
        .await
    }

    async fn abort_multipart(&self, key: ObjectKey, upload_id: &str) -> Result<(), ObjectsError> {
        let late = Coming::GiveUp { key, upload_id: upload_id.to_owned() };
        self.call(Op::AbortMultipart, Some(late), away, |state| {
            state.abort_upload(key, upload_id);
            Ok(())
        })
        .await
    }

    async fn list_uploads(
        &self,
        prefix: String,
        after: Option<UploadCursor>,
    ) -> Result<UploadPage, ObjectsError> {
        self.call(Op::ListUploads, None, away, |state| Ok(state.open_uploads(&prefix, after.as_ref()))).await
    }
}

impl SignerPort for Port {
    async fn upload(&self, grant: &UploadGrant) -> Result<SignedRequest, SignerError> {
        self.call(Op::SignUpload, None, unsigned, |state| {
            let is_longer = state.crooked == Crooked::SignsForLonger;
            let ttl = if is_longer { grant.ttl + Duration::from_secs(3600) } else { grant.ttl };
            let expires_at = grant.now.after(ttl);
            state.signed(Url {
                key: grant.key,
                size_bytes: grant.size_bytes,
                content_type: grant.content_type.clone(),
                checksum_sha256: grant.checksum_sha256,
                signed_at: grant.now.as_millis(),
                expires_at: expires_at.as_millis(),
            });
            let url = SignedUrl::new(format!("sim://{}", grant.key));
            Ok(SignedRequest { method: "PUT", url, headers: Vec::new(), expires_at })
        })
        .await
    }

    async fn part(&self, grant: &PartGrant) -> Result<SignedRequest, SignerError> {
        self.call(Op::SignPart, None, unsigned, |_| {
            let url = SignedUrl::new(format!("sim://{}/{}", grant.key, grant.number));
            let expires_at = grant.now.after(grant.ttl);
            Ok(SignedRequest { method: "PUT", url, headers: Vec::new(), expires_at })
        })
        .await
    }

    async fn download(&self, grant: &DownloadGrant) -> Result<SignedRequest, SignerError> {
        self.call(Op::SignDownload, None, unsigned, |_| {
            let url = SignedUrl::new(format!("sim://{}", grant.key));
            let expires_at = grant.now.after(grant.ttl);
            Ok(SignedRequest { method: "GET", url, headers: Vec::new(), expires_at })
        })
        .await
    }
}

fn away(trouble: Trouble) -> ObjectsError {
    ObjectsError::Unavailable { reason: format!("{trouble:?}") }
}

fn unsigned(trouble: Trouble) -> SignerError {
    SignerError::Unavailable { reason: format!("{trouble:?}") }
}
