//! `secrets`: values that people set and nobody is shown, for the scripts they are granted to.

use super::Namespace;
use super::options::arg;
use crate::error::{KIND_SERVICE, RhaiError, catchable, service};
use crate::run_state::{Calls, RunState};
use picloud_model::problem::Code;
use picloud_model::protocol::ServiceFailure;
use rhai::{Dynamic, NativeCallContext};

const FUNCTION: &str = "secrets::get";

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new(
        "secrets",
        "Secrets of the app, set with `picloud secrets set`, each readable by the scripts it is granted to. What a run was \
         told is taken out of its log lines, its errors and its history (values of 4 bytes or more, as they are and as JSON \
         writes them); what the script answers with is its own business.",
    )
    .example(
        "let token = \"none\";\n\
         try { token = secrets::get(\"weather_token\"); } catch (error) { log::warn(error.message); }\n\
         // `[redacted]` in the log:\n\
         log::info(`asking with ${token}`);",
    )
    .function(
        "get(name: string) -> string",
        "The value as it is now. Throws `not-found` where the app has no such secret and `forbidden` where it is not \
         granted to this script.",
        get,
    )
}

fn get(context: NativeCallContext, name: Dynamic) -> Result<Dynamic, RhaiError> {
    let name = arg(FUNCTION, "name").text(&name)?;
    let run = RunState::of(&context);
    run.count(Calls::Secret, 1)?;
    run.before_wait();
    let told = run.services.secrets.secret(&run.call, &name);
    let value = told.map_err(|failure| refused(&run, &name, &failure))?;
    run.told_secret(&value)?;
    run.check_string(value.len() as u64)?;
    Ok(value.into())
}

/// Says what is missing and the command that helps; the far side only knows that it is missing.
fn refused(run: &RunState, name: &str, failure: &ServiceFailure) -> RhaiError {
    let (app, script) = (&run.call.app, &run.call.script);
    let (why, say, verb) = match failure.code {
        // The port gave up because the time was up, which cannot be caught.
        Code::Deadline => return run.stop(run.deadline()),
        Code::NotFound => (format!("app `{app}` has no secret `{name}`"), "set it with", "set"),
        Code::Forbidden => (format!("secret `{name}` is not granted to script `{script}`"), "grant it with", "grant"),
        _ => return service(FUNCTION, failure),
    };
    let message = format!("{FUNCTION}: {why}: {say} `picloud --app {app} secrets {verb} {name} --script {script}`");
    catchable(KIND_SERVICE, failure.code, message)
}
