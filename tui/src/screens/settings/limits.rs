//! Every limit: what holds by default, and the most an app may set.

use super::page::{Page, none_selected};
use crate::app::{Answered, Context, Offer, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::widgets::list::{Column, List, Row};
use crate::widgets::reader::Reader;
use crate::widgets::state::State;
use picloud_model::page::Page as Items;
use serde::{Deserialize, Serialize};

/// The limits.
const LIMITS: &str = "limits";
/// Limits of a page.
const PAGE: u32 = 1_000;

static COLUMNS: [Column; 4] = [
    Column::new("limit", 20),
    Column::new("default", 11).right(),
    Column::new("at most", 13).right(),
    Column::rest("what it bounds").spare(1),
];

/// A limit.
#[derive(Debug, Deserialize, Serialize)]
struct Limit {
    name: String,
    default: u64,
    ceiling: u64,
    doc: String,
}

/// The page.
#[derive(Debug)]
pub(super) struct Limits {
    list: List,
    state: State,
    limits: Vec<Limit>,
}

impl Limits {
    /// Without anything read.
    pub(super) fn new() -> Self {
        Self { list: List::new(&COLUMNS), state: State::default(), limits: Vec::new() }
    }
}

impl Page for Limits {
    fn name(&self) -> &'static str {
        LIMITS
    }

    fn list(&self) -> &List {
        &self.list
    }

    fn list_mut(&mut self) -> &mut List {
        &mut self.list
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn nothing(&self) -> &'static str {
        "there are no limits"
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(LIMITS, ApiPath::new(&["limits"]).query("limit", Some(PAGE)));
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        if slot.name != LIMITS {
            return false;
        }
        let Some(page) = self.state.take::<Items<Limit>>(cx.now, answered) else { return true };
        self.limits = page.items;
        let row = |limit: &Limit| {
            let cells = vec![
                limit.name.clone().into(),
                limit.default.to_string().into(),
                if limit.ceiling == limit.default { "fixed".into() } else { limit.ceiling.to_string().into() },
                limit.doc.clone().into(),
            ];
            Row::new(limit.name.clone(), cells)
        };
        self.list.set(self.limits.iter().map(row).collect());
        true
    }

    fn offers(&self) -> Vec<Offer> {
        vec![Offer::new(Action::Open, "info").unless(none_selected(&self.list))]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let selected = self.list.selected_id().and_then(|name| self.limits.iter().find(|limit| limit.name == name));
        let (Action::Open | Action::Info, Some(limit)) = (action, selected) else { return false };
        let text = format!(
            "{}\n\ndefault  {}\nat most  {}\n\nAn app sets it in [limits] of app.toml, or on 3 Apps with e.",
            limit.doc, limit.default, limit.ceiling
        );
        cx.read(Reader::new(format!("Limit {}", limit.name), &text).json(serde_json::json!(limit)));
        true
    }
}
