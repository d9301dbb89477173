//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use crate::masked;

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 6] = ["target", ".git", "node_modules", "wharf-data", "dist", "__pycache__"];

/// One Rust file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Below the repository, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
    /// What a build without tests sees, comments and strings blanked out; empty in a file of tests.
    pub production: String,
    /// Whether only tests build it.
    pub is_test: bool,
}

impl Source {
    /// A file as a test would write it.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let is_test = path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/");
        let production = if is_test { String::new() } else { masked::without_tests(&masked::mask(text)) };
        Self { path: path.to_owned(), text: text.to_owned(), production, is_test }
    }

    /// The first folder or file below `src`: `http`, `app`, `main`.
    pub(crate) fn room(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or_default();
        let first = below.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The modules around its code, from the crate's root: `["actors", "shard"]`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let below = self.path.strip_prefix("src/").unwrap_or_default();
        let below = below.strip_suffix(".rs").unwrap_or(below);
        let parts = below.split('/');
        parts.filter(|part| !matches!(*part, "mod" | "lib" | "main")).collect()
    }

    /// Lines with something on them that a build without tests sees, comments included.
    pub(crate) fn production_lines(&self) -> usize {
        if self.is_test {
            return 0;
        }
        let masked = masked::mask(&self.text);
        let kept = self.text.lines().zip(masked.lines()).zip(self.production.lines());
        let is_production = |((line, masked), kept): &((&str, &str), &str)| {
            !line.trim().is_empty() && (masked.trim().is_empty() || !kept.trim().is_empty())
        };
        kept.filter(is_production).count()
    }

    /// Lines with something on them that only tests see.
    pub(crate) fn test_lines(&self) -> usize {
        self.text.lines().filter(|line| !line.trim().is_empty()).count() - self.production_lines()
    }
}

/// Where the repository is.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust files below these folders.
pub(crate) fn rust(folders: &[&str]) -> Vec<Source> {
    let paths = files(folders).into_iter().filter(|path| path.ends_with(".rs"));
    let mut sources: Vec<_> = paths.map(|path| Source::new(&path, &read(&path))).collect();
    assert!(sources.len() > 20, "only {} files found below {folders:?}", sources.len());
    mark_test_modules(&mut sources);
    sources
}

/// A module declared under `#[cfg(test)]` is tests, whatever its file is called.
fn mark_test_modules(sources: &mut [Source]) {
    let mut prefixes = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test) {
        for name in masked::test_modules(&masked::mask(&source.text)) {
            let mut module = source.module();
            module.push(&name);
            prefixes.push(format!("src/{}", module.join("/")));
        }
    }
    let is_below = |path: &str, prefix: &String| {
        path == format!("{prefix}.rs") || path.starts_with(&format!("{prefix}/"))
    };
    for source in sources {
        if prefixes.iter().any(|prefix| is_below(&source.path, prefix)) {
            source.is_test = true;
            source.production = String::new();
        }
    }
}

/// Paths of all files below these folders or with these names, sorted; `.` is the whole repository.
pub(crate) fn files(names: &[&str]) -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    for name in names {
        walk(&root.join(name), &mut found);
    }
    let below = |path: PathBuf| {
        let path = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
        path.trim_start_matches("./").to_owned()
    };
    let mut paths: Vec<_> = found.into_iter().map(below).collect();
    paths.sort();
    paths
}

fn walk(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_file() {
        found.push(path.to_owned());
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let is_foreign = entry.file_name().to_str().is_some_and(|name| FOREIGN.contains(&name));
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if !is_foreign && !is_link {
            walk(&entry.path(), found);
        }
    }
}

mod tests {
    use super::*;

    #[test]
    fn a_file_knows_its_room_and_module() {
        let expected: [(&str, &str, &[&str]); 4] = [
            ("src/main.rs", "main", &[]),
            ("src/app.rs", "app", &["app"]),
            ("src/http/mod.rs", "http", &["http"]),
            ("src/http/auth/issuer.rs", "http", &["http", "auth", "issuer"]),
        ];
        for (path, room, module) in expected {
            let source = Source::new(path, "");
            assert_eq!((source.room(), source.module().as_slice()), (room, module), "{path}");
        }
    }

    #[test]
    fn lines_of_tests_are_counted_apart() {
        let text = "//! Why.\n\nfn a() {\n    b(\"\n\");\n}\n\n#[cfg(test)]\nmod tests {\n    // why\n    fn c() {}\n}\n";
        let source = Source::new("src/a.rs", text);
        assert_eq!(
            (source.production_lines(), source.test_lines()),
            (6, 4),
            "a comment counts where it stands"
        );
        assert_eq!(Source::new("src/a/tests.rs", text).production_lines(), 0);
    }

    #[test]
    fn modules_of_tests_are_found_by_their_declaration() {
        let mut sources = [
            Source::new("src/a/mod.rs", "mod b;\n#[cfg(test)]\nmod doubles;\n"),
            Source::new("src/a/b.rs", "fn x() {}"),
            Source::new("src/a/doubles.rs", "fn x() {}"),
            Source::new("src/a/doubles/c.rs", "fn x() {}"),
        ];
        mark_test_modules(&mut sources);
        assert_eq!(sources.map(|source| source.is_test), [false, false, true, true]);
    }
}
