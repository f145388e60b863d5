//! The only folder that speaks HTTP: requests to the admin API, over the socket or over TLS.

mod certificates;
mod connect;
mod events;
mod following;
mod idle;
pub(crate) mod ingress;
mod outgoing;
mod pin;
mod tls;

pub(crate) use certificates::shown_certificates;
pub(crate) use events::{Event, Events};
pub(crate) use following::may_pass;
pub(crate) use idle::Idles;
pub(crate) use outgoing::Outgoing;

use crate::failure::Failure;
use crate::output::Output;
use crate::path::ApiPath;
use crate::settings::Settings;
use bytes::Bytes;
use connect::connect;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use idle::Idle;
use outgoing::Sending;
use picloud_model::problem::{Code, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long an answer may take: longer than the longest run that `scripts run` may start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(330);
/// How long the head of a streamed answer may take: a backup copies the whole store before it begins.
const STREAM_HEAD_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// After so long, a person at a terminal is told what is waited for.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// Largest answer; an export with every static file it may have fits.
const ANSWER_BYTES_MAX: usize = 160 * 1024 * 1024;

/// Asks the admin API.
pub(crate) struct Client<'a> {
    settings: &'a Settings,
    output: &'a Output,
    idles: Option<&'a Idles>,
}

/// One request.
#[derive(Clone)]
pub(crate) struct Ask {
    method: Method,
    path: ApiPath,
    headers: Vec<(header::HeaderName, String)>,
    body: Bytes,
}

/// What came back, with a status below 400.
pub(crate) struct Answer {
    /// 2xx or 3xx.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Bytes,
}

impl Ask {
    /// A request without a body.
    pub(crate) fn new(method: Method, path: ApiPath) -> Self {
        Self { method, path, headers: Vec::new(), body: Bytes::new() }
    }

    /// With a header.
    #[must_use]
    pub(crate) fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Only if the thing is at this version now.
    #[must_use]
    pub(crate) fn if_match(self, version: Option<i64>) -> Self {
        match version {
            Some(version) => self.header(header::IF_MATCH, format!("\"{version}\"")),
            None => self,
        }
    }

    /// With bytes of JSON as they are.
    #[must_use]
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header(header::CONTENT_TYPE, "application/json")
    }

    /// With bytes of this type.
    #[must_use]
    pub(crate) fn bytes(mut self, body: impl Into<Bytes>, content_type: &str) -> Self {
        self.body = body.into();
        self.header(header::CONTENT_TYPE, content_type)
    }

    /// With a value as JSON.
    #[must_use]
    pub(crate) fn json(self, value: &impl Serialize) -> Self {
        self.body(serde_json::to_vec(value).expect("what is sent has names as keys"))
    }
}

impl Answer {
    /// The body as JSON; `null` where it is empty.
    pub(crate) fn value<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let text: &[u8] = if self.body.is_empty() { b"null" } else { &self.body };
        serde_json::from_slice(text).map_err(|error| {
            Failure::other(
                format!("the answer is not what this version expects: {error}"),
                Some("`picloud version` shows both versions; they should be the same"),
            )
        })
    }

    /// The version in the ETag.
    pub(crate) fn version(&self) -> Option<&str> {
        self.headers.get(header::ETAG)?.to_str().ok().map(|tag| tag.trim_matches('"'))
    }
}

impl<'a> Client<'a> {
    /// A client of the appliance that `settings` name.
    pub(crate) fn new(settings: &'a Settings, output: &'a Output) -> Self {
        Self { settings, output, idles: None }
    }

    /// Asks over connections that wait, and leaves its own there.
    #[must_use]
    pub(crate) fn reusing(self, idles: &'a Idles) -> Self {
        Self { idles: Some(idles), ..self }
    }

    /// GETs JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: ApiPath) -> Result<T, Failure> {
        self.send(Ask::new(Method::GET, path)).await?.value()
    }

    /// Sends one request; an answer from 400 on is a failure.
    pub(crate) async fn send(&self, ask: Ask) -> Result<Answer, Failure> {
        let answer = async {
            let answer = self.collect(self.open(ask).await?).await?;
            if answer.status.as_u16() < 400 { Ok(answer) } else { Err(failure_of(&answer)) }
        };
        self.with_patience(ANSWER_TIMEOUT, answer).await
    }

    /// Sends one request whose answer is read as it comes, without an end in time or size.
    pub(crate) async fn stream(&self, ask: Ask) -> Result<Streamed, Failure> {
        let opened = async {
            let opened = self.open(ask).await?;
            if opened.answer.status().as_u16() < 400 {
                return Ok(opened);
            }
            Err(failure_of(&self.collect(opened).await?))
        };
        let Opened { answer, idle } = self.with_patience(STREAM_HEAD_TIMEOUT, opened).await?;
        let (head, body) = answer.into_parts();
        Ok(Streamed { headers: head.headers, body, _connection: idle.connection })
    }

    /// Sends one request whose body is read while it is sent, however long that takes.
    pub(crate) async fn upload(&self, ask: Ask, body: Outgoing) -> Result<Answer, Failure> {
        let answer = self.collect(self.open_with(ask, Some(body)).await?).await?;
        if answer.status.as_u16() < 400 { Ok(answer) } else { Err(failure_of(&answer)) }
    }

    /// Waits, and tells a person at a terminal what for.
    async fn with_patience<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let work = tokio::time::timeout(limit, work);
        tokio::pin!(work);
        let result = tokio::select! {
            result = &mut work => result,
            () = tokio::time::sleep(SILENCE_MAX) => {
                self.output.waiting("waiting for the appliance…");
                let result = work.await;
                self.output.waiting_over();
                result
            }
        };
        result.unwrap_or_else(|_elapsed| Err(broke_off(&format!("no answer within {} s", limit.as_secs()))))
    }

    /// Sends the request; the head of the answer is here, its body may still come.
    async fn open(&self, ask: Ask) -> Result<Opened, Failure> {
        self.open_with(ask, None).await
    }

    /// The same, with a body that is read while it is sent.
    async fn open_with(&self, ask: Ask, parts: Option<Outgoing>) -> Result<Opened, Failure> {
        if ask.path.has_empty() {
            return Err(Failure::usage("a name or key is empty", "names and keys have at least one character"));
        }
        // What changes something is never sent over a connection that may have ended meanwhile: it would not be known
        // whether it was done.
        if ask.method == Method::GET
            && let Some(idle) = self.idles.and_then(Idles::take)
            && let Ok(opened) = self.open_on(idle, ask.clone(), None).await
        {
            return Ok(opened);
        }
        let (way, host) = connect(self.settings, self.output).await?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(way)).await;
        let (sender, connection) = shaken.map_err(|error| broke_off(&told(&error)))?;
        // Ends with the connection; its error reaches the request as well.
        let connection = Connection(tokio::spawn(async move {
            let _told_to_the_request = connection.await;
        }));
        self.open_on(Idle { host, sender, connection }, ask, parts).await
    }

    async fn open_on(&self, mut idle: Idle, ask: Ask, parts: Option<Outgoing>) -> Result<Opened, Failure> {
        let request = self.request(&idle.host, ask)?.map(|whole| match parts {
            Some(parts) => Sending::Parts(parts),
            None => Sending::Whole(whole),
        });
        let answer = idle.sender.send_request(request).await.map_err(|error| broke_off(&told(&error)))?;
        Ok(Opened { answer, idle })
    }

    async fn collect(&self, opened: Opened) -> Result<Answer, Failure> {
        let Opened { answer, idle } = opened;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| broke_off(&error.to_string()))?.to_bytes();
        if let Some(idles) = self.idles {
            idles.put(idle);
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    fn request(&self, host: &str, ask: Ask) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.path.as_str())
            .header(header::HOST, host)
            .header(header::USER_AGENT, concat!("picloud/", env!("CARGO_PKG_VERSION")));
        if let Some(key) = &self.settings.key {
            let mut value = header::HeaderValue::from_str(&format!("Bearer {key}"))
                .expect("the settings let in only keys of visible characters");
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(ask.body));
        request.map_err(|error| Failure::usage(format!("this cannot be sent: {error}"), "check the names you gave"))
    }
}

/// A connection that ends when nobody reads from it any more.
struct Connection(tokio::task::JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The head of an answer, and what its body comes over.
struct Opened {
    answer: Response<Incoming>,
    idle: Idle,
}

/// The body of an answer as it comes.
pub(crate) struct Streamed {
    /// What its head said.
    pub(crate) headers: HeaderMap,
    body: Incoming,
    _connection: Connection,
}

impl Streamed {
    /// The next bytes; `None` where the answer is whole.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(broke_off(&told(&error))),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

/// The error with its cause, which hyper does not tell by itself.
fn told(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn broke_off(why: &str) -> Failure {
    Failure::Unreachable {
        message: format!("the appliance broke off: {why}"),
        hint: "whether it did what was asked is not known; look before you try again".to_owned(),
    }
}

fn failure_of(answer: &Answer) -> Failure {
    Failure::Answered(Box::new(problem_of(answer)))
}

fn problem_of(answer: &Answer) -> Problem {
    serde_json::from_slice::<Problem>(&answer.body).unwrap_or_else(|_no_problem| {
        let text = String::from_utf8_lossy(&answer.body);
        let text: String = text.chars().take(500).collect();
        // An answer to HEAD has no body: its status says what it can.
        let of_status = |code: &&Code| answer.body.is_empty() && code.status() == answer.status.as_u16();
        // Of several with the same status the last is the most general.
        let code = Code::ALL.iter().rfind(of_status).copied().unwrap_or(Code::Internal);
        let mut problem = Problem::new(code, format!("answered {}: {}", answer.status, text.trim()))
            .hint("is this the admin API of a PiCloud appliance?");
        problem.status = answer.status.as_u16();
        problem
    })
}
