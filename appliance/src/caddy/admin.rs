//! One exchange with a Caddy's admin API: a connection each, for they are rare.

use super::address::CaddyAddress;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HOST, HeaderName, IF_MATCH};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// How long an exchange may take. A Caddy takes a new configuration in milliseconds.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);
/// Largest answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a refusal that are logged.
const REFUSAL_BYTES_SHOWN: usize = 256;

/// Why a Caddy has not what it is to have.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaddyError {
    /// Nobody is there, or it does not speak HTTP.
    #[error("it does not answer: {0}")]
    Away(String),
    /// It took too long.
    #[error("it did not answer within {} s", EXCHANGE_MAX.as_secs())]
    Late,
    /// It said no.
    #[error("it answered {status}: {text}")]
    Refused {
        /// With which status.
        status: StatusCode,
        /// And what it said.
        text: String,
    },
    /// What it has is something else.
    #[error("what is at {path} is no list of upstreams")]
    Other {
        /// Where.
        path: String,
    },
}

/// The upstreams as they are.
pub(super) struct Read {
    /// Each of them; `None` where there is no list yet.
    pub(super) upstreams: Option<Vec<Value>>,
    /// What names this state, where the Caddy is new enough to say.
    tag: Option<HeaderValue>,
}

/// Reads the upstreams.
pub(super) async fn read(address: &CaddyAddress, path: &str) -> Result<Read, CaddyError> {
    let (tag, body) = exchange(address, request(Method::GET, path, Bytes::new())).await?;
    match serde_json::from_slice(&body) {
        Ok(Value::Null) => Ok(Read { upstreams: None, tag }),
        Ok(Value::Array(upstreams)) => Ok(Read { upstreams: Some(upstreams), tag }),
        _other => Err(CaddyError::Other { path: path.to_owned() }),
    }
}

/// Replaces the upstreams that were read.
pub(super) async fn write(
    address: &CaddyAddress,
    path: &str,
    read: &Read,
    upstreams: &[Value],
) -> Result<(), CaddyError> {
    // PATCH replaces a list; one that is not there is made by PUT.
    let method = if read.upstreams.is_some() { Method::PATCH } else { Method::PUT };
    let body = serde_json::to_vec(upstreams).expect("values are JSON");
    let mut request = request(method, path, body.into());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Whoever changed it meanwhile is read first. An old Caddy passes over this.
    if let Some(tag) = &read.tag {
        request.headers_mut().insert(IF_MATCH, tag.clone());
    }
    exchange(address, request).await.map(|_answer| ())
}

fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().expect("the path was checked with the settings");
    request
}

type Answered = (Option<HeaderValue>, Bytes);

async fn exchange(address: &CaddyAddress, mut request: Request<Full<Bytes>>) -> Result<Answered, CaddyError> {
    let away = |error: std::io::Error| CaddyError::Away(error.to_string());
    let exchanged = async {
        match address {
            CaddyAddress::Tcp(authority) => {
                let host = HeaderValue::try_from(authority).map_err(|error| CaddyError::Away(error.to_string()))?;
                request.headers_mut().insert(HOST, host);
                send(TcpStream::connect(authority).await.map_err(away)?, request).await
            }
            CaddyAddress::Unix(path) => {
                // Whoever comes over a socket names no host.
                request.headers_mut().insert(HOST, HeaderValue::from_static(""));
                send(UnixStream::connect(path).await.map_err(away)?, request).await
            }
        }
    };
    tokio::time::timeout(EXCHANGE_MAX, exchanged).await.unwrap_or(Err(CaddyError::Late))
}

async fn send<S>(stream: S, mut request: Request<Full<Bytes>>) -> Result<Answered, CaddyError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // One request, and the connection is over: a Caddy that takes a configuration swaps its servers.
    request.headers_mut().insert(HeaderName::from_static("connection"), HeaderValue::from_static("close"));
    let away = |error: hyper::Error| CaddyError::Away(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
    let exchanged = async {
        let response = sender.send_request(request).await.map_err(away)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| CaddyError::Away(error.to_string()))?.to_bytes();
        if head.status.is_success() {
            return Ok((head.headers.get(ETAG).cloned(), body));
        }
        let text = String::from_utf8_lossy(&body[..body.len().min(REFUSAL_BYTES_SHOWN)]).trim().to_owned();
        Err(CaddyError::Refused { status: head.status, text })
    };
    // Both in one task, so that nothing is left of it when it is dropped.
    tokio::pin!(exchanged);
    tokio::pin!(connection);
    let mut is_open = true;
    loop {
        tokio::select! {
            answered = &mut exchanged => return answered,
            ended = &mut connection, if is_open => {
                is_open = false;
                if let Err(error) = ended {
                    return Err(CaddyError::Away(error.to_string()));
                }
            }
        }
    }
}
