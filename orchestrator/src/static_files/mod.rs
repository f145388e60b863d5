//! Static files of apps, served without running a script: types, ETags, ranges, precompressed copies.
//!
//! The bytes come from the worker's parent in parts; small files stay in memory, big ones are streamed. A
//! file `x.css.br` or `x.css.gz` beside `x.css` is what a client gets that accepts it.

mod cache;
pub mod conditions;
mod stream;

pub use stream::{BrokenOff, FileStream};

use crate::ingress::AnswerBody;
use crate::problem_response::problem_response;
use bytes::Bytes;
use cache::FileCache;
use conditions::Plan;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use picloud_model::protocol::{AppSnapshot, STATIC_CHUNK_BYTES_MAX, ServiceFailure, StaticEntry};
use picloud_model::{AppId, Code, ContentHash, Problem};
use std::sync::Arc;

/// Where the bytes of static files come from.
pub trait StaticBytes: Send + Sync + 'static {
    /// `len` bytes (at most [`STATIC_CHUNK_BYTES_MAX`]) of the app's file with that content, from `offset` on; fewer
    /// only where the file ends.
    fn read(
        &self,
        app: AppId,
        hash: ContentHash,
        offset: u64,
        len: u32,
    ) -> BoxFuture<'static, Result<Bytes, ServiceFailure>>;
}

/// Serves static files; one a worker.
pub struct StaticFiles {
    bytes: Arc<dyn StaticBytes>,
    cache: FileCache,
}

impl StaticFiles {
    /// Files whose bytes come from `bytes`.
    pub fn new(bytes: Arc<dyn StaticBytes>) -> Self {
        Self { bytes, cache: FileCache::default() }
    }

    /// The answer to a `GET` or `HEAD` of `file`.
    pub async fn answer(
        &self,
        app: &AppSnapshot,
        file: &StaticEntry,
        method: &Method,
        request: &HeaderMap,
    ) -> Response<AnswerBody> {
        let Chosen { entry, encoding, varies } = choose(app, file, request);
        let mut response = match conditions::plan(method, request, &entry.into()) {
            Plan::NotModified => with_status(StatusCode::NOT_MODIFIED),
            Plan::NotSatisfiable => return not_satisfiable(file, entry),
            Plan::Send { from, to, partial } => {
                // hyper sends the length of a HEAD's body and not the body; nothing is read for it.
                let body = match *method {
                    Method::HEAD => AnswerBody::length_only(to - from),
                    _ => match self.body(app, entry, from, to).await {
                        Ok(body) => body,
                        Err(problem) => return problem_response(&problem).map(AnswerBody::full),
                    },
                };
                let mut response = Response::new(body);
                if partial {
                    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                    let range = format!("bytes {from}-{}/{}", to - 1, entry.size_bytes);
                    response.headers_mut().insert(header::CONTENT_RANGE, ascii(range));
                }
                response
            }
        };
        describe(response.headers_mut(), file, entry, encoding, varies);
        response
    }

    async fn body(&self, app: &AppSnapshot, entry: &StaticEntry, from: u64, to: u64) -> Result<AnswerBody, Problem> {
        if entry.size_bytes > u64::from(STATIC_CHUNK_BYTES_MAX) {
            let stream = FileStream::new(Arc::clone(&self.bytes), app.id, entry.hash, from..to);
            return Ok(AnswerBody::Stream(stream));
        }
        let whole = self.whole(app, entry).await?;
        let range = usize::try_from(from).and_then(|from| Ok(from..usize::try_from(to)?));
        let part = range.ok().filter(|range| range.end <= whole.len()).map(|range| whole.slice(range));
        part.map(AnswerBody::bytes).ok_or_else(|| corrupted(entry))
    }

    async fn whole(&self, app: &AppSnapshot, entry: &StaticEntry) -> Result<Bytes, Problem> {
        if entry.size_bytes == 0 {
            return Ok(Bytes::new());
        }
        if let Some(bytes) = self.cache.get(&entry.hash) {
            return Ok(bytes);
        }
        let len = u32::try_from(entry.size_bytes).expect("checked to be at most a chunk");
        let read = self.bytes.read(app.id, entry.hash, 0, len).await;
        let bytes = read.map_err(|failure| Problem::new(failure.code, failure.message))?;
        // Once a file and worker, not once a request.
        if ContentHash::of(&bytes) != entry.hash {
            return Err(corrupted(entry));
        }
        self.cache.put(entry.hash, bytes.clone());
        Ok(bytes)
    }
}

fn corrupted(entry: &StaticEntry) -> Problem {
    Problem::new(Code::Corrupted, format!("the static file `{}` is not what was deployed", entry.path))
        .hint("deploy the app again")
}

/// The file or its precompressed copy.
struct Chosen<'a> {
    entry: &'a StaticEntry,
    encoding: Option<&'static str>,
    /// Whether another client might get another copy.
    varies: bool,
}

fn choose<'a>(app: &'a AppSnapshot, file: &'a StaticEntry, request: &HeaderMap) -> Chosen<'a> {
    let beside = |suffix: &str| {
        let path = format!("{}{suffix}", file.path);
        app.static_files.binary_search_by(|entry| entry.path.cmp(&path)).ok().map(|index| &app.static_files[index])
    };
    let copies = [("br", beside(".br")), ("gzip", beside(".gz"))];
    let varies = copies.iter().any(|(_, copy)| copy.is_some());
    for (encoding, copy) in copies {
        if let Some(entry) = copy
            && conditions::accepts(request, encoding)
        {
            return Chosen { entry, encoding: Some(encoding), varies };
        }
    }
    Chosen { entry: file, encoding: None, varies }
}

fn describe(
    headers: &mut HeaderMap,
    file: &StaticEntry,
    entry: &StaticEntry,
    encoding: Option<&'static str>,
    varies: bool,
) {
    headers.insert(header::ETAG, ascii(conditions::etag(&entry.into())));
    headers.insert(header::LAST_MODIFIED, ascii(httpdate::fmt_http_date(conditions::modified(&entry.into()))));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_TYPE, content_type(&file.path));
    if varies {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
}

/// By the file's name; text is UTF-8.
fn content_type(path: &str) -> HeaderValue {
    match mime_guess::from_path(path).first_raw() {
        None => HeaderValue::from_static("application/octet-stream"),
        Some(text) if text.starts_with("text/") => ascii(format!("{text}; charset=utf-8")),
        Some(other) => HeaderValue::from_static(other),
    }
}

fn not_satisfiable(file: &StaticEntry, entry: &StaticEntry) -> Response<AnswerBody> {
    let size = entry.size_bytes;
    let problem = Problem::new(Code::RangeNotSatisfiable, format!("the file `{}` has only {size} bytes", file.path));
    let mut response = problem_response(&problem).map(AnswerBody::full);
    response.headers_mut().insert(header::CONTENT_RANGE, ascii(format!("bytes */{size}")));
    response
}

fn with_status(status: StatusCode) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::bytes(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("made of digits, hashes and media types")
}

#[cfg(test)]
mod tests;
