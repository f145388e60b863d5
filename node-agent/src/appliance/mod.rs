//! The way to an appliance: the only place that knows its URLs and speaks HTTP to it.
//!
//! All addresses are dialled side by side, and TLS says which of those that answer is the right one.

mod dial;
mod link;

pub use dial::{Connection, DialError, dial, resolve};
pub use link::{CallError, Frames, Link};

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use picloud_cluster::identity::SERVER_NAME;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::{
    Enrol, Enrolled, PATH_ENROL, PATH_RENEW, PROTOCOL, PROTOCOL_HEADER, PROTOCOL_OLDEST, agree,
};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;

/// What a request carries.
type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Largest answer that is not a stream.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// How long an appliance may take to begin a stream, or to answer what needs no person.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a request to join may go unanswered: what an appliance holds it open for, and some more.
const ENROL_MAX: Duration = Duration::from_secs(11 * 60);
/// Frames that go out as one piece.
const FRAMES_AT_ONCE_MAX: usize = 64;

/// Why an appliance did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It said no, and why.
    #[error("{0}")]
    Refused(Problem),
    /// It gave no answer in time.
    #[error("it gave no answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The connection failed.
    #[error("{0}")]
    Connection(String),
    /// It and this node speak no protocol in common; which of them is to be updated.
    #[error("{0}")]
    Protocol(String),
    /// It does not accept this node's certificate.
    #[error("it does not accept this node's certificate: {0}")]
    Certificate(String),
    /// What it said cannot be understood.
    #[error("what it answered cannot be understood: {0}")]
    Answer(String),
}

impl AskError {
    /// The code of a refusal.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(problem) => Some(problem.code),
            Self::Silent(_) | Self::Connection(_) | Self::Protocol(_) | Self::Certificate(_) | Self::Answer(_) => None,
        }
    }
}

impl Connection {
    /// Asks to be let in; the answer comes when somebody has decided.
    pub async fn enrol(&mut self, enrol: &Enrol) -> Result<Enrolled, AskError> {
        self.ask_json(PATH_ENROL, enrol, ENROL_MAX).await
    }

    /// Asks for the next certificate of this node.
    pub async fn renew(&mut self, enrol: &Enrol) -> Result<Enrolled, AskError> {
        self.ask_json(PATH_RENEW, enrol, ANSWER_MAX).await
    }

    async fn ask_json(&mut self, path: &str, said: &Enrol, time: Duration) -> Result<Enrolled, AskError> {
        let json = serde_json::to_vec(said).expect("texts are always JSON");
        let body = Full::new(Bytes::from(json)).boxed_unsync();
        let response = self.post(path, body, time).await?;
        let bytes = whole(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| AskError::Answer(error.to_string()))
    }

    /// POSTs, and waits for the head of a good answer.
    async fn post(&mut self, path: &str, body: Body, time: Duration) -> Result<Response<Incoming>, AskError> {
        let request = Request::post(format!("https://{SERVER_NAME}{path}"))
            .header(PROTOCOL_HEADER, format!("{PROTOCOL_OLDEST}-{PROTOCOL}"))
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .expect("a constant URL and plain headers");
        let sent = tokio::time::timeout(time, self.sender.send_request(request)).await;
        let response = sent.map_err(|_elapsed| AskError::Silent(time))?;
        let response = response.map_err(|error| {
            if dial::is_refusal_within(&error) {
                AskError::Certificate(picloud_model::problem::with_sources(&error))
            } else {
                AskError::Connection(why_lost(&error))
            }
        })?;
        // A refusal says in the same header what it speaks: each end then says in its own words who is to be updated.
        if matches!(response.status(), StatusCode::OK | StatusCode::CONFLICT) {
            check_protocol(&response)?;
        }
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        Err(refusal(response).await)
    }
}

/// Whether the protocol that the appliance chose is one of ours.
fn check_protocol(response: &Response<Incoming>) -> Result<(), AskError> {
    let said = response.headers().get(PROTOCOL_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let said = if said.contains('-') { said.to_owned() } else { format!("{said}-{said}") };
    agree((PROTOCOL_OLDEST, PROTOCOL), &said).map(drop).map_err(|why| {
        AskError::Protocol(why.replace("this machine", "this node").replace("that machine", "the appliance"))
    })
}

/// Why a connection is over, for people: that the other end closed it is all there is to say, however it did.
pub fn why_lost(error: &(dyn std::error::Error + 'static)) -> String {
    // By the time HTTP/2 hands them on, errors of the network are texts.
    const CLOSED: &[&str] = &["close_notify", "eof", "reset", "broken pipe", "connection aborted", "connection closed"];
    let why = picloud_model::problem::with_sources(error);
    let lower = why.to_ascii_lowercase();
    if CLOSED.iter().any(|closed| lower.contains(closed)) { "the connection was closed".to_owned() } else { why }
}

/// What an answer that is not good says.
async fn refusal(response: Response<Incoming>) -> AskError {
    let status = response.status();
    match whole(response).await {
        Ok(bytes) => match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => AskError::Refused(problem),
            Err(_no_problem) => AskError::Answer(format!("status {status}, and nothing that says why")),
        },
        Err(error) => error,
    }
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, AskError> {
    let read = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
    let read = tokio::time::timeout(ANSWER_MAX, read).await.map_err(|_elapsed| AskError::Silent(ANSWER_MAX))?;
    read.map(http_body_util::Collected::to_bytes).map_err(|error| AskError::Connection(why_lost(&*error)))
}

/// A body that goes on: frames as they are put in, those that wait together as one piece.
fn streamed(mut frames: mpsc::Receiver<Bytes>) -> Body {
    let mut waiting = Vec::with_capacity(FRAMES_AT_ONCE_MAX);
    let pieces = stream::poll_fn(move |cx| {
        frames.poll_recv_many(cx, &mut waiting, FRAMES_AT_ONCE_MAX).map(|count| {
            let piece = match count {
                0 => return None,
                1 => waiting.swap_remove(0),
                _several => waiting.concat().into(),
            };
            waiting.clear();
            Some(Ok::<_, Infallible>(Frame::data(piece)))
        })
    });
    StreamBody::new(pieces).boxed_unsync()
}
