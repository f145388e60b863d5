//! `env`: the app's plain values.

use super::Namespace;
use super::options::arg;
use crate::error::RhaiError;
use crate::run_state::RunState;
use rhai::{Dynamic, NativeCallContext};

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new("env", "Plain values of the app, from `[env]` of app.toml or `picloud env set`.")
        .example("let city = env::get(\"city\");\nif city == () { city = \"Berlin\"; }\ncity")
        .function("get(name: string) -> string", "The value, or `()` if the app has none of that name.", get)
}

fn get(context: NativeCallContext, name: Dynamic) -> Result<Dynamic, RhaiError> {
    let name = arg("env::get", "name").text(&name)?;
    Ok(RunState::of(&context).call.view.env(&name).map_or(Dynamic::UNIT, Dynamic::from))
}
