//! One connection from its first byte to its last: hyper speaks HTTP, this keeps the time and hears the drain.
//!
//! One timer a connection, moved only when it has fired or must fire earlier: a request costs a look at the
//! clock, not a timer.

use super::io::{Io, Phase, Shared};
use super::{Answer, Ingress, request};
use crate::problem_response::problem_bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use picloud_model::limits::{REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX};
use picloud_model::{Code, Problem};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

/// What the ingress is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Answering.
    Serving,
    /// Finishing what is under way.
    Draining,
    /// Going now.
    Closing,
}

/// How a connection's loop ended.
enum End {
    Closed,
    /// The client took too long; with a head half sent it is told so.
    TimedOut {
        in_head: bool,
    },
}

/// Serves the connection until either side ends it.
pub(super) async fn run<A: Answer>(
    ingress: Arc<Ingress<A>>,
    stream: TcpStream,
    peer: SocketAddr,
    mut stage: watch::Receiver<Stage>,
) {
    // Without it, only its answer in case of the worker's death is missing.
    let again = stream.as_fd().try_clone_to_owned().ok();
    let shared = Arc::new(Shared::new(again));
    let remote: Arc<str> = peer.ip().to_canonical().to_string().into();
    let settings = ingress.settings.clone();
    let ingress_counting = Arc::clone(&ingress.counting);
    let service = service_fn({
        let shared = Arc::clone(&shared);
        move |incoming| request::handle(Arc::clone(&ingress), Arc::clone(&remote), Arc::clone(&shared), incoming)
    });
    let io = TokioIo::new(Io::new(stream, Arc::clone(&shared)));
    let mut http = http1::Builder::new();
    // Time is kept here: hyper's own timer would be made anew for every request.
    http.header_read_timeout(None)
        .max_headers(REQUEST_HEADERS_MAX)
        .max_header_size(REQUEST_HEAD_BYTES_MAX)
        .max_buf_size(REQUEST_HEAD_BYTES_MAX)
        .half_close(false);
    let mut connection = http.serve_connection(io, service);

    let mut draining = pin!(reached(stage.clone(), Stage::Draining));
    let mut closing = pin!(reached(stage.clone(), Stage::Closing));
    let mut listening = false;
    let mut leaving: Option<Leaving> = None;
    let mut watch = Watch::new(&settings, &shared);
    let end = poll_fn(|cx| {
        if Pin::new(&mut connection).poll(cx).is_ready() {
            return Poll::Ready(End::Closed);
        }
        // Asked once to be woken, then only when there is something to hear: a request pays for a load.
        if !listening || stage.has_changed().unwrap_or(true) {
            listening = true;
            stage.mark_unchanged();
            if leaving.is_none() && draining.as_mut().poll(cx).is_ready() {
                shared.leave();
                leaving = Some(Leaving::begin(&settings));
            }
            if closing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
        }
        if let Some(leaving) = &mut leaving
            && leaving.is_time(&shared, cx)
        {
            Pin::new(&mut connection).graceful_shutdown();
            if Pin::new(&mut connection).poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
        }
        watch.poll(cx).map(|phase| End::TimedOut { in_head: phase == Phase::Head })
    })
    .await;

    let refusal = match (end, shared.refused()) {
        (_, Some(status)) => refusal(status),
        (End::TimedOut { in_head: true }, None) => Problem::new(
            Code::RequestTimeout,
            format!("the head of the request did not come within {:?}", settings.head),
        ),
        _ => return,
    };
    ingress_counting.answered(refusal.status);
    let mut io = connection.into_parts().io.into_inner();
    io.try_send(&problem_bytes(&refusal, false));
    let _left = tokio::time::timeout(settings.linger, poll_fn(|cx| io.poll_linger(cx))).await;
}

/// Done once the ingress is at `wanted` or further, or gone.
async fn reached(mut stage: watch::Receiver<Stage>, wanted: Stage) {
    let _gone_is_closing = stage.wait_for(|stage| *stage >= wanted).await;
}

/// Why hyper could not read a head, by the status it would have sent.
fn refusal(status: u16) -> Problem {
    let kib = REQUEST_HEAD_BYTES_MAX / 1024;
    match status {
        431 => Problem::new(
            Code::HeadTooLarge,
            format!("the head of the request has more than {REQUEST_HEADERS_MAX} headers or {kib} KiB"),
        ),
        414 => Problem::new(Code::HeadTooLarge, format!("the request's URL has more than {kib} KiB")),
        _ => Problem::new(Code::Malformed, "the head of the request is not HTTP/1.1")
            .hint("look at its first line and its lengths; this port speaks HTTP/1.1, not HTTPS"),
    }
}

/// A connection of a worker that is to stop. One that waits for a request is not closed at once, for that may be on its
/// way, and would be lost.
struct Leaving {
    told: bool,
    timer: Pin<Box<Sleep>>,
}

impl Leaving {
    fn begin(settings: &super::IngressSettings) -> Self {
        Self { told: false, timer: Box::pin(sleep_until(Instant::now() + settings.last_request)) }
    }

    /// True once: when no further request is to be taken.
    fn is_time(&mut self, shared: &Shared, cx: &mut Context<'_>) -> bool {
        let is_time = !self.told && (shared.phase() == Phase::Busy || self.timer.as_mut().poll(cx).is_ready());
        self.told |= is_time;
        is_time
    }
}

/// The connection's one timer.
struct Watch<'c> {
    shared: &'c Shared,
    limits: [Option<Duration>; 4],
    phase: Phase,
    since: Instant,
    timer: Pin<Box<Sleep>>,
    registered: bool,
}

impl<'c> Watch<'c> {
    fn new(settings: &super::IngressSettings, shared: &'c Shared) -> Self {
        let since = Instant::now();
        let mut limits = [None; 4];
        limits[Phase::Idle as usize] = Some(settings.keep_alive);
        limits[Phase::Head as usize] = Some(settings.head);
        limits[Phase::Lingering as usize] = Some(settings.linger);
        let timer = Box::pin(sleep_until(since + settings.head));
        Self { shared, limits, phase: Phase::Head, since, timer, registered: false }
    }

    /// Ready with the phase that took too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Phase> {
        let now = Instant::now();
        let phase = self.shared.phase();
        // In a head, bytes that trickle in win no time.
        if (self.shared.has_moved() && phase == Phase::Idle) || phase != self.phase {
            self.phase = phase;
            self.since = now;
        }
        // Busy is ours to bound: bodies and runs have their own deadlines.
        let limit = self.limits[phase as usize];
        if limit.is_some_and(|limit| now >= self.since + limit) {
            return Poll::Ready(phase);
        }
        let wanted = limit.map_or(now + LOOK_AGAIN, |limit| self.since + limit);
        let fires = self.timer.deadline();
        if limit.is_some() && wanted < fires || now >= fires {
            self.timer.as_mut().reset(wanted);
            self.registered = false;
        }
        if !self.registered {
            self.registered = true;
            if self.timer.as_mut().poll(cx).is_ready() {
                // It fired between the two looks at the clock.
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

/// While a request is under way the timer has nothing to say; it is only kept from being in the past.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
