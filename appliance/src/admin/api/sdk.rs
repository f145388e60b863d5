//! The SDK as this appliance has it: as text for people, as definition files for editors.

use crate::admin::access::Known;
use crate::admin::body::ok;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, VARY};
use picloud_executor::sdk;
use picloud_model::page::Page;
use serde::Serialize;

/// A definition file.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SdkDefinition)]
struct Definition {
    /// Its name.
    file: String,
    /// Its content.
    text: String,
}

/// What scripts can call, with an example a namespace.
#[utoipa::path(get, path = "/sdk/docs", responses((status = 200, body = String, content_type = "text/markdown")))]
pub(in crate::admin) async fn docs(_known: Known) -> Response {
    ([(CONTENT_TYPE, "text/markdown; charset=utf-8")], sdk::docs()).into_response()
}

/// The definition files one after the other, or as a list of `{file, text}` for whoever accepts JSON.
#[utoipa::path(
    get,
    path = "/sdk/definitions",
    responses((status = 200, content((String = "text/plain"), (Page<Definition> = "application/json")))),
)]
pub(in crate::admin) async fn definitions(_known: Known, headers: HeaderMap) -> Response {
    let wants_json = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    let files = sdk::definitions();
    let mut response = if wants_json {
        let items = files.into_iter().map(|(file, text)| Definition { file, text }).collect();
        ok(&Page { items, cursor: None })
    } else {
        let text: String = files.iter().map(|(file, text)| format!("// {file}\n{text}\n")).collect();
        ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    };
    response.headers_mut().insert(VARY, http::HeaderValue::from_static("accept"));
    response
}
