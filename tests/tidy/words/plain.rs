//! Archaic and private turns of speech in comments and documents, counted against a ceiling.

use std::collections::BTreeMap;

use crate::source;

/// Turns that a plainer or more exact word replaces: the field's word, or subject, verb, object.
const BANNED: &[&str] = &[
    "whoever",
    "whomever",
    "whyever",
    "nobody's",
    "somebody",
    "somebody's",
    "be it",
    "comes to",
    "come to",
    "came to",
    "comes of",
    "come of",
    "came of",
    "it stands",
    "told",
    "tells of",
    "tell of",
    "heard",
    "hears",
    "said of",
    "says of",
    "is away",
    "are away",
    "of late",
    "stands in for",
    "stand in for",
    "stranger",
    "strangers",
    "stray",
    "strays",
    "anew",
];
/// The most banned turns in 100,000 words of comments and documents. It only falls; under 100 is the aim.
const CEILING: usize = 70;
/// Folders and documents whose words count.
const TEXTS: &[&str] =
    &["src", "tests", "benches", "docs", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
/// This file names what it looks for.
const THIS: &str = "tests/tidy/words/plain.rs";

/// The comments of a Rust file, or the prose of a document without its blocks of code.
fn prose(path: &str, text: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines().map(str::trim) {
        let kept = if path.ends_with(".rs") {
            line.strip_prefix("//").map(|comment| comment.trim_start_matches(['/', '!']))
        } else {
            let is_fence = line.starts_with("```");
            is_code ^= is_fence;
            Some(line).filter(|_| !is_fence && !is_code)
        };
        prose.extend([kept.unwrap_or_default(), "\n"]);
    }
    prose
}

/// The words of a text in lower case, without the punctuation around them.
fn words(text: &str) -> Vec<String> {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    text.split_whitespace().map(bare).filter(|word| word.starts_with(char::is_alphabetic)).collect()
}

/// The banned turns among these words, each as often as it occurs.
fn banned(words: &[String]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for turn in BANNED {
        let parts: Vec<_> = turn.split(' ').collect();
        let hits = words.windows(parts.len()).filter(|window| window.iter().eq(parts.iter())).count();
        found.extend(std::iter::repeat_n(*turn, hits));
    }
    found
}

#[test]
#[allow(clippy::print_stdout, reason = "the figures are what is asked for")]
fn archaic_turns_become_rarer() {
    let mut total = 0;
    let (mut by_turn, mut by_room) = (BTreeMap::<_, usize>::new(), BTreeMap::<_, usize>::new());
    let is_ours = |path: &String| path != THIS && (path.ends_with(".rs") || path.ends_with(".md"));
    for path in source::files(TEXTS).into_iter().filter(is_ours) {
        let words = words(&prose(&path, &source::read(&path)));
        total += words.len();
        let room = path.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
        for turn in banned(&words) {
            *by_turn.entry(turn).or_default() += 1;
            *by_room.entry(room.clone()).or_default() += 1;
        }
    }
    assert!(total > 50_000, "only {total} words found");
    let count: usize = by_turn.values().sum();
    let rate = count * 100_000 / total;
    println!("archaic turns: {count} in {total} comment words, {rate} in 100,000 (ceiling {CEILING})");
    println!("  by turn: {by_turn:?}\n  by room: {by_room:?}");
    assert!(
        rate <= CEILING,
        "{rate} archaic turns in 100,000 comment words, more than {CEILING}: {by_room:?}"
    );
}

mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(banned(&words(&prose(path, text))), expected, "{text}");
    }

    #[test]
    fn turns_are_found_in_comments_and_prose_only() {
        check("a.rs", "/// Whoever asks, be\n/// it once.\nfn told() {} // heard", &["whoever", "be it"]);
        check("a.rs", "let told = \"somebody\";", &[]);
        check("a.rs", "//! It is nobody's; toldness is fine.", &["nobody's"]);
        check("a.md", "Told once.\n```sh\ntold\n```\nTold `twice`.", &["told", "told"]);
    }
}
