//! What a script wants sent, as the port takes it.

use super::super::options::{Arg, Options, arg, short};
use crate::error::RhaiError;
use crate::json::{self, WriteError};
use crate::response::{SERVER_HEADERS, is_token};
use crate::run_state::RunState;
use picloud_model::http_call::HttpCall;
use rhai::{Dynamic, Map};
use url::Url;

/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 16 * 1024;
/// Longest method, in bytes.
const METHOD_BYTES_MAX: usize = 32;
/// Most headers of a request.
const HEADERS_MAX: usize = 100;
/// Longest value of a header, in bytes.
const HEADER_VALUE_BYTES_MAX: usize = 8 * 1024;

const CONTENT_TYPE: &str = "content-type";

/// A request without a body.
pub(super) fn plain(function: &'static str, method: &str, url: &Dynamic) -> Result<HttpCall, RhaiError> {
    let url = url_of(arg(function, "url"), url)?;
    Ok(HttpCall {
        method: method.to_owned(),
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: None,
        body_bytes_max: 0,
    })
}

/// The request that `http::request` was given.
pub(super) fn of(run: &RunState, function: &'static str, fields: &Options) -> Result<HttpCall, RhaiError> {
    let mut url = match fields.any("url") {
        Some(url) => url_of(arg(function, "url"), url)?,
        None => return Err(fields.missing("url")),
    };
    if let Some(query) = fields.any("query") {
        let query = pairs(run, arg(function, "query"), query)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
    }
    let mut call = HttpCall {
        method: method_of(function, fields)?,
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: fields.within("timeout_ms", 1..=run.call.limits.triggered_timeout_ms.max(run.call.timeout.ms))?,
        body_bytes_max: 0,
    };
    if let Some(headers) = fields.any("headers") {
        add_headers(run, arg(function, "headers"), &mut call, headers)?;
    }
    match (fields.any("json"), fields.any("form"), fields.any("body")) {
        (None, None, None) => {}
        (Some(value), None, None) => add_json(run, arg(function, "json"), &mut call, value)?,
        (None, Some(form), None) => {
            let form = pairs(run, arg(function, "form"), form)?;
            call.body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
            add_content_type(&mut call, "application/x-www-form-urlencoded");
        }
        (None, None, Some(body)) => add_bytes(run, arg(function, "body"), &mut call, body)?,
        _several => {
            let body_arg = arg(function, if fields.any("body").is_some() { "body" } else { "form" });
            return Err(body_arg.fault("only one of `json`, `form` and `body` can be given"));
        }
    }
    Ok(call)
}

fn url_of(from: Arg, url: &Dynamic) -> Result<Url, RhaiError> {
    let text = from.text(url)?;
    if text.len() > URL_BYTES_MAX {
        return Err(from.fault(format_args!("is longer than {URL_BYTES_MAX} bytes")));
    }
    let url = Url::parse(&text).map_err(|why| from.fault(format_args!("`{}` is no URL: {why}", short(&text))))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(from.fault(format_args!("`{}` begins with neither http:// nor https://", short(&text))));
    }
    Ok(url)
}

fn method_of(function: &'static str, fields: &Options) -> Result<String, RhaiError> {
    let Some(method) = fields.text("method")? else { return Ok("GET".to_owned()) };
    let method = method.to_ascii_uppercase();
    if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.bytes().all(is_token) {
        return Err(arg(function, "method").fault(format_args!("`{}` is no method", short(&method))));
    }
    if matches!(method.as_str(), "CONNECT" | "TRACE") {
        return Err(arg(function, "method").fault(format_args!("{method} is not sent")));
    }
    Ok(method)
}

/// The names and texts of a map; an array is several of one name.
fn pairs(run: &RunState, from: Arg, value: &Dynamic) -> Result<Vec<(String, String)>, RhaiError> {
    let map: Map = from.map(value.clone())?;
    let mut pairs = Vec::with_capacity(map.len());
    for (name, value) in &map {
        if let Ok(values) = value.as_array_ref() {
            for value in values.iter() {
                pairs.push((name.to_string(), text_of(from, name, value)?));
            }
        } else if !value.is_unit() {
            pairs.push((name.to_string(), text_of(from, name, value)?));
        }
        run.ensure_memory(0)?;
    }
    Ok(pairs)
}

fn text_of(from: Arg, name: &str, value: &Dynamic) -> Result<String, RhaiError> {
    let plain = value.is_string() || value.is_char() || value.is_int() || value.is_float() || value.is_bool();
    if plain {
        Ok(value.to_string())
    } else {
        Err(from
            .fault(format_args!("`{}` must be a string, a number, true or false, or an array of them", short(name))))
    }
}

fn add_headers(run: &RunState, from: Arg, call: &mut HttpCall, headers: &Dynamic) -> Result<(), RhaiError> {
    for (name, value) in pairs(run, from, headers)? {
        let name = name.to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(from.fault(format_args!("`{}` is no header name", short(&name))));
        }
        if name == "host" || SERVER_HEADERS.contains(&name.as_str()) {
            return Err(from.fault(format_args!("`{name}` follows from the request and cannot be set")));
        }
        if value.len() > HEADER_VALUE_BYTES_MAX {
            return Err(from.fault(format_args!("`{name}` is longer than {HEADER_VALUE_BYTES_MAX} bytes")));
        }
        if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            return Err(from.fault(format_args!("`{name}` has a control character")));
        }
        if call.headers.len() >= HEADERS_MAX {
            return Err(from.fault(format_args!("are more than {HEADERS_MAX}")));
        }
        call.headers.push((name, value));
    }
    Ok(())
}

fn add_content_type(call: &mut HttpCall, content_type: &str) {
    if !call.headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
        call.headers.push((CONTENT_TYPE.to_owned(), content_type.to_owned()));
    }
}

/// A value as JSON.
pub(super) fn add_json(run: &RunState, from: Arg, call: &mut HttpCall, value: &Dynamic) -> Result<(), RhaiError> {
    let bytes_max = run.call.limits.http_body_bytes;
    call.body =
        json::to_vec(value, usize::try_from(bytes_max).unwrap_or(usize::MAX), run).map_err(|error| match error {
            WriteError::Stopped(stopped) => stopped,
            WriteError::TooLong { .. } => too_large(from, bytes_max),
            no_json => from.fault(no_json),
        })?;
    add_content_type(call, "application/json");
    Ok(())
}

/// A string or a blob.
pub(super) fn add_bytes(run: &RunState, from: Arg, call: &mut HttpCall, value: &Dynamic) -> Result<(), RhaiError> {
    let content_type = if value.is_blob() { "application/octet-stream" } else { "text/plain; charset=utf-8" };
    let text = if value.is_char() { Dynamic::from(value.to_string()) } else { value.clone() };
    call.body = from.bytes(run, &text)?;
    let bytes_max = run.call.limits.http_body_bytes;
    if call.body.len() as u64 > bytes_max {
        return Err(too_large(from, bytes_max));
    }
    add_content_type(call, content_type);
    Ok(())
}

fn too_large(from: Arg, bytes_max: u64) -> RhaiError {
    from.too_large(format_args!("is larger than http_body_bytes = {bytes_max}"))
}
