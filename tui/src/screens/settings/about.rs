//! What the appliance is and how it is, and which program this is.

use super::page::{Page, none_selected};
use crate::app::{Answered, Context, Offer, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::widgets::list::{Column, List, Row};
use crate::widgets::reader::Reader;
use crate::widgets::state::State;
use serde_json::{Value, json};

/// How it is.
const STATUS: &str = "about-status";
/// What it is.
const VERSION: &str = "about-version";

static COLUMNS: [Column; 2] = [Column::new("what", 26), Column::rest("")];

/// The page.
#[derive(Debug)]
pub(super) struct About {
    list: List,
    state: State,
    status: Value,
    version: Value,
}

impl About {
    /// Without anything read.
    pub(super) fn new() -> Self {
        Self { list: List::new(&COLUMNS), state: State::default(), status: Value::Null, version: Value::Null }
    }

    fn show(&mut self) {
        let mut rows = vec![("this program".to_owned(), format!("picloud {}", env!("CARGO_PKG_VERSION")))];
        flatten("", &self.version, &mut rows);
        flatten("", &self.status, &mut rows);
        // Both say the appliance's version.
        let mut seen = std::collections::BTreeSet::new();
        rows.retain(|(name, _)| seen.insert(name.clone()));
        self.list.set(
            rows.into_iter().map(|(name, value)| Row::new(name.clone(), vec![name.into(), value.into()])).collect(),
        );
    }
}

/// Each field of a value on a line; what waits in apps has a screen of its own.
fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let name = format!("{prefix}{}", name.replace('_', " "));
        match value {
            Value::Null | Value::Array(_) => {}
            Value::Object(_) => flatten(&format!("{name} "), value, rows),
            Value::String(text) => rows.push((name, text.clone())),
            other => rows.push((name, other.to_string())),
        }
    }
}

impl Page for About {
    fn name(&self) -> &'static str {
        "about"
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
        ""
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(VERSION, ApiPath::new(&["version"]));
        cx.load(STATUS, ApiPath::new(&["status"]));
    }

    /// How it is changes all the time: it is read each time the page is shown.
    fn enter(&mut self, cx: &mut Context<'_>) {
        self.load(cx);
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        match slot.name {
            // Everybody may know the version; who may not know more sees that.
            VERSION => self.version = answered.as_ref().ok().and_then(|answer| answer.json().ok()).unwrap_or_default(),
            STATUS => {
                if let Some(status) = self.state.take::<Value>(cx.now, answered) {
                    self.status = status;
                }
            }
            _ => return false,
        }
        self.show();
        true
    }

    fn offers(&self) -> Vec<Offer> {
        let none = none_selected(&self.list);
        vec![
            Offer::new(Action::Info, "all, as JSON").unless(none.clone()),
            Offer::new(Action::Copy, "copy value").unless(none),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::Info | Action::Open => {
                let all = json!({ "status": self.status, "version": self.version });
                cx.read(Reader::new("The appliance", &format!("{all:#}")).json(all));
            }
            Action::Copy => {
                let Some(value) = self.list.selected().and_then(|row| row.cells.get(1)) else { return false };
                cx.copy("the value", value.text.clone());
            }
            _ => return false,
        }
        true
    }
}
