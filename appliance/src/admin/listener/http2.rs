//! HTTP/2: many requests over one connection, which is over when none has been under way for a while.

use super::connection::{HEAD_BYTES_MAX, HEAD_TIMEOUT};
use super::ended;
use axum::body::{Body, Bytes};
use axum::response::Response;
use http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// Requests at once over one connection.
const STREAMS_MAX: u32 = 64;
/// A node's connection may be without any request for so long.
const NODE_IDLE_MAX: Duration = Duration::from_secs(60);
/// Bytes that a node may send in one request before they are read …
const NODE_STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// … and in all of them: calls that wait must not hold up its beats.
const NODE_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// How many requests are under way, answers that go on included.
#[derive(Clone)]
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn begin(&self) -> One {
        self.0.send_modify(|count| *count += 1);
        One(self.clone())
    }
}

/// One of them, until it is dropped.
struct One(UnderWay);

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// An answer's body; the request is under way until it is over.
struct Counted {
    body: Body,
    _one: One,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves the connection until either side ends it.
pub(super) async fn serve<S, A>(stream: S, service: A, is_node: bool, end: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + Sync + 'static,
    A::Future: Send + 'static,
{
    let idle_max = if is_node { NODE_IDLE_MAX } else { HEAD_TIMEOUT };
    serve_while_busy(stream, service, is_node, idle_max, end).await;
}

async fn serve_while_busy<S, A>(
    stream: S,
    service: A,
    is_node: bool,
    idle_max: Duration,
    mut end: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + Sync + 'static,
    A::Future: Send + 'static,
{
    let (under_way, mut count) = watch::channel(0);
    let under_way = UnderWay(under_way);
    let service = service_fn(move |request| {
        let one = under_way.begin();
        let answered = service.call(request);
        async move { answered.await.map(|response| response.map(|body| Counted { body, _one: one })) }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).expect("it is a small number"));
    if is_node {
        builder.initial_stream_window_size(NODE_STREAM_WINDOW_BYTES).initial_connection_window_size(NODE_WINDOW_BYTES);
    }
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = async { tokio::select! { () = ended(&mut end) => {}, () = idle(&mut count, idle_max) => {} } } => {
            connection.as_mut().graceful_shutdown();
            // Whoever holds it open now holds nothing: nodes' streams end with the appliance.
            tokio::time::timeout(HEAD_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP/2 connection to the admin API ended early");
    }
}

/// Ends when no request has been under way for so long.
async fn idle(count: &mut watch::Receiver<usize>, idle_max: Duration) {
    loop {
        // An error says that the service is gone, and the connection with it.
        if count.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        if tokio::time::timeout(idle_max, count.wait_for(|count| *count > 0)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    /// A connection ends when it asks for nothing, and not while an answer goes on.
    #[tokio::test]
    async fn a_connection_lasts_as_long_as_an_answer_goes_on_and_not_much_longer() {
        let (here, there) = tokio::io::duplex(64 * 1024);
        let (over, is_over) = oneshot::channel::<()>();
        let is_over = std::sync::Mutex::new(Some(is_over));
        let service = service_fn(move |_request: Request<Incoming>| {
            let is_over = is_over.lock().unwrap().take().expect("there is one request");
            let body = futures_util::stream::once(async move {
                drop(is_over.await);
                Ok::<_, Infallible>(Bytes::from_static(b"done"))
            });
            async move { Ok::<_, Infallible>(Response::new(Body::from_stream(body))) }
        });
        let (_stop, end) = watch::channel(false);
        let serving = tokio::spawn(serve_while_busy(there, service, false, Duration::from_millis(50), end));
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(here)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("https://x/").body(Body::empty()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(200), async {
            while !serving.is_finished() {
                tokio::task::yield_now().await;
            }
        });
        assert!(waited.await.is_err(), "the answer goes on");
        over.send(()).unwrap();
        drop(answer);
        serving.await.unwrap();
    }
}
