//! `GET /errors` and `GET /errors/{code}`: what the `type` of a problem points to, from the one table of codes.

use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, VARY};
use hyper::{HeaderMap, Response, StatusCode};
use serde::Serialize;

use crate::http::error::{ErrorCode, Problem};
use crate::http::request::IncomingRequest;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::http::wire::body::Body;
use crate::http::wire::media;

/// One code, as programs read it.
#[derive(Serialize)]
struct CodeView {
    r#type: String,
    code: &'static str,
    status: u16,
    title: &'static str,
    hint: &'static str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_secs: Option<u32>,
}

#[derive(Serialize)]
struct CodesView {
    items: Vec<CodeView>,
}

impl CodeView {
    fn of(code: ErrorCode, public_url: &str) -> Self {
        Self {
            r#type: format!("{public_url}{}", code.page()),
            code: code.as_str(),
            status: code.status().as_u16(),
            title: code.title(),
            hint: code.hint(),
            retryable: code.is_retryable(),
            retry_after_secs: code.retry_after_secs(),
        }
    }
}

/// `GET /errors`: every code.
pub(in crate::http) fn list(request: IncomingRequest<'_>) -> HandlerResult {
    let public_url = &request.api.services.options.public_url;
    let items: Vec<CodeView> = ErrorCode::ALL.iter().map(|code| CodeView::of(*code, public_url)).collect();
    if wants_html(&request.head.headers) {
        let rows: Vec<String> = items.iter().map(|code| section(code, "h2")).collect();
        return Ok(html("Errors", &rows.concat()));
    }
    Ok(json(&CodesView { items }, 16 << 10))
}

/// `GET /errors/{code}`: one code; none is not in the table.
pub(in crate::http) fn show(request: IncomingRequest<'_>, code: Option<ErrorCode>) -> HandlerResult {
    let code = code.ok_or_else(|| Problem::new(ErrorCode::RouteNotFound).detail("There is no such code."))?;
    let view = CodeView::of(code, &request.api.services.options.public_url);
    if wants_html(&request.head.headers) {
        return Ok(html(code.title(), &section(&view, "h1")));
    }
    Ok(json(&view, 512))
}

/// A browser that follows the link of a problem gets a page.
fn wants_html(headers: &HeaderMap) -> bool {
    media::asks_for_html(headers) && !media::asks_for_json(headers)
}

fn json(view: &impl Serialize, bytes_about: usize) -> Response<Body> {
    let mut response = answers::json(StatusCode::OK, view, CachePolicy::Revalidate, bytes_about);
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    response
}

fn section(code: &CodeView, heading: &str) -> String {
    let CodeView { title, hint, status, code, retry_after_secs, .. } = code;
    let retry = match retry_after_secs {
        Some(secs) => format!("Repeating the request after {secs} s can succeed."),
        None => "Repeating the same request does not help.".to_owned(),
    };
    let [title, hint] = [title, hint].map(|text| escaped(text));
    format!(
        "<{heading}>{title}</{heading}>\n<p><code>{code}</code>, HTTP {status}</p>\n<p>{hint}</p>\n<p>{retry}</p>\n"
    )
}

fn html(title: &str, body: &str) -> Response<Body> {
    let title = escaped(title);
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n{body}</html>\n"
    );
    let mut response = Response::new(Body::full(page));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(CACHE_CONTROL, CachePolicy::Revalidate.header());
    headers.append(VARY, HeaderValue::from_static("accept"));
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_its_code_and_runs_nothing() {
        let page = section(&CodeView::of(ErrorCode::TokenMissing, ""), "h1");
        assert!(
            page.contains("<h1>A token is needed</h1>") && page.contains("<code>token_missing</code>"),
            "{page}"
        );
        assert!(page.contains("Bearer &lt;token&gt;"), "{page}");
        assert!(page.contains("does not help"), "{page}");
        let page = section(&CodeView::of(ErrorCode::Overloaded, ""), "h2");
        assert!(page.contains("after 1 s"), "{page}");
    }
}
