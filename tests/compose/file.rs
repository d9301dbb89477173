//! YAML as plain values: anchors and merge keys are resolved.

use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below a folder of the repository, by its path in it.
pub(crate) fn below(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// `compose.yml`.
pub(crate) fn compose() -> Value {
    parse(&text("compose.yml"))
}

/// The services of a compose file, with their names.
pub(crate) fn services(compose: &Value) -> impl Iterator<Item = (&str, &Value)> {
    compose["services"].as_object().expect("services").iter().map(|(name, service)| (name.as_str(), service))
}

/// What a service mounts from the repository: its path there, and its path inside.
pub(crate) fn mounted(service: &Value) -> impl Iterator<Item = (&str, &str)> {
    let volumes = service["volumes"].as_array().into_iter().flatten();
    let pairs = volumes.filter_map(|volume| volume.as_str()?.split_once(':'));
    let pairs = pairs.map(|(from, to)| (from, to.trim_end_matches(":ro")));
    pairs.filter_map(|(from, to)| Some((from.strip_prefix("./")?, to)))
}

/// One document.
pub(crate) fn parse(text: &str) -> Value {
    let documents = Yaml::load_from_str(text).expect("YAML");
    assert_eq!(documents.len(), 1, "one document");
    plain(&documents[0])
}

fn plain(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(is)) => Value::from(*is),
        Yaml::Value(Scalar::Integer(number)) => Value::from(*number),
        Yaml::Value(Scalar::FloatingPoint(number)) => Value::from(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => Value::from(text.as_ref()),
        Yaml::Sequence(items) => items.iter().map(plain).collect(),
        Yaml::Mapping(mapping) => {
            let (mut own, mut merged) = (Map::new(), Map::new());
            for (key, value) in mapping {
                match (key.as_str().expect("keys are text"), plain(value)) {
                    ("<<", Value::Object(below)) => merged.extend(below),
                    (key, value) => {
                        assert!(own.insert(key.to_owned(), value).is_none(), "{key} is there twice")
                    }
                }
            }
            merged.extend(own);
            Value::Object(merged)
        }
        other @ (Yaml::Representation(..) | Yaml::Tagged(..) | Yaml::Alias(_) | Yaml::BadValue) => {
            panic!("not plain YAML: {other:?}")
        }
    }
}

#[test]
fn anchors_and_merge_keys_are_resolved_and_own_keys_win() {
    let value = parse("a: &a { x: 1, y: [2, ~] }\nb: { <<: *a, x: 'three' }\nc: *a\n");
    assert_eq!(value["b"], serde_json::json!({"x": "three", "y": [2, null]}));
    assert_eq!(value["c"], value["a"]);
}

/// A program that `scripts/servers install` brings; without it, says aloud that a test is skipped.
#[expect(clippy::disallowed_methods, reason = "where tools are is no setting of the product")]
pub(crate) fn tool(program: &str, installed_as: &str) -> Option<PathBuf> {
    let folder =
        std::env::var_os("WHARFDEV_SERVERS_DIR").map_or_else(|| root().join("target/servers"), PathBuf::from);
    let program = folder.join("bin").join(program);
    if program.exists() {
        return Some(program);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "scripts/servers install {installed_as}");
    eprintln!("skipped: {} does not exist; scripts/servers install {installed_as}", program.display());
    None
}
