//! Requests whose script may not run on this machine: sent on to a node that may run it, once.
//!
//! Keys, methods and bodies were checked here by then. What comes back is the answer as that node gave it, with its name
//! in a header. A node that gets one runs it or refuses: nothing is forwarded twice.

use super::AnswerBody;
use super::answer::RunInput;
use crate::path::NormalPath;
use crate::run::header_list;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use picloud_model::protocol::{Forward, Forwarded, RunHttp, ServiceFailure};
use picloud_model::{AppId, Code, Problem};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Requests of this machine that others run at once; more get 503.
pub(super) const FORWARDS_MAX: usize = 256;
/// How much longer than the run itself the answer may take.
const ANSWER_SLACK: Duration = Duration::from_secs(5);
/// When to come back, where no node may run it now or all are busy.
const RETRY_AFTER_S: u32 = 2;
/// Says which node ran it.
const NODE: HeaderName = HeaderName::from_static("x-picloud-node");

/// Who knows which nodes may run what.
pub trait Elsewhere: Send + Sync {
    /// Has the request answered by a node that may run its script.
    fn forward(
        &self,
        app: AppId,
        request: Box<Forward>,
        wait_max: Duration,
    ) -> BoxFuture<'static, Result<Forwarded, ServiceFailure>>;
}

/// Answers `input` from another node.
pub(super) async fn answer(
    elsewhere: &dyn Elsewhere,
    under_way: &Semaphore,
    input: RunInput<'_>,
) -> Result<Response<AnswerBody>, Problem> {
    let Ok(_one_of_them) = under_way.try_acquire() else {
        let detail = format!("{FORWARDS_MAX} requests of this machine are answered by other nodes already");
        return Err(Problem::new(Code::Overloaded, detail).retry_after_s(RETRY_AFTER_S));
    };
    let path = NormalPath::from_decoded(input.path).encoded();
    let question_mark = if input.query.is_empty() { "" } else { "?" };
    let request = Forward {
        script: input.script.name.clone(),
        request: RunHttp {
            method: input.method.to_owned(),
            path: [&path, question_mark, input.query].concat(),
            headers: header_list(input.headers, input.hide_authorization),
            body: input.body.into(),
        },
        principal: input.principal,
        remote_addr: input.remote_addr.to_owned(),
    };
    let wait_max = Duration::from_millis(input.app.limits.timeout_ms) + ANSWER_SLACK;
    let forwarded = elsewhere.forward(input.app.id, Box::new(request), wait_max).await.map_err(problem)?;
    Ok(response(forwarded))
}

fn response(forwarded: Forwarded) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::bytes(Bytes::from(forwarded.body)));
    *response.status_mut() = StatusCode::from_u16(forwarded.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in forwarded.headers {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => drop(headers.append(name, value)),
            _unknown => tracing::error!("a header of a node's answer is no header"),
        }
    }
    if let Ok(node) = HeaderValue::try_from(forwarded.node) {
        headers.insert(NODE, node);
    }
    response
}

fn problem(failure: ServiceFailure) -> Problem {
    let problem = Problem::new(failure.code, failure.message);
    match failure.code {
        Code::Overloaded | Code::NodeAway => problem.retry_after_s(RETRY_AFTER_S),
        _other => problem,
    }
}
