//! Rust text with comments and the insides of strings blanked out, and the parts that only tests build.
//!
//! Not a parser: it knows strings, comments and brackets, and that is enough for what is checked here.

/// Replaces comments and the insides of strings and characters by spaces. Line ends stay.
pub(crate) fn mask(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = opaque_end(&chars, at);
        if end == at {
            masked.push(chars[at]);
            at += 1;
        } else {
            masked.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    masked
}

/// Where the comment, string or character that starts at `at` ends; `at` if none starts there.
fn opaque_end(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let is_word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if starts("//") {
        return (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len());
    }
    if starts("/*") {
        return block_comment_end(chars, at);
    }
    if starts("\"") {
        return quoted_end(chars, at + 1, '"');
    }
    if !is_word_before && (starts("r\"") || starts("r#") || starts("br\"") || starts("br#")) {
        return raw_string_end(chars, at);
    }
    if starts("'") {
        return char_end(chars, at);
    }
    at
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0_usize, at);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut i = from;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            c if c == quote => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn raw_string_end(chars: &[char], at: usize) -> usize {
    let open = (at..chars.len()).find(|i| !matches!(chars[*i], 'b' | 'r'));
    let Some(open) = open else { return at };
    let hashes = chars[open..].iter().take_while(|c| **c == '#').count();
    if chars.get(open + hashes) != Some(&'"') {
        return at; // a raw identifier
    }
    let closes = |i: usize| {
        chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    (open + hashes + 1..chars.len()).find(|i| closes(*i)).map_or(chars.len(), |i| i + 1 + hashes)
}

/// A quote may also start a lifetime: `'a` is one, `'a'` is a character.
fn char_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => quoted_end(chars, at + 1, '\''),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// Blanks out what stands under `#[cfg(test)]`, in masked text.
pub(crate) fn without_tests(masked: &str) -> String {
    let mut rest = masked.to_owned();
    while let Some((start, end, _)) = test_item(&rest) {
        let blank: String = rest[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        rest.replace_range(start..end, &blank);
    }
    rest
}

/// The names of the modules that are declared under `#[cfg(test)]`.
pub(crate) fn test_modules(masked: &str) -> Vec<String> {
    let mut rest = masked.to_owned();
    let mut names = Vec::new();
    while let Some((start, end, item)) = test_item(&rest) {
        let words: Vec<_> = item.split_whitespace().collect();
        if let Some(at) = words.iter().position(|word| *word == "mod")
            && let Some(name) = words.get(at + 1).and_then(|word| word.strip_suffix(';'))
        {
            names.push(name.to_owned());
        }
        rest.replace_range(start..end, &" ".repeat(end - start));
    }
    names
}

/// The first item under `#[cfg(test)]`: where its attribute starts, where the item ends, the item.
fn test_item(masked: &str) -> Option<(usize, usize, String)> {
    let start = masked.match_indices("#[cfg(").map(|(at, _)| at).find(|at| {
        let attribute = masked[*at..].split(']').next().unwrap_or_default();
        words(attribute).any(|word| word == "test") && !words(attribute).any(|word| word == "not")
    })?;
    let mut at = start;
    while masked[at..].trim_start().starts_with("#[") {
        at += masked[at..].find(']')? + 1;
    }
    let item = &masked[at..];
    let first = words(item).find(|word| *word != "pub" && *word != "crate");
    let is_braced = first != Some("use");
    let mut depth = 0_i32;
    for (offset, c) in item.char_indices() {
        depth += match c {
            '(' | '[' | '{' => 1,
            ')' | ']' | '}' => -1,
            _ => 0,
        };
        if depth == 0 && (c == ';' || (c == '}' && is_braced)) {
            let end = at + offset + 1;
            return Some((start, end, masked[at..end].to_owned()));
        }
    }
    Some((start, masked.len(), item.to_owned()))
}

/// The identifiers of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(mask(text).split_whitespace().collect::<Vec<_>>().join(" "), expected, "{text}");
        assert_eq!(mask(text).lines().count(), text.lines().count(), "{text}");
    }

    #[test]
    fn comments_and_strings_are_blank() {
        check("a // b\nc", "a c");
        check("a /* b /* c */ d */ e", "a e");
        check(r#"a("b \" // c") d"#, "a( ) d");
        check("a(r#\"b \" // c\"#) d", "a( ) d");
        check("a('\"') b('\\'') c<'d>(&'d e)", "a( ) b( ) c<'d>(&'d e)");
        check("r#type x", "r#type x");
        check("bar\"x\" b\"y\"", "bar b");
    }

    fn check_production(text: &str, expected: &str) {
        let left = without_tests(&mask(text));
        assert_eq!(left.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{text}");
    }

    #[test]
    fn only_production_code_stays() {
        check_production("a;\n#[cfg(test)]\nmod tests { fn x() { } }\nb;", "a; b;");
        check_production("a; #[cfg(test)] mod tests; b;", "a; b;");
        check_production("a; #[cfg(test)] use x::{y, z}; b;", "a; b;");
        check_production("a; #[cfg(test)] #[derive(X)] struct Y { z: u8 } b;", "a; b;");
        check_production("a; #[cfg(any(test, feature = \"x\"))] fn y(z: [u8; 2]) -> u8 { 1 } b;", "a; b;");
        check_production("a; #[cfg(not(test))] fn y() {}", "a; #[cfg(not(test))] fn y() {}");
        check_production("#[cfg(test)] const X: u8 = 1; b;", "b;");
    }

    #[test]
    fn test_modules_are_named() {
        let text = mask("#[cfg(test)]\nmod tests;\nmod real;\n#[cfg(test)] pub(crate) mod doubles;");
        assert_eq!(test_modules(&text), ["tests", "doubles"]);
    }
}
