//! A notification, as S3 writes it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::options::BucketOptions;
use super::record::{Cause, Record};

/// What stays as it is in a key: S3 encodes keys as forms do, but keeps their slashes.
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');

/// The notification of a record for the queue.
pub(super) fn body(options: &BucketOptions, record: &Record) -> String {
    let mut object = json!({
        "key": utf8_percent_encode(&record.key, KEPT).to_string().replace(' ', "+"),
        "sequencer": format!("{:016X}", record.sequence),
    });
    let event_name = match record.cause {
        Cause::Put => "ObjectCreated:Put",
        Cause::CompleteMultipartUpload => "ObjectCreated:CompleteMultipartUpload",
        Cause::Delete { .. } => "ObjectRemoved:Delete",
    };
    if !matches!(record.cause, Cause::Delete { .. }) {
        object["size"] = json!(record.size_bytes);
        object["eTag"] = json!(record.etag);
    }
    let bucket = &options.bucket;
    json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": options.region,
        "eventTime": record.landed_at,
        "eventName": event_name,
        "userIdentity": { "principalId": "wharfinger" },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": {},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "wharfinger",
            "bucket": {
                "name": bucket,
                "ownerIdentity": { "principalId": "wharfinger" },
                "arn": format!("arn:aws:s3:::{bucket}"),
            },
            "object": object,
        },
    }]})
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::super::parts::PartSizes;
    use super::*;
    use crate::domain::time::Timestamp;

    fn told(key: &str, cause: Cause) -> serde_json::Value {
        let record = Record {
            key: key.to_owned(),
            size_bytes: 5,
            etag: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            sha256: String::new(),
            content_type: None,
            metadata: Vec::new(),
            landed_at: Timestamp::from_millis(1_795_169_642_161),
            sequence: 0xAB,
            cause,
            upload_id: None,
            parts: PartSizes::default(),
        };
        let all: serde_json::Value = serde_json::from_str(&body(&BucketOptions::default(), &record)).unwrap();
        all["Records"][0].clone()
    }

    #[test]
    fn a_put_is_told_as_s3_tells_it() {
        let told = told("user/a/b", Cause::Put);
        assert_eq!(told["eventVersion"], "2.1");
        assert_eq!(told["eventName"], "ObjectCreated:Put");
        assert_eq!(told["eventTime"], "2026-11-20T10:14:02.161Z");
        assert_eq!(told["s3"]["bucket"]["name"], "wharf");
        assert_eq!(
            told["s3"]["object"],
            json!({
                "key": "user/a/b", "size": 5, "eTag": "5d41402abc4b2a76b9719d911017c592",
                "sequencer": "00000000000000AB"
            })
        );
    }

    #[test]
    fn a_removal_has_neither_size_nor_tag() {
        let told = told("k", Cause::Delete { removes: 1 });
        assert_eq!(told["eventName"], "ObjectRemoved:Delete");
        assert_eq!(told["s3"]["object"], json!({ "key": "k", "sequencer": "00000000000000AB" }));
    }

    #[test]
    fn keys_are_encoded_as_forms_do() {
        assert_eq!(told("a b+c/é%~", Cause::Put)["s3"]["object"]["key"], "a+b%2Bc/%C3%A9%25%7E");
    }
}
