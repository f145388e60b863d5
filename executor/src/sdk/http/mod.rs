//! `http`: somebody else's servers. Arguments are checked here; addresses, redirects and sizes where it is sent.

mod answer;
mod request;

pub(crate) use answer::{Answer, register};

use super::Namespace;
use super::options::{Options, arg};
use crate::error::{RhaiError, failed, service};
use crate::run_state::{Calls, RunState};
use picloud_model::http_call::{HttpAnswer, HttpCall};
use picloud_model::problem::Code;
use rhai::{Dynamic, NativeCallContext};

const EXAMPLE: &str = r#"
let answer = http::get("https://api.example.org/weather?city=Berlin");
if answer.status != 200 { throw retry_after(60, `the weather says ${answer.status}`); }
let kind = answer.headers["content-type"];

http::post("https://hooks.example.org/kitchen", #{ text: "tea is ready" });

http::request(#{
    method: "PUT", url: "https://api.example.org/things/7", headers: #{ authorization: "Bearer 123" },
    query: #{ dry: true }, json: #{ name: "kettle" }, timeout_ms: 2000,
}).status
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    answer::methods(
        Namespace::new(
            "http",
            "Requests to other servers. An answer is `#{status, headers, body, text(), json()}`, whatever its status is: names \
             of headers in lower case, `body` a blob. What gives no answer throws. Addresses of this machine and of the network \
             at home are refused unless `[http] allow` of app.toml has them. The run's deadline holds for the request.",
        )
        .example(EXAMPLE)
        .function("get(url: string) -> http_answer", "GET.", get)
        .function(
            "post(url: string, body: any) -> http_answer",
            "POST: a map, an array, a number or a truth value as JSON, a string as text, a blob as it is, `()` nothing.",
            post,
        )
        .function(
            "request(request: map) -> http_answer",
            "`#{method, url, headers, query, json|form|body, timeout_ms}`, of which only `url` must be given. `headers` and \
             `query` are maps of texts, numbers and truth values, or arrays of them; `json` is any value, `form` a map like \
             `query`, `body` a string or blob. `content-type` follows from the body unless it is given.",
            send,
        ),
    )
}

fn get(context: NativeCallContext, url: Dynamic) -> Result<Answer, RhaiError> {
    const FUNCTION: &str = "http::get";
    let run = RunState::of(&context);
    ask(&run, FUNCTION, request::plain(FUNCTION, "GET", &url)?)
}

fn post(context: NativeCallContext, url: Dynamic, body: Dynamic) -> Result<Answer, RhaiError> {
    const FUNCTION: &str = "http::post";
    let run = RunState::of(&context);
    let mut call = request::plain(FUNCTION, "POST", &url)?;
    let body_arg = arg(FUNCTION, "body");
    let of_text_or_bytes = body.is_string() || body.is_blob() || body.is_char();
    if of_text_or_bytes {
        request::add_bytes(&run, body_arg, &mut call, &body)?;
    } else if !body.is_unit() {
        request::add_json(&run, body_arg, &mut call, &body)?;
    }
    ask(&run, FUNCTION, call)
}

fn send(context: NativeCallContext, request: Dynamic) -> Result<Answer, RhaiError> {
    const FUNCTION: &str = "http::request";
    let run = RunState::of(&context);
    let known = ["method", "url", "headers", "query", "json", "form", "body", "timeout_ms"];
    let fields = Options::fields(FUNCTION, "request", request, &known)?;
    ask(&run, FUNCTION, request::of(&run, FUNCTION, &fields)?)
}

fn ask(run: &RunState, function: &str, mut call: HttpCall) -> Result<Answer, RhaiError> {
    run.count(Calls::Http, 1)?;
    run.before_wait();
    call.body_bytes_max = run.call.limits.http_body_bytes.min(run.memory_left());
    let answer = run.services.http.http(&run.call, call).map_err(|failure| match failure.code {
        // The request's own `timeout_ms`, not the run's.
        Code::Deadline if !run.remaining().is_zero() => service(function, &failure),
        _ => failed(run, function, &failure),
    })?;
    run.charge(bytes_of(&answer))?;
    Ok(Answer::new(answer))
}

/// What the port's thread allocated.
fn bytes_of(answer: &HttpAnswer) -> u64 {
    let headers = answer.headers.iter().map(|(name, value)| name.capacity() + value.capacity()).sum::<usize>();
    (headers + answer.headers.capacity() * size_of::<(String, String)>() + answer.body.capacity()) as u64
}
