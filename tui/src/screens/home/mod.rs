//! The Home screen: what needs a person, the machines, the last hour, the newest runs; live, from one stream.
//!
//! What changes every second are a few numbers; rows of runs are exchanged every few seconds only, so that the screen
//! costs little on a slow line however much runs.

mod goal;
mod hour;
mod items;
mod lines;
#[cfg(test)]
mod tests;

use crate::app::{Answered, Context, Offer, Place, Screen, Slot, StreamEvent, StreamState};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Look;
use crate::widgets::spots::Spots;
use crate::widgets::{state, text};
use goal::Goal;
use items::Item;
use picloud_model::activity::{Activity, RunGlance};
use picloud_model::problem::{Code, Problem};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::cell::Cell;

/// The stream, and what waits for the next exchange of runs.
const ACTIVITY: &str = "activity";
const RUNS: &str = "runs";
/// Rows of runs are exchanged no more often.
const RUNS_EVERY_MS: u64 = 4_000;

/// Whether the stream comes.
#[derive(Debug, Default, PartialEq, Eq)]
enum Flow {
    #[default]
    Connecting,
    Live,
    Lost,
}

/// The screen.
#[derive(Debug)]
pub(super) struct Home {
    flow: Flow,
    activity: Option<Activity>,
    /// The runs whose rows are shown, and since when.
    runs: Vec<RunGlance>,
    runs_since_ms: u64,
    waits_for_runs: bool,
    /// When the appliance last told how it is.
    told_unix_ms: i64,
    problem: Option<Problem>,
    /// What is selected, and the place where it was among all that can be.
    selected: Option<String>,
    at: usize,
    filter: String,
    /// Whether all that needs a person is shown, also where that leaves no room for the rest.
    shows_all_needs: bool,
    zone: jiff::tz::TimeZone,
    /// The first line that was visible, and how many there were, when it was drawn last.
    top: Cell<usize>,
    height: Cell<u16>,
    /// Where things stand.
    spots: Spots,
}

impl Home {
    /// Without anything loaded.
    pub(super) fn new() -> Self {
        Self {
            flow: Flow::default(),
            activity: None,
            runs: Vec::new(),
            runs_since_ms: 0,
            waits_for_runs: false,
            told_unix_ms: 0,
            problem: None,
            selected: None,
            at: 0,
            filter: String::new(),
            shows_all_needs: false,
            zone: jiff::tz::TimeZone::UTC,
            top: Cell::new(0),
            height: Cell::new(20),
            spots: Spots::default(),
        }
    }

    fn follow(&mut self, cx: &mut Context<'_>) {
        self.flow = Flow::Connecting;
        cx.follow(ACTIVITY, ApiPath::new(&["activity"]));
    }

    fn take(&mut self, activity: Activity, cx: &mut Context<'_>) {
        let runs = std::mem::take(&mut self.activity.insert(activity).recent);
        let is_due = cx.now.mono_ms.saturating_sub(self.runs_since_ms) >= RUNS_EVERY_MS;
        let before = self.items();
        if self.runs.is_empty() || is_due {
            self.runs = runs;
            self.runs_since_ms = cx.now.mono_ms;
        } else if self.runs != runs {
            // They are shown when their time comes.
            if !self.waits_for_runs {
                let left = RUNS_EVERY_MS.saturating_sub(cx.now.mono_ms.saturating_sub(self.runs_since_ms));
                cx.later(RUNS, left);
                self.waits_for_runs = true;
            }
            self.activity.as_mut().expect("it was just put there").recent = runs;
        }
        self.keep_cursor(&before);
    }

    /// All that can be selected, in order.
    fn items(&self) -> Vec<Item> {
        let Some(activity) = &self.activity else { return Vec::new() };
        let items = items::all(activity, &self.runs, self.needs_max());
        let needle = self.filter.to_lowercase();
        let (needle, wanted) = needle.strip_prefix('!').map_or((needle.as_str(), true), |rest| (rest, false));
        items.into_iter().filter(|item| needle.is_empty() || item.has(needle) == wanted).collect()
    }

    /// How many things that need a person are shown, so that there is room for the rest.
    fn needs_max(&self) -> usize {
        const OTHERS: u16 = 15;
        const NEEDS_MIN: u16 = 3;
        if self.shows_all_needs {
            return usize::MAX;
        }
        usize::from(self.height.get().saturating_sub(OTHERS).max(NEEDS_MIN))
    }

    /// The cursor stays on its thing; where that is gone, at its place.
    fn keep_cursor(&mut self, before: &[Item]) {
        let items = self.items();
        if before.is_empty() {
            self.at = 0;
        }
        let found = self.selected.as_ref().and_then(|id| items.iter().position(|item| item.id == *id));
        self.at = found.unwrap_or(self.at).min(items.len().saturating_sub(1));
        self.selected = items.get(self.at).map(|item| item.id.clone());
    }

    fn move_to(&mut self, at: usize) {
        let items = self.items();
        self.at = at.min(items.len().saturating_sub(1));
        self.selected = items.get(self.at).map(|item| item.id.clone());
    }

    fn goal(&self) -> Option<Goal> {
        self.items().into_iter().nth(self.at).map(|item| item.goal)
    }

    fn open(&mut self, cx: &mut Context<'_>) {
        match self.goal() {
            Some(Goal::Place(place)) => cx.go(place),
            Some(Goal::AllNeeds) => self.shows_all_needs = true,
            None => {}
        }
    }
}

impl Screen for Home {
    fn enter(&mut self, _place: &Place, cx: &mut Context<'_>) {
        self.zone = cx.facts.zone.clone();
        self.follow(cx);
    }

    fn leave(&mut self) {
        self.waits_for_runs = false;
        self.runs_since_ms = 0;
    }

    fn title(&self, _look: &Look) -> String {
        match (&self.activity, &self.flow) {
            (None, Flow::Connecting) => "  loading".to_owned(),
            (Some(_), Flow::Lost) => format!("  data of {}", text::time_of_day(self.told_unix_ms, &self.zone)),
            _ => String::new(),
        }
    }

    fn offers(&self) -> Vec<Offer> {
        let word = match self.goal() {
            Some(Goal::AllNeeds) => "show all".to_owned(),
            _ => "open".to_owned(),
        };
        let nothing = self.items().is_empty().then_some("nothing is selected");
        vec![Offer::new(Action::Open, word).unless(nothing), Offer::new(Action::Reload, "reload")]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let page = usize::from(self.height.get()).saturating_sub(1).max(1);
        match action {
            Action::Up => self.move_to(self.at.saturating_sub(1)),
            Action::Down => self.move_to(self.at + 1),
            Action::PageUp => self.move_to(self.at.saturating_sub(page)),
            Action::PageDown => self.move_to(self.at + page),
            Action::Top => self.move_to(0),
            Action::Bottom => self.move_to(usize::MAX),
            Action::Point(point) => match self.spots.at(point) {
                Some(at) => self.move_to(at),
                None => return false,
            },
            // From what needs a person to the machines, to the runs, and round.
            Action::NextPane | Action::PreviousPane => {
                let items = self.items();
                self.move_to(items::next_section(&items, self.at, action == Action::NextPane));
            }
            Action::Open => self.open(cx),
            Action::Back if self.shows_all_needs => self.shows_all_needs = false,
            _ => return false,
        }
        true
    }

    fn filter(&mut self, text: &str, _cx: &mut Context<'_>) {
        let before = self.items();
        text.clone_into(&mut self.filter);
        self.keep_cursor(&before);
    }

    fn filter_text(&self) -> &str {
        &self.filter
    }

    fn loaded(&mut self, _slot: &Slot, _answered: Answered, _cx: &mut Context<'_>) {}

    fn reload(&mut self, cx: &mut Context<'_>) {
        self.runs_since_ms = 0;
        self.follow(cx);
    }

    fn streamed(&mut self, _slot: &Slot, events: &[StreamEvent], cx: &mut Context<'_>) {
        // Each tells all; only the last counts.
        let Some(event) = events.iter().rfind(|event| event.name == "activity") else { return };
        match serde_json::from_value::<Activity>(event.data.clone()) {
            Ok(activity) => {
                self.problem = None;
                self.flow = Flow::Live;
                self.told_unix_ms = cx.now.unix_ms;
                self.take(activity, cx);
            }
            Err(error) => {
                let detail = format!("what the appliance tells is not what this version expects: {error}");
                self.problem = Some(Problem::new(Code::Internal, detail).hint("`picloud version` shows both versions"));
            }
        }
    }

    fn stream_state(&mut self, _slot: &Slot, stream: &StreamState, _cx: &mut Context<'_>) {
        match stream {
            StreamState::Live => self.flow = Flow::Live,
            StreamState::Lost { .. } => self.flow = Flow::Lost,
            StreamState::Refused { why } => {
                self.flow = Flow::Lost;
                let hint = "a key with node:read sees this screen; 3 shows your apps";
                self.problem = Some(Problem::new(Code::Forbidden, why.clone()).hint(hint));
            }
        }
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) {
        if slot.name != RUNS {
            return;
        }
        self.waits_for_runs = false;
        let before = self.items();
        if let Some(activity) = self.activity.as_mut().filter(|activity| !activity.recent.is_empty()) {
            self.runs = std::mem::take(&mut activity.recent);
            self.runs_since_ms = cx.now.mono_ms;
        }
        self.keep_cursor(&before);
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        self.height.set(area.height);
        let Some(activity) = &self.activity else {
            let sentence = if self.flow == Flow::Lost { "no answer yet" } else { "loading" };
            return state::say(look, area, buf, sentence);
        };
        let items = self.items();
        if items.is_empty() && !self.filter.is_empty() {
            return state::no_match(look, area, buf, &self.filter);
        }
        self.spots.begin(look.frame);
        let page = lines::Page { look, zone: &self.zone, activity, items: &items, at: self.at, spots: &self.spots };
        self.top.set(page.view(area, buf, self.top.get()));
    }

    fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref().filter(|_problem| self.activity.is_none())
    }
}
