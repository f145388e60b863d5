//! `scripts`: other endpoints of the app.

use super::Namespace;
use super::options::arg;
use crate::error::RhaiError;
use rhai::{Dynamic, NativeCallContext};

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new(
        "scripts",
        "Other endpoints of the same app, run in place. Deadline, limits and depth are inherited, so that calling around \
         a limit is not possible; calls deeper than `trigger_depth` end the run with a `loop` error that names the chain.",
    )
    .example("// With an endpoint `double` whose script is `ctx.value * 2`:\nscripts::call(\"double\", 21)")
    .function(
        "call(name: string, value: any) -> any",
        "Runs the endpoint and answers with its value. It sees `value` as `ctx.value`, and a request with method `CALL` \
         whose body is the value as JSON (a blob: the blob). What it throws is thrown here.",
        call,
    )
}

fn call(context: NativeCallContext, name: Dynamic, value: Dynamic) -> Result<Dynamic, RhaiError> {
    let name = arg("scripts::call", "name").text(&name)?;
    crate::run::call_script(&context, &name, value)
}
