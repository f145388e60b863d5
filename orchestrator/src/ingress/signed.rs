//! `/.picloud/files/{token}`: files by signed URL, without a script and without the limits of a request's body.
//!
//! What the token allows is for the parent to say. Bytes go through in parts, the next one only when the last has
//! arrived, so that a slow client or disk costs one part.

use super::answer_body::AnswerBody;
use super::settings::IngressSettings;
use crate::file_answer::{head_of, not_satisfiable, plan_of};
use crate::problem_response::problem_response;
use crate::static_files::conditions::Plan;
use crate::static_files::{FileStream, StaticBytes};
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use picloud_model::file::File;
use picloud_model::protocol::{STATIC_CHUNK_BYTES_MAX, ServiceFailure, SignedReply, SignedRequest};
use picloud_model::{AppId, Code, ContentHash, Problem};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Where signed URLs are; the token follows.
const PREFIX: &str = "/.picloud/files/";
/// What they answer to.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, DELETE, OPTIONS");
/// Bytes of one part of an upload.
const PART_BYTES: usize = STATIC_CHUNK_BYTES_MAX as usize;

/// Who knows what signed URLs allow.
pub trait SignedFiles: Send + Sync + 'static {
    /// Asks for one thing.
    fn ask(&self, request: SignedRequest) -> BoxFuture<'static, Result<SignedReply, ServiceFailure>>;
}

/// The token, if the path is that of a signed URL.
pub(super) fn token_in(path: &str) -> Option<&str> {
    path.strip_prefix(PREFIX).filter(|token| !token.is_empty() && !token.contains('/'))
}

/// Answers a request for a signed URL. The body is left where it was not read to its end.
pub(super) async fn answer(
    files: &Arc<dyn SignedFiles>,
    settings: &IngressSettings,
    token: &str,
    head: &Parts,
    body: &mut Option<Incoming>,
) -> Result<Response<AnswerBody>, Problem> {
    match head.method {
        Method::GET | Method::HEAD => read(files, token, head).await,
        Method::PUT => write(files, settings, token, head, body).await,
        Method::DELETE => match ask(files, open(token, head, None)).await? {
            SignedReply::Done => Ok(empty(StatusCode::NO_CONTENT)),
            other => Err(other_kind(&other)),
        },
        Method::OPTIONS => Ok(allow(empty(StatusCode::NO_CONTENT))),
        _ => {
            let detail = format!("a signed URL does not answer to {}", head.method);
            let problem = Problem::new(Code::MethodNotAllowed, detail).hint("it answers to GET, HEAD, PUT and DELETE");
            Ok(allow(problem_response(&problem).map(AnswerBody::full)))
        }
    }
}

async fn read(files: &Arc<dyn SignedFiles>, token: &str, head: &Parts) -> Result<Response<AnswerBody>, Problem> {
    let file = match ask(files, open(token, head, None)).await? {
        SignedReply::File(file) => file,
        other => return Err(other_kind(&other)),
    };
    let plan = plan_of(&head.method, &head.headers, &file);
    let answer = head_of(&plan, &file);
    let body = match plan {
        Plan::NotModified => AnswerBody::bytes(Bytes::new()),
        Plan::NotSatisfiable => {
            let mut response = problem_response(&not_satisfiable(&file)).map(AnswerBody::full);
            response.headers_mut().extend(answer.into_parts().0.headers);
            return Ok(response);
        }
        Plan::Send { from, to, .. } if head.method == Method::HEAD => AnswerBody::length_only(to - from),
        Plan::Send { from, to, .. } => {
            let parts = Parted { files: Arc::clone(files), token: Arc::from(token) };
            // Whose it is stands in the token.
            let stream = FileStream::new(Arc::new(parts), AppId(0), file.sha256, from..to);
            AnswerBody::Stream(stream.begun().await.map_err(problem_of)?)
        }
    };
    Ok(answer.map(|()| body))
}

/// The bytes of the file that a token allows to read.
struct Parted {
    files: Arc<dyn SignedFiles>,
    token: Arc<str>,
}

impl StaticBytes for Parted {
    fn read(
        &self,
        _app: AppId,
        hash: ContentHash,
        offset: u64,
        len: u32,
    ) -> BoxFuture<'static, Result<Bytes, ServiceFailure>> {
        let request = SignedRequest::Read { token: self.token.as_ref().to_owned(), sha256: hash, offset, len };
        let asked = self.files.ask(request);
        Box::pin(async move {
            match asked.await? {
                SignedReply::Bytes(bytes) => Ok(bytes.into()),
                other => {
                    let problem = other_kind(&other);
                    Err(ServiceFailure { code: problem.code, message: problem.detail })
                }
            }
        })
    }
}

async fn write(
    files: &Arc<dyn SignedFiles>,
    settings: &IngressSettings,
    token: &str,
    head: &Parts,
    body: &mut Option<Incoming>,
) -> Result<Response<AnswerBody>, Problem> {
    let content_length = match body {
        Some(body) => body.size_hint().exact(),
        None => Some(0),
    };
    let upload = match ask(files, open(token, head, content_length)).await? {
        SignedReply::Upload(id) => Upload { files: Arc::clone(files), id, is_over: false },
        other => return Err(other_kind(&other)),
    };
    if let Some(incoming) = body {
        copy(incoming, &upload, settings).await?;
        *body = None;
    }
    let file = upload.finish().await?;
    let status = if file.created_at == file.updated_at { StatusCode::CREATED } else { StatusCode::OK };
    let text = serde_json::to_vec(&file).expect("a file has names as keys");
    let mut response = Response::new(AnswerBody::bytes(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let tag = HeaderValue::try_from(format!("\"{}\"", file.sha256)).expect("digits in quotes are a header value");
    headers.insert(header::ETAG, tag);
    Ok(response)
}

/// Hands all of the body on, part by part.
async fn copy(body: &mut Incoming, upload: &Upload, settings: &IngressSettings) -> Result<(), Problem> {
    let began = Instant::now();
    let mut part = BytesMut::new();
    let mut length = 0;
    // The disk's time is not held against the client.
    let mut on_disk = Duration::ZERO;
    loop {
        let earned = on_disk + Duration::from_secs(length / settings.body_bytes_per_second_min.max(1));
        let deadline = (Instant::now() + settings.body_pause).min(began + settings.body_grace + earned);
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            let seconds = began.elapsed().as_secs();
            let detail = format!("of the file {length} bytes had come after {seconds} s");
            return Err(Problem::new(Code::RequestTimeout, detail)
                .hint("the connection is too slow, or the request announces more bytes than it sends"));
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| Problem::new(Code::Malformed, format!("the file broke off: {error}")))?;
        let Ok(mut bytes) = frame.into_data() else { continue };
        length += bytes.len() as u64;
        while part.len() + bytes.len() >= PART_BYTES {
            part.extend_from_slice(&bytes.split_to(PART_BYTES - part.len()));
            let handed_on = Instant::now();
            upload.write(part.split().to_vec()).await?;
            on_disk += handed_on.elapsed();
        }
        part.extend_from_slice(&bytes);
    }
    if part.is_empty() { Ok(()) } else { upload.write(part.to_vec()).await }
}

/// An upload that was begun; what is dropped before its end leaves nothing.
struct Upload {
    files: Arc<dyn SignedFiles>,
    id: u64,
    is_over: bool,
}

impl Upload {
    async fn write(&self, bytes: Vec<u8>) -> Result<(), Problem> {
        match ask(&self.files, SignedRequest::Write { upload: self.id, bytes }).await? {
            SignedReply::Done => Ok(()),
            other => Err(other_kind(&other)),
        }
    }

    async fn finish(mut self) -> Result<File, Problem> {
        let asked = ask(&self.files, SignedRequest::Finish { upload: self.id });
        self.is_over = true;
        match asked.await? {
            SignedReply::File(file) => Ok(file),
            other => Err(other_kind(&other)),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_over {
            let abandoned = self.files.ask(SignedRequest::Abandon { upload: self.id });
            // Should it not be heard, the upload's idle time ends it.
            tokio::spawn(async move { drop(abandoned.await) });
        }
    }
}

fn open(token: &str, head: &Parts, content_length: Option<u64>) -> SignedRequest {
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let digests = [HeaderName::from_static("content-digest"), HeaderName::from_static("repr-digest")];
    SignedRequest::Open {
        token: token.to_owned(),
        method: head.method.as_str().to_owned(),
        content_type: text(header::CONTENT_TYPE),
        content_length,
        digest: digests.into_iter().find_map(text),
    }
}

fn ask(
    files: &Arc<dyn SignedFiles>,
    request: SignedRequest,
) -> impl Future<Output = Result<SignedReply, Problem>> + use<> {
    let asked = files.ask(request);
    async move { asked.await.map_err(problem_of) }
}

fn problem_of(failure: ServiceFailure) -> Problem {
    let problem = Problem::new(failure.code, failure.message);
    if matches!(failure.code, Code::Overloaded | Code::NodeAway) { problem.retry_after_s(1) } else { problem }
}

fn empty(status: StatusCode) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::bytes(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn allow(mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    response.headers_mut().insert(header::ALLOW, METHODS);
    response
}

fn other_kind(reply: &SignedReply) -> Problem {
    tracing::error!(reply = ?std::mem::discriminant(reply), "the appliance answered with another kind of reply");
    Problem::internal()
}
