//! What nodes ask an appliance over the network, below `/node/v1/`: who may ask what, and how refusals are said.
//!
//! A certificate says who a node is; whether it may come in is looked at in each request, so that one that was removed
//! is out at once, whatever it shows.

use super::{calls, control, enrolment};
use crate::admin::Refusal;
use crate::appliance::Appliance;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::Incoming;
use picloud_cluster::identity::Peer;
use picloud_model::audit::{Act, RefusedAct};
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::{
    PATH_CALLS, PATH_CONTROL, PATH_ENROL, PATH_RENEW, PROTOCOL, PROTOCOL_HEADER, PROTOCOL_OLDEST, agree,
};
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Notify;

/// What every path of a node begins with.
pub(crate) const BASE: &str = "/node/v1/";

/// Who is at the other end of a connection from the network, as far as it tells.
#[derive(Clone)]
pub(crate) struct Remote {
    /// From where.
    pub(crate) address: IpAddr,
    /// Whose certificate it showed, if any.
    pub(crate) node: Option<Peer>,
    /// Whether it speaks HTTP/2.
    pub(crate) is_http2: bool,
    /// Ends the connection.
    pub(crate) cut: Arc<Notify>,
}

/// Answers one request of a node.
pub(crate) async fn answer(appliance: Arc<Appliance>, request: Request<Incoming>, remote: Remote) -> Response {
    let path = request.uri().path().to_owned();
    let (mut response, protocol) = match protocol_of(&request) {
        Ok(protocol) => match route(&appliance, request, &remote).await {
            Ok(response) => (response, protocol.to_string()),
            Err(problem) => (refused(&appliance, &remote, &path, problem), protocol.to_string()),
        },
        Err(problem) => (refused(&appliance, &remote, &path, problem), format!("{PROTOCOL_OLDEST}-{PROTOCOL}")),
    };
    if let Ok(value) = HeaderValue::from_str(&protocol) {
        response.headers_mut().insert(PROTOCOL_HEADER, value);
    }
    response
}

async fn route(appliance: &Arc<Appliance>, request: Request<Incoming>, remote: &Remote) -> Result<Response, Problem> {
    if request.method() != Method::POST {
        return Err(Problem::new(Code::MethodNotAllowed, format!("nodes POST, and this is {}", request.method())));
    }
    match request.uri().path() {
        PATH_ENROL => enrolment::enrol(appliance, request.into_body(), remote).await,
        PATH_RENEW => enrolment::renew(appliance, request.into_body(), shown(remote)?).await,
        PATH_CONTROL => control::open(appliance, streamed(request)?, shown(remote)?, remote).await,
        PATH_CALLS => calls::open(appliance, streamed(request)?, shown(remote)?).await,
        path => Err(Problem::new(Code::NotFound, format!("`{path}` is no URL of the node API"))
            .hint("the node may be newer than this appliance: update PiCloud on the appliance")),
    }
}

/// The protocol that both speak.
fn protocol_of(request: &Request<Incoming>) -> Result<u32, Problem> {
    let said = request.headers().get(PROTOCOL_HEADER).and_then(|value| value.to_str().ok());
    let Some(said) = said else {
        return Err(Problem::new(Code::Malformed, format!("the request has no header `{PROTOCOL_HEADER}`"))
            .hint("this port's /node/v1/ is for picloud-node"));
    };
    agree((PROTOCOL_OLDEST, PROTOCOL), said).map_err(|why| {
        // It is the node that reads this.
        let why = why.replace("this machine", "the appliance").replace("that machine", "the node");
        Problem::new(Code::Conflict, why)
    })
}

/// Whose certificate was shown.
fn shown(remote: &Remote) -> Result<&Peer, Problem> {
    remote.node.as_ref().ok_or_else(|| {
        Problem::new(Code::Unauthenticated, "no certificate of a node was shown")
            .hint("a node gets one by joining: `picloud-node join`, then `picloud nodes approve`")
    })
}

/// A body that goes on while the answer does.
fn streamed(request: Request<Incoming>) -> Result<Incoming, Problem> {
    if request.version() != Version::HTTP_2 {
        return Err(Problem::new(Code::Malformed, "this URL streams in both directions, which needs HTTP/2"));
    }
    Ok(request.into_body())
}

/// An answer of JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Response {
    let body = serde_json::to_vec(value).expect("what nodes are answered has only plain fields");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Says no: to the node, once to the log, and to the audit log.
fn refused(appliance: &Appliance, remote: &Remote, path: &str, problem: Problem) -> Response {
    let from = remote.address.to_string();
    // A stranger who waits in vain is no news.
    if problem.code != Code::RequestTimeout {
        let name = remote.node.as_ref().map_or_else(
            || crate::tasks::refusals::STRANGER.to_owned(),
            |node| appliance.cluster.name_of(&node.id).unwrap_or_else(|| node.id.to_string()),
        );
        if appliance.cluster.is_news(remote.address, problem.code) {
            tracing::warn!(from, node = %name, path, "a node was refused: {problem}");
        }
        let who = Principal { kind: PrincipalKind::Node, name };
        appliance.refused(RefusedAct {
            act: Act { who, from, at: appliance.clock.now_ms(), message: None },
            action: "node.connect".to_owned(),
            app: None,
            target: path.to_owned(),
            reason: serde_json::json!({ "code": problem.code, "detail": problem.detail }),
        });
    }
    Refusal(problem).into_response()
}
