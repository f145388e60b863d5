//! Answers and errors: functions without a namespace.

use super::Namespace;
use super::options::arg;
use crate::error::{KIND_HTTP, KIND_RETRY_AFTER, KIND_TERMINAL, RhaiError, code_of, error_map};
use crate::response::Response;
use picloud_model::problem::Code;
use rhai::{Dynamic, Map};

/// Longest wait `retry_after` may ask for: a week.
const RETRY_AFTER_MAX_S: i64 = 7 * 24 * 60 * 60;

const EXAMPLE: &str = r#"
if "nobody" in ctx.request.query {
    throw http_error(404, "nobody is not here");
}
respond(201, #{ made: true })
    .header("location", "/things/7")
    .header("set-cookie", "seen=1; Path=/; HttpOnly")
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new(
        "",
        "The value of an endpoint's last expression is its answer: a map, array, number or truth value is 200 with JSON, a \
         string 200 as text, a blob 200 as bytes, `()` 204.",
    )
    .example(EXAMPLE)
    .function("respond(status: int) -> response", "An answer without a body; the status is 200 to 599.", |status: Dynamic| {
        Response::new(arg("respond", "status").int(&status)?, Dynamic::UNIT)
    })
    .function(
        "respond(status: int, value: any) -> response",
        "An answer with a body, which follows from the value as without `respond`.",
        |status: Dynamic, value: Dynamic| Response::new(arg("respond", "status").int(&status)?, value),
    )
    .method(
        "response.header(name: string, value: string) -> response",
        "The answer with a header more; the same name may be given again. Given `content-type`, that of the value goes.",
        header,
    )
    .function(
        "http_error(status: int, message: string) -> map",
        "To be thrown: answers with that status, 400 to 599, and the message as problem details.",
        http_error,
    )
    .function(
        "terminal(message: string) -> map",
        "To be thrown on a triggered run: it goes straight to a dead letter.",
        |message: Dynamic| {
            let message = arg("terminal", "message").text(&message)?;
            Ok::<_, RhaiError>(error_map(KIND_TERMINAL, Code::ScriptError.as_str(), message.into()))
        },
    )
    .function(
        "retry_after(seconds: int, message: string) -> map",
        "To be thrown on a triggered run: it is tried again then.",
        retry_after,
    )
}

fn header(response: &mut Response, name: Dynamic, value: Dynamic) -> Result<Response, RhaiError> {
    let name = arg("header", "name").text(&name)?;
    let value = match value.as_int() {
        Ok(number) => number.to_string().into(),
        Err(_other_type) => arg("header", "value").text(&value)?,
    };
    // In place as well, so that a response kept in a variable has it too.
    response.add_header(&name, &value)?;
    Ok(response.clone())
}

fn http_error(status: Dynamic, message: Dynamic) -> Result<Map, RhaiError> {
    let status_arg = arg("http_error", "status");
    let status = status_arg.int(&status)?;
    if !(400..600).contains(&status) {
        return Err(status_arg.fault(format_args!("must be 400 to 599, not {status}")));
    }
    let message = arg("http_error", "message").text(&message)?;
    let code = code_of(u16::try_from(status).unwrap_or_default());
    let mut map = error_map(KIND_HTTP, code.as_str(), message.into());
    map.insert("status".into(), status.into());
    Ok(map)
}

fn retry_after(seconds: Dynamic, message: Dynamic) -> Result<Map, RhaiError> {
    let seconds_arg = arg("retry_after", "seconds");
    let seconds = seconds_arg.int(&seconds)?;
    if !(0..=RETRY_AFTER_MAX_S).contains(&seconds) {
        return Err(seconds_arg.fault(format_args!("must be 0 to {RETRY_AFTER_MAX_S}, not {seconds}")));
    }
    let message = arg("retry_after", "message").text(&message)?;
    let mut map = error_map(KIND_RETRY_AFTER, Code::ScriptError.as_str(), message.into());
    map.insert("seconds".into(), seconds.into());
    Ok(map)
}
