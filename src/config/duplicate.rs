//! The two places of a key that a settings file has twice.

/// The fault, with the line of the first place; none if the line at `offset` repeats nothing.
///
/// It reads lines and no TOML, because a text with a key twice is none. `message` is what the parser says.
pub(super) fn explain(text: &str, offset: usize, message: &str) -> Option<String> {
    if !message.contains("duplicate key") {
        return None;
    }
    let index = text.get(..offset)?.matches('\n').count();
    let names = names(text);
    let repeated = names.get(index)?.as_ref()?;
    let first = names.iter().position(|name| name.as_ref() == Some(repeated))?;
    (first < index)
        .then(|| format!("{repeated} is there twice, first in line {}; remove one of the two", first + 1))
}

/// What each line names: a key with its section, or a section.
fn names(text: &str) -> Vec<Option<String>> {
    let mut section = String::new();
    let mut names = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let header = line.strip_prefix('[').and_then(|rest| Some(rest.split_once(']')?.0));
        names.push(if let Some(header) = header {
            section = plain(header);
            Some(section.clone())
        } else {
            line.split_once('=').map(|(key, _)| match section.as_str() {
                "" => plain(key),
                section => format!("{section}.{}", plain(key)),
            })
        });
    }
    names
}

/// A dotted key without spaces and quotes.
fn plain(key: &str) -> String {
    key.split('.').map(|part| part.trim().trim_matches(['"', '\''])).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, repeated: &str, expected: Option<&str>) {
        let offset = text.rfind(repeated).unwrap();
        assert_eq!(explain(text, offset, "duplicate key").as_deref(), expected, "{text}");
    }

    #[test]
    fn both_places_of_a_key_are_named() {
        let line = |key: &str, line: usize| {
            Some(format!("{key} is there twice, first in line {line}; remove one of the two"))
        };
        check("shards = 8\n\nshards = 9\n", "shards", line("shards", 1).as_deref());
        check(
            "[s3]\nlisten = 1\n[http]\nlisten = 2\nlisten = 3",
            "listen",
            line("http.listen", 4).as_deref(),
        );
        check("http.listen = 2\n[http]\n\"listen\" = 3", "\"listen", line("http.listen", 1).as_deref());
        check("[http]\nlisten = 1\n[s3]\n[ http ]", "[ http", line("http", 1).as_deref());
        check("[http]\nlisten = 1", "listen", None);
    }

    #[test]
    fn another_error_is_left_as_it_is() {
        assert_eq!(explain("a = 1\na = 2", 6, "invalid string"), None);
    }
}
