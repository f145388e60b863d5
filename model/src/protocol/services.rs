//! What a run, or the ingress, asks of the parent, and what it is answered.

use crate::async_request::{Accepted, AsyncState, NewAsyncRequest};
use crate::file::{FilesReply, FilesRequest};
use crate::hash::ContentHash;
use crate::http_call::{HttpAnswer, HttpCall};
use crate::ids::{AppId, AsyncRequestId, ExecutionId};
use crate::kv::{KvReply, KvRequest};
use crate::problem::Code;
use crate::publish::{Publish, Published};
use crate::script::{ModuleVersion, ScriptKind};
use crate::timer::{TimerReply, TimerRequest};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// For whom a call is made: the parent checks that the script belongs to the app, and what comes of the call knows
/// from it where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The app of the run.
    pub app: AppId,
    /// The run; nil where no script runs (a static file, a preview).
    pub execution_id: ExecutionId,
    /// The run that everything began with.
    pub root_execution_id: ExecutionId,
    /// How many runs away from that, calls of other endpoints included.
    pub trigger_depth: u32,
    /// The script under way.
    pub script: Arc<str>,
    /// Its version.
    pub version: i64,
}

/// What a worker may ask for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ServiceRequest {
    /// KV.
    Kv(KvRequest),
    /// The text of a source by content hash; answered with [`ServiceReply::Source`].
    Source(ContentHash),
    /// Part of a static file by content hash; answered with [`ServiceReply::Bytes`].
    Static {
        /// The file's content.
        hash: ContentHash,
        /// From this byte.
        offset: u64,
        /// So many bytes, at most [`STATIC_CHUNK_BYTES_MAX`].
        len: u32,
    },
    /// The value of a secret; answered with [`ServiceReply::Secret`].
    Secret {
        /// The script that asks: secrets are granted one by one.
        script: String,
        /// The secret.
        name: String,
    },
    /// A version that may not be live; answered with [`ServiceReply::Version`].
    Version {
        /// The script.
        script: String,
        /// The version.
        version: i64,
    },
    /// Publishes, durably; answered with [`ServiceReply::Published`].
    Publish(Publish),
    /// Tells whoever listens right now; answered with [`ServiceReply::Done`].
    PublishEphemeral {
        /// The topic.
        topic: String,
        /// JSON.
        #[serde(with = "serde_bytes")]
        value: Vec<u8>,
    },
    /// Timers; answered with [`ServiceReply::Timer`].
    Timer(TimerRequest),
    /// Files; answered with [`ServiceReply::Files`].
    Files(FilesRequest),
    /// Sends a request to somebody else's server; answered with [`ServiceReply::Http`].
    Http(HttpCall),
    /// From the ingress: keeps a request to be answered later; answered with [`ServiceReply::Accepted`].
    Accept(Box<NewAsyncRequest>),
    /// From the ingress: how far such a request is; answered with [`ServiceReply::AsyncState`]. It needs no app.
    AsyncState(AsyncRequestId),
    /// From the ingress: begins, goes on with and ends the use of a signed URL; answered with [`ServiceReply::Signed`].
    Signed(SignedRequest),
    /// From the ingress: a request whose script may not run here, for a node that may run it; answered with
    /// [`ServiceReply::Forwarded`]. Forwarded once: what gets it runs it, or refuses.
    Forward(Box<Forward>),
}

/// A request on its way to a node that may run its script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forward {
    /// The endpoint.
    pub script: String,
    /// The request.
    pub request: super::run::RunHttp,
    /// Who asked, if anybody.
    pub principal: Option<crate::principal::Principal>,
    /// The client's address.
    pub remote_addr: String,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// The node that ran it.
    pub node: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// What the ingress asks when somebody uses a signed URL. It needs no app: the token names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignedRequest {
    /// Checks the token. Answered with [`SignedReply::File`] (GET, HEAD), [`SignedReply::Upload`] (PUT), or
    /// [`SignedReply::Done`] (DELETE, done by then); a token that does not hold is a failure.
    Open {
        /// The last part of the URL.
        token: String,
        /// The request's method.
        method: String,
        /// Of a PUT: its `Content-Type`.
        content_type: Option<String>,
        /// Of a PUT: its `Content-Length`, where it has one.
        content_length: Option<u64>,
        /// Of a PUT: its `Content-Digest` or `Repr-Digest`, as it stands there.
        digest: Option<String>,
    },
    /// Reads on. Answered with [`SignedReply::Bytes`].
    Read {
        /// The token.
        token: String,
        /// What the file was when it was opened: nobody gets parts of two.
        sha256: ContentHash,
        /// From this byte.
        offset: u64,
        /// At most so many, at most [`STATIC_CHUNK_BYTES_MAX`].
        len: u32,
    },
    /// Writes on. Answered with [`SignedReply::Done`].
    Write {
        /// [`SignedReply::Upload`]'s.
        upload: u64,
        /// The next bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// All bytes were written. Answered with [`SignedReply::File`] once they are on the disk.
    Finish {
        /// [`SignedReply::Upload`]'s.
        upload: u64,
    },
    /// The client went away. Answered with [`SignedReply::Done`].
    Abandon {
        /// [`SignedReply::Upload`]'s.
        upload: u64,
    },
}

/// What it is answered with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SignedReply {
    /// The file.
    File(crate::file::File),
    /// Where to write to.
    Upload(u64),
    /// The bytes; fewer than asked for at the end.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// It is done.
    Done,
}

/// Largest part of a static file in one answer.
pub const STATIC_CHUNK_BYTES_MAX: u32 = 256 * 1024;

/// What it is answered with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ServiceReply {
    /// To KV.
    Kv(KvReply),
    /// The text; `None` if no version has that hash any more.
    Source(Option<String>),
    /// The bytes.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// To Secret: the value; a secret that is not there or not granted is a failure.
    Secret(String),
    /// To Version; `None` where it does not exist (any more).
    Version(Option<VersionEntry>),
    /// To Publish.
    Published(Published),
    /// To PublishEphemeral.
    Done,
    /// To Timer.
    Timer(TimerReply),
    /// To Files.
    Files(FilesReply),
    /// To Http.
    Http(HttpAnswer),
    /// To Accept.
    Accepted(Accepted),
    /// To AsyncState; `None` where there is no such request (any more).
    AsyncState(Option<AsyncState>),
    /// To Signed.
    Signed(SignedReply),
    /// To Forward.
    Forwarded(Forwarded),
}

/// One version of a script with the modules it was saved with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// Endpoint or module, at that version.
    pub kind: ScriptKind,
    /// Its content.
    pub hash: ContentHash,
    /// The modules it reaches, each at the version it was saved with.
    pub modules: Vec<ModuleVersion>,
    /// How often it took its worker down, once it is not run any more for it.
    pub quarantined_after_crashes: Option<u32>,
}

/// Why a call failed; becomes a catchable error map in the script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceFailure {
    /// The problem's code.
    pub code: Code,
    /// A sentence.
    pub message: String,
}
