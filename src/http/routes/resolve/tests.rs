//! The table as a whole, and single paths.

use super::*;
use crate::domain::ids::{FileId, UserId};
use crate::http::routes::path::Listeners;
use crate::http::routes::row::{Admin, Open, Own, Route};
use std::collections::BTreeSet;

const ID: &str = "0199a3c4-0000-7000-8000-000000000001";
const LISTENERS: [Listener; 2] = [Listener::Api, Listener::Admin];

fn find_at(listener: Listener, request: &str) -> Result<(Endpoint, Ids), Problem> {
    let (method, path) = request.split_once(' ').unwrap();
    let PathMatch { template, ids } = resolve(listener, &path.replace("ID", ID));
    find(&method.parse().unwrap(), template).map(|endpoint| (endpoint, ids))
}

/// The route of a request, and the ids of its path.
fn route_at(listener: Listener, request: &str) -> (Route, Ids) {
    match find_at(listener, request) {
        Ok((Endpoint::Row(row), ids)) => (row.route, ids),
        other => panic!("{request}: {other:?}"),
    }
}

fn check_own(request: &str, expected: Own, expected_ids: Ids) {
    match route_at(Listener::Api, request) {
        (Route::Own(own, _), ids) => assert_eq!((own, ids), (expected, expected_ids), "{request}"),
        other => panic!("{request}: {other:?}"),
    }
}

fn check_open(listener: Listener, request: &str, expected: Open, code: Option<ErrorCode>) {
    let (route, ids) = route_at(listener, request);
    assert_eq!((route, ids), (Route::Open(expected), Ids { code, ..Ids::default() }), "{request}");
}

fn check_options(listener: Listener, path: &str, expected: &str) {
    match find_at(listener, &format!("OPTIONS {path}")) {
        Ok((Endpoint::Options(allow), _)) => assert_eq!(allow, expected, "{path}"),
        other => panic!("{path}: {other:?}"),
    }
}

fn check_refused(listener: Listener, request: &str, expected: ErrorCode) {
    let outcome = find_at(listener, request).map_err(|problem| problem.code());
    assert_eq!(outcome.err(), Some(expected), "{request}");
}

fn of_file() -> Ids {
    Ids { file: FileId::parse(ID).ok(), ..Ids::default() }
}

/// A path of a pattern: each parameter is an id that parses.
fn example(text: &str) -> String {
    let path = text.replace("{file_id}", ID).replace("{user_id}", ID).replace("{chunk_id}", "7");
    let path = path.replace("{type}/{version}", "files.reserved/1.0").replace("{code}", "overloaded");
    assert!(!path.contains('{'), "{path}: give the parameter an example");
    path
}

#[test]
fn every_row_is_reachable_on_its_listeners_and_on_no_other() {
    for row in ROWS {
        for text in [Some(&row.path), row.alias.as_ref()].into_iter().flatten().map(|path| path.text()) {
            for listener in LISTENERS {
                let PathMatch { template, .. } = resolve(listener, &example(text));
                let found = find(&row.method.parse().unwrap(), template);
                match found {
                    Ok(Endpoint::Row(found)) if row.listeners.include(listener) => {
                        assert_eq!(found.route, row.route, "{} {text} is shadowed", row.method);
                        assert_eq!(template.as_str(), row.path.text(), "{text}");
                    }
                    Err(problem) if !row.listeners.include(listener) => {
                        assert_eq!(problem.code(), ErrorCode::RouteNotFound, "{text}");
                    }
                    other => panic!("{listener:?} {} {text}: {other:?}", row.method),
                }
            }
        }
    }
}

#[test]
fn every_path_takes_exactly_the_methods_of_its_rows_and_options() {
    for row in ROWS {
        let listener = if row.listeners == Listeners::Admin { Listener::Admin } else { Listener::Api };
        let path = example(row.path.text());
        let mut expected = BTreeSet::from(["OPTIONS"]);
        for sibling in ROWS.iter().filter(|sibling| sibling.path.text() == row.path.text()) {
            expected.insert(sibling.method);
            expected.extend((sibling.method == "GET").then_some("HEAD"));
        }
        let template = resolve(listener, &path).template;
        assert_eq!(template.methods().collect::<BTreeSet<_>>(), expected, "{path}");
        check_options(listener, &path, template.allow());
        for method in METHODS.into_iter().chain(["BREW", "TRACE"]).filter(|method| !expected.contains(method))
        {
            check_refused(listener, &format!("{method} {path}"), ErrorCode::MethodNotAllowed);
        }
    }
}

#[test]
fn rows_of_one_path_agree_and_no_row_is_there_twice() {
    let mut seen = BTreeSet::new();
    for row in ROWS {
        assert!(
            seen.insert((row.method, row.path.text())),
            "{} {} is there twice",
            row.method,
            row.path.text()
        );
        assert!(
            METHODS.contains(&row.method) && !["HEAD", "OPTIONS"].contains(&row.method),
            "{}",
            row.method
        );
        for sibling in ROWS.iter().filter(|sibling| sibling.path.text() == row.path.text()) {
            assert_eq!(sibling.listeners, row.listeners, "{}", row.path.text());
            let alias = |row: &Row| row.alias.as_ref().map(|alias| alias.text());
            assert_eq!(alias(sibling), alias(row), "{}", row.path.text());
        }
    }
}

#[test]
fn every_template_has_an_index_and_a_name_of_its_own() {
    let all: Vec<Template> = Template::all().collect();
    let indexes: BTreeSet<_> = all.iter().map(|template| template.index()).collect();
    let names: BTreeSet<_> = all.iter().map(|template| template.as_str()).collect();
    assert_eq!((indexes.len(), names.len()), (all.len(), all.len()));
    assert!(indexes.iter().all(|index| *index < Template::COUNT));
}

#[test]
fn the_ids_of_a_path_are_parsed() {
    check_own("GET /v1/files/ID", Own::Show, of_file());
    check_own("PATCH /v1/files/ID/chunks/7", Own::SignChunk, Ids { chunk: Some(7), ..of_file() });
    let (_, ids) = route_at(Listener::Api, "GET /v1/schemas/files.reserved/1.0");
    let schema = ids.schema.map(|schema| (schema.name, schema.version));
    assert_eq!(schema, Some(("files.reserved", "1.0")));
    let user = Ids { user: UserId::parse(ID).ok(), ..Ids::default() };
    for (request, expected, ids) in [
        ("GET /v1/admin/users/ID", Admin::Show, user),
        ("PUT /v1/admin/users/ID/quota", Admin::SetQuota, user),
        ("PUT /v1/admin/users/alice/state", Admin::SetState, Ids::default()),
    ] {
        let (route, found) = route_at(Listener::Api, request);
        assert!(matches!(route, Route::Admin(admin, _) if admin == expected), "{request}: {route:?}");
        assert_eq!(found, ids, "{request}");
    }
    for listener in LISTENERS {
        check_open(listener, "GET /errors/quota-exceeded", Open::Error, Some(ErrorCode::QuotaExceeded));
        check_open(listener, "GET /errors/quota_exceeded", Open::Error, Some(ErrorCode::QuotaExceeded));
        check_open(listener, "GET /errors/nothing", Open::Error, None);
    }
}

#[test]
fn an_id_that_cannot_be_parsed_is_a_file_that_does_not_exist() {
    check_own("GET /v1/files/nonsense", Own::Show, Ids::default());
    check_own("GET /v1/files/0199a3c4000070008000000000000001", Own::Show, Ids::default());
    for chunk in ["x", "+1", "01", "-1", "1.0", "65536", ""] {
        check_own(&format!("PATCH /v1/files/ID/chunks/{chunk}"), Own::SignChunk, of_file());
    }
}

#[test]
fn the_server_as_a_whole_takes_options() {
    for listener in LISTENERS {
        check_options(listener, "*", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        check_open(listener, "GET /", Open::Root, None);
        check_refused(listener, "GET /*", ErrorCode::RouteNotFound);
    }
}

#[test]
fn three_paths_are_served_without_the_version() {
    check_own("POST /files/presign-upload", Own::Presign, Ids::default());
    check_own("GET /files", Own::List, Ids::default());
    check_own("POST /files", Own::Create, Ids::default());
    check_own("GET /files/ID/download-url", Own::SignDownload, of_file());
    check_refused(Listener::Api, "GET /files/ID", ErrorCode::RouteNotFound);
    check_refused(Listener::Api, "GET /usage", ErrorCode::RouteNotFound);
    check_refused(Listener::Api, "POST /files/presign-batch", ErrorCode::RouteNotFound);
}

#[test]
fn head_is_served_as_get() {
    check_own("HEAD /v1/files/ID", Own::Show, of_file());
    check_refused(Listener::Api, "HEAD /v1/files/presign-upload", ErrorCode::MethodNotAllowed);
}

#[test]
fn an_unknown_path_is_not_found() {
    for path in ["/v1", "/v1/", "/v1/files/", "/v1/files/ID/", "/v2/files", "/v1/files/ID/links/x/y"] {
        check_refused(Listener::Api, &format!("GET {path}"), ErrorCode::RouteNotFound);
    }
    check_refused(Listener::Api, "GET /admin/usage", ErrorCode::RouteNotFound);
}

#[test]
fn a_wrong_method_gets_the_right_ones() {
    check_refused(Listener::Api, "PUT /v1/files/ID", ErrorCode::MethodNotAllowed);
    check_refused(Listener::Api, "POST /v1/admin/users/ID/quota", ErrorCode::MethodNotAllowed);
    check_options(Listener::Api, "/v1/files", "GET, HEAD, POST, OPTIONS");
    check_options(Listener::Api, "/v1/files/ID", "GET, HEAD, PATCH, DELETE, OPTIONS");
}
