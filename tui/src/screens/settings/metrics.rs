//! The appliance's metrics, as Prometheus reads them.

use super::page::{Page, none_selected};
use crate::app::{Answered, Context, Offer, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::widgets::list::{Column, List, Row};
use crate::widgets::state::State;

/// The metrics.
const METRICS: &str = "metrics";
/// Lines that are shown.
const LINES_MAX: usize = 20_000;

static COLUMNS: [Column; 2] = [Column::rest("metric"), Column::new("value", 18).right()];

/// The page.
#[derive(Debug)]
pub(super) struct Metrics {
    list: List,
    state: State,
}

impl Metrics {
    /// Without anything read.
    pub(super) fn new() -> Self {
        Self { list: List::new(&COLUMNS), state: State::default() }
    }
}

impl Page for Metrics {
    fn name(&self) -> &'static str {
        METRICS
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
        "there are no metrics yet"
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(METRICS, ApiPath::new(&["metrics"]));
    }

    /// They change all the time: they are read each time the page is shown.
    fn enter(&mut self, cx: &mut Context<'_>) {
        self.load(cx);
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        if slot.name != METRICS {
            return false;
        }
        self.state.ended(cx.now, answered.as_ref().err());
        if let Ok(answer) = answered {
            let text = String::from_utf8_lossy(&answer.body);
            let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).take(LINES_MAX);
            let row = |line: &str| {
                // The value is what follows the last blank; labels may have blanks in them.
                let (name, value) = line.rsplit_once(' ').unwrap_or((line, ""));
                Row::new(name, vec![name.into(), value.into()])
            };
            self.list.set(samples.map(row).collect());
        }
        true
    }

    fn offers(&self) -> Vec<Offer> {
        vec![
            Offer::new(Action::Reload, "read anew"),
            Offer::new(Action::Copy, "copy line").unless(none_selected(&self.list)),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let (Action::Copy, Some(row)) = (action, self.list.selected()) else { return false };
        let line = row.cells.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join(" ");
        cx.copy("the line", line);
        true
    }
}
