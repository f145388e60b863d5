//! `base64`: bytes as text.

use super::Namespace;
use super::options::{Arg, arg};
use crate::error::RhaiError;
use crate::run_state::RunState;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use rhai::{Blob, Dynamic, NativeCallContext};

/// Padding may be there or not: both are sent by others.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const DECODE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
const DECODE_URL: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new("base64", "Bytes as text and back. Padding is written by `encode` only and never required.")
        .example("let text = base64::encode(\"Grüße\");\nbase64::decode_text(text) == \"Grüße\"")
        .function(
            "encode(data: string|blob) -> string",
            "With `+`, `/` and padding.",
            |context: NativeCallContext, data: Dynamic| {
                encode(&context, arg("base64::encode", "data"), &data, &STANDARD)
            },
        )
        .function(
            "encode_url(data: string|blob) -> string",
            "With `-` and `_`, without padding.",
            |context: NativeCallContext, data: Dynamic| {
                encode(&context, arg("base64::encode_url", "data"), &data, &URL_SAFE_NO_PAD)
            },
        )
        .function("decode(text: string) -> blob", "The bytes.", |context: NativeCallContext, text: Dynamic| {
            decode(&context, arg("base64::decode", "text"), &text, &DECODE)
        })
        .function(
            "decode_url(text: string) -> blob",
            "The bytes of a text with `-` and `_`.",
            |context: NativeCallContext, text: Dynamic| {
                decode(&context, arg("base64::decode_url", "text"), &text, &DECODE_URL)
            },
        )
        .function(
            "decode_text(text: string) -> string",
            "The bytes as a string, which must be UTF-8.",
            |context: NativeCallContext, text: Dynamic| {
                let text_arg = arg("base64::decode_text", "text");
                let bytes = decode(&context, text_arg, &text, &DECODE)?;
                String::from_utf8(bytes)
                    .map_err(|_no_text| text_arg.malformed("does not hold UTF-8: use base64::decode"))
            },
        )
}

fn encode(
    context: &NativeCallContext,
    from: Arg,
    data: &Dynamic,
    engine: &GeneralPurpose,
) -> Result<String, RhaiError> {
    let run = RunState::of(context);
    from.with_bytes(data, |bytes| {
        run.check_string(bytes.len().div_ceil(3) as u64 * 4)?;
        Ok(engine.encode(bytes))
    })?
}

fn decode(context: &NativeCallContext, from: Arg, text: &Dynamic, engine: &GeneralPurpose) -> Result<Blob, RhaiError> {
    let text = from.text(text)?;
    RunState::of(context).ensure_memory(text.len() as u64)?;
    engine.decode(text.as_str()).map_err(|why| from.malformed(format_args!("is not base64: {why}")))
}
