//! What goes wrong, as users see it: RFC 9457 problem details with a code, a place and a hint.

use crate::ids::ExecutionId;
use crate::script::Diagnostic;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $status:literal $text:literal;)*) => {
        /// The closed list of problem codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])* $name,)* }

        impl Code {
            /// All of them, in the table's order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it stands in `code`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status it is answered with.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// The request cannot be read.
    Malformed = 400 "malformed";
    /// No caller is known.
    Unauthenticated = 401 "unauthenticated";
    /// The caller may not.
    Forbidden = 403 "forbidden";
    /// No route of any app matches.
    NoRoute = 404 "no-route";
    /// The thing named does not exist.
    NotFound = 404 "not-found";
    /// The route exists, but not with this method.
    MethodNotAllowed = 405 "method-not-allowed";
    /// The client took too long to send its request.
    RequestTimeout = 408 "request-timeout";
    /// Something stands in the way.
    Conflict = 409 "conflict";
    /// It held once, and does not any more.
    Gone = 410 "gone";
    /// The thing is not at the version the caller named.
    PreconditionFailed = 412 "precondition-failed";
    /// A body or value is over its limit.
    TooLarge = 413 "too-large";
    /// No such range of the file.
    RangeNotSatisfiable = 416 "range-not-satisfiable";
    /// One or more sources do not compile or do not validate.
    InvalidScript = 422 "invalid-script";
    /// The body is well-formed, but a field in it is not acceptable.
    Invalid = 422 "invalid";
    /// The caller sends too much.
    RateLimited = 429 "rate-limited";
    /// The head of a request is over its limit.
    HeadTooLarge = 431 "head-too-large";
    /// The script threw.
    ScriptError = 500 "script-error";
    /// The run went over a limit.
    LimitExceeded = 500 "limit-exceeded";
    /// Stored bytes are not what was stored.
    Corrupted = 500 "corrupted";
    /// A fault of ours.
    Internal = 500 "internal";
    /// The script's value cannot be an answer.
    BadScriptResponse = 502 "bad-script-response";
    /// The run took its worker process down.
    WorkerLost = 502 "worker-lost";
    /// More runs than this node takes.
    Overloaded = 503 "overloaded";
    /// What would answer is away.
    NodeAway = 503 "node-away";
    /// The run took longer than it may.
    Deadline = 504 "deadline";
    /// The disk or the quota is full.
    StorageFull = 507 "storage-full";
    /// Runs start runs in a circle.
    Loop = 508 "loop";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A code of a newer version is still a problem that can be shown.
        Ok(Self::ALL.iter().copied().find(|code| code.as_str() == text).unwrap_or(Self::Internal))
    }
}

/// A problem, as every wire of ours carries it.
///
/// Built with [`Problem::new`] and the chained setters. `detail` is a whole sentence that names the thing
/// at fault; `hint` says what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Which of the closed list.
    pub code: Code,
    /// The status it is answered with: the code's own, except for a script's `http_error`.
    pub status: u16,
    /// The code in words.
    pub title: String,
    /// What went wrong, naming the thing.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The run it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<ExecutionId>,
    /// The limit that was met, and its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitHit>,
    /// Where in which script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<ScriptPosition>,
    /// All that is wrong with the sources that were sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Diagnostic>,
    /// What stands in the way (names of routes, scripts, …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// When it is worth trying again; also the `Retry-After` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

/// The limit that was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LimitHit {
    /// Its name in the limits table.
    pub name: String,
    /// Its value.
    pub value: u64,
}

/// A place in a script's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScriptPosition {
    /// The script or module.
    pub script: String,
    /// Counting from 1.
    pub line: usize,
    /// Counting from 1.
    pub column: usize,
}

impl Problem {
    /// A problem that says `detail`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            status: code.status(),
            title: code.as_str().replace('-', " "),
            detail: detail.into(),
            hint: None,
            execution_id: None,
            limit: None,
            at: None,
            errors: Vec::new(),
            conflicts: Vec::new(),
            retry_after_s: None,
        }
    }

    /// `not-found`, naming kind and name: "script `hello` does not exist in app `kitchen`".
    pub fn not_found(kind: &str, name: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("{kind} `{name}` does not exist"))
    }

    /// A fault of ours; `detail` must hold nothing internal. Log the cause where it is handled.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "something failed inside PiCloud")
            .hint("the appliance's log says what: journalctl -u picloud-appliance")
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With the limit that was met.
    #[must_use]
    pub fn limit(mut self, name: &str, value: u64) -> Self {
        self.limit = Some(LimitHit { name: name.to_owned(), value });
        self
    }

    /// With what stands in the way.
    #[must_use]
    pub fn conflicts(mut self, conflicts: Vec<String>) -> Self {
        self.conflicts = conflicts;
        self
    }

    /// With all that is wrong with the sources.
    #[must_use]
    pub fn errors(mut self, errors: Vec<Diagnostic>) -> Self {
        self.errors = errors;
        self
    }

    /// With the seconds after which it is worth trying again.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        if let Some(at) = &self.at {
            write!(f, " ({}:{}:{})", at.script, at.line, at.column)?;
        }
        for error in &self.errors {
            let file = error.file.as_deref().unwrap_or("source");
            write!(f, "\n  {file}:{}:{}: {}", error.line, error.column, error.message)?;
            if let Some(hint) = &error.hint {
                write!(f, "\n    hint: {hint}")?;
            }
        }
        for conflict in &self.conflicts {
            write!(f, "\n  {conflict}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
/// An error and what it comes from, in one line.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
