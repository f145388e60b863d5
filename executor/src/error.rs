//! How runs fail: errors a script can catch, reasons to stop that it cannot, and what becomes of both.
//!
//! - [`catchable`] (and [`argument`], [`service`]): the error maps `#{kind, code, message}` SDK functions throw.
//! - [`Stop`]: limits, deadline and loops. Ending a run goes through `RunState::stop`, never through an error alone,
//!   since Rhai wraps errors of callbacks in catchable ones.
//! - [`RunError`]: how a run failed, as its caller sees it.

use crate::context::Timeout;
use crate::run_state::RunState;
use picloud_model::problem::{Code, Problem, ScriptPosition};
use picloud_model::protocol::ServiceFailure;
use picloud_model::redact::Redactor;
use picloud_model::script::Diagnostic;
use rhai::{Dynamic, EvalAltResult, Map, Position};

/// What natives fail with.
pub(crate) type RhaiError = Box<EvalAltResult>;

/// `kind` of an error about an argument of an SDK function.
pub(crate) const KIND_ARGUMENT: &str = "argument";
/// `kind` of an error that a port answered with.
pub(crate) const KIND_SERVICE: &str = "service";
/// `kind` of what `http_error` makes.
pub(crate) const KIND_HTTP: &str = "http";
/// `kind` of what `terminal` makes.
pub(crate) const KIND_TERMINAL: &str = "terminal";
/// `kind` of what `retry_after` makes.
pub(crate) const KIND_RETRY_AFTER: &str = "retry_after";

/// An error the script can catch, as a map `#{kind, code, message}`.
pub(crate) fn catchable(kind: &str, code: Code, message: impl Into<String>) -> RhaiError {
    thrown(error_map(kind, code.as_str(), message.into()).into())
}

/// A catchable error about one argument: `kv.set: value: a function cannot be stored`.
pub(crate) fn argument(function: &str, argument: &str, message: impl std::fmt::Display) -> RhaiError {
    catchable(KIND_ARGUMENT, Code::Invalid, format!("{function}: {argument}: {message}"))
}

/// A catchable error for what a port failed with.
pub(crate) fn service(function: &str, failure: &ServiceFailure) -> RhaiError {
    catchable(KIND_SERVICE, failure.code, format!("{function}: {}", failure.message))
}

/// The same; a port that gave up because the run's time was up ends it, which cannot be caught.
pub(crate) fn failed(run: &RunState, function: &str, failure: &ServiceFailure) -> RhaiError {
    match failure.code {
        Code::Deadline => run.stop(run.deadline()),
        _ => service(function, failure),
    }
}

/// `throw value`.
pub(crate) fn thrown(value: Dynamic) -> RhaiError {
    EvalAltResult::ErrorRuntime(value, Position::NONE).into()
}

/// The map scripts see when they catch an error of ours.
pub(crate) fn error_map(kind: &str, code: &str, message: String) -> Map {
    let mut map = Map::new();
    map.insert("kind".into(), kind.into());
    map.insert("code".into(), code.into());
    map.insert("message".into(), message.into());
    map
}

/// The error no `try` catches; the reason is in the run's state.
pub(crate) fn terminated() -> RhaiError {
    EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()
}

/// Why a run was ended, whatever it would have caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It went over a limit of the table.
    Limit {
        /// The limit's name.
        name: &'static str,
        /// Its value.
        value: u64,
    },
    /// Its time was up.
    Deadline(Timeout),
    /// `scripts::call` within `scripts::call`, deeper than `trigger_depth`.
    Loop {
        /// `a → b → a`.
        chain: String,
        /// The limit's value.
        value: u64,
    },
}

impl Stop {
    /// The limit `name` of `value` was met.
    pub(crate) fn limit(name: &'static str, value: u64) -> Self {
        Self::Limit { name, value }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Limit { name, value } => {
                Problem::new(Code::LimitExceeded, format!("the run went over its limit `{name}` of {value}"))
                    .limit(name, *value)
                    .hint(limit_hint(name))
            }
            Self::Deadline(Timeout { limit, ms }) => {
                Problem::new(Code::Deadline, format!("the run took longer than its {ms} ms"))
                    .limit(limit, *ms)
                    .hint(format!("do less in one run, or raise `{limit}` in [limits] of app.toml"))
            }
            Self::Loop { chain, value } => Problem::new(
                Code::Loop,
                format!("scripts call each other deeper than `trigger_depth` of {value}: {chain}"),
            )
            .limit("trigger_depth", *value)
            .hint("break the circle, or raise `trigger_depth` in [limits] of app.toml"),
        }
    }
}

fn limit_hint(name: &str) -> String {
    match picloud_model::limits::LIMITS.iter().find(|row| row.name == name) {
        Some(row) if row.ceiling > row.default => {
            format!("do less in one run, or raise `{name}` in [limits] of app.toml (up to {})", row.ceiling)
        }
        _ => "do less in one run: this limit is fixed".to_owned(),
    }
}

/// How a run failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// The script, or something it called, threw.
    #[error("{message}")]
    Thrown {
        /// What it threw, in words.
        message: String,
        /// `script-error`, or the code of the port's failure that it did not catch.
        code: Code,
        /// Where.
        at: Option<ScriptPosition>,
    },
    /// `throw http_error(status, message)`.
    #[error("{message}")]
    Http {
        /// 400 to 599.
        status: u16,
        /// What to tell the client.
        message: String,
        /// Where.
        at: Option<ScriptPosition>,
    },
    /// `throw terminal(message)`: do not try again.
    #[error("{message}")]
    Terminal {
        /// Why.
        message: String,
        /// Where.
        at: Option<ScriptPosition>,
    },
    /// `throw retry_after(seconds, message)`: try again then.
    #[error("{message}")]
    RetryAfter {
        /// When to try again.
        seconds: u32,
        /// Why.
        message: String,
        /// Where.
        at: Option<ScriptPosition>,
    },
    /// The run was ended.
    #[error("the run was ended: {stop:?}")]
    Stopped {
        /// Why.
        stop: Stop,
        /// Where it was at that moment.
        at: Option<ScriptPosition>,
    },
    /// The source, or a module it imports, does not compile.
    #[error("the script does not compile")]
    Invalid(Vec<Diagnostic>),
    /// Its value cannot be an answer.
    #[error("{0}")]
    BadResponse(String),
    /// The source could not be had.
    #[error("{}", .0.message)]
    Source(ServiceFailure),
    /// Something below the script panicked.
    #[error("the run ended with a fault inside PiCloud")]
    Panic,
}

impl RunError {
    /// Takes secrets out of everything that it says.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        match self {
            Self::Thrown { message, .. }
            | Self::Http { message, .. }
            | Self::Terminal { message, .. }
            | Self::RetryAfter { message, .. }
            | Self::BadResponse(message)
            | Self::Source(ServiceFailure { message, .. })
            | Self::Stopped { stop: Stop::Loop { chain: message, .. }, .. } => {
                redactor.redact(message);
            }
            // These say nothing that the run could have put there.
            Self::Stopped { .. } | Self::Invalid(_) | Self::Panic => {}
        }
    }

    /// The problem a client is answered with.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Thrown { message, code, at } => placed(Problem::new(*code, message.clone()), at),
            Self::Http { status, message, at } => {
                let mut problem = Problem::new(code_of(*status), message.clone());
                problem.status = *status;
                placed(problem, at)
            }
            Self::Terminal { message, at } => placed(Problem::new(Code::ScriptError, message.clone()), at),
            Self::RetryAfter { seconds, message, at } => {
                placed(Problem::new(Code::ScriptError, message.clone()).retry_after_s(*seconds), at)
            }
            Self::Stopped { stop, at } => placed(stop.problem(), at),
            Self::Invalid(errors) => Problem::new(Code::ScriptError, "the script does not compile")
                .errors(errors.clone())
                .hint("save a version that compiles"),
            Self::BadResponse(message) => Problem::new(Code::BadScriptResponse, message.clone()),
            Self::Source(failure) => Problem::new(failure.code, failure.message.clone()),
            Self::Panic => Problem::internal(),
        }
    }
}

fn placed(mut problem: Problem, at: &Option<ScriptPosition>) -> Problem {
    problem.at = at.clone();
    problem
}

/// The code that means the same as an `http_error`'s status, where the list has one.
pub(crate) fn code_of(status: u16) -> Code {
    match status {
        400 => Code::Malformed,
        401 => Code::Unauthenticated,
        403 => Code::Forbidden,
        404 => Code::NotFound,
        409 => Code::Conflict,
        412 => Code::PreconditionFailed,
        413 => Code::TooLarge,
        422 => Code::Invalid,
        429 => Code::RateLimited,
        _ => Code::ScriptError,
    }
}

/// The codes of a port's failure that a client should see although the script did not mean it to.
fn kept(code: Code) -> bool {
    matches!(
        code,
        Code::StorageFull
            | Code::Overloaded
            | Code::NodeAway
            | Code::Corrupted
            | Code::Deadline
            | Code::Loop
            | Code::BadScriptResponse
            | Code::WorkerLost
    )
}

/// What became of the run `state` that Rhai ended with `error`.
pub(crate) fn from_rhai(error: &EvalAltResult, state: &RunState) -> RunError {
    let (inner, source, position) = innermost(error, &state.call.script);
    let at = placed_at(source, position);
    if let Some(stop) = state.stopped() {
        return RunError::Stopped { stop: stop.clone(), at };
    }
    match inner {
        EvalAltResult::ErrorRuntime(value, _) => from_thrown(value, at),
        EvalAltResult::ErrorStackOverflow(_) => {
            RunError::Stopped { stop: Stop::limit("call_levels", state.call.limits.call_levels), at }
        }
        other => RunError::Thrown { message: sentence(other), code: Code::ScriptError, at },
    }
}

/// Follows the wrappers of function calls and modules to what went wrong, with the source and position nearest to it.
fn innermost<'e>(error: &'e EvalAltResult, script: &'e str) -> (&'e EvalAltResult, &'e str, Position) {
    let (mut error, mut source, mut position) = (error, script, error.position());
    loop {
        let (inner, inner_source) = match error {
            EvalAltResult::ErrorInFunctionCall(_, inner_source, inner, _) => (inner, inner_source.as_str()),
            EvalAltResult::ErrorInModule(module, inner, _) => (inner, module.as_str()),
            _ => return (error, source, position),
        };
        error = inner;
        if !error.position().is_none() {
            position = error.position();
            if !inner_source.is_empty() {
                source = inner_source;
            }
        }
    }
}

/// The source and position nearest to what went wrong in `script`.
pub(crate) fn place<'e>(error: &'e EvalAltResult, script: &'e str) -> (&'e str, Position) {
    let (_inner, source, position) = innermost(error, script);
    (source, position)
}

/// The value that was thrown, if it was a `throw`.
pub(crate) fn innermost_thrown(error: &EvalAltResult) -> Option<&Dynamic> {
    match innermost(error, "").0 {
        EvalAltResult::ErrorRuntime(value, _) => Some(value),
        _ => None,
    }
}

fn placed_at(script: &str, position: Position) -> Option<ScriptPosition> {
    let line = position.line()?;
    Some(ScriptPosition { script: script.to_owned(), line, column: position.position().unwrap_or(0) })
}

/// Longest text of a thrown value that is kept.
const THROWN_BYTES_MAX: usize = 4096;

fn from_thrown(value: &Dynamic, at: Option<ScriptPosition>) -> RunError {
    let Some(map) = value.read_lock::<Map>() else {
        return RunError::Thrown { message: in_words(value), code: Code::ScriptError, at };
    };
    let text = |key: &str| map.get(key).and_then(|field| field.clone().into_string().ok());
    let number = |key: &str| map.get(key).and_then(|field| field.as_int().ok());
    let Some(message) = text("message") else {
        return RunError::Thrown { message: in_words(value), code: Code::ScriptError, at };
    };
    let message = shortened(message);
    match text("kind").as_deref() {
        Some(KIND_HTTP) => {
            let status = number("status").and_then(|status| u16::try_from(status).ok());
            match status.filter(|status| (400..600).contains(status)) {
                Some(status) => RunError::Http { status, message, at },
                None => RunError::Thrown { message, code: Code::ScriptError, at },
            }
        }
        Some(KIND_TERMINAL) => RunError::Terminal { message, at },
        Some(KIND_RETRY_AFTER) => {
            let seconds = number("seconds").and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0);
            RunError::RetryAfter { seconds, message, at }
        }
        _ => {
            let code = text("code").and_then(|code| Code::ALL.iter().copied().find(|known| known.as_str() == code));
            RunError::Thrown { message, code: code.filter(|code| kept(*code)).unwrap_or(Code::ScriptError), at }
        }
    }
}

/// A thrown value as text, of bounded depth and length.
fn in_words(value: &Dynamic) -> String {
    if value.is_unit() {
        return "the script threw `()`, which says nothing: throw a text".to_owned();
    }
    if let Ok(character) = value.as_char() {
        return character.to_string();
    }
    if let Ok(text) = value.clone().into_string() {
        return shortened(text);
    }
    if value.is::<crate::response::Response>() {
        return "the script threw an answer of respond(…): return it, or throw http_error(status, message)".to_owned();
    }
    let mut text = String::new();
    crate::natives::print::write_bounded(&mut text, value, THROWN_BYTES_MAX);
    shortened(text)
}

fn shortened(mut text: String) -> String {
    if text.len() > THROWN_BYTES_MAX {
        let end = (0..=THROWN_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What Rhai calls a string in the signature of a function it did not find.
const RHAI_STRINGS: &str = "&str | ImmutableString | String";

/// Rhai's message without the position, which stands in `at`.
fn sentence(error: &EvalAltResult) -> String {
    let mut bare = error.to_string();
    if let Some(at) = bare.rfind(" (line ") {
        bare.truncate(at);
    }
    shortened(bare.replace(RHAI_STRINGS, "string"))
}
