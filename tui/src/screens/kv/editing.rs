//! Editing: begin, type, keep drafts, save, and what to do where somebody else stored a value meanwhile.

use super::Kv;
use super::edit::{Edit, draft_id, only_at, store};
use super::lines::Target;
use super::reads::listed_of;
use super::shelf::Listed;
use super::value::{self, Value};
use crate::app::{Answered, Change, Context, Key};
use crate::keymap::Action;
use crate::theme::Ink;
use crate::widgets::json;
use crate::widgets::picker::{Picker, PickerItem};
use crate::widgets::reader::Reader;
use picloud_model::problem::Code;
use similar::{ChangeTag, TextDiff};

/// How long after a key a draft is written down.
pub(super) const KEEP_MS: u64 = 2000;

impl Kv {
    /// `e`: the value with the cursor, or the draft that was kept of it.
    pub(super) fn begin_edit(&mut self, cx: &mut Context<'_>) {
        let Some(here) = self.value.here() else { return };
        let mut edit = Edit::new(here.target.clone(), Some(here.entry.version), here.entry.expires_at(), &here.raw);
        // Whoever read in it goes on where they were.
        let (line, column) = here.reader.place();
        edit.editor.goto(line, column);
        self.take_up(edit, cx);
    }

    fn take_up(&mut self, mut edit: Edit, cx: &mut Context<'_>) {
        let kept = draft_id(&edit.target).and_then(|id| cx.facts.drafts.get(&id));
        if kept.is_some_and(|kept| edit.resume(kept)) {
            cx.say("going on with the draft that was kept");
        }
        self.edit = Some(edit);
    }

    /// Keys while an edit is open, but not typed into.
    pub(super) fn acted_on_edit(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let Some(edit) = &mut self.edit else { return false };
        match action {
            Action::Edit | Action::Open => edit.is_typing = true,
            Action::Save => self.save(cx),
            Action::EditOutside => self.edit_outside(cx),
            Action::NextHit | Action::PreviousHit => {
                edit.check();
                if edit.editor.go_to_error(action == Action::NextHit).is_none() {
                    cx.say("no errors");
                }
            }
            Action::Back | Action::NextPane | Action::PreviousPane => self.close_edit(cx),
            Action::Copy => cx.copy("the draft", edit.editor.text()),
            other => return edit.editor.act(other),
        }
        true
    }

    /// Asks what becomes of a draft; one that says nothing new is simply closed.
    fn close_edit(&mut self, cx: &mut Context<'_>) {
        let Some(edit) = &self.edit else { return };
        if !edit.is_changed() {
            self.keep_draft(true, cx);
            self.edit = None;
            return;
        }
        let items = vec![
            PickerItem::new("save", "save", "store it now"),
            PickerItem::new("keep", "keep", "close it; e goes on with it, also after the line dropped"),
            PickerItem::new("type", "type on", "back into the text"),
            PickerItem::new("throw", "throw away", "the value stays as it is stored"),
        ];
        cx.pick("draft", Picker::new("The draft is not saved", items));
    }

    /// What becomes of it.
    pub(super) fn picked_draft(&mut self, id: &str, cx: &mut Context<'_>) {
        match id {
            "save" => self.save(cx),
            "keep" => {
                self.keep_draft(true, cx);
                self.edit = None;
            }
            "throw" => self.forget_draft(cx),
            _ => {
                if let Some(edit) = &mut self.edit {
                    edit.is_typing = true;
                }
            }
        }
    }

    /// A key while typing; Esc and Shift-Tab leave the text.
    pub(super) fn typed_in_edit(&mut self, key: Key, cx: &mut Context<'_>) {
        let Some(edit) = &mut self.edit else { return };
        let is_taken = edit.typed(key);
        if matches!(key, Key::Esc | Key::BackTab) && !is_taken {
            edit.is_typing = false;
            edit.check();
            self.keep_draft(true, cx);
            return;
        }
        cx.later("draft", KEEP_MS);
    }

    /// Writes the draft down, so that it survives the line and the plug.
    pub(super) fn keep_draft(&mut self, anyway: bool, cx: &mut Context<'_>) {
        let Some(edit) = &mut self.edit else { return };
        if !edit.is_to_be_kept() && !anyway {
            return;
        }
        let Some((id, text)) = edit.draft() else { return };
        // What was never kept needs no forgetting.
        if text.is_empty() && !cx.facts.drafts.contains_key(&id) {
            return;
        }
        if text.is_empty() {
            self.drafts.remove(&id);
        } else {
            self.drafts.insert(id.clone());
        }
        cx.keep_draft(id, text);
    }

    fn forget_draft(&mut self, cx: &mut Context<'_>) {
        if let Some(id) = self.edit.take().and_then(|edit| draft_id(&edit.target)) {
            self.drafts.remove(&id);
            cx.keep_draft(id, "");
        }
    }

    /// Stores the draft, only where the key is as it was when it was begun.
    pub(super) fn save(&mut self, cx: &mut Context<'_>) {
        let Some(edit) = &mut self.edit else { return };
        edit.is_typing = false;
        let (target, version, expires_at) = (edit.target.clone(), edit.version, edit.expires_at);
        let Some(json) = edit.check() else {
            edit.editor.go_to_error(true);
            self.keep_draft(true, cx);
            return cx.say("not saved: it is no JSON yet; the draft is kept");
        };
        self.keep_draft(true, cx);
        let Some(change) = self.store_change(&target, json, version, expires_at, cx) else { return };
        cx.change(change.tag("save"));
    }

    /// The change that stores a value, with its undo where the value before is known.
    fn store_change(
        &self,
        target: &Target,
        json: String,
        version: Option<i64>,
        expires_at: Option<i64>,
        cx: &Context<'_>,
    ) -> Option<Change> {
        let Target::Key(app, collection, key) = target else { return None };
        let now = cx.now.unix_ms;
        let request = only_at(store(target, json, expires_at, now)?, version);
        let change = Change::new(format!("saved {collection}/{key}"), request);
        let before = self.value.here().filter(|here| here.target == *target && Some(here.entry.version) == version);
        let undone = format!("{collection}/{key} is as before");
        Some(match (version, before) {
            (None, _) => {
                let path = crate::path::ApiPath::of_app(app, &["kv", collection, key]);
                change.undone_by(format!("{collection}/{key} is gone again"), crate::app::Request::delete(path))
            }
            (_, Some(here)) => match store(target, here.raw.clone(), here.entry.expires_at(), now) {
                Some(request) => change.undone_by(undone, request),
                None => change,
            },
            _ => change,
        })
    }

    /// The draft was stored, or somebody else was faster.
    pub(super) fn was_saved(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        match answered {
            Ok(_) => {
                let target = self.edit.as_ref().map(|edit| edit.target.clone());
                self.forget_draft(cx);
                if let Some(target) = target.filter(|target| self.value.target() == Some(target)) {
                    self.load_value(&target, cx);
                }
            }
            Err(problem) if problem.code == Code::PreconditionFailed => {
                if let Some(Target::Key(app, collection, key)) = self.edit.as_ref().map(|edit| &edit.target) {
                    cx.load("conflict", value::path(app, collection, key));
                }
            }
            Err(_) => {}
        }
    }

    /// What they stored is here: mine or theirs?
    pub(super) fn conflict_came(&mut self, answered: Answered, cx: &mut Context<'_>) {
        let Some(target) = self.edit.as_ref().map(|edit| edit.target.clone()) else { return };
        let theirs = match listed_of(&target, answered) {
            Ok(theirs) => theirs,
            Err(problem) => return cx.complain(problem),
        };
        let (mine, take) = match &theirs {
            Some(listed) => (format!("store the draft over v{}", listed.version), format!("v{} stays", listed.version)),
            None => ("store the draft as a new key".to_owned(), "it stays deleted".to_owned()),
        };
        let items = vec![
            PickerItem::new("both", "show both", "what differs, line by line; s asks again"),
            PickerItem::new("mine", "keep mine", mine),
            PickerItem::new("theirs", "take theirs", format!("{take}, the draft is thrown away")),
        ];
        self.conflict = Some(theirs);
        cx.pick("conflict", Picker::new("Somebody else changed it meanwhile", items));
    }

    /// Mine or theirs.
    pub(super) fn picked_conflict(&mut self, id: &str, cx: &mut Context<'_>) {
        let Some(theirs) = self.conflict.take() else { return };
        let Some(target) = self.edit.as_ref().map(|edit| edit.target.clone()) else { return };
        match id {
            "mine" => {
                if let Some(edit) = &mut self.edit {
                    edit.version = theirs.as_ref().map(|listed| listed.version);
                }
                self.show_theirs(target, theirs.as_ref());
                self.save(cx);
            }
            "theirs" => {
                self.forget_draft(cx);
                self.show_theirs(target, theirs.as_ref());
            }
            _ => self.show_both(theirs.as_ref(), cx),
        }
    }

    /// What they stored is what the value is now: undo puts that back.
    fn show_theirs(&mut self, target: Target, theirs: Option<&Listed>) {
        self.take_listed(&target, theirs);
        if self.value.target() == Some(&target) {
            self.value.take(target, Ok(theirs), self.is_reading);
        }
    }

    fn show_both(&self, theirs: Option<&Listed>, cx: &mut Context<'_>) {
        let Some(edit) = &self.edit else { return };
        let stored = theirs.and_then(|listed| listed.value.as_ref()).map_or("", |value| value.get());
        let (stored, mine) = (json::set_out(stored), edit.editor.text());
        let diff = TextDiff::from_lines(&stored, &mine);
        let lines = diff.iter_all_changes().map(|change| {
            let (sign, ink) = match change.tag() {
                ChangeTag::Equal => (" ", Ink::Plain),
                ChangeTag::Delete => ("-", Ink::Removed),
                ChangeTag::Insert => ("+", Ink::Added),
            };
            vec![(ink, format!("{sign} {}", change.value().trim_end_matches('\n')))]
        });
        cx.read(Reader::of("- is stored, + is your draft", lines.collect()));
    }

    /// `x`: the draft, or the value, in `$EDITOR`.
    pub(super) fn edit_outside(&mut self, cx: &mut Context<'_>) {
        if self.edit.is_none() {
            let Some(here) = self.value.here() else { return };
            let edit = Edit::new(here.target.clone(), Some(here.entry.version), here.entry.expires_at(), &here.raw);
            self.take_up(edit, cx);
        }
        let Some(edit) = &mut self.edit else { return };
        edit.is_typing = false;
        let Some(id) = draft_id(&edit.target) else { return };
        let line = (edit.editor.error_count() > 0).then(|| edit.editor.place().0);
        let name = edit.target.file_name();
        let text = edit.editor.text();
        cx.edit_outside(crate::app::Slot::of("outside", id), &name, text, line);
    }

    /// `$EDITOR` ended: what is JSON is stored, all else is a draft with its error shown.
    pub(super) fn edited_outside(&mut self, id: &str, text: &str, cx: &mut Context<'_>) {
        let Some(edit) = self.edit.as_mut().filter(|edit| draft_id(&edit.target).as_deref() == Some(id)) else {
            return;
        };
        edit.editor.set_text(text.trim_end());
        if edit.check().is_some() && !edit.is_changed() {
            self.keep_draft(true, cx);
            self.edit = None;
            return cx.say("nothing was changed");
        }
        self.save(cx);
    }

    /// Whether the value with the cursor is here, of this key.
    pub(super) fn raw_of(&self, target: &Target) -> Option<&str> {
        match &self.value {
            Value::Here(here) if here.target == *target => Some(&here.raw),
            _ => None,
        }
    }
}
