//! One request: which app, route or file it means, what refuses it, and the answer.

use super::access::{Admitted, Entrance, Needs};
use super::forward;
use super::io::Shared;
use super::later;
use super::request_body::{self, Share};
use super::signed;
use super::{Answer, AnswerBody, Ingress, RunInput};
use crate::live::Live;
use crate::path::NormalPath;
use crate::problem_response::problem_response;
use crate::route_table::{Found, Matched};
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use picloud_model::protocol::{AppSnapshot, ScriptEntry};
use picloud_model::route::RouteAuth;
use picloud_model::{Code, Problem};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What `OPTIONS *` is told: the methods an app may have.
const ALL_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// The header that asks for a version by its number, and says which one answered.
const VERSION: HeaderName = HeaderName::from_static("x-picloud-version");

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
    let mut answer = answer(&ingress, &remote, &connection, &head, &mut body).await;
    // A body that was not read to its end would be taken for the next request.
    let is_body_left = had_body && body.is_some();
    if is_body_left {
        connection.leave_body();
    }
    if is_body_left || connection.is_leaving() {
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
) -> Response<AnswerBody> {
    let live = ingress.live.load_full();
    let refused = match find(ingress, &live, head).await {
        Ok(Step::Answer(response)) => {
            ingress.counting.answered(response.status().as_u16());
            return response;
        }
        Ok(Step::Signed(path)) => {
            let token = signed::token_in(path.as_str()).unwrap_or_default();
            match signed::answer(&ingress.signed, &ingress.settings, token, head, body).await {
                Ok(response) => {
                    ingress.counting.answered(response.status().as_u16());
                    return response;
                }
                Err(refused) => refused,
            }
        }
        Ok(Step::Run(path, matched)) => {
            let asker = Asker { remote, connection, head, path: &path };
            match run(ingress, &live, &asker, matched, body).await {
                // Whoever ran it has counted it.
                Ok(response) => return response,
                Err(refused) => refused,
            }
        }
        Err(refused) => refused,
    };
    ingress.counting.answered(refused.status);
    problem_response(&refused).map(AnswerBody::full)
}

/// What comes of looking at a request's head.
enum Step<'l, 'h> {
    /// The answer; no script is run for it.
    Answer(Response<AnswerBody>),
    /// A file is asked for, or brought, by signed URL.
    Signed(NormalPath<'h>),
    /// A script is to be run.
    Run(NormalPath<'h>, Matched<'l>),
}

async fn find<'l, 'h, A: Answer>(
    ingress: &Ingress<A>,
    live: &'l Live,
    head: &'h Parts,
) -> Result<Step<'l, 'h>, Problem> {
    if head.method == Method::OPTIONS && head.uri.path() == "*" {
        return Ok(Step::Answer(allow(StatusCode::NO_CONTENT, ALL_METHODS.to_owned())));
    }
    let host = host(head)?;
    let path = NormalPath::parse(head.uri.path())?;
    if signed::token_in(path.as_str()).is_some() {
        return Ok(Step::Signed(path));
    }
    if let Some(id) = path.as_str().strip_prefix(later::REQUESTS) {
        return Ok(Step::Answer(later::state(&*ingress.later, id, head).await?));
    }
    Ok(Step::Answer(match live.table.find(host, &path, head.method.as_str()) {
        Found::Script(matched) => return Ok(Step::Run(path, matched)),
        Found::File { app, file } => ingress.files.answer(app, file, &head.method, &head.headers).await,
        Found::Folder => to_folder(head, &path),
        Found::Health => health(ingress.draining.load(Ordering::Relaxed)),
        Found::Options(methods) => allow(StatusCode::NO_CONTENT, methods),
        Found::MethodNotAllowed(methods) => {
            let problem =
                Problem::new(Code::MethodNotAllowed, format!("`{}` does not answer to {}", path.as_str(), head.method))
                    .hint(format!("it answers to {methods}"));
            let mut response = problem_response(&problem).map(AnswerBody::full);
            response.headers_mut().insert(header::ALLOW, header_text(methods));
            response
        }
        Found::Nothing => return Err(no_route(&path, host)),
    }))
}

/// Who asks, and for what.
struct Asker<'r> {
    remote: &'r str,
    connection: &'r Shared,
    head: &'r Parts,
    path: &'r NormalPath<'r>,
}

async fn run<A: Answer>(
    ingress: &Ingress<A>,
    live: &Live,
    asker: &Asker<'_>,
    matched: Matched<'_>,
    body: &mut Option<Incoming>,
) -> Result<Response<AnswerBody>, Problem> {
    let Matched { app, route, script, params, head_as_get } = matched;
    let head = asker.head;
    let names_version = head.headers.contains_key(VERSION);
    let needs = match route.auth {
        _ if names_version => Needs::Version,
        RouteAuth::Key => Needs::Route,
        RouteAuth::Public => Needs::Nothing,
    };
    let mut admitted = Admitted::default();
    if needs != Needs::Nothing || head.headers.contains_key(header::AUTHORIZATION) {
        let (keys, headers, remote) = (&live.keys, &head.headers, asker.remote);
        admitted = ingress.access.admit(&Entrance { needs, keys, app, route: &route.path, headers, remote })?;
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
    let version = if names_version { Some(version(&head.headers)?) } else { None };
    check_quarantine(app, script, version)?;
    // A version is named by people who try it and wait for it.
    let is_for_later = version.is_none() && later::is_preferred(&head.headers);
    let idempotency_key = if is_for_later { later::idempotency_key(&head.headers)? } else { None };
    let is_elsewhere = script.elsewhere && !is_for_later;
    let preview = match version {
        // Whoever runs it looks the version up.
        Some(_version) if is_elsewhere => None,
        Some(version) => Some(ingress.previews.find(app, script, version).await?),
        None => None,
    };
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
        preview: preview.as_deref(),
        principal: admitted.principal,
        hide_authorization: admitted.hide_authorization,
        params,
        method: if head_as_get { "GET" } else { head.method.as_str() },
        path: asker.path.as_str(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        remote_addr: asker.remote,
        body: bytes,
        client: asker.connection.client(head.method == Method::HEAD),
    };
    if is_for_later {
        let response = later::accept(&*ingress.later, input, idempotency_key).await?;
        // No run does.
        ingress.counting.answered(response.status().as_u16());
        return Ok(response);
    }
    let mut response = ran(ingress, input, is_elsewhere).await?;
    if let Some(version) = version {
        response.headers_mut().insert(VERSION, HeaderValue::from(version));
    }
    Ok(response)
}

/// The answer of the script, here or where it may run.
async fn ran<A: Answer>(
    ingress: &Ingress<A>,
    input: RunInput<'_>,
    is_elsewhere: bool,
) -> Result<Response<AnswerBody>, Problem> {
    if !is_elsewhere {
        return Ok(ingress.answer.answer(input).await.map(AnswerBody::full));
    }
    let response = forward::answer(&*ingress.elsewhere, &ingress.forwards, input).await?;
    ingress.counting.answered(response.status().as_u16());
    Ok(response)
}

/// The version that the request names.
fn version(headers: &HeaderMap) -> Result<i64, Problem> {
    let mut named = headers.get_all(VERSION).iter();
    let first = named.next().and_then(|value| value.to_str().ok()?.trim().parse::<i64>().ok());
    first.filter(|version| *version > 0 && named.next().is_none()).ok_or_else(|| {
        Problem::new(Code::Malformed, "the header `X-PiCloud-Version` is not one version's number")
            .hint("send one whole number, such as `X-PiCloud-Version: 3`")
    })
}

/// A version that took its worker down too often is not run; another one of the script may be asked for by its number.
fn check_quarantine(app: &AppSnapshot, script: &ScriptEntry, version: Option<i64>) -> Result<(), Problem> {
    let Some(crashes) = script.quarantined_after_crashes.filter(|_| version.is_none_or(|n| n == script.version)) else {
        return Ok(());
    };
    let detail = format!(
        "script `{}` of app `{}` took its worker down {crashes} times and is not run any more",
        script.name, app.name
    );
    Err(Problem::new(Code::WorkerLost, detail)
        .hint(format!("save a new version of it, or `picloud --app {} scripts release {}`", app.name, script.name)))
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

/// For whoever shares requests out: one that drains is passed over, though it still answers.
fn health(is_draining: bool) -> Response<AnswerBody> {
    let body: &[u8] = if is_draining { br#"{"status":"draining"}"# } else { br#"{"status":"ok"}"# };
    let mut response = Response::new(AnswerBody::bytes(Bytes::from_static(body)));
    if is_draining {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
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
