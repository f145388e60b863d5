//! What scripts can call, as the appliance tells it: a line a row, so that it is filtered as everything is.

use super::page::{Page, none_selected};
use crate::app::{Answered, Context, Offer, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Ink;
use crate::widgets::list::{Cel, Column, List, Row, inked};
use crate::widgets::reader::Reader;
use crate::widgets::state::State;

/// The text.
const SDK: &str = "sdk";
/// Lines that are shown.
const LINES_MAX: usize = 20_000;
/// What the line with a section's title begins with.
const SECTION: &str = "## ";

static COLUMNS: [Column; 1] = [Column::rest("line")];

/// The page.
#[derive(Debug)]
pub(super) struct Sdk {
    list: List,
    state: State,
}

impl Sdk {
    /// Without anything read.
    pub(super) fn new() -> Self {
        Self { list: List::new(&COLUMNS), state: State::default() }
    }

    /// The section with the cursor, whatever the filter hides of it: its lines are wrapped there.
    fn section(&self) -> Option<Reader> {
        let at = self.list.selected_id()?.parse::<usize>().ok()?;
        let lines: Vec<&Cel> = self.list.rows().iter().filter_map(|row| row.cells.first()).collect();
        let begins = |line: &&Cel| line.text.starts_with(SECTION);
        let from = lines.get(..=at)?.iter().rposition(begins).unwrap_or(0);
        let until = lines.iter().skip(at + 1).position(begins).map_or(lines.len(), |more| at + 1 + more);
        let section = lines.get(from..until)?;
        let title = section.first()?.text.trim_start_matches(['#', ' ']).to_owned();
        Some(Reader::of(title, section.iter().map(|line| vec![(line.ink, line.text.clone())]).collect()))
    }
}

impl Page for Sdk {
    fn name(&self) -> &'static str {
        SDK
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
        "the appliance says nothing about its SDK"
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(SDK, ApiPath::new(&["sdk", "docs"]));
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        if slot.name != SDK {
            return false;
        }
        self.state.ended(cx.now, answered.as_ref().err());
        if let Ok(answer) = answered {
            let text = String::from_utf8_lossy(&answer.body);
            let row = |(number, line): (usize, &str)| {
                let ink = if line.starts_with('#') { Ink::Strong } else { Ink::Plain };
                Row::new(number.to_string(), vec![inked(ink, line)])
            };
            self.list.set(text.lines().take(LINES_MAX).enumerate().map(row).collect());
        }
        true
    }

    fn offers(&self) -> Vec<Offer> {
        let none = none_selected(&self.list);
        vec![
            Offer::new(Action::Open, "read section").unless(none.clone()),
            Offer::new(Action::Copy, "copy line").unless(none),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match (action, self.list.selected()) {
            (Action::Open | Action::Info, Some(_)) => self.section().into_iter().for_each(|reader| cx.read(reader)),
            (Action::Copy, Some(row)) => {
                let line = row.cells.first().map(|cell| cell.text.clone()).unwrap_or_default();
                cx.copy("the line", line);
            }
            _ => return false,
        }
        true
    }
}
