//! The problems that operations answer with, each once in the document.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::IntoResponses;
use utoipa::openapi::{Ref, RefOr, Response};

/// Status, name in the document, when it is answered.
const PROBLEMS: &[(u16, &str, &str)] = &[
    (400, "Malformed", "The request cannot be read: its URL, query, headers or body."),
    (401, "Unauthenticated", "No key, or one that is unknown, revoked or expired."),
    (403, "Forbidden", "The key lacks a scope; `detail` names it."),
    (404, "NotFound", "What the URL names does not exist."),
    (405, "MethodNotAllowed", "The URL takes other methods."),
    (408, "RequestTimeout", "The body did not arrive in time."),
    (409, "Conflict", "Something stands in the way; `conflicts` lists it."),
    (412, "PreconditionFailed", "It is not at the version that `If-Match` or `If-None-Match` asks for."),
    (413, "TooLarge", "The body is over its limit; `limit` names it."),
    (
        422,
        "Invalid",
        "The body is well-formed, and something in it is not acceptable; of sources, `errors` lists all that is wrong.",
    ),
    (429, "RateLimited", "Too many failing attempts from this address."),
    (431, "HeadTooLarge", "The head of the request has too many headers or bytes."),
    (500, "Internal", "Something failed inside PiCloud; its log says what."),
    (502, "WorkerLost", "The run took its worker process down."),
    (503, "Overloaded", "Too much is under way at this moment."),
    (504, "Deadline", "The run took longer than it may."),
    (507, "StorageFull", "The disk is full; nothing was written."),
];

macro_rules! answers {
    ($($(#[doc = $doc:literal])* $name:ident = $status:literal;)*) => {$(
        $(#[doc = $doc])*
        ///
        /// For `responses(…)` beside a handler.
        pub(in crate::admin) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                BTreeMap::from([($status.to_string(), RefOr::Ref(Ref::from_response_name(stringify!($name))))])
            }
        }
    )*};
}

answers! {
    /// 409.
    Conflict = 409;
    /// 422.
    Invalid = 422;
    /// 404, for what a body or query names.
    NotFound = 404;
    /// 502.
    WorkerLost = 502;
    /// 504.
    Deadline = 504;
    /// 507.
    StorageFull = 507;
}

/// A reference to the problem of this status.
pub(super) fn reference(status: u16) -> Value {
    let name = PROBLEMS.iter().find(|(of, ..)| *of == status).map_or("Internal", |(_, name, _)| name);
    json!({ "$ref": format!("#/components/responses/{name}") })
}

/// All of them, for `components.responses`.
pub(super) fn all() -> Value {
    let whole = |seconds: &str| json!({ "description": seconds, "schema": { "type": "integer", "minimum": 0 } });
    let of = |&(status, name, description): &(u16, &str, &str)| {
        let mut response = json!({
            "description": description,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        match status {
            401 => response["headers"]["WWW-Authenticate"] = json!({ "schema": { "type": "string" } }),
            405 => response["headers"]["Allow"] = json!({ "schema": { "type": "string" } }),
            429 | 503 => response["headers"]["Retry-After"] = whole("Seconds after which it is worth trying again."),
            _ => {}
        }
        (name.to_owned(), response)
    };
    PROBLEMS.iter().map(of).collect()
}
