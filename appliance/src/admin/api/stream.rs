//! Answers that are streams of events: who may have one, and what ends it.

use crate::admin::access::{MaySome, Permission};
use crate::admin::refusal::Answer;
use crate::watch::{OpenStream, STREAMS_MAX};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use picloud_model::problem::{Code, Problem};
use std::convert::Infallible;

/// When whoever finds no room may try again.
const RETRY_AFTER_S: u32 = 10;

/// What a stream holds until it ends.
pub(super) struct Followed<C> {
    /// Who follows.
    pub(super) asked: MaySome<C>,
    /// Its place among all streams.
    #[expect(dead_code, reason = "it is held, and given back when the stream ends")]
    pub(super) open: OpenStream,
}

/// Room for one more stream; 503 where there is none.
pub(super) fn open<C>(asked: &MaySome<C>) -> Answer<OpenStream> {
    let room = asked.streams.open().ok_or_else(|| {
        Problem::new(Code::Overloaded, format!("{STREAMS_MAX} streams are open, which is the most there may be"))
            .limit("streams", STREAMS_MAX as u64)
            .retry_after_s(RETRY_AFTER_S)
    });
    Ok(room?)
}

/// Refuses an app that they may not see, and one that is not there.
pub(super) async fn check_app<C: Permission>(asked: &MaySome<C>, app: &str) -> Answer<()> {
    asked.check(app)?;
    asked.store.app(app).await?.ok_or_else(|| Problem::not_found("app", app))?;
    Ok(())
}

/// Where the events of one stream come from.
pub(super) trait Source<C>: Send + 'static {
    /// The next one that whoever asks may see; `None` at the end. It may be given up while it waits.
    fn next(&mut self, asked: &MaySome<C>) -> impl Future<Output = Option<Event>> + Send;
}

/// `first`, and then what `source` gives: until it has no more, the appliance stops, or the caller may not ask any
/// more.
///
/// Nothing is sent while nothing happens: a connection that is gone is noticed by TCP.
pub(super) fn answer<C: Permission>(followed: Followed<C>, first: Event, source: impl Source<C>) -> Response {
    let events = stream::unfold((followed, source), async |(followed, mut source)| {
        let asked = &followed.asked;
        let event = tokio::select! {
            biased;
            () = asked.ended() => None,
            () = asked.gone() => None,
            event = source.next(asked) => event,
        };
        event.map(|event| (event, (followed, source)))
    });
    let events = stream::iter([first]).chain(events).map(Ok::<_, Infallible>);
    let mut response = Sse::new(events).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
