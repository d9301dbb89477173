//! `wharfinger audit` as a script sees it.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Dev, wharfinger};

fn audit(args: &[&str]) -> Output {
    wharfinger().arg("audit").args(args).output().expect("the binary starts")
}

fn of(data: &Path, more: &[&str]) -> Output {
    audit(&[&["--data", data.to_str().unwrap()], more].concat())
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn a_stopped_folder_is_clean_until_its_objects_are_touched() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(folder.path(), &[]);
    let api = dev.api();
    let [kept, deleted] = [api.upload("a.txt", "hello").await, api.upload("b.txt", "world!").await];
    api.delete(&format!("/v1/files/{deleted}?permanent=true")).await.expect(204);
    api.events_until("0", "files.purged").await;

    // While it runs, the process itself is asked, and finds the same.
    let live = of(folder.path(), &["--grace", "60"]);
    assert_eq!(live.status.code(), Some(0), "{live:?}");
    assert!(lines(&live)[0].starts_with("1 user, 2 files, 1 object, 6 entries, 6 events"), "{live:?}");
    let live = of(folder.path(), &["--grace", "60", "--user", "dev-user", "--json"]);
    assert_eq!(live.status.code(), Some(0), "{live:?}");
    let sums: Value = serde_json::from_str(&lines(&live)[0]).unwrap();
    assert_eq!(sums["summary"]["files"], 2);
    let nobody = of(folder.path(), &["--user", "nobody"]);
    assert_eq!((nobody.status.code(), nobody.stdout.len()), (Some(4), 0), "{nobody:?}");
    let text = find(&folder.path().join("bucket"), &kept).expect("an object in the bucket");
    let moved = folder.path().join("moved");
    fs::rename(&text, &moved).unwrap();
    let spoilt = of(folder.path(), &["--grace", "0"]);
    assert_eq!(spoilt.status.code(), Some(1), "{spoilt:?}");
    assert!(lines(&spoilt)[0].starts_with("I14 no_object user="), "{spoilt:?}");
    fs::rename(&moved, &text).unwrap();
    assert_eq!(dev.terminate(), Some(0));

    // A stop need not have noted what was published; a start does.
    let clean = of(folder.path(), &["--grace", "60"]);
    assert_eq!(clean.status.code(), Some(0), "{clean:?}");
    assert!(lines(&clean)[0].starts_with("1 user, 2 files, 1 object, 6 entries, 6 events"), "{clean:?}");

    let nobody = of(folder.path(), &["--user", "nobody"]);
    assert_eq!((nobody.status.code(), nobody.stdout.len()), (Some(4), 0), "{nobody:?}");
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("there is no user "), "{nobody:?}");

    let object = find(&folder.path().join("bucket"), &kept).expect("an object in the bucket");
    fs::remove_file(object).unwrap();
    let spoilt = of(folder.path(), &["--grace", "60", "--json", "--user", "dev-user"]);
    assert_eq!(spoilt.status.code(), Some(1), "{spoilt:?}");
    assert_eq!(String::from_utf8_lossy(&spoilt.stderr), "wharfinger: 1 disagreement\n");
    let lines: Vec<Value> = lines(&spoilt).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = &lines[0]["disagreement"];
    assert_eq!(
        (&told["kind"], &told["invariant"], &told["file"]),
        (&json!("no_object"), &json!(14), &json!(kept))
    );
    assert_eq!(lines[1]["summary"]["disagreements"], 1);
}

/// The file of an object.
fn find(folder: &Path, name: &str) -> Option<std::path::PathBuf> {
    fs::read_dir(folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        let is_it = path.file_name().is_some_and(|found| found.to_string_lossy().contains(name));
        if path.is_dir() { find(&path, name) } else { is_it.then_some(path) }
    })
}

#[test]
fn wrong_usage_is_said() {
    let empty = tempfile::tempdir().unwrap();
    let missing = empty.path().join("missing.toml");
    let check = |args: &[&str], said: &str| {
        let output = audit(args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
    };
    check(&["--data", empty.path().to_str().unwrap()], "there is nothing to audit: ");
    let nowhere = empty.path().join("nowhere");
    check(&["--data", nowhere.to_str().unwrap()], "nowhere/store does not exist");
    let file = empty.path().join("wharfinger.toml");
    fs::write(&file, format!("data_dir = {nowhere:?}\n")).unwrap();
    check(&["--config", file.to_str().unwrap()], "nowhere/store does not exist");
    check(&["--config", file.to_str().unwrap(), "--user", "ann"], "nowhere/store does not exist");
    assert!(!nowhere.exists() && fs::read_dir(empty.path()).unwrap().count() == 1, "nothing is made");
    check(&["--config", missing.to_str().unwrap()], "missing.toml");
    check(&["--data", "x", "--grace", "soon"], "--grace");
}
