//! The bytes of files on their way in and out: in parts, each taken only when the last one has gone on.

use crate::admin::refusal::Refusal;
use crate::files::{digest, rules};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use picloud_model::file::File;
use picloud_model::problem::{Code, Problem};
use picloud_orchestrator::file_answer::{head_of, not_satisfiable, plan_of};
use picloud_orchestrator::static_files::conditions::Plan;
use picloud_store::blobs::{BlobError, BlobReader, Blobs};
use picloud_store::{FileWithBlob, StoredBlob};
use std::time::Duration;
use uuid::Uuid;

/// How long nothing may come of a file that is on its way.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Bytes that somebody sends.
pub(super) struct Upload<'r> {
    /// What is said of them.
    pub(super) headers: &'r HeaderMap,
    /// They.
    pub(super) body: Body,
    /// The most there may be.
    pub(super) bytes_max: u64,
}

/// Brings a body to the disk. What is announced as too large is refused before it is read.
pub(super) async fn receive(blobs: &Blobs, upload: Upload<'_>) -> Result<StoredBlob, Problem> {
    let Upload { headers, mut body, bytes_max } = upload;
    let expected = digest::announced(headers)?;
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(rules::from_blob(BlobError::TooLarge { limit_bytes: bytes_max }));
    }
    blobs.room_for(announced.unwrap_or(0)).await.map_err(rules::from_blob)?;
    let mut writer = blobs.create(bytes_max).await.map_err(rules::from_blob)?;
    loop {
        let frame = tokio::time::timeout(PAUSE_MAX, body.frame()).await.map_err(|_elapsed| {
            let seconds = PAUSE_MAX.as_secs();
            let detail = format!("of the file {} bytes had come, then none for {seconds} s", writer.size_bytes());
            Problem::new(Code::RequestTimeout, detail)
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| Problem::new(Code::Malformed, format!("the file was cut off: {error}")))?;
        // Trailers say nothing of it.
        let Ok(bytes) = frame.into_data() else { continue };
        writer.write(bytes).await.map_err(rules::from_blob)?;
    }
    writer.finish(expected).await.map_err(rules::from_blob)
}

/// Removes bytes that got no row, at once where that is certain; a database that failed may have made it nevertheless,
/// and the sweep looks.
pub(super) async fn discard(blobs: &Blobs, blob: Uuid, problem: &Problem) {
    if problem.code != Code::Internal
        && let Err(error) = blobs.remove(blob).await
    {
        tracing::warn!(%error, "the bytes of a file that was refused stay until they are swept");
    }
}

/// A file, or what of it is asked for.
pub(super) async fn answer(
    blobs: &Blobs,
    method: &Method,
    request: &HeaderMap,
    found: FileWithBlob,
) -> Result<Response, Problem> {
    let FileWithBlob { file, blob } = found;
    let plan = plan_of(method, request, &file);
    let mut head = head_of(&plan, &file);
    let body = match plan {
        Plan::NotModified => Body::empty(),
        Plan::NotSatisfiable => {
            let mut response = Refusal(not_satisfiable(&file)).into_response();
            response.headers_mut().extend(head.into_parts().0.headers);
            return Ok(response);
        }
        Plan::Send { from, to, .. } => {
            let text = digest::text_of(&file.sha256);
            let digest = HeaderValue::try_from(text).expect("base64 is a header value");
            head.headers_mut().insert(HeaderName::from_static("repr-digest"), digest);
            if let Some(described) = described(&file) {
                head.headers_mut().insert(HeaderName::from_static("x-picloud-file"), described);
            }
            head.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(to - from));
            if *method == Method::HEAD {
                Body::empty()
            } else {
                streamed(blobs.read(&blob, from..to).await.map_err(rules::from_blob)?).await?
            }
        }
    };
    Ok(head.map(|()| body))
}

/// The whole file as JSON: what it is called and what else is known of it has no header of its own.
fn described(file: &File) -> Option<HeaderValue> {
    // Names and metadata hold no control characters as JSON; all else may stand in a header.
    HeaderValue::from_bytes(&serde_json::to_vec(file).ok()?).ok()
}

/// The bytes as they are read. The first ones are here before anything is answered, so that a file that is damaged
/// there, or gone, is an error and no connection that breaks off.
async fn streamed(mut reader: BlobReader) -> Result<Body, Problem> {
    let first = reader.next().await.map_err(rules::from_blob)?;
    let pieces = stream::unfold((first, Some(reader)), async |(first, reader)| {
        let mut reader = reader?;
        let next = match first {
            Some(bytes) => Ok(Some(bytes)),
            None => reader.next().await,
        };
        match next {
            Ok(bytes) => bytes.map(|bytes| (Ok::<Bytes, Problem>(bytes), (None, Some(reader)))),
            Err(error) => Some((Err(rules::from_blob(error)), (None, None))),
        }
    });
    Ok(Body::from_stream(pieces))
}
