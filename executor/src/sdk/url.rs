//! `url`: addresses and their parts.

use super::Namespace;
use super::options::{arg, short, type_name};
use super::query::first_values;
use crate::error::RhaiError;
use crate::run_state::RunState;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rhai::{Dynamic, Map, NativeCallContext};
use url::Url;

/// What stays as it is in a part of an address: letters, digits and `-_.!~*'()`, as browsers have it.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

const EXAMPLE: &str = r#"
let address = "https://example.org/search?" + url::query(#{ q: "tea & cake", page: 2 });
let parts = url::parse(address);
[parts.host, parts.query.q, url::join(address, "../about")]
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new("url", "Addresses, their parts and their encoding.")
        .example(EXAMPLE)
        .function("encode(text: string) -> string", "Percent-encodes a part of a path or query.", encode)
        .function("decode(text: string) -> string", "Undoes `encode`; `+` stays `+`.", decode)
        .function(
            "query(values: map) -> string",
            "`a=1&b=2` of a map, encoded; an array repeats its name, `()` leaves it out.",
            query,
        )
        .function("parse_query(text: string) -> map", "Undoes `query`; of repeated names the first value.", parse_query)
        .function(
            "parse(text: string) -> map",
            "`#{scheme, username, host, port, path, query, fragment}` of an absolute address; `query` is a map, and `()` \
             stands for what it does not have.",
            parse,
        )
        .function("join(base: string, reference: string) -> string", "What `reference` means on the page `base`.", join)
}

fn encode(context: NativeCallContext, text: Dynamic) -> Result<String, RhaiError> {
    let text = arg("url::encode", "text").text(&text)?;
    let run = RunState::of(&context);
    let encoded_bytes: usize = utf8_percent_encode(&text, COMPONENT).map(str::len).sum();
    run.check_string(encoded_bytes as u64)?;
    Ok(utf8_percent_encode(&text, COMPONENT).to_string())
}

fn decode(context: NativeCallContext, text: Dynamic) -> Result<String, RhaiError> {
    let text_arg = arg("url::decode", "text");
    let text = text_arg.text(&text)?;
    RunState::of(&context).ensure_memory(text.len() as u64)?;
    match percent_decode_str(&text).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_no_text) => Err(text_arg.malformed("does not hold UTF-8")),
    }
}

fn query(context: NativeCallContext, values: Dynamic) -> Result<String, RhaiError> {
    let run = RunState::of(&context);
    let values = arg("url::query", "values").map(values)?;
    let mut text = String::new();
    for (name, value) in &values {
        if let Ok(several) = value.as_array_ref() {
            for value in several.iter() {
                append(&mut text, name, value)?;
            }
        } else if !value.is_unit() {
            append(&mut text, name, value)?;
        }
        run.check_string(text.len() as u64)?;
    }
    Ok(text)
}

fn append(text: &mut String, name: &str, value: &Dynamic) -> Result<(), RhaiError> {
    let plain = value.is_string() || value.is_char() || value.is_int() || value.is_float() || value.is_bool();
    if !plain {
        let why = format!("`{}` is {}, which is no part of a query", short(name), type_name(value));
        return Err(arg("url::query", "values").fault(why));
    }
    if !text.is_empty() {
        text.push('&');
    }
    text.extend(utf8_percent_encode(name, COMPONENT));
    text.push('=');
    text.extend(utf8_percent_encode(&value.to_string(), COMPONENT));
    Ok(())
}

fn parse_query(context: NativeCallContext, text: Dynamic) -> Result<Map, RhaiError> {
    let text = arg("url::parse_query", "text").text(&text)?;
    RunState::of(&context).ensure_memory(text.len() as u64 * 16)?;
    Ok(first_values(text.strip_prefix('?').unwrap_or(&text)))
}

fn absolute(function: &'static str, argument: &'static str, text: &Dynamic) -> Result<Url, RhaiError> {
    let text_arg = arg(function, argument);
    let text = text_arg.text(text)?;
    Url::parse(&text).map_err(|why| text_arg.malformed(format_args!("`{}` is no address: {why}", short(&text))))
}

fn parse(text: Dynamic) -> Result<Map, RhaiError> {
    let address = absolute("url::parse", "text", &text)?;
    let optional = |part: Option<&str>| part.map_or(Dynamic::UNIT, Into::into);
    let mut map = Map::new();
    map.insert("scheme".into(), address.scheme().into());
    map.insert("username".into(), optional(Some(address.username()).filter(|name| !name.is_empty())));
    map.insert("host".into(), optional(address.host_str()));
    map.insert("port".into(), address.port_or_known_default().map_or(Dynamic::UNIT, |port| i64::from(port).into()));
    map.insert("path".into(), address.path().into());
    map.insert("query".into(), first_values(address.query().unwrap_or_default()).into());
    map.insert("fragment".into(), optional(address.fragment()));
    Ok(map)
}

fn join(base: Dynamic, reference: Dynamic) -> Result<String, RhaiError> {
    let base = absolute("url::join", "base", &base)?;
    let reference_arg = arg("url::join", "reference");
    let reference = reference_arg.text(&reference)?;
    match base.join(&reference) {
        Ok(joined) => Ok(joined.into()),
        Err(why) => Err(reference_arg.malformed(format_args!("`{}` is no reference: {why}", short(&reference)))),
    }
}
