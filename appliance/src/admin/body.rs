//! Bodies: read with a bound and a deadline, and refused with the line and field at fault.

use super::refusal::Refusal;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt;
use picloud_model::problem::{Code, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Largest body of most requests; a source of the largest size fits, however JSON escapes it.
pub(super) const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Largest body of a deploy: all static files that an app may have, in base64, and its sources.
pub(super) const DEPLOY_BODY_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Largest body that is read to its end although it is refused; whoever sends more is cut off.
const DISCARDED_BODY_BYTES_MAX: usize = 2 * DEPLOY_BODY_BYTES_MAX;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads all of a body.
pub(super) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_TIMEOUT, collect(body, bytes_max)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(Problem::new(Code::TooLarge, format!("the body has more than {bytes_max} bytes"))
            .limit("body", bytes_max as u64)),
        Ok(Err(error)) => Err(Problem::new(Code::Malformed, format!("the body was cut off: {error}"))),
        Err(_elapsed) => {
            let detail = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(Code::RequestTimeout, detail))
        }
    }
}

/// All of the body, or none of it if it is larger.
///
/// What is too much is read as well, and thrown away: a client whose connection is closed while it still sends does
/// not get to see why.
async fn collect(mut body: Body, bytes_max: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut kept = Vec::new();
    let mut arrived = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        arrived += data.len();
        if arrived <= bytes_max {
            kept.extend_from_slice(&data);
        } else if arrived <= DISCARDED_BODY_BYTES_MAX {
            kept = Vec::new();
        } else {
            break;
        }
    }
    Ok((arrived <= bytes_max).then(|| kept.into()))
}

/// Reads JSON.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let problem = Problem::new(Code::Malformed, format!("the body cannot be read: {error}"));
        if bytes.is_empty() { problem.hint("send JSON") } else { problem }
    })
}

/// Reads a JSON object; a list of its fields in the order of the source would be taken for one by serde.
pub(super) fn parse_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(Code::Malformed, "the body is a list, and must be an object"));
    }
    parse(bytes)
}

/// A JSON body of ordinary size.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let bytes = read(request.into_body(), BODY_BYTES_MAX).await?;
        Ok(Self(parse_object(&bytes)?))
    }
}

/// A JSON body of ordinary size that may be left out: then it is what it is where it says nothing.
pub(super) struct JsonOrNothing<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for JsonOrNothing<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let bytes = read(request.into_body(), BODY_BYTES_MAX).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        Ok(Self(parse_object(&bytes)?))
    }
}

/// A JSON answer, with an ETag where the thing has a version.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T, version: Option<i64>) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(bytes));
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if let Some(version) = version {
                response.headers_mut().insert(ETAG, etag(version));
            }
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            Refusal(Problem::internal()).into_response()
        }
    }
}

/// A JSON answer with 200.
pub(super) fn ok<T: Serialize>(value: &T) -> Response {
    json(StatusCode::OK, value, None)
}

/// The answer that says nothing but that it is done.
pub(super) fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// `"3"`
pub(super) fn etag(version: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("digits in quotes are a header value")
}
