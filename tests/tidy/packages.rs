//! What the build is made of.

use std::process::Command;

use crate::expect_none;
use crate::source;

/// Packages that must not be built, each with the reason that `deny.toml` gives.
const BANNED: [&str; 4] = ["ring", "openssl", "openssl-sys", "native-tls"];
/// Packages of which there is one version.
const SINGLE: [&str; 5] = ["hyper", "rustls", "tokio", "http", "aws-lc-sys"];

/// What is wrong with the packages of a build, each a line `name v1.2.3`.
fn wrong_packages(tree: &str) -> Vec<String> {
    let mut packages: Vec<(&str, &str)> = tree
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or_default()))
        .collect();
    packages.sort_unstable();
    packages.dedup();
    let versions = |name: &str| packages.iter().filter(|(other, _)| *other == name).count();
    let banned = BANNED.iter().filter(|name| versions(name) > 0).map(|name| format!("{name} is built"));
    let many = SINGLE.iter().filter(|name| versions(name) != 1);
    banned.chain(many.map(|name| format!("{} versions of {name}", versions(name)))).collect()
}

/// The lock file names `ring` too, because a feature of `rustls-webpki` mentions it; what is built is asked.
#[test]
fn one_crypto_library_one_hyper_one_rustls() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(tree.lines().count() > 100, "a tree of {} lines", tree.lines().count());
    expect_none(&wrong_packages(&tree));
}

#[test]
fn deny_toml_bans_the_same() {
    let deny: toml::Table = source::read("deny.toml").parse().expect("TOML");
    let bans = deny["bans"]["deny"].as_array().expect("a list");
    let name = |ban: &toml::Value| ban["crate"].as_str().expect("a name").to_owned();
    let is_single = |ban: &&toml::Value| ban.get("deny-multiple-versions").is_some();
    let (single, banned): (Vec<_>, Vec<_>) = bans.iter().partition(is_single);
    assert_eq!(banned.iter().map(|ban| name(ban)).collect::<Vec<_>>(), BANNED);
    assert_eq!(single.iter().map(|ban| name(ban)).collect::<Vec<_>>(), SINGLE);
    for ban in bans {
        assert!(ban["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{ban} has no reason");
    }
}

/// Dependencies without a comment behind them.
fn without_reason(manifest: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut is_list = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_list = line.contains("dependencies");
            if line.contains("dependencies.") {
                findings.push(format!("{line}: write it in one line, with its reason"));
            }
        } else if is_list && !line.is_empty() && !line.starts_with('#') {
            let reason = line.rsplit_once('#').map(|(_, reason)| reason.trim()).unwrap_or_default();
            if reason.is_empty() || reason.contains('"') {
                findings.push(format!("{line}: no reason"));
            }
        }
    }
    findings
}

#[test]
fn every_dependency_has_a_reason() {
    expect_none(&without_reason(&source::read("Cargo.toml")));
}

mod tests {
    use super::*;

    #[test]
    fn banned_and_doubled_packages_are_found() {
        let good =
            "hyper v1.0.0\nrustls v0.23.1\ntokio v1.0.0\nhttp v1.0.0\naws-lc-sys v0.1.0\nhyper v1.0.0 (*)";
        assert_eq!(wrong_packages(good), [""; 0]);
        assert_eq!(wrong_packages(&format!("{good}\nring v0.17.0")), ["ring is built"]);
        assert_eq!(wrong_packages(&format!("{good}\nhyper v0.14.1")), ["2 versions of hyper"]);
        assert_eq!(wrong_packages("ring-like v1.0.0").len(), SINGLE.len(), "none is not one");
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let check =
            |lines: &str| without_reason(&format!("[dependencies]\n# Why.\n{lines}\n[lints]\nx = 1")).len();
        assert_eq!(check("a = \"1\" # hashes"), 0);
        assert_eq!(check("a = \"1\""), 1);
        assert_eq!(check("a = \"1\" #"), 1);
        assert_eq!(check("a = { git = \"x#y\" }"), 1);
        assert_eq!(check("a = \"1\" # hashes\nb = \"1\""), 1);
        assert_eq!(without_reason("[dependencies.a]\nversion = \"1\" # hashes").len(), 1);
    }
}
