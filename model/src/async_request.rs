//! Requests that are answered later: `Prefer: respond-async`, 202, and an answer to ask for.

use crate::clock::UnixMs;
use crate::ids::AsyncRequestId;
use crate::protocol::RunHttp;
use serde::{Deserialize, Serialize};

/// Longest `Idempotency-Key`, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// How long an answer, and a key, are kept.
pub const ANSWER_KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// Largest answer that is kept; a larger one becomes an error that says so.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A request to be kept and run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewAsyncRequest {
    /// Its id, chosen by whoever takes it: random, since it is all that is needed to read the answer.
    pub id: AsyncRequestId,
    /// The endpoint.
    pub script: String,
    /// The route's pattern, for `ctx.request.route`.
    pub route: String,
    /// The route's parameters.
    pub params: Vec<(String, String)>,
    /// Who asked.
    pub remote_addr: String,
    /// The principal, where the route wants a key.
    pub principal: Option<crate::principal::Principal>,
    /// The request.
    pub request: RunHttp,
    /// The client's key: the same one with the same request is the same request.
    pub idempotency_key: Option<String>,
}

/// What came of taking one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Accepted {
    /// It is on the disk.
    New(AsyncRequestId),
    /// The same request with the same key is there already.
    Known(AsyncRequestId),
    /// The key was used for another request.
    KeyTaken,
}

/// An answer that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsyncAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// How far one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsyncState {
    /// When it was taken.
    pub created_at: UnixMs,
    /// Attempts that failed.
    pub attempts: u32,
    /// Whether one is under way.
    pub running: bool,
    /// Its answer, once there is one. A request that was given up is answered with its last error.
    pub answer: Option<AsyncAnswer>,
}
