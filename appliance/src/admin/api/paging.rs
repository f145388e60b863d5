//! Pages of lists that are short enough to be read whole: each item has a name, and the cursor is the last one's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use picloud_model::limits::Limits;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::Problem;
use picloud_store::StoreError;

/// Refuses a page size that no list gives.
pub(super) fn check(page: &PageRequest) -> Result<(), Problem> {
    page.limit.map_or(Ok(()), crate::kv::check_page)
}

/// Items of a page where the caller says nothing.
pub(super) fn default_limit(limits: &Limits) -> u32 {
    u32::try_from(limits.list_page).unwrap_or(u32::MAX)
}

/// The page of `items`, which stand in the order of their names or never change.
pub(super) fn page_of<T>(
    mut items: Vec<T>,
    page: &PageRequest,
    limits: &Limits,
    name_of: impl Fn(&T) -> &str,
) -> Result<Page<T>, Problem> {
    check(page)?;
    if let Some(cursor) = &page.cursor {
        let last = name_in(cursor).map_err(crate::admin::from_store)?;
        let found = items.iter().position(|item| name_of(item) == last).map(|index| index + 1);
        // It may have gone since: then the list goes on behind where it was.
        let from = found.unwrap_or_else(|| items.partition_point(|item| name_of(item) <= last.as_str()));
        items.drain(..from);
    }
    let limit = usize::try_from(page.limit.unwrap_or_else(|| default_limit(limits))).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let cursor = items.last().filter(|_last| more).map(|last| URL_SAFE_NO_PAD.encode(name_of(last)));
    Ok(Page { items, cursor })
}

/// The name that the last page ended with.
fn name_in(cursor: &str) -> Result<String, StoreError> {
    let name = URL_SAFE_NO_PAD.decode(cursor).map_err(|_not_ours| StoreError::BadCursor)?;
    String::from_utf8(name).ok().filter(|name| !name.is_empty()).ok_or(StoreError::BadCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_also_where_an_item_is_gone() {
        let page = |items: &[&'static str], limit, cursor| {
            let page = PageRequest { limit: Some(limit), cursor };
            page_of(items.to_vec(), &page, &Limits::default(), |item| item).unwrap()
        };
        let first = page(&["a", "b", "c", "d"], 2, None);
        assert_eq!(first.items, ["a", "b"]);
        let second = page(&["a", "c", "d"], 2, first.cursor);
        assert_eq!((second.items, second.cursor), (vec!["c", "d"], None));
        let foreign = PageRequest { limit: None, cursor: Some("??".to_owned()) };
        assert!(page_of(vec!["a"], &foreign, &Limits::default(), |item| item).is_err());
    }
}
