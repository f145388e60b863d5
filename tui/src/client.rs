//! The only file that speaks HTTP: one request to the admin API, over the socket or over TCP.

use crate::failure::Failure;
use crate::output::Output;
use crate::path::ApiPath;
use crate::settings::{Place, Settings};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use picloud_model::problem::{Code, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take: longer than the longest run that `scripts run` may start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(330);
/// After so long, a person at a terminal is told what is waited for.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// Largest answer; an export with every static file it may have fits.
const ANSWER_BYTES_MAX: usize = 160 * 1024 * 1024;

/// Asks the admin API.
pub(crate) struct Client<'a> {
    settings: &'a Settings,
    output: &'a Output,
}

/// One request.
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
        Self { settings, output }
    }

    /// GETs JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: ApiPath) -> Result<T, Failure> {
        self.send(Ask::new(Method::GET, path)).await?.value()
    }

    /// Sends one request; an answer from 400 on is a failure.
    pub(crate) async fn send(&self, ask: Ask) -> Result<Answer, Failure> {
        if ask.path.has_empty() {
            return Err(Failure::usage("a name or key is empty", "names and keys have at least one character"));
        }
        let exchange = self.exchange(ask);
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => return answer,
            () = tokio::time::sleep(SILENCE_MAX) => self.output.waiting("waiting for the appliance…"),
        }
        let answer = exchange.await;
        self.output.waiting_over();
        answer
    }

    async fn exchange(&self, ask: Ask) -> Result<Answer, Failure> {
        match &self.settings.place {
            Place::Socket(path) => {
                let shown = format!("the socket {}", path.display());
                let stream = within(CONNECT_TIMEOUT, UnixStream::connect(path)).await;
                self.talk(stream.map_err(|error| cannot_connect(&shown, &error))?, "localhost", ask).await
            }
            Place::Http { host, port } => {
                let shown = format!("{host}:{port}");
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let stream = within(CONNECT_TIMEOUT, TcpStream::connect((bare, *port))).await;
                self.talk(stream.map_err(|error| cannot_connect(&shown, &error))?, &shown, ask).await
            }
        }
    }

    async fn talk<S>(&self, stream: S, host: &str, ask: Ask) -> Result<Answer, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let request = self.request(host, ask)?;
        let answer = async {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            // Ends with the connection; its error reaches the request as well.
            let connection = tokio::spawn(connection);
            let answer = sender.send_request(request).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            connection.abort();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Answer {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        let answer = match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(broke_off(&error.to_string())),
            Err(_elapsed) => return Err(broke_off(&format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))),
        };
        if answer.status.as_u16() < 400 { Ok(answer) } else { Err(Failure::Answered(Box::new(problem_of(&answer)))) }
    }

    fn request(&self, host: &str, ask: Ask) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.path.as_str())
            .header(header::HOST, host)
            .header(header::USER_AGENT, concat!("picloud/", env!("CARGO_PKG_VERSION")));
        if let Some(key) = &self.settings.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(ask.body));
        request.map_err(|error| Failure::usage(format!("this cannot be sent: {error}"), "check the names you gave"))
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_elapsed) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs())))
        }
    }
}

fn cannot_connect(place: &str, error: &io::Error) -> Failure {
    let start = "start one with `picloud-appliance dev DIR`, or name another with --socket or --url";
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::Refused {
            message: format!("you may not open {place}"),
            hint: "the admin socket is for root, the service's user and the group `picloud`: \
                   sudo adduser $USER picloud, then log in again"
                .to_owned(),
        },
        io::ErrorKind::NotFound => Failure::Unreachable {
            message: format!("no appliance is running: {place} does not exist"),
            hint: start.to_owned(),
        },
        _ => Failure::Unreachable {
            message: format!("no appliance answers at {place}: {error}"),
            hint: start.to_owned(),
        },
    }
}

fn broke_off(why: &str) -> Failure {
    Failure::Unreachable {
        message: format!("the appliance broke off: {why}"),
        hint: "whether it did what was asked is not known; look before you try again".to_owned(),
    }
}

fn problem_of(answer: &Answer) -> Problem {
    serde_json::from_slice::<Problem>(&answer.body).unwrap_or_else(|_no_problem| {
        let text = String::from_utf8_lossy(&answer.body);
        let text: String = text.chars().take(500).collect();
        let mut problem = Problem::new(Code::Internal, format!("answered {}: {}", answer.status, text.trim()))
            .hint("is this the admin API of a PiCloud appliance?");
        problem.status = answer.status.as_u16();
        problem
    })
}
