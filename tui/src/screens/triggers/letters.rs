//! Dead letters of one trigger: the lower pane.

use super::rows;
use crate::app::{Answered, Context, Slot};
use crate::path::ApiPath;
use crate::theme::{Ink, Look};
use crate::widgets::list::List;
use crate::widgets::state::{State, no_match};
use crate::widgets::text;
use picloud_model::dead_letter::{DeadLetter, DeadLetterDetail};
use picloud_model::page::Page;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::{BTreeMap, BTreeSet};

/// The first page.
pub(super) const FIRST: &str = "letters";
/// A further one.
pub(super) const MORE: &str = "more-letters";
/// One letter's event, for the list.
pub(super) const PAYLOAD: &str = "payload";
/// Letters of a page.
const PAGE: u32 = 500;
/// The next page is read when the cursor is within so many lines of the end.
const AHEAD_LINES: usize = 50;
/// Payloads are read of letters within so many lines of the cursor, so many at once.
const PAYLOAD_LINES: usize = 8;
/// Payloads that are kept.
const PAYLOADS_MAX: usize = 1_000;

/// Whose letters: the app, and the trigger; without one, those that no trigger led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) app: String,
    pub(super) trigger: Option<String>,
}

impl Of {
    /// Of a row of the list of triggers.
    pub(super) fn row(id: &str) -> Option<Self> {
        let (app, trigger) = id.split_once('/')?;
        Some(Self { app: app.to_owned(), trigger: Some(trigger.to_owned()).filter(|name| !name.is_empty()) })
    }

    /// `app/trigger`
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.app, self.trigger.as_deref().unwrap_or("-"))
    }
}

/// The pane.
#[derive(Debug)]
pub(super) struct Letters {
    pub(super) of: Option<Of>,
    pub(super) list: List,
    items: Vec<DeadLetter>,
    cursor: Option<String>,
    is_loading_more: bool,
    state: State,
    payloads: BTreeMap<i64, String>,
    asked: BTreeSet<i64>,
}

impl Letters {
    /// Of nothing yet.
    pub(super) fn new() -> Self {
        Self {
            of: None,
            list: List::new(&rows::LETTERS),
            items: Vec::new(),
            cursor: None,
            is_loading_more: false,
            state: State::default(),
            payloads: BTreeMap::new(),
            asked: BTreeSet::new(),
        }
    }

    /// Shows those of another trigger; nothing is read where there are none.
    pub(super) fn show(&mut self, of: Option<Of>, count: u64, cx: &mut Context<'_>) {
        let (filter, payloads) = (self.list.filter_text().to_owned(), std::mem::take(&mut self.payloads));
        let keeps_filter = of == self.of;
        *self = Self { of, payloads, ..Self::new() };
        if keeps_filter {
            self.list.filter(&filter);
        }
        if count == 0 {
            cx.stop(FIRST);
            self.state.ended(cx.now, None);
        } else {
            self.load(cx);
        }
    }

    /// Reads the first page anew; what is shown stays meanwhile.
    pub(super) fn load(&mut self, cx: &mut Context<'_>) {
        if let Some(path) = self.path(None) {
            self.state.begin();
            self.is_loading_more = false;
            cx.stop(MORE);
            cx.load(FIRST, path);
        }
    }

    fn path(&self, cursor: Option<&str>) -> Option<ApiPath> {
        let of = self.of.as_ref()?;
        let path = ApiPath::of_app(&of.app, &["dead-letters"]).query("trigger", of.trigger.as_ref());
        Some(path.query("limit", Some(PAGE)).query("cursor", cursor))
    }

    /// Loads that were under way have ended without an answer.
    pub(super) fn left(&mut self) {
        self.asked.clear();
        self.is_loading_more = false;
    }

    /// A page came.
    pub(super) fn loaded(&mut self, is_first: bool, answered: &Answered, cx: &mut Context<'_>) {
        self.is_loading_more = false;
        let Some(page) = self.state.take::<Page<DeadLetter>>(cx.now, answered) else {
            if let Err(problem) = answered {
                cx.complain(problem.clone());
            }
            return;
        };
        if is_first {
            self.items.clear();
        }
        let has_trigger = self.of.as_ref().is_some_and(|of| of.trigger.is_some());
        let known: BTreeSet<i64> = self.items.iter().map(|letter| letter.id.0).collect();
        let wanted = |letter: &DeadLetter| letter.trigger.is_some() == has_trigger && !known.contains(&letter.id.0);
        self.items.extend(page.items.into_iter().filter(wanted));
        self.cursor = page.cursor;
        self.tell(cx);
        self.more(cx);
    }

    fn tell(&mut self, cx: &Context<'_>) {
        let row = |letter: &DeadLetter| {
            let payload = self.payloads.get(&letter.id.0).map(String::as_str);
            rows::letter(letter, payload, cx.now.unix_ms, &cx.facts.zone)
        };
        self.list.set(self.items.iter().map(row).collect());
    }

    /// Reads what the cursor comes near to: the next page, and what the letters around it say.
    pub(super) fn more(&mut self, cx: &mut Context<'_>) {
        if let Some(path) = self.cursor.as_deref().and_then(|cursor| self.path(Some(cursor)))
            && !self.is_loading_more
            && self.list.is_near_end(AHEAD_LINES)
        {
            self.is_loading_more = true;
            cx.load(MORE, path);
        }
        let Some(of) = &self.of else { return };
        let near = self.list.near(PAYLOAD_LINES).filter_map(|id| id.parse::<i64>().ok());
        let missing = near.filter(|id| !self.payloads.contains_key(id) && !self.asked.contains(id));
        let missing: Vec<i64> = missing.take((2 * PAYLOAD_LINES).saturating_sub(self.asked.len())).collect();
        for id in missing {
            let of_letter = id.to_string();
            cx.load(Slot::of(PAYLOAD, of_letter.as_str()), ApiPath::of_app(&of.app, &["dead-letters", &of_letter]));
            self.asked.insert(id);
        }
    }

    /// What a letter says came.
    pub(super) fn payload(&mut self, id: &str, answered: &Answered, cx: &mut Context<'_>) {
        let Ok(id) = id.parse::<i64>() else { return };
        self.asked.remove(&id);
        let detail = answered.as_ref().ok().and_then(|answer| answer.json::<DeadLetterDetail>().ok());
        if self.payloads.len() >= PAYLOADS_MAX {
            self.payloads.clear();
        }
        // One that is gone meanwhile is not asked for again.
        let told = detail.map_or_else(|| "?".to_owned(), |detail| rows::payload(&detail.event));
        self.payloads.insert(id, told);
        self.tell(cx);
        self.more(cx);
    }

    /// Ids that an action is about.
    pub(super) fn chosen(&self) -> Vec<i64> {
        self.list.chosen().into_iter().filter_map(|id| id.parse().ok()).collect()
    }

    /// The letter with the cursor.
    pub(super) fn selected(&self) -> Option<&DeadLetter> {
        let id: i64 = self.list.selected_id()?.parse().ok()?;
        self.items.iter().find(|letter| letter.id.0 == id)
    }

    /// Whether all of them were read, and none is hidden.
    pub(super) fn is_whole(&self) -> bool {
        self.cursor.is_none() && self.list.filter_text().is_empty()
    }

    /// What stands above them.
    pub(super) fn told(&self) -> String {
        let Some(of) = &self.of else { return String::new() };
        let count = match (self.items.len(), self.cursor.is_some()) {
            (0, _) => "no dead letters".to_owned(),
            (1, false) => "1 dead letter".to_owned(),
            (count, more) => format!("{count}{} dead letters", if more { "+" } else { "" }),
        };
        let marked = match self.list.marked() {
            0 => String::new(),
            marked => format!("  {marked} marked"),
        };
        format!("{}  {count}{marked}", of.name())
    }

    /// Draws them below a rule.
    pub(super) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer, has_focus: bool) {
        if area.is_empty() {
            return;
        }
        let rule = look.signs().rule;
        let told = text::clean(&self.told());
        let shown = text::cut(&told, usize::from(area.width).saturating_sub(8), look.signs().more);
        let ink = look.ink(if has_focus { Ink::Strong } else { Ink::Faint });
        let x = text::put(buf, area, (area.x + 1, area.y), &rule.repeat(2), 2, look.ink(Ink::Faint));
        let x = text::put(buf, area, (x + 1, area.y), &shown, usize::from(area.width), ink);
        let rest = usize::from(area.right().saturating_sub(x + 1));
        text::put(buf, area, (x + 1, area.y), &rule.repeat(rest), rest, look.ink(Ink::Faint));
        self.view_list(look, Rect { y: area.y + 1, height: area.height - 1, ..area }, buf, has_focus);
    }

    /// Draws them alone.
    pub(super) fn view_list(&self, look: &Look, below: Rect, buf: &mut Buffer, has_focus: bool) {
        if !self.list.is_empty() {
            self.list.view(look, below, buf, has_focus);
        } else if !self.items.is_empty() {
            no_match(look, below, buf, self.list.filter_text());
        } else if self.of.is_some() && (!self.state.is_read() || self.state.problem().is_some()) {
            self.state.view(look, below, buf, "");
        }
    }
}
