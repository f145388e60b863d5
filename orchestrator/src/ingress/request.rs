//! One request: which app, route or file it means, what refuses it, and the answer.

use super::io::Shared;
use super::request_body::{self, Share};
use super::{Answer, AnswerBody, Ingress, RunInput};
use crate::path::NormalPath;
use crate::problem_response::problem_response;
use crate::route_table::{Found, Matched};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use picloud_model::route::RouteAuth;
use picloud_model::{Code, Problem};
use std::convert::Infallible;
use std::sync::Arc;

/// What `OPTIONS *` is told: the methods an app may have.
const ALL_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Answers one request; never fails, for errors are answers.
pub(super) async fn handle<A: Answer>(
    ingress: Arc<Ingress<A>>,
    remote: Arc<str>,
    connection: Arc<Shared>,
    incoming: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    connection.begin();
    let (head, body) = incoming.into_parts();
    let mut body = Some(body).filter(|body| !body.is_end_stream());
    let had_body = body.is_some();
    let answer = answer(&ingress, &remote, &connection, &head, &mut body).await;
    let mut answer = answer.unwrap_or_else(|problem| problem_response(&problem).map(AnswerBody::full));
    // A body that was not read to its end would be taken for the next request.
    if had_body && body.is_some() {
        connection.leave_body();
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    connection.end();
    Ok(answer)
}

async fn answer<A: Answer>(
    ingress: &Ingress<A>,
    remote: &str,
    connection: &Shared,
    head: &Parts,
    body: &mut Option<Incoming>,
) -> Result<Response<AnswerBody>, Problem> {
    if head.method == Method::OPTIONS && head.uri.path() == "*" {
        return Ok(allow(StatusCode::NO_CONTENT, ALL_METHODS.to_owned()));
    }
    let host = host(head)?;
    let path = NormalPath::parse(head.uri.path())?;
    let live = ingress.live.load_full();
    match live.table.find(host, &path, head.method.as_str()) {
        Found::Script(matched) => run(ingress, remote, connection, head, &path, matched, body).await,
        Found::File { app, file } => Ok(ingress.files.answer(app, file, &head.method, &head.headers).await),
        Found::Folder => Ok(to_folder(head, &path)),
        Found::Health => Ok(health()),
        Found::Options(methods) => Ok(allow(StatusCode::NO_CONTENT, methods)),
        Found::MethodNotAllowed(methods) => {
            let problem =
                Problem::new(Code::MethodNotAllowed, format!("`{}` does not answer to {}", path.as_str(), head.method))
                    .hint(format!("it answers to {methods}"));
            let mut response = problem_response(&problem).map(AnswerBody::full);
            response.headers_mut().insert(header::ALLOW, header_text(methods));
            Ok(response)
        }
        Found::Nothing => Err(no_route(&path, host)),
    }
}

async fn run<A: Answer>(
    ingress: &Ingress<A>,
    remote: &str,
    connection: &Shared,
    head: &Parts,
    path: &NormalPath<'_>,
    matched: Matched<'_>,
    body: &mut Option<Incoming>,
) -> Result<Response<AnswerBody>, Problem> {
    let Matched { app, route, script, params, head_as_get } = matched;
    if route.auth == RouteAuth::Key {
        return Err(Problem::new(Code::Unauthenticated, format!("`{}` needs an API key with the scope `invoke`", route.path))
            .hint("send `Authorization: Bearer KEY`; this version has no keys yet, so make the route public with `auth = \"public\"`"));
    }
    let Some(script) = script else {
        tracing::error!(
            app = app.name,
            script = route.script,
            "route `{}` leads to a script that is not there",
            route.path
        );
        return Err(Problem::internal());
    };
    if let Some(crashes) = script.quarantined_after_crashes {
        return Err(Problem::new(
            Code::WorkerLost,
            format!(
                "script `{}` of app `{}` took its worker down {crashes} times and is not run any more",
                script.name, app.name
            ),
        )
        .hint(format!("save a new version of it, or `picloud --app {} scripts release {}`", app.name, script.name)));
    }
    let mut share = Share::none(&ingress.bodies);
    let mut bytes = Bytes::new();
    if let Some(incoming) = body {
        bytes = request_body::read(incoming, app.limits.request_body_bytes, &ingress.settings, &mut share).await?;
        *body = None;
    }
    let input = RunInput {
        app,
        route,
        script,
        params,
        method: if head_as_get { "GET" } else { head.method.as_str() },
        path: path.as_str(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        remote_addr: remote,
        body: bytes,
        client: connection.client(head.method == Method::HEAD),
    };
    Ok(ingress.answer.answer(input).await.map(AnswerBody::full))
}

/// The host the request is for: of its URL, where that has one, else of its one `Host`.
fn host(head: &Parts) -> Result<Option<&str>, Problem> {
    let mut named = head.headers.get_all(header::HOST).iter();
    let first = named.next();
    if named.next().is_some() {
        return Err(Problem::new(Code::Malformed, "the request has more than one `Host` header"));
    }
    if let Some(authority) = head.uri.authority() {
        return Ok(Some(authority.as_str()));
    }
    match first {
        None if head.version == Version::HTTP_11 => {
            Err(Problem::new(Code::Malformed, "the request has no `Host` header").hint("HTTP/1.1 needs one"))
        }
        None => Ok(None),
        Some(host) => host.to_str().map(Some).map_err(|_not_ascii| {
            Problem::new(Code::Malformed, "the `Host` header has characters that no host name has")
        }),
    }
}

fn no_route(path: &NormalPath<'_>, host: Option<&str>) -> Problem {
    let on_host = host.map(|host| format!(" on host `{host}`")).unwrap_or_default();
    Problem::new(Code::NoRoute, format!("no app answers `{}`{on_host}", path.as_str()))
        .hint("`picloud routes list` shows what is answered")
}

/// `/docs` becomes `/docs/`, so that relative links of its `index.html` lead where they should.
fn to_folder(head: &Parts, path: &NormalPath<'_>) -> Response<AnswerBody> {
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = Response::new(AnswerBody::bytes(Bytes::new()));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let location = header_text(format!("{}/{query}", path.encoded()));
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn health() -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::bytes(Bytes::from_static(br#"{"status":"ok"}"#)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn allow(status: StatusCode, methods: String) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::bytes(Bytes::new()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::ALLOW, header_text(methods));
    response
}

fn header_text(text: String) -> HeaderValue {
    // Methods and encoded paths are ASCII without control characters; should one not be, none is better than a panic.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}
