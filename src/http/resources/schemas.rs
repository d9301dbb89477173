//! The JSON Schemas of event data: public, like the contract that they are part of.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::domain::event::EventSchema;
use crate::http::error::{ErrorCode, Problem};
use crate::http::routes::SchemaRef;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::http::wire::body::Body;

/// A line of the list.
#[derive(Serialize)]
struct SchemaView {
    #[serde(rename = "type")]
    event_type: String,
    version: &'static str,
    dataschema: String,
    href: String,
}

#[derive(Serialize)]
struct SchemaList {
    items: Vec<SchemaView>,
}

/// Every schema, with the `dataschema` that events name it by and where to read it.
pub(in crate::http) fn list() -> HandlerResult {
    let view = |schema: &EventSchema| SchemaView {
        event_type: format!("io.wharfinger.{}.v1", schema.name),
        version: schema.version,
        dataschema: schema.uri(),
        href: format!("/v1/schemas/{}/{}", schema.name, schema.version),
    };
    let items = EventSchema::ALL.iter().map(view).collect();
    Ok(answers::json(StatusCode::OK, &SchemaList { items }, CachePolicy::Revalidate, 4096))
}

/// One document. A released version never changes, so it may be kept.
///
/// # Errors
/// `route_not_found`: no event type or version has this name.
pub(in crate::http) fn show(schema: SchemaRef) -> HandlerResult {
    let schema = schema.ok_or_else(|| Problem::new(ErrorCode::RouteNotFound))?;
    let mut response = Response::new(Body::full(schema.document));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/schema+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    Ok(response)
}
