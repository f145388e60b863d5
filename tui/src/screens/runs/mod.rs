//! The Runs screen: lines as scripts log them, and runs that are kept; either leads to a run with all that is known of
//! it.

mod acts;
mod detail;
mod history;
mod live;
mod live_view;
mod narrow;
mod rate;
mod ring;
#[cfg(test)]
mod tests;
mod told;

use crate::app::{Answered, Context, Offer, Place, Screen, Slot, StreamEvent, StreamState};
use crate::keymap::Action;
use crate::theme::Look;
use crate::widgets::form::Values;
use acts::{NARROW, REPLAY, SAVE};
use detail::Detail;
use history::History;
use live::Live;
use narrow::Narrow;
use picloud_model::activity::Activity;
use picloud_model::page::Page;
use picloud_model::scope::Scope;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::Value;

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Lines, as they are logged.
    Live,
    /// Runs that are kept.
    Kept,
}

/// The screen.
#[derive(Debug)]
pub(super) struct Runs {
    mode: Mode,
    narrow: Narrow,
    live: Live,
    history: History,
    detail: Option<Detail>,
    /// Whether the opened run is to be run again as soon as it is there.
    wants_replay: bool,
    /// Which lines and which runs are there; `None` before any were asked for.
    live_of: Option<Narrow>,
    kept_of: Option<Narrow>,
    wraps_detail: bool,
    zone: jiff::tz::TimeZone,
    /// Why nothing may be run again with this key.
    may_not_run: Option<String>,
    appliance: String,
}

impl Runs {
    /// Without anything loaded.
    pub(super) fn new() -> Self {
        Self {
            mode: Mode::Live,
            narrow: Narrow::default(),
            live: Live::new(),
            history: History::new(),
            detail: None,
            wants_replay: false,
            live_of: None,
            kept_of: None,
            wraps_detail: true,
            zone: jiff::tz::TimeZone::UTC,
            may_not_run: None,
            appliance: String::new(),
        }
    }

    /// Follows and loads what the mode shows.
    fn show(&mut self, cx: &mut Context<'_>) {
        cx.stop(match self.mode {
            Mode::Live => history::ACTIVITY,
            Mode::Kept => live::LOGS,
        });
        match self.mode {
            Mode::Live if self.live_of.as_ref() == Some(&self.narrow) => self.live.resume(&self.narrow, cx),
            Mode::Live => {
                self.live_of = Some(self.narrow.clone());
                self.live.follow(&self.narrow, cx);
            }
            Mode::Kept => {
                if self.kept_of.as_ref() != Some(&self.narrow) {
                    self.kept_of = Some(self.narrow.clone());
                    self.history.begin_anew(&self.narrow, cx);
                } else {
                    self.history.load(&self.narrow, cx);
                }
                cx.follow(history::ACTIVITY, crate::path::ApiPath::new(&["activity"]));
            }
        }
    }

    fn turn(&mut self, mode: Mode, cx: &mut Context<'_>) {
        if self.mode == Mode::Live && mode == Mode::Kept {
            self.live.left();
        }
        self.mode = mode;
        self.show(cx);
    }

    /// A place of this screen: a run, or what runs and lines are narrowed to.
    fn go_to(&mut self, place: &Place, cx: &mut Context<'_>) {
        let Some(thing) = &place.thing else {
            if let Some(app) = &place.app {
                self.detail = None;
                self.narrow.choose(&format!("app:{app}"));
            }
            return;
        };
        match (thing.split_once(':'), &place.app) {
            (Some((kind @ ("script" | "trigger" | "node"), _)), app) => {
                self.detail = None;
                self.narrow = Narrow { app: app.clone(), level: self.narrow.level, ..Narrow::default() };
                self.narrow.choose(thing);
                self.mode = if kind == "trigger" { Mode::Kept } else { Mode::Live };
            }
            (_, Some(app)) => self.detail = Some(Detail::open(app, thing, cx)),
            (_, None) => cx.say(format!("run {thing}: of which app?")),
        }
    }

    fn note(&mut self, cx: &Context<'_>) {
        let app = self.detail.as_ref().map(|detail| detail.app.as_str());
        self.may_not_run = cx.facts.refuses(Scope::ScriptWrite, app);
    }
}

impl Screen for Runs {
    fn enter(&mut self, place: &Place, cx: &mut Context<'_>) {
        self.zone = cx.facts.zone.clone();
        self.appliance.clone_from(&cx.facts.appliance);
        self.go_to(place, cx);
        if let Some(detail) = self.detail.as_mut().filter(|detail| detail.run.is_none()) {
            detail.load(cx);
        }
        self.show(cx);
        self.note(cx);
    }

    fn leave(&mut self) {
        if self.mode == Mode::Live {
            self.live.left();
        }
        self.history.left();
    }

    fn title(&self, _look: &Look) -> String {
        match (&self.detail, self.mode) {
            (Some(detail), _) => format!("  {}/{} run {}", detail.app, detail.word("script"), detail.id),
            (None, Mode::Live) => self.live.told(&self.narrow),
            (None, Mode::Kept) => self.history.told(&self.narrow, &self.zone),
        }
    }

    fn offers(&self) -> Vec<Offer> {
        self.offered()
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        self.note(cx);
        match (&self.detail, self.mode) {
            (Some(_), _) => self.act_on_detail(action, cx),
            (None, Mode::Live) => self.act_on_lines(action, cx),
            (None, Mode::Kept) => self.act_on_runs(action, cx),
        }
    }

    fn filter(&mut self, text: &str, _cx: &mut Context<'_>) {
        match self.mode {
            Mode::Live => self.live.filter(text, self.narrow.level),
            Mode::Kept => self.history.list.filter(text),
        }
    }

    fn filter_text(&self) -> &str {
        match (&self.detail, self.mode) {
            (Some(_), _) => "",
            (None, Mode::Live) => self.live.ring.filter_text(),
            (None, Mode::Kept) => self.history.list.filter_text(),
        }
    }

    fn loaded(&mut self, slot: &Slot, answered: Answered, cx: &mut Context<'_>) {
        match slot.name {
            live::RECENT => {
                if let Ok(answer) = &answered
                    && let Ok(page) = answer.json::<Page<Value>>()
                {
                    self.live.recent(&page.items, &self.narrow);
                }
            }
            history::FIRST | history::MORE => {
                self.history.loaded(slot.name == history::FIRST, &answered, cx);
            }
            detail::RUN => self.run_came(&answered, cx),
            detail::LINEAGE => {
                if let Some(detail) = &mut self.detail {
                    detail.came(&answered, cx);
                }
            }
            REPLAY => self.replayed(&answered, cx),
            _ => {}
        }
        self.note(cx);
    }

    fn changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        if tag == REPLAY && answered.is_ok() {
            self.replayed(answered, cx);
        }
    }

    fn reload(&mut self, cx: &mut Context<'_>) {
        if let Some(detail) = &mut self.detail {
            detail.load(cx);
        }
        self.show(cx);
    }

    fn streamed(&mut self, slot: &Slot, events: &[StreamEvent], cx: &mut Context<'_>) {
        match slot.name {
            live::LOGS => self.live.streamed(events, cx),
            history::ACTIVITY => {
                // The newest says everything.
                let newest = events.iter().rev().find(|event| event.name == "activity");
                if let Some(Ok(activity)) = newest.map(|event| serde_json::from_value::<Activity>(event.data.clone())) {
                    self.history.activity(&activity, &self.narrow, cx);
                }
            }
            _ => {}
        }
    }

    fn stream_state(&mut self, slot: &Slot, state: &StreamState, cx: &mut Context<'_>) {
        if slot.name == live::LOGS {
            self.live.stream_state(state, cx.now.unix_ms);
        }
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        match form {
            REPLAY => self.replay(values, cx),
            SAVE => cx.save_text(SAVE, self.live.text(), values.get("path").to_owned()),
            _ => {}
        }
    }

    fn picked(&mut self, picker: &'static str, id: &str, cx: &mut Context<'_>) {
        if picker == NARROW {
            self.narrow.choose(id);
            self.show(cx);
        } else if let Some(detail) = &self.detail {
            let copied = detail.copied(id, &self.appliance);
            cx.copy(id, copied);
        }
    }

    fn due(&mut self, slot: &Slot, _cx: &mut Context<'_>) {
        if slot.name == live::RATE {
            self.live.is_silent();
        }
    }

    fn transferred(&mut self, _slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        if let Ok(answer) = answered {
            let saved = answer.json::<Value>().unwrap_or_default();
            cx.say(format!("saved {} B in {}", saved["bytes"], saved["path"].as_str().unwrap_or("the file")));
        }
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        match (&self.detail, self.mode) {
            (Some(detail), _) => detail.view(look, area, buf, self.wraps_detail),
            (None, Mode::Live) => self.live.view(look, area, buf, &self.zone),
            (None, Mode::Kept) => self.history.view(look, area, buf),
        }
    }
}
