//! Queries, forms and cookies: lists of names and values in one line of text.

use percent_encoding::percent_decode;
use rhai::{Array, Dynamic, Map};
use std::borrow::Cow;

/// The parts of `a=1&b=2`, still encoded.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// Decodes a name or value of a query or form: `+` is a space, `%xx` a byte; bytes that are not UTF-8 become `�`.
pub(crate) fn form_decode(text: &str) -> String {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()
}

/// Name → first value.
pub(crate) fn first_values(text: &str) -> Map {
    let mut map = Map::new();
    for (name, value) in pairs(text) {
        map.entry(form_decode(name).as_str().into()).or_insert_with(|| form_decode(value).into());
    }
    map
}

/// Name → array of all values, in their order.
pub(crate) fn all_values(text: &str) -> Map {
    let mut map = Map::new();
    for (name, value) in pairs(text) {
        let values = map.entry(form_decode(name).as_str().into()).or_insert_with(|| Dynamic::from_array(Array::new()));
        if let Ok(mut values) = values.as_array_mut() {
            values.push(form_decode(value).into());
        }
    }
    map
}
