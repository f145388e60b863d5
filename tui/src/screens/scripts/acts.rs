//! What keys do while nothing is typed.

use super::past::{self, load_diff, load_plan};
use super::{Below, Focus, Id, REST, REST_MS, Scripts, told};
use crate::app::{Change, Context, Place, Request, ScreenId};
use crate::keymap::Action;
use crate::widgets::picker::{Picker, PickerItem};

/// What is copied.
pub(super) const COPY: &str = "copy";

impl Scripts {
    /// Does what a key means; answers whether it means something here.
    pub(super) fn act_now(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::NextPane => self.switch_pane(true, cx),
            Action::PreviousPane => self.switch_pane(false, cx),
            Action::Back => return self.back(cx),
            Action::New => self.ask_new(cx),
            _ => {
                let is_taken = match self.focus {
                    Focus::Tree => self.act_in_tree(action, cx),
                    Focus::Source => self.act_in_source(action),
                    Focus::Below => self.act_below(action, cx),
                };
                return is_taken || self.act_on_script(action, cx);
            }
        }
        true
    }

    fn switch_pane(&mut self, forward: bool, cx: &mut Context<'_>) {
        self.open_selected(cx);
        if self.desk.is_none() {
            self.focus = Focus::Tree;
            return;
        }
        self.focus = match (self.focus, forward) {
            (Focus::Tree, true) | (Focus::Below, false) => Focus::Source,
            (Focus::Source, true) | (Focus::Tree, false) => Focus::Below,
            (Focus::Below, true) | (Focus::Source, false) => Focus::Tree,
        };
    }

    /// A level up: to the source, to the tree, and away.
    fn back(&mut self, _cx: &mut Context<'_>) -> bool {
        match self.focus {
            Focus::Below if self.past.list.unmark() => {}
            Focus::Below => {
                self.below = Below::Related;
                self.focus = Focus::Source;
            }
            Focus::Source if self.desk.as_ref().is_some_and(|desk| !desk.editor.needle().is_empty()) => return false,
            Focus::Source => self.focus = Focus::Tree,
            Focus::Tree => return self.tree.list.unmark(),
        }
        true
    }

    fn act_in_tree(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        if action == Action::Open && self.tree.selected().is_some() {
            self.open_selected(cx);
            self.focus = Focus::Source;
            return true;
        }
        let before = self.tree.list.selected_id().map(str::to_owned);
        if !self.tree.act(action, cx) {
            return false;
        }
        if self.tree.list.selected_id() != before.as_deref() {
            match self.tree.selected() {
                Some(_) => cx.later(REST, REST_MS),
                None => drop(self.clear_desk(cx)),
            }
        }
        true
    }

    fn act_in_source(&mut self, action: Action) -> bool {
        let Some(desk) = &mut self.desk else { return false };
        let forward = action == Action::NextHit;
        match action {
            Action::NextHit | Action::PreviousHit if !desk.editor.needle().is_empty() => desk.editor.go_to_hit(forward),
            Action::NextHit | Action::PreviousHit => desk.editor.go_to_error(forward).is_some(),
            other => desk.editor.act(other),
        }
    }

    fn act_below(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let Some(desk) = &mut self.desk else { return false };
        match (self.below, action) {
            (Below::Related, Action::Open) => {
                if let Some(place) = desk.related.place(&desk.id) {
                    cx.go(place);
                }
            }
            (Below::Related, other) => return desk.related.list.act(other),
            (Below::Versions, Action::Open) => match self.past.pair() {
                Some(pair) => load_diff(&desk.id, pair, cx),
                None => cx.say("there is no version before it"),
            },
            (Below::Versions, Action::Versions) => {
                if let (Some(from), Some(live)) = (self.past.selected(), &desk.live) {
                    load_diff(&desk.id, (from, live.script.version), cx);
                }
            }
            (Below::Versions, Action::RunAgain) => {
                if let Some(version) = self.past.selected() {
                    load_plan(&desk.id, version, cx);
                }
            }
            (Below::Versions, other) => return self.past.list.act(other),
            (Below::Outcome, Action::Open) => self.open_failure(cx),
            (Below::Outcome, Action::Logs) if self.outcome.execution.is_some() => {
                let run = self.outcome.execution.clone().unwrap_or_default();
                cx.go(Place::of(ScreenId::Runs).app(&desk.id.app).thing(run));
            }
            (Below::Outcome, other) => return self.scroll_outcome(other),
        }
        true
    }

    /// To the line where the run failed: in this script, or in a module it uses.
    fn open_failure(&mut self, cx: &mut Context<'_>) {
        let (Some(desk), Some(at)) = (&mut self.desk, &self.outcome.at) else { return };
        if at.script == desk.id.name {
            desk.editor.goto(at.line, at.column);
            self.focus = Focus::Source;
        } else {
            cx.go(Place::of(ScreenId::Scripts).app(&desk.id.app).thing(&at.script).line(at.line));
        }
    }

    fn scroll_outcome(&mut self, action: Action) -> bool {
        let height = self.outcome_height.get();
        let last = self.outcome.lines.len().saturating_sub(height);
        self.outcome_top = match action {
            Action::Up => self.outcome_top.saturating_sub(1),
            Action::Down => self.outcome_top + 1,
            Action::PageUp => self.outcome_top.saturating_sub(height),
            Action::PageDown => self.outcome_top + height,
            Action::Top => 0,
            Action::Bottom => last,
            _ => return false,
        }
        .min(last);
        true
    }

    /// What is done with the script, wherever the focus is.
    fn act_on_script(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let Some(id) = self.chosen_id() else { return false };
        match action {
            Action::Edit => self.begin_typing(cx),
            Action::EditOutside => self.edit_outside(cx),
            Action::Save => self.save(None, cx),
            Action::SaveWith => self.ask_message(cx),
            Action::Test => self.ask_inputs(cx),
            Action::Versions => self.show_versions(cx),
            Action::Delete => self.ask_delete(cx),
            Action::RunAgain => self.release(&id, cx),
            Action::Undo => return self.undo_typing(cx),
            Action::Info => {
                self.open_selected(cx);
                self.show_info(cx);
            }
            Action::Logs => cx.go(Place::of(ScreenId::Runs).app(&id.app).thing(format!("script:{}", id.name))),
            Action::Copy => {
                self.open_selected(cx);
                self.ask_copy(&id, cx);
            }
            _ => return false,
        }
        true
    }

    /// The script that actions are about.
    pub(super) fn chosen_id(&self) -> Option<Id> {
        match self.focus {
            Focus::Tree => self.tree.selected(),
            Focus::Source | Focus::Below => self.desk.as_ref().map(|desk| desk.id.clone()),
        }
    }

    fn show_versions(&mut self, cx: &mut Context<'_>) {
        self.open_selected(cx);
        let Some(desk) = &self.desk else { return };
        self.past.load(&desk.id, cx);
        self.below = Below::Versions;
        self.focus = Focus::Below;
    }

    fn release(&self, id: &Id, cx: &mut Context<'_>) {
        let Some(quarantine) = self.quarantine(id) else {
            return cx.say(format!("{} is not quarantined", id.name));
        };
        let question =
            format!("release {}: it took its worker down {} times, and will run again", id.name, quarantine.crashes);
        let request = Request::post(id.path(&["release"]), &serde_json::json!({}));
        let change = Change::new(format!("{} may run again", id.name), request.if_match(quarantine.version));
        cx.change(change.asks("release", question).tag("release"));
    }

    /// Why a script is not run, if so: as the list of its app says, or what is on the desk.
    pub(super) fn quarantine(&self, id: &Id) -> Option<&picloud_model::script::Quarantine> {
        let live = self.desk.as_ref().filter(|desk| desk.id == *id).and_then(|desk| desk.live.as_ref());
        live.map_or_else(|| self.tree.script(id), |live| Some(&live.script))?.quarantine.as_ref()
    }

    fn undo_typing(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(desk) = self.desk.as_mut().filter(|desk| desk.is_changed()) else { return false };
        let is_undone = desk.editor.undo();
        if is_undone {
            desk.edited(cx);
        }
        is_undone
    }

    fn show_info(&self, cx: &mut Context<'_>) {
        match self.desk.as_ref().and_then(|desk| told::info(desk, &self.zone)) {
            Some(reader) => cx.read(reader),
            None => cx.say("it is still being read"),
        }
    }

    fn ask_copy(&self, id: &Id, cx: &mut Context<'_>) {
        let mut items = vec![
            PickerItem::new("source", "source", "as it is here, with what is not saved"),
            PickerItem::new("name", "name", id.to_string()),
            PickerItem::new("get", "command that prints it", told::get_command(id)),
            PickerItem::new("run", "command that runs it", "with what was tried last"),
            PickerItem::new("curl", "curl line that runs it", "with what was tried last"),
        ];
        if !self.outcome.body.is_empty() {
            items.push(PickerItem::new("answer", "answer", "of the test run"));
        }
        cx.pick(COPY, Picker::new(format!("Copy of {id}"), items));
    }

    /// What differs, or what going back would change, was asked for and answered.
    pub(super) fn take_comparison(&self, slot: &crate::app::Slot, answer: &crate::app::Answer, cx: &mut Context<'_>) {
        let Some(desk) = &self.desk else { return };
        if slot.name == past::DIFF {
            match answer.json() {
                Ok(diff) => cx.read(past::diff_reader(&desk.id, &diff)),
                Err(problem) => cx.complain(problem),
            }
            return;
        }
        match (answer.json::<picloud_model::version::RollbackReport>(), slot.of.parse()) {
            (Ok(plan), Ok(version)) if !plan.changes.is_empty() => cx.change(past::roll_back(&desk.id, version, &plan)),
            (Ok(_), _) => cx.say("a rollback to it would change nothing"),
            (Err(problem), _) => cx.complain(problem),
        }
    }
}
