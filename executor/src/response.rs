//! The value of a script as an answer: status, headers, body.
//!
//! `respond(…)` makes a [`Response`]; every other value has its own answer (the table in [`ScriptResponse::of`]).
//! What would break the connection or let one answer look like two is refused here, whoever is in front.

use crate::error::{RhaiError, RunError, Stop, catchable};
use crate::json::{self, WriteError};
use crate::run_state::RunState;
use picloud_model::problem::Code;
use rhai::{Blob, Dynamic};
use std::sync::Arc;

/// What a client is answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptResponse {
    /// 200 to 599.
    pub status: u16,
    /// The script's and, unless the script set one, `content-type`; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What `respond(status, value)` makes, before it is an answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    status: u16,
    /// Shared, so that `.header(…)` copies no body.
    value: Arc<Dynamic>,
    headers: Vec<(String, String)>,
}

/// Most headers a script may set.
const HEADERS_MAX: usize = 100;
/// Longest value of a header.
const HEADER_VALUE_BYTES_MAX: usize = 8 * 1024;
/// Headers that are the server's: about the connection and the framing of the body.
pub(crate) const SERVER_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Response {
    /// `respond(status, value)`.
    pub(crate) fn new(status: i64, value: Dynamic) -> Result<Self, RhaiError> {
        match u16::try_from(status) {
            Ok(status @ 200..=599) => Ok(Self { status, value: Arc::new(value.flatten()), headers: Vec::new() }),
            _ => Err(refused(format!("respond: status: {status} is not between 200 and 599"))),
        }
    }

    /// What it was made of.
    pub(crate) fn into_value(self) -> Dynamic {
        Arc::unwrap_or_clone(self.value)
    }

    /// `.header(name, value)`; a name may be given more than once.
    pub(crate) fn add_header(&mut self, name: &str, value: &str) -> Result<(), RhaiError> {
        let name = name.to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(refused(format!("header: name: {name:?} is no header name")));
        }
        if SERVER_HEADERS.contains(&name.as_str()) {
            return Err(refused(format!("header: name: `{name}` is set by the server alone")));
        }
        if value.len() > HEADER_VALUE_BYTES_MAX {
            return Err(refused(format!("header: value: of `{name}` is longer than {HEADER_VALUE_BYTES_MAX} bytes")));
        }
        if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            return Err(refused(format!("header: value: of `{name}` has a control character")));
        }
        if self.headers.len() >= HEADERS_MAX {
            return Err(refused(format!("header: more than {HEADERS_MAX} headers")));
        }
        if name == CONTENT_TYPE {
            // There is one: the last counts.
            self.headers.retain(|(known, _)| known != CONTENT_TYPE);
        }
        self.headers.push((name, value.to_owned()));
        Ok(())
    }
}

/// Catchable; where it is not caught, the client sees 502 `bad-script-response` with the line.
fn refused(message: String) -> RhaiError {
    catchable(crate::error::KIND_ARGUMENT, Code::BadScriptResponse, message)
}

/// A `tchar` of RFC 9110.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

const CONTENT_TYPE: &str = "content-type";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
const JSON: &str = "application/json";

impl ScriptResponse {
    /// The answer a value means.
    pub(crate) fn of(value: Dynamic, state: &RunState) -> Result<Self, RunError> {
        let value = value.flatten();
        match value.try_cast_result::<Response>() {
            Ok(response) => {
                let value = Arc::unwrap_or_clone(response.value);
                let mut answer = Self { status: response.status, headers: response.headers, body: Vec::new() };
                // These two statuses have no body, whatever the script gave.
                if !value.is_unit() && !matches!(answer.status, 204 | 304) {
                    let (content_type, body) = body_of(value, state)?;
                    answer.body = body;
                    if !answer.headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
                        answer.headers.push((CONTENT_TYPE.to_owned(), content_type.to_owned()));
                    }
                }
                Ok(answer)
            }
            Err(value) if value.is_unit() => Ok(Self { status: 204, headers: Vec::new(), body: Vec::new() }),
            Err(value) => {
                let (content_type, body) = body_of(value, state)?;
                Ok(Self { status: 200, headers: vec![(CONTENT_TYPE.to_owned(), content_type.to_owned())], body })
            }
        }
    }
}

fn body_of(value: Dynamic, state: &RunState) -> Result<(&'static str, Vec<u8>), RunError> {
    let bytes_max = usize::try_from(state.call.limits.response_body_bytes).unwrap_or(usize::MAX);
    let (content_type, body) = if value.is_string() {
        let text = value.into_string().map_err(|other| RunError::BadResponse(other.to_owned()))?;
        (TEXT, text.into_bytes())
    } else if value.is_blob() {
        (BYTES, value.cast::<Blob>())
    } else if let Ok(character) = value.as_char() {
        (TEXT, character.to_string().into_bytes())
    } else {
        let body = json::to_vec(&value, bytes_max, state).map_err(|error| match error {
            WriteError::TooLong { .. } => too_long(state),
            WriteError::Stopped(_) => stopped(state),
            no_json => RunError::BadResponse(format!("the value of the script cannot be an answer: it {no_json}")),
        })?;
        (JSON, body)
    };
    if body.len() > bytes_max { Err(too_long(state)) } else { Ok((content_type, body)) }
}

fn too_long(state: &RunState) -> RunError {
    let _in_the_state = state.stop(Stop::limit("response_body_bytes", state.call.limits.response_body_bytes));
    stopped(state)
}

fn stopped(state: &RunState) -> RunError {
    match state.stopped() {
        Some(stop) => RunError::Stopped { stop: stop.clone(), at: None },
        None => RunError::BadResponse("the value of the script cannot be an answer".to_owned()),
    }
}
