//! What keys do, and what is offered.

use super::Kv;
use super::edit::draft_id;
use super::lines::Target;
use super::value::Value;
use crate::app::{Context, Offer};
use crate::keymap::Action;

impl Kv {
    /// Does what a key of the table means; answers whether it was for this screen.
    pub(super) fn acted(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        if self.edit.is_some() {
            return self.acted_on_edit(action, cx);
        }
        match action {
            Action::Open | Action::Right => self.go_in(action, cx),
            Action::Left => self.go_out(cx),
            Action::NextPane | Action::PreviousPane => {
                let is_reading = !self.is_reading;
                self.read_in_value(is_reading);
            }
            Action::Back if self.is_reading => self.read_in_value(false),
            Action::Back => return self.tree.filter_text().is_empty() && self.tree.unmark(),
            Action::New => self.new_key(cx),
            Action::Edit | Action::EditOutside if matches!(self.value, Value::Loading(_)) => {
                self.wants = Some(action);
                self.rested(cx);
            }
            Action::Edit => self.begin_edit(cx),
            Action::EditOutside => self.edit_outside(cx),
            Action::Delete => self.delete(cx),
            Action::Copy => self.copy(cx),
            Action::Info => self.info(cx),
            Action::Save => self.export_form(cx),
            other if self.is_reading => {
                if let Value::Here(here) = &mut self.value {
                    return here.reader.act(other);
                }
                return false;
            }
            other => return self.tree.act(other, &self.shelf),
        }
        true
    }

    /// Opens a branch, or goes into the value. Enter on an open branch closes it.
    fn go_in(&mut self, action: Action, cx: &mut Context<'_>) {
        let Some(target) = self.tree.selected().cloned() else { return };
        match self.is_open(&target) {
            Some(is_open) => self.open(&target, !is_open || action == Action::Right, cx),
            None if matches!(target, Target::Key(..)) => {
                if self.is_reading
                    && let Value::Here(here) = &mut self.value
                {
                    here.reader.act(action);
                    return;
                }
                self.read_in_value(true);
                self.rested(cx);
            }
            None => self.try_again(&target, cx),
        }
    }

    /// A page that did not come is asked for once more.
    fn try_again(&mut self, target: &Target, cx: &mut Context<'_>) {
        match target {
            Target::Rest(app, name) => {
                if let Some(known) = self.shelf.collection_mut(app, name) {
                    known.problem = None;
                }
            }
            Target::Empty(app) => {
                if let Some(branch) = self.shelf.app_mut(app) {
                    branch.problem = None;
                }
                self.load_collections(app, cx);
            }
            _ => {}
        }
    }

    /// Closes a branch, or goes to the one around.
    fn go_out(&mut self, cx: &mut Context<'_>) {
        if self.is_reading {
            if let Value::Here(here) = &mut self.value {
                here.reader.act(Action::Left);
            }
            return;
        }
        let Some(target) = self.tree.selected().cloned() else { return };
        if self.is_open(&target) == Some(true) {
            self.open(&target, false, cx);
        } else {
            self.tree.select_parent(&self.shelf);
        }
    }

    /// Goes into the value, or back to the tree.
    pub(super) fn read_in_value(&mut self, is_reading: bool) {
        let is_key = matches!(self.tree.selected(), Some(Target::Key(..)));
        self.is_reading = is_reading && is_key;
        self.value.focus(self.is_reading);
    }

    /// What can be done now, most used first.
    pub(super) fn offered(&self) -> Vec<Offer> {
        let Some(target) = self.tree.selected() else { return Vec::new() };
        let writes = || self.why_not.clone();
        if let Some(edit) = &self.edit {
            let unchanged = (!edit.is_changed()).then(|| "nothing is changed".to_owned());
            return vec![
                Offer::new(Action::Save, "save").unless(writes().or(unchanged)),
                Offer::new(Action::Edit, "type on"),
                Offer::new(Action::NextHit, "next error"),
                Offer::new(Action::EditOutside, "$EDITOR").unless(writes()),
                Offer::new(Action::Back, "close"),
            ];
        }
        let mut offers = Vec::new();
        match target {
            Target::Key(..) => {
                let has_draft = draft_id(target).is_some_and(|id| self.drafts.contains(&id));
                let word = if has_draft { "edit the draft" } else { "edit" };
                if !self.is_reading {
                    offers.push(Offer::new(Action::Open, "read"));
                }
                offers.push(Offer::new(Action::Edit, word).unless(writes().or_else(|| self.why_not_edit(false))));
                offers.push(Offer::new(Action::New, "new").unless(writes()));
                offers.push(Offer::new(Action::Delete, self.delete_word("delete")).unless(writes()));
                offers.push(Offer::new(Action::Copy, "copy"));
                offers.push(
                    Offer::new(Action::EditOutside, "$EDITOR").unless(writes().or_else(|| self.why_not_edit(true))),
                );
                offers.push(Offer::new(Action::Info, "info"));
            }
            Target::Prefix(..) | Target::Collection(..) => {
                offers.push(Offer::new(Action::Open, "open"));
                offers.push(Offer::new(Action::New, "new").unless(writes()));
                offers.push(Offer::new(Action::Delete, self.delete_word("delete all")).unless(writes()));
                offers.push(Offer::new(Action::Save, "export"));
                offers.push(Offer::new(Action::Copy, "copy"));
            }
            Target::App(_) | Target::Rest(..) | Target::Empty(_) => {
                offers.push(Offer::new(Action::Open, "open"));
                offers.push(Offer::new(Action::New, "new").unless(writes()));
                if self.tree.marked() > 0 {
                    offers.push(Offer::new(Action::Delete, self.delete_word("delete")).unless(writes()));
                }
            }
        }
        offers.push(Offer::new(Action::Mark, "mark"));
        offers.push(Offer::new(Action::Filter, "filter, ^ for the beginning"));
        offers
    }

    fn delete_word(&self, word: &str) -> String {
        match self.tree.marked() {
            0 => word.to_owned(),
            marked => format!("delete {marked} keys"),
        }
    }

    /// Why the value with the cursor cannot be edited, if it cannot.
    pub(super) fn why_not_edit(&self, outside: bool) -> Option<String> {
        match &self.value {
            Value::Here(here) if here.is_cut() && !outside => {
                Some("it is larger than 256 KB: x opens it in $EDITOR".to_owned())
            }
            Value::Here(_) => None,
            Value::Gone(_) => Some("it is not there any more".to_owned()),
            Value::Failed(_, problem) => Some(problem.detail.clone()),
            // It is edited as soon as it is there.
            Value::Loading(_) => None,
            Value::None => Some("its value is not read".to_owned()),
        }
    }
}
