//! What each header and parameter of a request makes of the answer: RFC 9110 sections 13 to 15, and S3's documents.
//!
//! The objects are `ten` (ten bytes in one PUT), `none` (an empty one), `parts` (5 MiB and seven bytes, in two parts);
//! `gone` is not there. `{etag}`, `{date}`, `{before}` and `{after}` stand for the tag of `ten`, its `Last-Modified`,
//! and the seconds beside it; `{parts}` for the bytes of `parts`.

use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::sdk::{PART, client};
use crate::sign::Asked;
use crate::world::{Answer, World};

/// A request, its headers; the status, headers of the answer (`!` before one that must not be there), and the body.
type Row = (&'static str, &'static str, u16, &'static str, &'static str);

/// What only some rows look at.
const ANY: &str = "…";

const READS: &[Row] = &[
    (
        "GET ten",
        "",
        200,
        "etag: {etag} | last-modified: {date} | accept-ranges: bytes | content-length: 10 | !content-range",
        "0123456789",
    ),
    (
        "HEAD ten",
        "",
        200,
        "etag: {etag} | last-modified: {date} | accept-ranges: bytes | content-length: 10",
        "",
    ),
    ("GET none", "", 200, "content-length: 0", ""),
    ("GET gone", "", 404, "content-type: application/xml", "NoSuchKey"),
    ("HEAD gone", "", 404, "", ""),
    ("GET ten?versionId=null", "", 200, "", "0123456789"),
    ("GET ten?versionId=other", "", 404, "", "NoSuchVersion"),
];

const OVERRIDES: &[Row] = &[
    ("GET ten?response-content-type=text%2Fcsv", "", 200, "content-type: text/csv", "0123456789"),
    ("HEAD ten?response-content-type=text%2Fcsv", "", 200, "content-type: text/csv | content-length: 10", ""),
    (
        "HEAD ten?response-content-disposition=attachment%3B%20filename%3Da",
        "",
        200,
        "content-disposition: attachment; filename=a",
        "",
    ),
    (
        "HEAD ten?response-cache-control=no-store&response-content-language=de",
        "",
        200,
        "cache-control: no-store | content-language: de",
        "",
    ),
    (
        "HEAD ten?response-content-encoding=gzip&response-expires=Sun%2C%2006%20Nov%201994%2008%3A49%3A37%20GMT",
        "",
        200,
        "content-encoding: gzip | expires: Sun, 06 Nov 1994 08:49:37 GMT",
        "",
    ),
    ("GET ten?response-content-type=text%2Fcsv", "range: bytes=0-1", 206, "content-type: text/csv", "01"),
    (
        "GET ten?response-cache-control=no-cache",
        "if-none-match: {etag}",
        304,
        "cache-control: no-cache | etag: {etag}",
        "",
    ),
    ("GET ten?response-content-type=a%0Ab", "", 400, "", "InvalidArgument"),
    ("GET ten", "", 200, "content-type: text/plain | !content-disposition | !cache-control", ANY),
    ("GET none", "", 200, "content-type: binary/octet-stream", ""),
];

const TAGS: &[Row] = &[
    ("GET ten", "if-match: {etag}", 200, "", "0123456789"),
    ("GET ten", "if-match: *", 200, "", "0123456789"),
    ("GET ten", "if-match: \"a\", {etag}", 200, "", "0123456789"),
    ("GET ten", "if-match: \"a\"", 412, "", "PreconditionFailed"),
    ("GET ten", "if-match: \"a\", \"b\"", 412, "", "<Condition>If-Match</Condition>"),
    ("GET ten", "if-match: W/{etag}", 412, "", "PreconditionFailed"),
    ("HEAD ten", "if-match: \"a\"", 412, "", ""),
    (
        "GET ten",
        "if-none-match: {etag}",
        304,
        "etag: {etag} | last-modified: {date} | !content-type | !content-length",
        "",
    ),
    ("HEAD ten", "if-none-match: {etag}", 304, "etag: {etag} | last-modified: {date}", ""),
    ("GET ten", "if-none-match: *", 304, "etag: {etag}", ""),
    ("GET ten", "if-none-match: W/{etag}", 304, "etag: {etag}", ""),
    ("GET ten", "if-none-match: \"a\", {etag}", 304, "etag: {etag}", ""),
    ("GET ten", "if-none-match: \"a\" | if-none-match: {etag}", 304, "etag: {etag}", ""),
    ("GET ten", "if-none-match: \"a\"", 200, "", "0123456789"),
    ("GET ten", "if-none-match: \"a\", \"b\"", 200, "", "0123456789"),
    ("GET gone", "if-none-match: *", 404, "", "NoSuchKey"),
    ("GET gone", "if-match: *", 404, "", "NoSuchKey"),
];

const DATES: &[Row] = &[
    ("GET ten", "if-modified-since: {date}", 304, "etag: {etag} | last-modified: {date}", ""),
    ("GET ten", "if-modified-since: {after}", 304, "etag: {etag}", ""),
    ("GET ten", "if-modified-since: {before}", 200, "", "0123456789"),
    ("GET ten", "if-modified-since: yesterday", 200, "", "0123456789"),
    ("GET ten", "if-unmodified-since: {date}", 200, "", "0123456789"),
    ("GET ten", "if-unmodified-since: {before}", 412, "", "<Condition>If-Unmodified-Since</Condition>"),
    ("GET ten", "if-unmodified-since: yesterday", 200, "", "0123456789"),
    ("GET ten", "if-unmodified-since: Sunday, 06-Nov-94 08:49:37 GMT", 412, "", "PreconditionFailed"),
    ("HEAD ten", "if-modified-since: {date}", 304, "etag: {etag}", ""),
    ("HEAD ten", "if-unmodified-since: {before}", 412, "", ""),
    // Section 13.2.2: a tag goes before a date.
    ("GET ten", "if-match: {etag} | if-unmodified-since: {before}", 200, "", "0123456789"),
    ("GET ten", "if-none-match: \"a\" | if-modified-since: {after}", 200, "", "0123456789"),
    ("GET ten", "if-none-match: {etag} | if-modified-since: {before}", 304, "etag: {etag}", ""),
    ("GET ten", "if-match: \"a\" | if-none-match: {etag}", 412, "", "PreconditionFailed"),
    ("GET ten", "if-none-match: {etag} | range: bytes=0-1", 304, "!content-range", ""),
    ("GET ten", "if-match: \"a\" | range: bytes=99-", 412, "", "PreconditionFailed"),
];

const RANGES: &[Row] = &[
    (
        "GET ten",
        "range: bytes=2-4",
        206,
        "content-range: bytes 2-4/10 | content-length: 3 | etag: {etag}",
        "234",
    ),
    ("HEAD ten", "range: bytes=2-4", 206, "content-range: bytes 2-4/10 | content-length: 3", ""),
    ("GET ten", "range: bytes=-3", 206, "content-range: bytes 7-9/10", "789"),
    ("GET ten", "range: bytes=8-", 206, "content-range: bytes 8-9/10", "89"),
    ("GET ten", "range: bytes=8-9223372036854775808", 206, "content-range: bytes 8-9/10", "89"),
    ("GET ten", "range: bytes=8-99999999999999999999999", 206, "content-range: bytes 8-9/10", "89"),
    ("GET ten", "range: bytes=-99999999999999999999999", 206, "content-range: bytes 0-9/10", "0123456789"),
    ("GET ten", "range: BYTES=8-", 206, "content-range: bytes 8-9/10", "89"),
    ("GET ten", "range: bytes=10-", 416, "content-range: bytes */10", "InvalidRange"),
    (
        "GET ten",
        "range: bytes=99999999999999999999999-",
        416,
        "content-range: bytes */10",
        "<ActualObjectSize>10</ActualObjectSize>",
    ),
    (
        "GET ten",
        "range: bytes=-0",
        416,
        "content-range: bytes */10",
        "<RangeRequested>bytes=-0</RangeRequested>",
    ),
    ("HEAD ten", "range: bytes=10-", 416, "content-range: bytes */10", ""),
    ("GET none", "range: bytes=0-", 416, "content-range: bytes */0", "InvalidRange"),
    ("GET ten", "range: bytes=0-1,4-5", 200, "content-length: 10 | !content-range", "0123456789"),
    ("GET ten", "range: bytes=4-2", 200, "!content-range", "0123456789"),
    ("GET ten", "range: lines=1-2", 200, "!content-range", "0123456789"),
    (
        "GET ten",
        "range: bytes=2-4 | x-amz-checksum-mode: ENABLED",
        403,
        "",
        "<HeadersNotSigned>x-amz-checksum-mode</HeadersNotSigned>",
    ),
];

const IF_RANGE: &[Row] = &[
    ("GET ten", "range: bytes=2-4 | if-range: {etag}", 206, "content-range: bytes 2-4/10", "234"),
    ("GET ten", "range: bytes=2-4 | if-range: {date}", 206, "content-range: bytes 2-4/10", "234"),
    ("GET ten", "range: bytes=2-4 | if-range: \"a\"", 200, "!content-range", "0123456789"),
    ("GET ten", "range: bytes=2-4 | if-range: W/{etag}", 200, "!content-range", "0123456789"),
    ("GET ten", "range: bytes=2-4 | if-range: {before}", 200, "!content-range", "0123456789"),
    ("GET ten", "range: bytes=2-4 | if-range: {after}", 200, "!content-range", "0123456789"),
    ("GET ten", "range: bytes=99- | if-range: \"a\"", 200, "!content-range", "0123456789"),
    ("GET ten", "if-range: \"a\"", 200, "!content-range", "0123456789"),
];

const PARTS: &[Row] = &[
    (
        "GET parts?partNumber=2",
        "",
        206,
        "content-range: bytes 5242880-5242886/{parts} | content-length: 7 | x-amz-mp-parts-count: 2",
        "zzzzzzz",
    ),
    (
        "HEAD parts?partNumber=1",
        "",
        206,
        "content-range: bytes 0-5242879/{parts} | content-length: 5242880 | x-amz-mp-parts-count: 2",
        "",
    ),
    ("HEAD parts", "", 200, "content-length: {parts} | !x-amz-mp-parts-count", ""),
    (
        "GET parts?partNumber=3",
        "",
        416,
        "content-range: bytes */{parts}",
        "<ActualPartCount>2</ActualPartCount>",
    ),
    ("GET ten?partNumber=1", "", 206, "content-range: bytes 0-9/10 | !x-amz-mp-parts-count", "0123456789"),
    ("GET ten?partNumber=2", "", 416, "content-range: bytes */10", "InvalidPartNumber"),
    ("GET none?partNumber=1", "", 200, "content-length: 0", ""),
    ("GET ten?partNumber=0", "", 400, "", "InvalidArgument"),
    ("GET ten?partNumber=10001", "", 400, "", "InvalidArgument"),
    ("GET ten?partNumber=one", "", 400, "", "InvalidArgument"),
    ("GET ten?partNumber=1", "range: bytes=0-1", 400, "", "InvalidRequest"),
    ("GET parts?partNumber=2", "if-match: \"a\"", 412, "", "PreconditionFailed"),
];

const LISTS: &[Row] = &[
    ("GET ?list-type=2&max-keys=0", "", 200, "", "<IsTruncated>false</IsTruncated>"),
    ("GET ?list-type=2&max-keys=0", "", 200, "", "<KeyCount>0</KeyCount>"),
    ("GET ?list-type=2&max-keys=1", "", 200, "", "<IsTruncated>true</IsTruncated>"),
    ("GET ?list-type=2&max-keys=-1", "", 400, "", "InvalidArgument"),
    ("GET ?list-type=2&max-keys=5000", "", 200, "", "<MaxKeys>1000</MaxKeys>"),
    ("GET ?list-type=2&continuation-token=%21", "", 400, "", "InvalidArgument"),
    ("GET ?uploads&max-uploads=0", "", 200, "", "<IsTruncated>false</IsTruncated>"),
    ("GET ?max-keys=1", "", 200, "", "<NextMarker>none</NextMarker>"),
    ("GET ?marker=none&prefix=p", "", 200, "", "<Key>parts</Key>"),
    ("GET ?max-keys=0", "", 200, "", "<IsTruncated>false</IsTruncated>"),
];

/// A world with the three objects, and what the placeholders stand for.
struct Table {
    world: World,
    etag: String,
    modified: u64,
}

impl Table {
    async fn new() -> Self {
        let world = World::new().await;
        let client = client(&world);
        let put = async |key: &str, kind: Option<&str>, body: &'static [u8]| {
            let url = Asked {
                method: "PUT",
                path: &format!("/wharf/{key}"),
                query: "",
                headers: &[],
                region: "us-east-1",
            };
            let headers: Vec<_> =
                kind.map(|kind| ("content-type".to_owned(), kind.to_owned())).into_iter().collect();
            let mut headers = headers;
            headers.push(("content-length".to_owned(), body.len().to_string()));
            let answer = world.http.send("PUT", &url.url(&world), &headers, body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        };
        put("ten", Some("text/plain"), b"0123456789").await;
        put("none", None, b"").await;
        let upload = client.create_multipart_upload().bucket("wharf").key("parts").send().await.unwrap();
        let mut parts = Vec::new();
        for (number, body) in [(1, vec![b'a'; PART]), (2, vec![b'z'; 7])] {
            let part =
                client.upload_part().bucket("wharf").key("parts").upload_id(upload.upload_id().unwrap());
            let part = part.part_number(number).body(ByteStream::from(body)).send().await.unwrap();
            parts.push(CompletedPart::builder().part_number(number).e_tag(part.e_tag().unwrap()).build());
        }
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = client.complete_multipart_upload().bucket("wharf").key("parts");
        complete.upload_id(upload.upload_id().unwrap()).multipart_upload(whole).send().await.unwrap();
        let head = client.head_object().bucket("wharf").key("ten").send().await.unwrap();
        let modified = u64::try_from(head.last_modified().unwrap().secs()).unwrap();
        Self { etag: head.e_tag().unwrap().to_owned(), modified, world }
    }

    fn filled(&self, text: &str) -> String {
        let date = |secs: u64| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(secs));
        text.replace("{etag}", &self.etag)
            .replace("{date}", &date(self.modified))
            .replace("{before}", &date(self.modified - 1))
            .replace("{after}", &date(self.modified + 1))
            .replace("{parts}", &(PART + 7).to_string())
    }

    async fn answer(&self, request: &str, headers: &str) -> Answer {
        let (method, target) = request.split_once(' ').unwrap();
        let (key, query) = target.split_once('?').unwrap_or((target, ""));
        let path = if key.is_empty() { "/wharf".to_owned() } else { format!("/wharf/{key}") };
        let url = Asked { method, path: &path, query, headers: &[], region: "us-east-1" }.url(&self.world);
        let headers = self.filled(headers);
        let headers: Vec<_> = headers
            .split(" | ")
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        self.world.http.send(method, &url, &headers, b"").await
    }

    /// What an answer has otherwise than its row.
    fn differences(&self, row: &Row, answer: &Answer) -> Vec<String> {
        let (_, _, status, headers, body) = row;
        let mut found = Vec::new();
        if answer.status != *status {
            found.push(format!("status {}", answer.status));
        }
        let headers = self.filled(headers);
        for line in headers.split(" | ").filter(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some((name, value)) if answer.header(name) != value => {
                    found.push(format!("{name}: {}", answer.header(name)));
                }
                None if answer.headers.contains_key(line.trim_start_matches('!')) => {
                    found.push(format!("with {line}"));
                }
                Some(_) | None => {}
            }
        }
        let text = String::from_utf8_lossy(&answer.body);
        let is_xml = text.starts_with("<?xml");
        if *body != ANY && if is_xml { !text.contains(body) || body.is_empty() } else { text != *body } {
            found.push(format!("body {:.300}", text));
        }
        if is_xml && answer.status >= 400 && !text.contains("<Message>") {
            found.push("no message".to_owned());
        }
        found
    }

    async fn check(&self, rows: &[Row]) {
        let mut wrong = Vec::new();
        for row in rows {
            let answer = self.answer(row.0, row.1).await;
            let differences = self.differences(row, &answer);
            if !differences.is_empty() {
                wrong.push(format!("{} [{}] expected {}: {}", row.0, row.1, row.2, differences.join("; ")));
            }
        }
        assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    }
}

#[tokio::test]
async fn reads_are_answered_as_rfc_9110_and_s3_say() {
    let table = Table::new().await;
    table.check(&[READS, OVERRIDES, TAGS, DATES, RANGES, IF_RANGE, PARTS].concat()).await;
}

#[tokio::test]
async fn pages_of_lists_have_as_many_items_as_were_asked_for() {
    let table = Table::new().await;
    table.check(LISTS).await;
}
