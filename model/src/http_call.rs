//! Outbound HTTP: what a script asks to be sent, and what came back.

use serde::{Deserialize, Serialize};

/// A request to somebody else's server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCall {
    /// Upper-case.
    pub method: String,
    /// `http://` or `https://`, with the query.
    pub url: String,
    /// Name and value.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// How long to wait at most; the run's deadline bounds it in any case.
    pub timeout_ms: Option<u64>,
    /// The caller can take no larger body.
    pub body_bytes_max: u64,
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// Names in lower case, as often as they came.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from chunks; not from compression, which is never asked for.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}
