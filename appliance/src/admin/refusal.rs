//! Problems as answers: every error of the admin API is `application/problem+json`, and is made here.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use picloud_model::problem::{Code, Problem};
use picloud_store::StoreError;

/// What a handler answers instead.
pub(crate) struct Refusal(pub(crate) Problem);

/// What a handler returns.
pub(super) type Answer<T> = Result<T, Refusal>;

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self(from_store(error))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let body = serde_json::to_vec(&problem).expect("a problem has only plain fields");
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if problem.code == Code::Unauthenticated {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = problem.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What a failed call of the store is to whoever asked for it. Logs what is not theirs to know.
pub fn from_store(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict { message, in_the_way } => Problem::new(Code::Conflict, message).conflicts(in_the_way),
        StoreError::Stale { expected, actual } => {
            Problem::new(Code::PreconditionFailed, format!("it is at {actual} now, not at {expected}"))
                .hint("read it again, and change what is there now")
        }
        error @ StoreError::OtherBytes { .. } => Problem::new(Code::PreconditionFailed, error.to_string())
            .hint("read it again, and change what is there now"),
        StoreError::BadCursor => {
            Problem::new(Code::Malformed, "`cursor` is not one of this list's").hint("start again without `cursor`")
        }
        StoreError::Full(source) => {
            // The store itself has logged it, once a transaction.
            tracing::debug!(error = %source, "the disk is full: nothing can be written");
            Problem::new(Code::StorageFull, "the disk is full: nothing was written")
                .hint("make room (`df -h`); reading goes on meanwhile")
        }
        StoreError::Overloaded => {
            Problem::new(Code::Overloaded, "more writes are waiting than the store takes").retry_after_s(1)
        }
        error @ StoreError::Backlog { limit, .. } => Problem::new(Code::Overloaded, error.to_string())
            .limit("queued_deliveries", limit)
            .hint("`picloud triggers list` shows what waits; a paused trigger queues until it is resumed")
            .retry_after_s(60),
        error @ StoreError::Quota { limit_bytes, .. } => Problem::new(Code::StorageFull, error.to_string())
            .limit("files_app_bytes", limit_bytes)
            .hint("remove files, or raise `files_app_bytes` in [limits] of app.toml"),
        StoreError::Away(source) => {
            // That it went away is said once, by who listens to it.
            tracing::debug!(error = %crate::appliance::with_sources(source.as_ref()), "the database does not answer");
            Problem::new(Code::Overloaded, "the database does not answer; what was to be changed may have been, or not")
                .hint("it is used again as soon as it is back: look whether it was done, and try again")
                .retry_after_s(2)
        }
        StoreError::Backend(source) => {
            tracing::error!(error = %crate::appliance::with_sources(source.as_ref()), "the database failed");
            Problem::internal()
        }
    }
}
