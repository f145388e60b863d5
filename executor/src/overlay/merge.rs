//! A page of a list, with what was written on top.
//!
//! A cursor holds where the last page ended and the real list's cursor of the page that this lies in, so that the real
//! list is read again from there and not from its beginning.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use picloud_model::protocol::ServiceFailure;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The list that is asked for.
pub(super) struct Asked<'a> {
    /// What it is, so that no other list takes its cursors.
    pub(super) of: String,
    /// Where the last page ended.
    pub(super) cursor: Option<&'a str>,
    /// At most so many items.
    pub(super) limit: usize,
    /// From the last to the first.
    pub(super) reverse: bool,
}

/// A page of the real list.
pub(super) struct BasePage<T> {
    pub(super) items: Vec<T>,
    pub(super) cursor: Option<String>,
}

/// A page.
pub(super) struct Merged<T> {
    pub(super) items: Vec<T>,
    pub(super) cursor: Option<String>,
}

/// Puts the two together. `over` is what was written, in the list's order; `of_base` says which of the real items are
/// still so; a place orders both. `None` for a cursor that is not of this list.
pub(super) fn merged<T, P: Ord + Clone + Serialize + DeserializeOwned>(
    asked: &Asked<'_>,
    over: Vec<T>,
    place: impl Fn(&T) -> P,
    of_base: impl Fn(&T) -> bool,
    mut base: impl FnMut(Option<String>) -> Result<Option<BasePage<T>>, ServiceFailure>,
) -> Result<Option<Merged<T>>, ServiceFailure> {
    let begin = match asked.cursor.map(|cursor| read::<P>(cursor, &asked.of)) {
        None => (None, None),
        Some(Some((base_cursor, after))) => (base_cursor, Some(after)),
        Some(None) => return Ok(None),
    };
    let (mut base_cursor, after) = begin;
    let before = |a: &P, b: &P| if asked.reverse { a > b } else { a < b };
    let is_next = |item: &T| after.as_ref().is_none_or(|after| before(after, &place(item)));
    let mut over = over.into_iter().filter(|item| is_next(item)).peekable();
    let mut items: Vec<T> = Vec::new();
    loop {
        let Some(page) = base(base_cursor.clone())? else { return Ok(None) };
        let at_end = page.cursor.is_none();
        let real = page.items.into_iter().filter(|item| of_base(item) && is_next(item));
        // After the last of the real ones what is left of those on top follows, unless more real ones may come first.
        for real in real.map(Some).chain(at_end.then_some(None)) {
            while let Some(written) =
                over.next_if(|written| real.as_ref().is_none_or(|real| before(&place(written), &place(real))))
            {
                if items.len() == asked.limit {
                    return Ok(Some(full(asked, items, base_cursor, &place)));
                }
                items.push(written);
            }
            let Some(real) = real else { break };
            if items.len() == asked.limit {
                return Ok(Some(full(asked, items, base_cursor, &place)));
            }
            items.push(real);
        }
        if at_end {
            return Ok(Some(Merged { items, cursor: None }));
        }
        base_cursor = page.cursor;
    }
}

/// A page with more behind it, whose next item is in the real page at `base_cursor` or before it.
fn full<T, P: Serialize>(
    asked: &Asked<'_>,
    items: Vec<T>,
    base_cursor: Option<String>,
    place: impl Fn(&T) -> P,
) -> Merged<T> {
    let cursor = items.last().map(|last| write(&asked.of, base_cursor.as_deref(), &place(last)));
    Merged { items, cursor }
}

fn write<P: Serialize>(of: &str, base_cursor: Option<&str>, after: &P) -> String {
    let text = serde_json::json!([of, base_cursor, after]).to_string();
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

fn read<P: DeserializeOwned>(cursor: &str, of: &str) -> Option<(Option<String>, P)> {
    let text = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (list, base_cursor, after): (String, Option<String>, P) = serde_json::from_slice(&text).ok()?;
    (list == of).then_some((base_cursor, after))
}
