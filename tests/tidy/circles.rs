//! No circle between the files of a room, where a room has come so far.

use std::collections::{BTreeMap, BTreeSet};

use crate::arrows::members;
use crate::expect_none;
use crate::masked::words;
use crate::source::{self, Source};

/// The rooms whose files form no circle. A room without circles joins the list, and none leaves it.
const ROOMS: &[&str] = &["http"];

type Module = Vec<String>;

/// The files of a room, and which of them each names.
struct Graph {
    modules: BTreeSet<Module>,
    /// Names that a `mod.rs` re-exports, and the module that has them.
    re_exports: BTreeMap<(Module, String), Module>,
}

fn module_of(source: &Source) -> Module {
    source.module().into_iter().map(str::to_owned).collect()
}

fn compact(code: &str) -> String {
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
    code.replace(":: ", "::").replace(" ::", "::").replace("{ ", "{").replace(" }", "}").replace(", ", ",")
}

/// Adds every path of a path with groups, each as its words.
fn expand(path: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    if path.starts_with('{') {
        members(path).into_iter().for_each(|member| expand(member, before, found));
        return;
    }
    let Some(word) = words(path).next().filter(|word| path.starts_with(word)) else { return };
    let path_to_here: Vec<String> = before.iter().cloned().chain([word.to_owned()]).collect();
    match path[word.len()..].strip_prefix("::") {
        Some(rest) => expand(rest, &path_to_here, found),
        None => found.push(path_to_here),
    }
}

/// The paths in a file that begin with `crate`, `super` or `self`.
fn paths_in(source: &Source) -> Vec<Vec<String>> {
    let code = compact(&source.production);
    let mut found = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let is_start = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if is_start {
                expand(&code[at..], &[], &mut found);
            }
        }
    }
    found
}

impl Graph {
    fn of(sources: &[&Source]) -> Self {
        let modules = sources.iter().map(|source| module_of(source)).collect();
        let mut re_exports = BTreeMap::new();
        for source in sources.iter().filter(|source| source.path.ends_with("/mod.rs")) {
            let module = module_of(source);
            let code = compact(&source.production);
            for statement in code.split(';').map(str::trim).filter(|statement| statement.starts_with("pub")) {
                let Some((_, path)) = statement.split_once("use ") else { continue };
                let mut paths = Vec::new();
                expand(path, &[], &mut paths);
                for mut path in paths {
                    let name = path.pop().unwrap_or_default();
                    let target = module.iter().cloned().chain(path).collect();
                    re_exports.insert((module.clone(), name), target);
                }
            }
        }
        Self { modules, re_exports }
    }

    /// The module that has what a path names, seen from `from`.
    fn target(&self, from: &Module, path: &[String]) -> Option<Module> {
        let mut at = from.clone();
        let mut rest = path;
        if let Some(after) = rest.strip_prefix(["crate".to_owned()].as_slice()) {
            (at, rest) = (Module::new(), after);
        }
        while let Some(after) = rest.strip_prefix(["super".to_owned()].as_slice()) {
            at.pop();
            rest = after;
        }
        rest = rest.strip_prefix(["self".to_owned()].as_slice()).unwrap_or(rest);
        for name in rest {
            let below: Module = at.iter().cloned().chain([name.clone()]).collect();
            if self.modules.contains(&below) || (at.is_empty() && path[0] == "crate") {
                at = below;
            } else {
                return Some(self.re_exports.get(&(at.clone(), name.clone())).cloned().unwrap_or(at));
            }
        }
        Some(at)
    }
}

/// The first circle that is found from `at` on, as the names of its files.
fn circle(
    at: &Module,
    graph: &BTreeMap<Module, BTreeSet<Module>>,
    way: &mut Vec<Module>,
    done: &mut BTreeSet<Module>,
) -> Option<String> {
    if let Some(start) = way.iter().position(|module| module == at) {
        let names = way[start..].iter().chain([at]).map(|module| module.join("::"));
        return Some(names.collect::<Vec<_>>().join(" -> "));
    }
    if !done.insert(at.clone()) {
        return None;
    }
    way.push(at.clone());
    let found = graph.get(at).into_iter().flatten().find_map(|next| circle(next, graph, way, done));
    way.pop();
    found
}

fn circles(sources: &[&Source]) -> Vec<String> {
    let graph = Graph::of(sources);
    let mut arrows = BTreeMap::<Module, BTreeSet<Module>>::new();
    for source in sources.iter().filter(|source| !source.path.ends_with("/mod.rs")) {
        let from = module_of(source);
        let targets = paths_in(source).into_iter().filter_map(|path| graph.target(&from, &path));
        let is_file = |target: &Module| *target != from && graph.modules.contains(target);
        arrows.insert(from.clone(), targets.filter(is_file).collect());
    }
    let mut done = BTreeSet::new();
    arrows.keys().filter_map(|module| circle(module, &arrows, &mut Vec::new(), &mut done)).collect()
}

#[test]
fn no_files_of_a_room_form_a_circle() {
    let sources = source::rust(&["src"]);
    for room in ROOMS {
        let of_room: Vec<_> =
            sources.iter().filter(|source| !source.is_test && source.room() == *room).collect();
        assert!(of_room.len() > 5, "{room}: {} files", of_room.len());
        expect_none(&circles(&of_room));
    }
}

mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        assert_eq!(circles(&sources.iter().collect::<Vec<_>>()), expected, "{files:?}");
    }

    #[test]
    fn a_circle_is_found_through_a_re_export_too() {
        let a = ("src/x/a.rs", "use super::b::B;");
        check(&[a, ("src/x/b.rs", "use crate::x::a::{A, C};")], &["x::a -> x::b -> x::a"]);
        check(&[a, ("src/x/b.rs", "fn b() { super::a::go() }")], &["x::a -> x::b -> x::a"]);
        let inner = [
            ("src/x/y/mod.rs", "mod c;\npub(super) use c::{C, D};"),
            ("src/x/y/c.rs", "use crate::x::a::A;"),
        ];
        check(&[("src/x/a.rs", "use super::y::C;"), inner[0], inner[1]], &["x::a -> x::y::c -> x::a"]);
    }

    #[test]
    fn arrows_that_point_one_way_pass() {
        check(&[("src/x/a.rs", "use super::b::B;"), ("src/x/b.rs", "use crate::z::Z;\n// super::a::A")], &[]);
        check(
            &[
                ("src/x/a.rs", "use super::b;"),
                ("src/x/b.rs", "#[cfg(test)] mod tests { use super::super::a; }"),
            ],
            &[],
        );
    }
}
