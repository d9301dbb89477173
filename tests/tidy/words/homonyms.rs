//! Type names that two types share, counted against a ceiling: one name, one type.

use std::collections::BTreeMap;

use crate::masked::words;
use crate::source;

/// The most names that may be shared. It only falls; under 20 is the aim.
const CEILING: usize = 40;
/// Names that every actor has.
const OF_ACTORS: &[&str] = &["State", "Msg", "Arguments"];
/// What makes a type.
const KEYWORDS: &[&str] = &["struct", "enum", "trait", "union", "type"];

/// The types that masked code declares; a `type` inside a block belongs to a trait.
fn declared(code: &str) -> Vec<&str> {
    fn name(line: &str) -> Option<&str> {
        let mut parts = words(line).skip_while(|word| matches!(*word, "pub" | "crate" | "super" | "in"));
        let keyword = parts.next().filter(|word| KEYWORDS.contains(word))?;
        let is_inside = line.starts_with(char::is_whitespace);
        parts.next().filter(|_| keyword != "type" || !is_inside)
    }
    code.lines().filter_map(name).collect()
}

#[test]
#[allow(clippy::print_stdout, reason = "the figures are what is asked for")]
fn shared_type_names_become_rarer() {
    let mut owners = BTreeMap::<String, Vec<String>>::new();
    for source in source::rust(&["src"]).iter().filter(|source| !source.is_test) {
        for name in declared(&source.production).into_iter().filter(|name| !OF_ACTORS.contains(name)) {
            owners.entry(name.to_owned()).or_default().push(source.path.clone());
        }
    }
    owners.retain(|_, paths| paths.len() > 1);
    let types: usize = owners.values().map(Vec::len).sum();
    let count = owners.len();
    println!("shared type names: {count}, by {types} types (ceiling {CEILING})");
    for (name, paths) in &owners {
        println!("  {name}: {}", paths.join(" "));
    }
    assert!(count <= CEILING, "{count} type names are shared, more than {CEILING}: {:?}", owners.keys());
}

mod tests {
    use super::*;

    #[test]
    fn types_are_found_and_associated_types_are_not() {
        let code = "pub(crate) struct A<T>(T);\nenum B {}\nimpl C for D {\n    type E = F;\n}\ntype G = H;\nfn x(struct_: I) {}";
        assert_eq!(declared(code), ["A", "B", "G"]);
        assert_eq!(declared("fn x() {\n    struct Y;\n}"), ["Y"]);
    }
}
