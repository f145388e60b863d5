//! Requests that are answered later: taken with 202 and an address, and what is found at that address.
//!
//! `Prefer: respond-async` (RFC 7240) works on every route. Knowing the address is all that is needed to read the
//! answer, so it is a random one. A preference is not a demand: where a request cannot be kept (it names a version),
//! it is answered at once, without `Preference-Applied`.

use super::AnswerBody;
use super::answer::RunInput;
use crate::path::NormalPath;
use crate::problem_response::problem_response;
use crate::run::header_list;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use picloud_model::async_request::{Accepted, AsyncAnswer, AsyncState, IDEMPOTENCY_KEY_BYTES_MAX, NewAsyncRequest};
use picloud_model::protocol::{RunHttp, ServiceFailure};
use picloud_model::{AppId, AsyncRequestId, Code, Problem};

/// What the address of such a request begins with.
pub(super) const REQUESTS: &str = "/.picloud/requests/";
/// When to ask for an answer that is not there.
const ASK_AGAIN_S: u32 = 1;
/// What the address answers to.
const METHODS: &str = "GET, HEAD, OPTIONS";
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that what came is the script's answer.
const STATE: HeaderName = HeaderName::from_static("x-picloud-state");

/// Who keeps requests and their answers.
pub trait Later: Send + Sync {
    /// Keeps a request; it is on the disk when this returns.
    fn accept(&self, app: AppId, request: Box<NewAsyncRequest>)
    -> BoxFuture<'static, Result<Accepted, ServiceFailure>>;

    /// How far one is; `None` where there is none (any more).
    fn state(&self, id: AsyncRequestId) -> BoxFuture<'static, Result<Option<AsyncState>, ServiceFailure>>;
}

/// Whether the client would rather not wait.
pub(super) fn is_preferred(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let preferences = values.flat_map(|value| value.split(','));
    // What stands behind a `;` or a `=` belongs to the preference, and this one has nothing there.
    preferences
        .filter_map(|one| one.split([';', '=']).next())
        .any(|name| name.trim().eq_ignore_ascii_case("respond-async"))
}

/// The client's own name for the request.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut named = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = named.next() else { return Ok(None) };
    // Strictly a quoted string (the draft's structured field), but most clients send the bare text.
    let key = first.to_str().ok().map(|text| text.trim().trim_matches('"'));
    match key.filter(|key| !key.is_empty() && key.len() <= IDEMPOTENCY_KEY_BYTES_MAX && named.next().is_none()) {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(Problem::new(
            Code::Malformed,
            format!(
                "the header `Idempotency-Key` is not one text of 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible characters"
            ),
        )
        .hint("send one, such as a UUID, and another one with every other request")),
    }
}

/// Has `input` kept, and tells the client where its answer will be.
pub(super) async fn accept(
    later: &dyn Later,
    input: RunInput<'_>,
    idempotency_key: Option<String>,
) -> Result<Response<AnswerBody>, Problem> {
    let id = AsyncRequestId(uuid::Uuid::new_v4());
    let path = NormalPath::from_decoded(input.path).encoded();
    let question_mark = if input.query.is_empty() { "" } else { "?" };
    let request = NewAsyncRequest {
        id,
        script: input.script.name.clone(),
        route: input.route.path.clone(),
        params: input.params,
        remote_addr: input.remote_addr.to_owned(),
        principal: input.principal,
        request: RunHttp {
            method: input.method.to_owned(),
            path: [&path, question_mark, input.query].concat(),
            headers: header_list(input.headers, input.hide_authorization),
            body: input.body.into(),
        },
        idempotency_key,
    };
    let id = match later.accept(input.app.id, Box::new(request)).await.map_err(problem)? {
        Accepted::New(id) | Accepted::Known(id) => id,
        Accepted::KeyTaken => {
            let detail = "this `Idempotency-Key` came with another request before";
            return Err(Problem::new(Code::Invalid, detail)
                .hint("a key stands for one request: send another key with another method, path or body"));
        }
    };
    let mut response = json(StatusCode::ACCEPTED, &serde_json::json!({ "id": id, "state": "queued" }));
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, text(format!("{REQUESTS}{id}")));
    headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static("respond-async"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from(ASK_AGAIN_S));
    Ok(response)
}

/// What is found at the address that ends with `id`: the answer, or how far the request is.
pub(super) async fn state(later: &dyn Later, id: &str, head: &Parts) -> Result<Response<AnswerBody>, Problem> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Ok(other_method(&head.method));
    }
    let known = match id.parse::<AsyncRequestId>() {
        Ok(id) => later.state(id).await.map_err(problem)?,
        Err(_no_id) => None,
    };
    match known {
        None => Err(Problem::new(Code::NotFound, "there is no such request, or its answer is not kept any more")
            .hint("answers are kept for 24 hours")),
        Some(AsyncState { answer: Some(answer), .. }) => Ok(done(answer)),
        Some(AsyncState { attempts, running, .. }) => {
            let state = if running { "running" } else { "queued" };
            let mut response = json(StatusCode::ACCEPTED, &serde_json::json!({ "state": state, "attempts": attempts }));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ASK_AGAIN_S));
            Ok(response)
        }
    }
}

fn other_method(method: &Method) -> Response<AnswerBody> {
    let mut response = if *method == Method::OPTIONS {
        let mut response = Response::new(AnswerBody::bytes(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        let detail = format!("the address of an answer does not answer to {method}");
        let problem = Problem::new(Code::MethodNotAllowed, detail).hint(format!("it answers to {METHODS}"));
        problem_response(&problem).map(AnswerBody::full)
    };
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
    response
}

/// The answer, as it would have come at once.
fn done(answer: AsyncAnswer) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::bytes(answer.body.into()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in answer.headers {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => drop(headers.append(name, value)),
            _unknown => tracing::error!("a header of an answer that was kept is no header"),
        }
    }
    headers.insert(STATE, HeaderValue::from_static("done"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::bytes(value.to_string().into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn problem(failure: ServiceFailure) -> Problem {
    let problem = Problem::new(failure.code, failure.message);
    match failure.code {
        Code::Overloaded | Code::NodeAway => problem.retry_after_s(ASK_AGAIN_S),
        _other => problem,
    }
}

fn text(text: String) -> HeaderValue {
    // An id is ASCII; should it not be, none is better than a panic.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_preference_is_one_of_a_list_with_parameters() {
        for (values, preferred) in [
            (&["respond-async"] as &[_], true),
            (&["wait=10, Respond-Async"], true),
            (&["return=minimal", "respond-async; foo=bar"], true),
            (&["respond-asynchronous"], false),
            (&["return=respond-async"], false),
            (&[], false),
        ] {
            assert_eq!(is_preferred(&headers(PREFER, values)), preferred, "{values:?}");
        }
    }

    #[test]
    fn an_idempotency_key_is_one_short_text() {
        let long = "k".repeat(IDEMPOTENCY_KEY_BYTES_MAX + 1);
        for (values, expected) in [
            (&[] as &[_], Ok(None)),
            (&["abc"], Ok(Some("abc"))),
            (&["\"abc\""], Ok(Some("abc"))),
            (&[&long[1..]], Ok(Some(&long[1..]))),
            (&[&long], Err(Code::Malformed)),
            (&[""], Err(Code::Malformed)),
            (&["a", "b"], Err(Code::Malformed)),
        ] {
            let key = idempotency_key(&headers(IDEMPOTENCY_KEY, values));
            assert_eq!(key.map_err(|problem| problem.code), expected.map(|key| key.map(str::to_owned)), "{values:?}");
        }
    }
}
