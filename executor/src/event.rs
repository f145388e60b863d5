//! The event a run was started by, and what is kept of the value such a run ends with.

use crate::error::{RunError, Stop};
use crate::json::{self, WriteError};
use crate::natives::print::write_bounded;
use crate::response::{Response, ScriptResponse};
use crate::run_state::RunState;
use picloud_model::execution::RESULT_BYTES_MAX;
use rhai::Dynamic;

/// What starts a run that answers no request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventInput {
    /// `ctx.event`: a JSON object. It is parsed when the script asks for it.
    pub json: Vec<u8>,
}

/// Longest text that is kept of a value that JSON has no word for, or that is too large, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// The value of a triggered run as JSON, and the same as an answer for whoever asked for the run by hand. Whatever the
/// value is, the run went well.
pub(crate) fn result_of(value: Dynamic, state: &RunState) -> Result<(ScriptResponse, String), RunError> {
    let value = match value.flatten().try_cast_result::<Response>() {
        Ok(response) => response.into_value(),
        Err(value) => value,
    };
    let kept = match json::to_vec(&value, RESULT_BYTES_MAX, state) {
        Ok(text) => String::from_utf8(text).expect("JSON we wrote is UTF-8"),
        Err(WriteError::Stopped(_)) => {
            let stop = state.stopped().cloned().unwrap_or(Stop::limit("memory_bytes", state.call.limits.memory_bytes));
            return Err(RunError::Stopped { stop, at: None });
        }
        Err(_too_long_or_no_json) => {
            let mut text = String::new();
            if let Ok(whole) = value.as_immutable_string_ref() {
                let end =
                    (0..=TEXT_BYTES_MAX.min(whole.len())).rev().find(|end| whole.is_char_boundary(*end)).unwrap_or(0);
                text.push_str(&whole[..end]);
                text.push('…');
            } else {
                write_bounded(&mut text, &value, TEXT_BYTES_MAX);
            }
            serde_json::Value::from(text).to_string()
        }
    };
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Ok((ScriptResponse { status: 200, headers, body: kept.clone().into_bytes() }, kept))
}
