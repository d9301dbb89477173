//! From method and path to a row of the table.

use std::sync::LazyLock;

use hyper::Method;

use super::path::{Ids, Listener, SEGMENTS_MAX};
use super::row::{ROWS, Row};
use crate::http::error::{ErrorCode, Problem};

/// The methods in the order of `Allow`.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The `Allow` of each template, by its index.
static ALLOW: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut allow = vec![String::new(); Template::COUNT];
    for template in Template::all() {
        allow[template.index()] = template.allowed();
    }
    allow
});

/// A path without its ids: the name of a route in metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Template {
    /// No route has this path.
    Unmatched,
    /// `*`: the server as a whole.
    Server,
    /// The path of a row, by the index of the first row that has it.
    Path(usize),
}

/// The template of a path, and the ids that the path names.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct PathMatch {
    /// The template.
    pub(in crate::http) template: Template,
    /// The ids.
    pub(in crate::http) ids: Ids,
}

/// What answers a request.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) enum Endpoint {
    /// The handler of a row.
    Row(&'static Row),
    /// The methods of a path; they are in the value.
    Options(&'static str),
}

impl Template {
    /// More than the index of any template.
    pub(in crate::http) const COUNT: usize = ROWS.len() + 2;

    /// Returns every template once.
    pub(in crate::http) fn all() -> impl Iterator<Item = Self> {
        let is_first = |at: &usize| !ROWS[..*at].iter().any(|row| row.path.text() == ROWS[*at].path.text());
        [Self::Unmatched, Self::Server].into_iter().chain((0..ROWS.len()).filter(is_first).map(Self::Path))
    }

    /// Returns the text of the template.
    pub(in crate::http) fn as_str(self) -> &'static str {
        match self {
            Self::Unmatched => "unmatched",
            Self::Server => "*",
            Self::Path(at) => ROWS[at].path.text(),
        }
    }

    /// Returns a number below [`Template::COUNT`] that no other template has.
    pub(in crate::http) const fn index(self) -> usize {
        match self {
            Self::Unmatched => 0,
            Self::Server => 1,
            Self::Path(at) => at + 2,
        }
    }

    /// Returns the methods that the path takes, as `Allow` lists them.
    pub(in crate::http) fn allow(self) -> &'static str {
        &ALLOW[self.index()]
    }

    /// Returns the methods that the path takes.
    pub(in crate::http) fn methods(self) -> impl Iterator<Item = &'static str> {
        self.allow().split(", ").filter(|method| !method.is_empty())
    }

    fn rows(self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter().filter(move |row| matches!(self, Self::Path(_)) && row.path.text() == self.as_str())
    }

    fn allowed(self) -> String {
        let takes = |method: &&str| match (self, *method) {
            (Self::Unmatched, _) => false,
            (Self::Server, _) | (Self::Path(_), "OPTIONS") => true,
            (Self::Path(_), method) => self.rows().any(|row| row.method == row_method(method)),
        };
        METHODS.into_iter().filter(takes).collect::<Vec<_>>().join(", ")
    }
}

/// Returns the method of the row that serves a method.
fn row_method(method: &str) -> &str {
    if method == "HEAD" { "GET" } else { method }
}

/// Finds the template of a path, and the ids that the path names.
pub(in crate::http) fn resolve(listener: Listener, path: &str) -> PathMatch {
    let unmatched = PathMatch { template: Template::Unmatched, ids: Ids::default() };
    if path == "*" {
        return PathMatch { template: Template::Server, ..unmatched };
    }
    let mut segments = [""; SEGMENTS_MAX];
    let mut count = 0;
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        if count == segments.len() {
            return unmatched;
        }
        segments[count] = segment;
        count += 1;
    }
    let segments = &segments[..count];
    let ids_at = |row: &Row| {
        let alias = || row.alias.as_ref().and_then(|alias| alias.ids_of(segments));
        row.path.ids_of(segments).or_else(alias)
    };
    let served = ROWS.iter().enumerate().filter(|(_, row)| row.listeners.include(listener));
    let found = served.map(|(at, row)| (at, ids_at(row))).find(|(_, ids)| ids.is_some());
    found.map_or(unmatched, |(at, ids)| PathMatch {
        template: Template::Path(at),
        ids: ids.unwrap_or_default(),
    })
}

/// Finds what answers a method on a path.
///
/// # Errors
/// `route_not_found`, `method_not_allowed`.
pub(in crate::http) fn find(method: &Method, template: Template) -> Result<Endpoint, Problem> {
    let row = template.rows().find(|row| row.method == row_method(method.as_str()));
    match (row, template) {
        (Some(row), _) => Ok(Endpoint::Row(row)),
        (None, Template::Unmatched) => Err(Problem::new(ErrorCode::RouteNotFound)),
        (None, _) if method == Method::OPTIONS => Ok(Endpoint::Options(template.allow())),
        (None, _) => Err(Problem::method(template.allow())),
    }
}

#[cfg(test)]
mod tests;
