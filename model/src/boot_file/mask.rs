//! Takes the secrets out of a file that was used: each of their bytes becomes a `*`, and nothing else changes.
//!
//! The text keeps its length, so that a card's file can be written over in place, in the very blocks that held the
//! secrets, and so that a power cut leaves a file of which every byte is either as it was or a `*`.

use super::keys::KEYS;
use super::read::SECRET_SETTINGS;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What stands in each byte's place.
pub const ERASED: char = '*';

/// Whether a secret value is what an erased one leaves.
pub(super) fn is_erased(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c == ERASED)
}

/// The text without its secrets; text that is no TOML stays as it is.
pub fn mask(text: &str) -> String {
    let Ok(table) = DeTable::parse(text) else { return text.to_owned() };
    let mut bytes = text.as_bytes().to_vec();
    for span in secret_spans(table.get_ref()) {
        let inner = within_quotes(text, span);
        bytes[inner].fill(ERASED as u8);
    }
    // Whole characters were replaced by as many ASCII bytes as they had.
    String::from_utf8(bytes).unwrap_or_default()
}

fn secret_spans(root: &DeTable<'_>) -> Vec<Range<usize>> {
    let rows = KEYS.iter().filter(|key| key.secret).map(|key| (vec![key.section], key.key));
    let sections = ["appliance", "node"].map(|section| vec![section, "settings"]);
    let settings = sections.iter().flat_map(|at| SECRET_SETTINGS.iter().map(|key| (at.clone(), *key)));
    rows.chain(settings).filter_map(|(sections, key)| item(root, &sections, key)).map(Spanned::span).collect()
}

fn item<'t, 'i>(root: &'t DeTable<'i>, sections: &[&str], key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    let mut table = root;
    for section in sections {
        table = table.get(*section)?.get_ref().as_table()?;
    }
    table.get(key).filter(|item| item.get_ref().is_str())
}

/// The part of a value between its quotes, of which TOML has four kinds.
fn within_quotes(text: &str, span: Range<usize>) -> Range<usize> {
    let value = &text[span.clone()];
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let quote = quotes.iter().find(|quote| value.len() >= 2 * quote.len() && value.starts_with(**quote));
    let length = quote.map_or(0, |quote| quote.len());
    span.start + length..span.end - length
}
