//! Requests for an upload: what is taken, what is refused, and why.

use super::*;
use crate::config::Config;
use proptest::prelude::*;

fn options() -> HttpOptions {
    let mut config = Config::default();
    config.upload.max_bytes = 1000;
    config.upload.allowed_types = vec!["text/*".to_owned(), "Image/PNG".to_owned()];
    HttpOptions::from_config(&config, [0; 32])
}

fn body(changes: &serde_json::Value) -> Vec<u8> {
    let mut body = serde_json::json!({"filename": "a.txt", "size_bytes": 5, "content_type": "text/plain"});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string().into_bytes()
}

macro_rules! check {
    ($changes:tt, $expected:expr) => {{
        let changes = serde_json::json!($changes);
        let outcome = UploadRequest::read(&body(&changes), &options());
        let told = match &outcome {
            Ok(request) => {
                let UploadRequest { filename, content_type, size_bytes, visibility, .. } = request;
                format!("{filename} {content_type} {size_bytes} {}", visibility.as_str())
            }
            Err(problem) => {
                let faults =
                    problem.faults().iter().map(|fault| format!(" {}:{}", fault.pointer, fault.code));
                format!("{}{}", problem.code().as_str(), faults.collect::<String>())
            }
        };
        assert_eq!(told, $expected, "{changes}");
    }};
}

#[test]
fn a_request_is_read() {
    check!({}, "a.txt text/plain 5 private");
    check!({"size_bytes": 1000, "visibility": "private"}, "a.txt text/plain 1000 private");
    check!({"size_bytes": 0}, "a.txt text/plain 0 private");
    check!({"content_type": "IMAGE/png", "visibility": null}, "a.txt image/png 5 private");
}

#[test]
fn every_fault_is_told() {
    let all = "validation_failed /filename:empty /size_bytes:out_of_range /content_type:malformed \
               /checksum_sha256:malformed /visibility:unknown_value /status:unknown_field";
    check!({"filename": "", "size_bytes": -1, "content_type": "x", "checksum_sha256": "x", "visibility": "x",
            "status": "processed"}, all);
    for field in ["user_id", "quota", "storage_path", "file_id"] {
        check!({field: 1}, format!("validation_failed /{field}:unknown_field"));
    }
}

#[test]
fn a_visibility_that_grants_nothing_yet_is_refused() {
    for word in ["public_link", "team"] {
        check!({"visibility": word}, "validation_failed /visibility:not_available");
    }
}

#[test]
fn a_name_is_data_but_not_any_data() {
    let names = ["../../etc/passwd", "a\\b", "\"quoted\";", ".hidden", "\u{200f}right-to-left mark"];
    let long = ["文".repeat(86), "文".repeat(255), "\u{1f4e6}".repeat(255), "x".repeat(255)];
    for name in names.into_iter().chain(long.iter().map(String::as_str)) {
        check!({"filename": name}, format!("{name} text/plain 5 private"));
    }
    check!({"filename": "u\u{308}.txt"}, "ü.txt text/plain 5 private");
    for name in ["a\r\nb", "nul\0", "\u{7f}", "\u{85}"] {
        check!({"filename": name}, "validation_failed /filename:control_character");
    }
    for name in ["\u{202e}gnp.exe", "a\u{202a}", "\u{2066}b", "c\u{2069}"] {
        check!({"filename": name}, "validation_failed /filename:direction_control");
    }
    for c in ["x", "ü", "文", "\u{1f4e6}"] {
        check!({"filename": c.repeat(256)}, "validation_failed /filename:too_long");
    }
    check!({"filename": "u\u{308}".repeat(255)}, format!("{} text/plain 5 private", "ü".repeat(255)));
    check!({"filename": 7}, "validation_failed /filename:wrong_type");
}

#[test]
fn a_size_is_a_whole_number_from_zero_to_the_limit() {
    for size in [serde_json::json!(-1), serde_json::json!(1.5)] {
        check!({"size_bytes": size}, "validation_failed /size_bytes:out_of_range");
    }
    check!({"size_bytes": "5"}, "validation_failed /size_bytes:wrong_type");
    check!({"size_bytes": 1001}, "file_too_large");
    check!({"size_bytes": 1e30}, "file_too_large");
}

#[test]
fn a_type_must_be_one_that_is_taken() {
    check!({"content_type": "application/pdf"}, "content_type_not_allowed");
    check!({"content_type": "text/html; charset=utf-8"}, "a.txt text/html; charset=utf-8 5 private");
}

#[test]
fn an_empty_file_has_no_chunks() {
    check!({"size_bytes": 0, "chunk_bytes": 5_242_880}, "validation_failed /chunk_bytes:not_for_empty_files");
}

#[test]
fn a_checksum_is_the_base64_of_32_bytes() {
    let sum = STANDARD.encode([7; 32]);
    check!({"checksum_sha256": sum}, "a.txt text/plain 5 private");
    let url_safe = sum.replace('=', "");
    for bad in ["", "zz", url_safe.as_str(), &STANDARD.encode([7; 31])] {
        check!({"checksum_sha256": bad}, "validation_failed /checksum_sha256:malformed");
    }
}

/// What reading a batch of uploads, each a change of the usual one, comes to.
fn check_batch(files: &serde_json::Value, expected: &str) {
    let files = files.as_array().map_or_else(
        || files.clone(),
        |items| {
            let item = |item: &serde_json::Value| {
                if item.is_object() { serde_json::from_slice(&body(item)).unwrap() } else { item.clone() }
            };
            items.iter().map(item).collect()
        },
    );
    let outcome =
        UploadRequest::read_batch(serde_json::json!({"files": files}).to_string().as_bytes(), &options());
    let told = match &outcome {
        Ok(requests) => {
            let told = |request: &UploadRequest| format!("{} {}", request.filename, request.size_bytes);
            requests.iter().map(told).collect::<Vec<_>>().join(", ")
        }
        Err(problem) => {
            let faults = problem.faults().iter().map(|fault| format!(" {}:{}", fault.pointer, fault.code));
            let pointer = problem.pointer.as_deref().map(|pointer| format!(" {pointer}"));
            format!(
                "{}{}{}",
                problem.code().as_str(),
                pointer.unwrap_or_default(),
                faults.collect::<String>()
            )
        }
    };
    assert_eq!(told, expected, "{files}");
}

#[test]
fn a_batch_is_read_in_its_order() {
    check_batch(&serde_json::json!([{}]), "a.txt 5");
    check_batch(&serde_json::json!([{"filename": "b"}, {"size_bytes": 7}]), "b 5, a.txt 7");
}

#[test]
fn faults_of_a_batch_name_their_item_and_come_all_at_once() {
    check_batch(
        &serde_json::json!([{}, {"size_bytes": -1}, {"filename": "", "owner": 1}]),
        "validation_failed /files/1/size_bytes:out_of_range /files/2/filename:empty /files/2/owner:unknown_field",
    );
    check_batch(&serde_json::json!([{}, 7]), "validation_failed /files/1:wrong_type");
    check_batch(&serde_json::json!([[{}]]), "validation_failed /files/0:wrong_type");
    check_batch(&serde_json::json!([{}, {"size_bytes": 1001}]), "file_too_large /files/1/size_bytes");
    check_batch(
        &serde_json::json!([{"content_type": "a/b"}]),
        "content_type_not_allowed /files/0/content_type",
    );
}

#[test]
fn a_batch_holds_one_to_thirty_two() {
    let some = |count: usize| serde_json::Value::from(vec![serde_json::json!({}); count]);
    check_batch(&some(32), &["a.txt 5"; 32].join(", "));
    for files in [some(0), some(33), some(65), some(1000)] {
        check_batch(&files, "validation_failed /files:out_of_range");
    }
    check_batch(&serde_json::json!(null), "validation_failed /files:required");
    check_batch(&serde_json::json!("x"), "validation_failed /files:wrong_type");
    let outcome = UploadRequest::read_batch(b"{\"files\": [{}], \"more\": 1}", &options());
    let problem = outcome.expect_err("more than files");
    assert!(problem.faults().iter().any(|fault| fault.pointer == "/more"), "{problem:?}");
}

proptest! {
    #[test]
    fn any_body_is_an_answer(bytes in any::<Vec<u8>>()) {
        // Whatever comes, it does not panic and keeps to the limits.
        prop_assert!(!UploadRequest::read(&bytes, &options()).is_ok_and(|request| request.size_bytes > 1000));
        prop_assert!(!UploadRequest::read_batch(&bytes, &options()).is_ok_and(|requests| requests.is_empty()));
    }

    #[test]
    fn any_name_that_is_taken_is_short_and_plain(filename in any::<String>()) {
        let body = body(&serde_json::json!({"filename": filename}));
        if let Ok(request) = UploadRequest::read(&body, &options()) {
            prop_assert!((1..=limits::FILENAME_CHARS_MAX).contains(&request.filename.chars().count()));
            prop_assert!(!request.filename.chars().any(is_bidi_control));
            prop_assert!(!request.filename.chars().any(char::is_control));
            prop_assert_eq!(request.filename.nfc().collect::<String>(), request.filename);
        }
    }
}
