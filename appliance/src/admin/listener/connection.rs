//! One connection, at whichever door: its bounds, and who asks in each of its requests.

use super::http2;
use super::unread::{self, Kept};
use crate::admin::peer::Admitted;
use crate::admin::refusal::Refusal;
use crate::admin::visitor::{self, Visitor};
use crate::appliance::Appliance;
use crate::nodes::node_api::{self, Remote};
use axum::Router;
use axum::response::{IntoResponse, Response};
use http::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use picloud_model::problem::Problem;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// How long a request's head may take to arrive; also how long a connection may wait for its next request.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of a request.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Headers of one request.
const HEADERS_MAX: usize = 200;

/// Read and thrown away of a body that is refused: as much as the largest that is ever taken, and some.
const DISCARDED_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// The same where nobody knows who sends it.
const DISCARDED_BYTES_OF_STRANGERS_MAX: u64 = 1024 * 1024;

/// What every connection leads to.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) appliance: Arc<Appliance>,
    pub(super) router: Router,
}

/// Who connected, as far as the connection tells.
#[derive(Clone)]
pub(super) enum Peer {
    /// Somebody of this machine, or why they may not come in.
    Local(Admitted),
    /// Somebody at an address; each request says who, or the connection's certificate does.
    Remote(Remote),
}

/// Serves the connection until either side ends it.
pub(super) async fn serve<S>(stream: S, door: Door, peer: Peer, mut end: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Door { appliance, router } = door;
    let router = TowerToHyperService::new(router);
    let (is_http2, is_node) = match &peer {
        Peer::Remote(remote) => (remote.is_http2, remote.node.is_some()),
        Peer::Local(_) => (false, false),
    };
    let service = service_fn(move |request| answer(request, peer.clone(), Arc::clone(&appliance), router.clone()));
    if is_http2 {
        return http2::serve(stream, service, is_node, end).await;
    }
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = super::ended(&mut end) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the admin API ended early");
    }
}

pub(super) async fn answer(
    request: Request<Incoming>,
    peer: Peer,
    appliance: Arc<Appliance>,
    router: TowerToHyperService<Router>,
) -> Result<Response, Infallible> {
    let visitor = match peer {
        Peer::Local(Ok(principal)) => Visitor::local(principal),
        Peer::Local(Err(problem)) => {
            visitor::note_stranger(&appliance, &problem);
            return Ok(Refusal(*problem).into_response());
        }
        Peer::Remote(remote) if request.uri().path().starts_with(node_api::BASE) => {
            return Ok(node_api::answer(appliance, request, remote).await);
        }
        Peer::Remote(remote) => Visitor::remote(&appliance, remote.address, request.headers()),
    };
    let discarded_max = if visitor.is_known() { DISCARDED_BYTES_MAX } else { DISCARDED_BYTES_OF_STRANGERS_MAX };
    let (head, body) = request.into_parts();
    let (body, comes_back) = Kept::new(body);
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(visitor);
    // In a task of its own: what a request has begun is finished also where its client does not stay to hear of it, for
    // what is in the store must reach the worker.
    let answered = tokio::spawn(async move { router.call(request).await }).await;
    unread::discard(comes_back, discarded_max).await;
    answered.unwrap_or_else(|error| {
        tracing::error!(%error, "a request to the admin API did not come to its end");
        Ok(Refusal(Problem::internal()).into_response())
    })
}
