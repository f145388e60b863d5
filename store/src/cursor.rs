//! Cursors: where a page of a list ended, opaque to callers.
//!
//! A cursor is the last item's key (keyset paging), so that writes between two pages neither hide nor
//! repeat an item they did not touch. It also names its list, so that another list's is refused.

use crate::{Result, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use picloud_model::ids::ExecutionId;
use picloud_model::limits::LIMITS;
use picloud_model::page::Page;

/// The form of cursors; changes when what is in them changes.
const FORM: u8 = 1;

/// Which list a cursor belongs to; the number stands in the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Apps = 1,
    Scripts = 2,
    Versions = 3,
    Routes = 4,
    KvForward = 5,
    KvReverse = 6,
    Executions = 7,
    Keys = 8,
    Audit = 9,
    Secrets = 10,
    Triggers = 11,
    Timers = 12,
    DeadLetters = 13,
    Files = 16,
    JoinTokens = 17,
}

/// The cursor of `list` that stands behind the item with this key.
pub(crate) fn encode(list: List, key: &[u8]) -> String {
    let mut bytes = vec![FORM, list as u8];
    bytes.extend_from_slice(key);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The cursor of a list of executions that stands behind this one: for lists that merge runs from elsewhere in.
pub fn execution_cursor(id: ExecutionId) -> String {
    encode(List::Executions, &id.0.into_bytes())
}

/// The execution that a cursor of such a list stands behind.
pub fn execution_of_cursor(cursor: &str) -> Result<ExecutionId> {
    let bytes = decode(List::Executions, cursor)?.try_into().map_err(|_length| StoreError::BadCursor)?;
    Ok(ExecutionId(uuid::Uuid::from_bytes(bytes)))
}

/// The key that a cursor of `list` stands behind.
pub(crate) fn decode(list: List, cursor: &str) -> Result<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_not_base64| StoreError::BadCursor)?;
    match bytes.split_first_chunk() {
        Some(([FORM, number], key)) if *number == list as u8 => Ok(key.to_vec()),
        _ => Err(StoreError::BadCursor),
    }
}

/// The key as a name; `""`, which is before every name, where there is no cursor. No name has U+0000, which Postgres
/// would refuse in its own words.
pub(crate) fn decode_text(list: List, cursor: Option<&str>) -> Result<String> {
    let Some(cursor) = cursor else { return Ok(String::new()) };
    let name = String::from_utf8(decode(list, cursor)?).ok().filter(|name| !name.contains('\0'));
    name.ok_or(StoreError::BadCursor)
}

/// The key as a number; `start` where there is no cursor.
pub(crate) fn decode_number(list: List, cursor: Option<&str>, start: i64) -> Result<i64> {
    let Some(cursor) = cursor else { return Ok(start) };
    let bytes = decode(list, cursor)?.try_into().map_err(|_length| StoreError::BadCursor)?;
    Ok(i64::from_be_bytes(bytes))
}

/// How many items a page has: what was asked for within the `list_page` limit.
pub(crate) fn page_items(asked: Option<u32>) -> usize {
    let row = LIMITS.iter().find(|row| row.name == "list_page").expect("the table has this limit");
    let items = asked.map_or(row.default, u64::from).clamp(1, row.ceiling);
    usize::try_from(items).expect("a page's ceiling fits a usize")
}

/// The number of rows to ask for: one more shows whether there is a next page.
pub(crate) fn rows_max(items_max: usize) -> i64 {
    i64::try_from(items_max + 1).expect("a page is small")
}

/// The page out of up to `items_max + 1` items, of which the last only shows that there are more.
pub(crate) fn page<T, K: AsRef<[u8]>>(
    mut items: Vec<T>,
    items_max: usize,
    list: List,
    key: impl FnOnce(&T) -> K,
) -> Page<T> {
    let more = items.len() > items_max;
    items.truncate(items_max);
    let cursor = items.last().filter(|_last| more).map(|last| encode(list, key(last).as_ref()));
    Page { items, cursor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_list_and_nothing_else_is_one() {
        let cursor = encode(List::Apps, b"kitchen");
        assert_eq!(decode_text(List::Apps, Some(&cursor)).unwrap(), "kitchen");
        for (list, text) in [
            (List::Scripts, cursor.as_str()),
            (List::Apps, ""),
            (List::Apps, "AQ"),
            (List::Apps, "not base64!"),
            (List::Versions, cursor.as_str()),
        ] {
            assert!(matches!(decode(list, text), Err(StoreError::BadCursor)), "{text}");
        }
        assert!(matches!(decode_number(List::Apps, Some(&cursor), 0), Err(StoreError::BadCursor)));
    }

    #[test]
    fn a_page_holds_what_was_asked_for_within_the_limit() {
        assert_eq!([None, Some(0), Some(7), Some(5_000)].map(page_items), [100, 1, 7, 1_000]);
        let page = page(vec!["a", "b", "c"], 2, List::Apps, |name| name.as_bytes().to_vec());
        assert_eq!(page.items, ["a", "b"]);
        assert_eq!(decode_text(List::Apps, page.cursor.as_deref()).unwrap(), "b");
    }
}
