//! `timer`: a run of another endpoint at a later time.

use super::Namespace;
use super::options::{arg, short, within};
use crate::error::{KIND_ARGUMENT, KIND_SERVICE, RhaiError, catchable, failed};
use crate::run_state::{Calls, RunState};
use picloud_model::ids::TimerId;
use picloud_model::problem::Code;
use picloud_model::publish::DELAY_MS_MAX;
use picloud_model::script::ScriptKind;
use picloud_model::timer::{TimerReply, TimerRequest};
use rhai::{Dynamic, NativeCallContext};

const EXAMPLE: &str = r#"
// With an endpoint `remind`, which finds the value in `ctx.event.value`:
let id = timer::after(600000, "remind", #{ order: 7 });
timer::at("2026-12-24T18:00:00+01:00", "remind", "presents");
timer::cancel(id)
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new(
        "timer",
        "Runs of endpoints of this app at a later time, kept on disk: they are tried again like what a trigger starts, and \
         survive a restart. The endpoint finds `timer_id` and `value` in `ctx.event`. A value is anything JSON can hold, up \
         to `event_value_bytes`.",
    )
    .example(EXAMPLE)
    .function(
        "after(ms: int, script: string, value: any) -> string",
        "Runs the endpoint so many milliseconds from now, a year at most; answers with the timer's id.",
        after,
    )
    .function(
        "at(at: string, script: string, value: any) -> string",
        "Runs it at a time in RFC 3339 (or milliseconds since 1970); a time that is over is now.",
        at,
    )
    .function("cancel(id: string) -> bool", "Takes a timer back; whether it was there and had not begun.", cancel)
}

fn after(context: NativeCallContext, ms: Dynamic, script: Dynamic, value: Dynamic) -> Result<String, RhaiError> {
    const FUNCTION: &str = "timer::after";
    let run = RunState::of(&context);
    let ms_arg = arg(FUNCTION, "ms");
    let ms = within(ms_arg, ms_arg.int(&ms)?, 0..=DELAY_MS_MAX)?;
    let (script, value) = (endpoint(&run, FUNCTION, &script)?, value_of(&run, FUNCTION, &value)?);
    set(&run, FUNCTION, TimerRequest::After { ms, script, value })
}

fn at(context: NativeCallContext, at: Dynamic, script: Dynamic, value: Dynamic) -> Result<String, RhaiError> {
    const FUNCTION: &str = "timer::at";
    let run = RunState::of(&context);
    let at = super::time::moment(FUNCTION, &at)?.as_millisecond();
    let farthest = run.services.clock.now_ms().saturating_add_unsigned(DELAY_MS_MAX);
    if at > farthest {
        return Err(arg(FUNCTION, "at").fault("is more than a year away"));
    }
    let (script, value) = (endpoint(&run, FUNCTION, &script)?, value_of(&run, FUNCTION, &value)?);
    set(&run, FUNCTION, TimerRequest::At { at, script, value })
}

/// The name of an endpoint that the run's app has.
fn endpoint(run: &RunState, function: &'static str, script: &Dynamic) -> Result<String, RhaiError> {
    let name = arg(function, "script").text(script)?;
    if run.call.view.script(&name).is_some_and(|found| found.kind == ScriptKind::Endpoint) {
        return Ok(name.to_string());
    }
    let message = format!("{function}: script: endpoint `{}` does not exist in app `{}`", short(&name), run.call.app);
    Err(catchable(KIND_ARGUMENT, Code::NotFound, message))
}

fn value_of(run: &RunState, function: &'static str, value: &Dynamic) -> Result<Vec<u8>, RhaiError> {
    arg(function, "value").json(run, value, "event_value_bytes", run.call.limits.event_value_bytes)
}

fn ask(run: &RunState, function: &'static str, request: TimerRequest) -> Result<TimerReply, RhaiError> {
    run.count(Calls::Publish, 1)?;
    run.before_wait();
    run.services.timers.timer(&run.call, request).map_err(|failure| failed(run, function, &failure))
}

fn set(run: &RunState, function: &'static str, request: TimerRequest) -> Result<String, RhaiError> {
    match ask(run, function, request)? {
        TimerReply::Set(id) => Ok(id.to_string()),
        TimerReply::Cancelled(_) => Err(confused(function)),
    }
}

fn cancel(context: NativeCallContext, id: Dynamic) -> Result<bool, RhaiError> {
    const FUNCTION: &str = "timer::cancel";
    let run = RunState::of(&context);
    let id = arg(FUNCTION, "id").text(&id)?;
    // What is no id is the id of no timer.
    let Ok(id) = id.parse::<TimerId>() else { return Ok(false) };
    match ask(&run, FUNCTION, TimerRequest::Cancel(id))? {
        TimerReply::Cancelled(was) => Ok(was),
        TimerReply::Set(_) => Err(confused(FUNCTION)),
    }
}

fn confused(function: &str) -> RhaiError {
    catchable(KIND_SERVICE, Code::Internal, format!("{function}: the timers gave an answer of another kind"))
}
