//! `html`: text into pages.

use super::Namespace;
use super::options::arg;
use crate::error::RhaiError;
use crate::run_state::RunState;
use rhai::{Dynamic, NativeCallContext};

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new("html", "Text into HTML pages.")
        .example("let name = \"<b>Eve</b>\";\n`<p title=\"${html::escape(name)}\">${html::escape(name)}</p>`")
        .function(
            "escape(text: any) -> string",
            "Text that is safe between tags and in quoted attributes: `&`, `<`, `>`, `\"` and `'` as entities. Numbers and \
             truth values are taken as text, `()` as nothing.",
            escape,
        )
}

fn escape(context: NativeCallContext, text: Dynamic) -> Result<String, RhaiError> {
    let plain = text.is_int() || text.is_float() || text.is_bool();
    let text = match text {
        nothing if nothing.is_unit() => return Ok(String::new()),
        number if plain => number.to_string().into(),
        other => arg("html::escape", "text").text(&other)?,
    };
    let escaped_bytes: usize =
        text.chars().map(|character| entity(character).map_or(character.len_utf8(), str::len)).sum();
    RunState::of(&context).check_string(escaped_bytes as u64)?;
    let mut escaped = String::with_capacity(escaped_bytes);
    for character in text.chars() {
        match entity(character) {
            Some(entity) => escaped.push_str(entity),
            None => escaped.push(character),
        }
    }
    Ok(escaped)
}

fn entity(character: char) -> Option<&'static str> {
    match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        _ => None,
    }
}
