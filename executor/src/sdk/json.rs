//! `json`: text to values and back.

use super::Namespace;
use super::options::{Arg, arg};
use crate::error::RhaiError;
use crate::json::{self, ParseError, WriteError};
use crate::run_state::RunState;
use rhai::{Dynamic, ImmutableString, Map, NativeCallContext};

/// Widest indentation of a level.
const INDENT_MAX: i64 = 16;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new(
        "json",
        "JSON texts. Whole numbers that fit 64 bits stay whole, all others become fractions; keys come out sorted; a text \
         that is not JSON throws an error with code `malformed` that says line and column.",
    )
    .example("let order = json::parse(`{\"item\": \"tea\", \"count\": 2}`);\norder.count += 1;\njson::stringify(order)")
    .function("parse(text: string|blob) -> any", "The value a text stands for.", parse)
    .function("stringify(value: any) -> string", "The text of a value. Blobs and functions have none.", stringify)
    .function(
        "stringify(value: any, indent: int) -> string",
        "The same over several lines, each level `indent` spaces further in.",
        stringify_indented,
    )
    .method("string.parse_json() -> any", "The same as `json::parse(text)`.", parse_json)
    .method("map.to_json() -> string", "The same as `json::stringify(map)`.", map_to_json)
}

fn parse(context: NativeCallContext, text: Dynamic) -> Result<Dynamic, RhaiError> {
    let run = RunState::of(&context);
    let text_arg = arg("json::parse", "text");
    text_arg.with_bytes(&text, |bytes| parse_bytes(&run, text_arg, bytes))?
}

/// Of the exact types of Rhai's own, which it takes the place of.
fn parse_json(context: NativeCallContext, text: &str) -> Result<Dynamic, RhaiError> {
    parse_bytes(&RunState::of(&context), arg("parse_json", "text"), text.as_bytes())
}

fn parse_bytes(run: &RunState, from: Arg, bytes: &[u8]) -> Result<Dynamic, RhaiError> {
    // A value is seldom smaller than its text.
    run.ensure_memory(bytes.len() as u64)?;
    json::parse(bytes, run).map_err(|error| match error {
        ParseError::Stopped(stopped) => stopped,
        syntax => from.malformed(syntax),
    })
}

fn stringify(context: NativeCallContext, value: Dynamic) -> Result<ImmutableString, RhaiError> {
    let run = RunState::of(&context);
    let written = json::to_vec(&value, string_bytes(&run), &*run);
    text_of(&run, "json::stringify", written)
}

fn stringify_indented(
    context: NativeCallContext,
    value: Dynamic,
    indent: Dynamic,
) -> Result<ImmutableString, RhaiError> {
    let indent_arg = arg("json::stringify", "indent");
    let indent = indent_arg.int(&indent)?;
    match usize::try_from(indent) {
        Ok(spaces) if indent <= INDENT_MAX => {
            let run = RunState::of(&context);
            let written = json::to_vec_pretty(&value, spaces, string_bytes(&run), &*run);
            text_of(&run, "json::stringify", written)
        }
        _ => Err(indent_arg.fault(format_args!("must be 0 to {INDENT_MAX}, not {indent}"))),
    }
}

fn map_to_json(context: NativeCallContext, map: &mut Map) -> Result<ImmutableString, RhaiError> {
    let run = RunState::of(&context);
    let written = json::map_to_vec(map, string_bytes(&run), &*run);
    text_of(&run, "to_json", written)
}

fn string_bytes(run: &RunState) -> usize {
    usize::try_from(run.call.limits.string_bytes).unwrap_or(usize::MAX)
}

fn text_of(
    run: &RunState,
    function: &'static str,
    written: Result<Vec<u8>, WriteError>,
) -> Result<ImmutableString, RhaiError> {
    let json = written.map_err(|error| match error {
        WriteError::Stopped(stopped) => stopped,
        // A string over its limit ends the run, however it came about.
        WriteError::TooLong { bytes_max } => run
            .check_string(bytes_max as u64 + 1)
            .err()
            .unwrap_or_else(|| arg(function, "value").fault(format_args!("is longer than {bytes_max} bytes as JSON"))),
        no_json => arg(function, "value").fault(no_json),
    })?;
    Ok(String::from_utf8(json).expect("JSON we wrote is UTF-8").into())
}
