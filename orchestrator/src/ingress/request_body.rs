//! Reading a request's body: whole, within the app's limit, within time, within what the worker can hold.

use super::IngressSettings;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use picloud_model::{Code, Problem};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Bytes of bodies held by all requests of this worker.
pub(super) struct BodyBudget {
    held: AtomicUsize,
    max: usize,
}

impl BodyBudget {
    pub(super) fn new(max: usize) -> Self {
        Self { held: AtomicUsize::new(0), max }
    }
}

/// A body's share of the budget, given back when the request is answered.
pub(super) struct Share<'b> {
    budget: &'b BodyBudget,
    bytes: usize,
}

impl<'b> Share<'b> {
    pub(super) fn none(budget: &'b BodyBudget) -> Self {
        Self { budget, bytes: 0 }
    }

    fn grow(&mut self, by: usize) -> Result<(), Problem> {
        let before = self.budget.held.fetch_add(by, Relaxed);
        self.bytes += by;
        if before + by > self.budget.max {
            let mib = self.budget.max / (1024 * 1024);
            return Err(Problem::new(Code::Overloaded, format!("requests under way hold {mib} MiB of bodies already"))
                .hint("send again in a moment")
                .retry_after_s(1));
        }
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Relaxed);
    }
}

/// The whole body, at most `limit_bytes` of it.
pub(super) async fn read(
    body: &mut Incoming,
    limit_bytes: u64,
    settings: &IngressSettings,
    share: &mut Share<'_>,
) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(Code::TooLarge, format!("the body of the request has more than {limit_bytes} bytes"))
            .hint("set `request_body_bytes` under [limits] in app.toml")
            .limit("request_body_bytes", limit_bytes)
    };
    // What was announced is refused before it is sent.
    if body.size_hint().lower() > limit_bytes {
        return Err(too_large());
    }
    let expected = body.size_hint().exact();
    let began = Instant::now();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut length = 0;
    loop {
        let earned = Duration::from_secs(length / settings.body_bytes_per_second_min.max(1));
        let deadline = (Instant::now() + settings.body_pause).min(began + settings.body_grace + earned);
        let Ok(frame) = timeout_at(deadline, body.frame()).await else {
            let seconds = began.elapsed().as_secs();
            return Err(Problem::new(
                Code::RequestTimeout,
                format!("of the body of the request {length} bytes had come after {seconds} s"),
            )
            .hint("the connection is too slow, or the request announces more bytes than it sends"));
        };
        let Some(frame) = frame else { break };
        let frame = frame
            .map_err(|error| Problem::new(Code::Malformed, format!("the body of the request broke off: {error}")))?;
        // Trailers are nothing a script sees.
        let Ok(part) = frame.into_data() else { continue };
        length += part.len() as u64;
        if length > limit_bytes {
            return Err(too_large());
        }
        share.grow(part.len())?;
        if first.is_empty() {
            first = part;
        } else {
            if rest.is_empty() {
                rest.reserve(usize::try_from(expected.unwrap_or(0)).unwrap_or(0).max(2 * first.len()));
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&part);
        }
    }
    // Most bodies come in one part, which is not copied.
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}
