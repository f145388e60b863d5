//! Lists: every one takes `limit` and `cursor` and answers `{items, cursor}`.

use serde::{Deserialize, Serialize};

/// What a list asks for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageRequest {
    /// At most so many items; the `list_page` limit where absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// Where the last page ended; from the start where absent. Opaque.
    #[serde(default)]
    #[param(min_length = 1)]
    pub cursor: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// What to pass for the next page; `null` at the end.
    #[schema(required = true)]
    pub cursor: Option<String>,
}

impl<T> Page<T> {
    /// The same page with each item turned into another.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), cursor: self.cursor }
    }
}
