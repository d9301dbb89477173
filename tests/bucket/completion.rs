//! What a completion of an upload in parts claims of its bytes, and the outcome of a wrong claim.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder as Completion;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::sdk::client;
use crate::world::World;

/// Of `hello`.
const CRC32: &str = "NhCmhg==";
const SHA256: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
/// Of something else.
const OTHER_CRC32: &str = "AAAAAA==";

/// An upload of one part, `hello`.
struct Upload {
    client: Client,
    id: String,
    etag: String,
}

impl Upload {
    async fn new(world: &World, checksum: Option<&str>) -> Self {
        let client = client(world);
        let started = client.create_multipart_upload().bucket("wharf").key("k").send().await.unwrap();
        let id = started.upload_id().unwrap().to_owned();
        let part = client.upload_part().bucket("wharf").key("k").upload_id(&id).part_number(1);
        let part = part.set_checksum_sha256(checksum.map(str::to_owned));
        let answer = part.body(ByteStream::from_static(b"hello")).send().await.unwrap();
        assert_eq!(answer.checksum_sha256(), checksum, "the answer repeats what was compared");
        Self { client, id, etag: answer.e_tag().unwrap().to_owned() }
    }

    fn part(&self) -> aws_sdk_s3::types::builders::CompletedPartBuilder {
        CompletedPart::builder().part_number(1).e_tag(&self.etag)
    }

    fn complete(&self, part: CompletedPart) -> Completion {
        let whole = CompletedMultipartUpload::builder().parts(part).build();
        let complete = self.client.complete_multipart_upload().bucket("wharf").key("k");
        complete.upload_id(&self.id).multipart_upload(whole)
    }

    /// Completes it; the code of the refusal, or nothing.
    async fn outcome(&self, part: CompletedPart, change: impl FnOnce(Completion) -> Completion) -> String {
        match change(self.complete(part)).send().await {
            Ok(_) => String::new(),
            Err(refused) => refused.code().unwrap_or_default().to_owned(),
        }
    }
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_and_the_right_one_still_completes() {
    let world = World::new().await;
    // The part was sent with a checksum of another kind, and with the same.
    for sent in [None, Some(SHA256)] {
        let upload = Upload::new(&world, sent).await;
        let wrong = upload.part().checksum_crc32(OTHER_CRC32).build();
        assert_eq!(upload.outcome(wrong, |same| same).await, "InvalidPart");
        let wrong = upload.part().checksum_sha256(STANDARD.encode([0; 32])).build();
        assert_eq!(upload.outcome(wrong, |same| same).await, "InvalidPart");
        let right = || upload.part().checksum_crc32(CRC32).checksum_sha256(SHA256).build();
        assert_eq!(upload.outcome(right(), |all| all.checksum_crc32(OTHER_CRC32)).await, "BadDigest");
        assert_eq!(
            upload.outcome(right(), |all| all.checksum_sha256(format!("{SHA256}-1"))).await,
            "BadDigest"
        );
        assert_eq!(upload.outcome(right(), |all| all.mpu_object_size(6)).await, "InvalidRequest");
        assert_eq!((world.files("objects"), world.files("tmp"), world.files("outbox")), (0, 0, 0));

        let of_parts = STANDARD.encode(digest(&STANDARD.decode(SHA256).unwrap()));
        let all = |all: Completion| {
            all.checksum_crc32(CRC32).checksum_sha256(format!("{of_parts}-1")).mpu_object_size(5)
        };
        assert_eq!(upload.outcome(right(), all).await, "");
        let get = upload.client.get_object().bucket("wharf").key("k").send().await.unwrap();
        assert_eq!(get.body.collect().await.unwrap().to_vec(), b"hello");
        upload.client.delete_object().bucket("wharf").key("k").send().await.unwrap();
        crate::world::eventually("an empty outbox", || (world.files("outbox") == 0).then_some(())).await;
    }
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

#[tokio::test]
async fn an_empty_page_of_parts_or_uploads_claims_no_more() {
    let world = World::new().await;
    let upload = Upload::new(&world, None).await;
    let parts = upload.client.list_parts().bucket("wharf").key("k").upload_id(&upload.id).max_parts(0);
    let parts = parts.send().await.unwrap();
    assert_eq!((parts.parts().len(), parts.is_truncated()), (0, Some(false)));
    let uploads = upload.client.list_multipart_uploads().bucket("wharf").max_uploads(0).send().await.unwrap();
    assert_eq!((uploads.uploads().len(), uploads.is_truncated()), (0, Some(false)));
    let refused = upload.client.list_multipart_uploads().bucket("wharf").max_uploads(-1).send().await;
    assert_eq!(refused.unwrap_err().code(), Some("InvalidArgument"));
}
