//! Images are pinned, ports stay on this machine, every service can be asked how it is.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::expect_none;
use crate::file::{below, compose, mounted, root, services, text};

/// The profiles that the README names.
const PROFILES: [&str; 3] = ["aws", "full", "obs"];
/// What is built here and never pulled.
const OURS: &str = "wharfinger:local";

fn findings(compose: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, service) in services(compose) {
        let mut expect = |holds: bool, text: String| {
            if !holds {
                findings.push(format!("{name}: {text}"));
            }
        };
        let image = service["image"].as_str().unwrap_or_default();
        let is_ours = image == OURS && !service["build"].is_null();
        expect(is_ours || is_pinned(image), format!("{image:?} has no version"));
        for port in service["ports"].as_array().into_iter().flatten() {
            let is_local = port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:"));
            expect(is_local, format!("{port} is open to others"));
        }
        let profiles: Vec<_> = service["profiles"].as_array().into_iter().flatten().collect();
        let is_known = |profile: &&Value| profile.as_str().is_some_and(|profile| PROFILES.contains(&profile));
        expect(
            !profiles.is_empty() && profiles.iter().all(is_known),
            format!("has the profiles {profiles:?}"),
        );
        // Who ends is waited for by its end.
        let ends = service["restart"] == "no";
        let has_check = service["healthcheck"]["test"].as_array().is_some_and(|test| test.len() > 1);
        expect(ends || has_check, "has no health check".to_owned());
        let waits =
            services(compose).filter_map(|(_, other)| other["depends_on"][name]["condition"].as_str());
        for condition in waits {
            let right = if ends { "service_completed_successfully" } else { "service_healthy" };
            expect(condition == right, format!("is waited for to be {condition}, not {right}"));
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let (from, _) = volume.as_str().and_then(|volume| volume.split_once(':')).unwrap_or_default();
            let is_named = compose["volumes"].as_object().is_some_and(|volumes| volumes.contains_key(from));
            expect(from.starts_with("./") || is_named, format!("{volume} is no volume with a name"));
        }
        for (path, _) in mounted(service) {
            expect(root().join(path).exists(), format!("mounts {path}, which does not exist"));
            let is_read_only = |volume: &Value| volume.as_str().is_some_and(|volume| volume.ends_with(":ro"));
            let volumes = service["volumes"].as_array().into_iter().flatten();
            let mut of_path =
                volumes.filter(|volume| volume.as_str().is_some_and(|v| v[2..].starts_with(path)));
            expect(of_path.all(is_read_only), format!("may write to {path}"));
        }
    }
    findings
}

/// `name:1.2` or longer, perhaps with more behind it.
fn is_pinned(image: &str) -> bool {
    let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map_or("", |(_, tag)| tag);
    let version = tag.split('-').next().unwrap_or_default().trim_start_matches('v');
    let parts: Vec<_> = version.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() >= 2 && parts.iter().all(is_number)
}

#[test]
fn everything_is_pinned_local_and_healthy() {
    expect_none(&findings(&compose()));
}

#[test]
fn each_profile_is_there() {
    let compose = compose();
    for profile in PROFILES {
        let has =
            |service: &Value| service["profiles"].as_array().is_some_and(|all| all.contains(&profile.into()));
        assert!(services(&compose).any(|(_, service)| has(service)), "{profile}");
    }
}

#[test]
fn what_is_open_or_loose_is_found() {
    let check = |change: fn(&mut Value), expected: &str| {
        let mut compose = compose();
        change(&mut compose["services"]);
        let found = findings(&compose).join("\n");
        assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    };
    for image in ["nats", "nats:latest", "nats:2", "nats:alpine", "docker.io:5000/nats"] {
        assert!(!is_pinned(image), "{image}");
    }
    check(|s| s["nats"]["image"] = "nats:alpine".into(), "nats: \"nats:alpine\" has no version");
    check(|s| s["nats"]["ports"][0] = "4222:4222".into(), "nats: \"4222:4222\" is open to others");
    check(|s| s["nats"]["ports"][0] = "0.0.0.0:4222:4222".into(), "is open to others");
    check(|s| s["nats"]["profiles"] = Value::Null, "nats: has the profiles []");
    check(|s| s["nats"]["profiles"][0] = "dev".into(), "nats: has the profiles");
    check(|s| s["nats"]["healthcheck"] = Value::Null, "nats: has no health check");
    check(|s| s["setup"]["restart"] = "always".into(), "setup: has no health check");
    check(|s| s["nats"]["volumes"][0] = "./nats/none.conf:/x:ro".into(), "mounts nats/none.conf");
    check(|s| s["nats"]["volumes"][0] = "./nats/server.conf:/x".into(), "may write to nats/server.conf");
    check(|s| s["nats"]["volumes"][2] = "data:/var/lib/nats".into(), "is no volume with a name");
    check(
        |s| s["wharfinger"]["depends_on"]["nats"]["condition"] = "service_started".into(),
        "nats: is waited for to be service_started",
    );
}

/// The image is built by the toolchain that the project is built by, from tags with versions, and runs as nobody
/// special.
#[test]
fn the_image_is_built_by_our_toolchain_and_runs_without_rights() {
    let dockerfile = text("deploy/Dockerfile");
    let toolchain: toml::Table = text("rust-toolchain.toml").parse().unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let images: Vec<_> = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    assert_eq!(images.len(), 2, "{images:?}");
    let image = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    assert!(images.iter().all(|line| is_pinned(&image(line))), "{images:?}");
    assert!(images[0].starts_with(&format!("rust:{channel}-")), "{images:?} is not {channel}");
    let user = dockerfile.lines().rev().find_map(|line| line.strip_prefix("USER ")).unwrap();
    assert!(!user.starts_with('0') && !user.starts_with("root"), "{user}");
    let health =
        dockerfile.lines().find(|line| line.trim_start().starts_with("CMD [\"wharfinger\", \"health\""));
    assert!(health.is_some(), "{dockerfile}");
}

/// What the Dockerfile copies of the context, each to where it was.
fn copied(dockerfile: &str) -> Vec<&str> {
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copies = copies.filter(|rest| !rest.starts_with("--from"));
    let copies = copies.map(|rest| rest.rsplit_once(' ').unwrap());
    let each = copies.flat_map(|(from, to)| {
        assert!(to == "./" || from == to, "{from} goes to {to}");
        from.split(' ')
    });
    each.collect()
}

/// What `.dockerignore` lets through. It hides everything first.
fn allowed(ignored: &str) -> Vec<&str> {
    let mut lines = ignored.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"));
    lines
        .map(|line| line.strip_prefix('!').unwrap_or_else(|| panic!("{line} hides something again")))
        .collect()
}

/// Puts into a folder what the build would find there.
fn lay_out(folder: &Path, dockerfile: &str, ignored: &str) {
    let allowed = allowed(ignored);
    for from in copied(dockerfile) {
        let source = root().join(from);
        let files = if source.is_dir() { below(from) } else { vec![source] };
        for file in files {
            let place = file.strip_prefix(root()).unwrap();
            if allowed.iter().any(|allowed| place.starts_with(allowed)) {
                let target = folder.join(place);
                std::fs::create_dir_all(target.parent().unwrap()).unwrap();
                std::fs::copy(&file, target).unwrap();
            }
        }
    }
}

/// Cargo's complaint about the packages in a folder, if any.
fn refused(folder: &Path) -> Option<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // It loads all packages, their targets and the lock file as a build does, and stops there.
    command.args(["fetch", "--offline", "--locked", "--target", "host-tuple"]);
    let ended = command.current_dir(folder).output().unwrap();
    (!ended.status.success()).then(|| String::from_utf8_lossy(&ended.stderr).into_owned())
}

/// What the build copies is there, and the context lets it through; it is enough for cargo.
#[test]
fn cargo_finds_all_it_needs_in_what_the_build_copies() {
    let (dockerfile, ignored) = (text("deploy/Dockerfile"), text(".dockerignore"));
    let check = |dockerfile: &str, ignored: &str, expected: Option<&str>| {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path(), dockerfile, ignored);
        match (refused(folder.path()), expected) {
            (None, None) => {}
            (Some(said), Some(expected)) => assert!(said.contains(expected), "{said}"),
            (said, _) => panic!("{said:?} is not {expected:?}"),
        }
    };
    let missing = Some("tests/model/Cargo.toml");
    check(&dockerfile, &ignored, None);
    check(&dockerfile, &ignored.replace("!tests/model\n", ""), missing);
    check(&dockerfile.replace("COPY tests/model tests/model\n", ""), &ignored, missing);
    check(&dockerfile, &ignored.replace("!benches\n", ""), Some("can't find"));
    for path in copied(&dockerfile) {
        assert!(root().join(path).exists(), "{path} does not exist");
        assert!(allowed(&ignored).contains(&path), ".dockerignore hides {path}");
    }
    // What the code includes at build time lies in a folder that is copied.
    for folder in ["nats", "scylla"] {
        assert!(dockerfile.contains(&format!("COPY {folder} {folder}")), "{folder}");
    }
}
