//! Events as people write them on the command line.

use super::source::read_argument;
use crate::failure::Failure;
use serde_json::Value;

/// The fields of an event: JSON, @FILE, or `-` for standard input.
pub(super) fn event_argument(text: &str) -> Result<Value, Failure> {
    let event: Value = serde_json::from_slice(&read_argument(text)?)
        .map_err(|error| Failure::usage(format!("the event is no JSON: {error}"), HINT))?;
    if event.is_object() { Ok(event) } else { Err(Failure::usage("the event is no object", HINT)) }
}

const HINT: &str = "write the fields of ctx.event: --event '{\"value\": 1}', or --event @FILE";
