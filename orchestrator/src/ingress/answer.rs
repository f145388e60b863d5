//! The seam between HTTP and running scripts: what the ingress knows of a request, and who answers it.

use crate::parking::Client;
use crate::previews::Preview;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;
use picloud_model::principal::Principal;
use picloud_model::protocol::{AppSnapshot, RouteEntry, ScriptEntry};
use std::future::Future;
use std::sync::Arc;

/// One request that a route leads to a script with; everything borrowed lives as long as the request.
pub struct RunInput<'r> {
    /// The app, at one moment.
    pub app: &'r Arc<AppSnapshot>,
    /// The route that matched; its `path` is `ctx.request.route`.
    pub route: &'r RouteEntry,
    /// The endpoint, one of `app.scripts`; not quarantined, unless another version of it is asked for.
    pub script: &'r ScriptEntry,
    /// The version to run in place of the live one.
    pub preview: Option<&'r Preview>,
    /// Who asks, if known.
    pub principal: Option<Principal>,
    /// Whether the script is not to see `Authorization`, for it holds a key of ours.
    pub hide_authorization: bool,
    /// The route's parameters, decoded, in the order of the path.
    pub params: Vec<(String, String)>,
    /// What the script sees: `GET` also where the client sent `HEAD`, unless the route lists `HEAD`.
    pub method: &'r str,
    /// Normalised and decoded, with the app's prefix.
    pub path: &'r str,
    /// As sent, without the `?`; empty for none.
    pub query: &'r str,
    /// As sent.
    pub headers: &'r HeaderMap,
    /// The client's address without its port.
    pub remote_addr: &'r str,
    /// Whole, within the app's limit.
    pub body: Bytes,
    /// Who waits, for the parent to answer should this process die; none if it is still being sent another answer.
    pub client: Option<Client>,
}

/// Who runs scripts. Errors are answers too: the ingress sends whatever comes back.
pub trait Answer: Send + Sync + 'static {
    /// Runs the script and gives its answer.
    fn answer(&self, run: RunInput<'_>) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}
