//! The table of a trigger as JSON in `$EDITOR`.

use super::acts::{Editing, saved};
use super::{Triggers, drafts};
use crate::app::{Context, Slot};
use picloud_model::trigger::{Trigger, TriggerSpec};
use serde_json::json;

/// A table in `$EDITOR`, and the change that it leads to.
pub(super) const TABLE: &str = "table";

impl Triggers {
    /// The table as JSON in `$EDITOR`; where one is kept that was not accepted, it is asked what becomes of that.
    pub(super) fn edit_outside(&mut self, app: &str, trigger: &Trigger, cx: &mut Context<'_>) {
        let id = super::rows::id(app, &trigger.spec.name);
        match self.drafts.get(&draft_id(&id)) {
            Some(_) => drafts::ask(&format!("of {id}"), "save", cx),
            None => self.edit_table(app, trigger, None, cx),
        }
    }

    fn edit_table(&mut self, app: &str, trigger: &Trigger, draft: Option<String>, cx: &mut Context<'_>) {
        let name = &trigger.spec.name;
        let id = super::rows::id(app, name);
        let text = draft.unwrap_or_else(|| format!("{:#}\n", json!(trigger.spec)));
        let (was, version) = (trigger.spec.clone(), Some(trigger.version));
        self.editing = Some(Editing { app: app.to_owned(), was, version, previewed: None });
        cx.edit_outside(Slot::of(TABLE, id), &format!("{name}.json"), text, None);
    }

    /// What becomes of the draft of a table.
    pub(super) fn table_draft(&mut self, choice: &str, cx: &mut Context<'_>) {
        let Some((app, trigger)) = self.selected().map(|(app, trigger)| (app.to_owned(), trigger.clone())) else {
            return;
        };
        let id = super::rows::id(&app, &trigger.spec.name);
        let Some(text) = self.drafts.get(&draft_id(&id)).map(str::to_owned) else { return };
        match choice {
            "open" => self.edit_table(&app, &trigger, Some(text), cx),
            "send" => {
                let (was, version) = (trigger.spec.clone(), Some(trigger.version));
                self.editing = Some(Editing { app, was, version, previewed: None });
                self.table_edited(&id, &text, cx);
            }
            _ => self.drafts.forget(&draft_id(&id), cx),
        }
    }

    /// `$EDITOR` ended with a table.
    pub(super) fn table_edited(&mut self, id: &str, text: &str, cx: &mut Context<'_>) {
        let Some(editing) = self.editing.take() else { return };
        let draft = draft_id(id);
        let spec = serde_json::from_str::<TriggerSpec>(text).map_err(|error| error.to_string());
        let checked = spec.and_then(|spec| match spec.check().first() {
            Some(fault) => Err(format!("{}: {}", fault.message, fault.hint)),
            None if spec.name != editing.was.name => Err("the name cannot be changed".to_owned()),
            None => Ok(spec),
        });
        match checked {
            Ok(spec) if spec == editing.was => {
                self.drafts.forget(&draft, cx);
                cx.say("unchanged: nothing was saved");
            }
            Ok(spec) => {
                self.drafts.send(draft, text, cx);
                let app = editing.app.clone();
                cx.change(saved(&app, &spec, &editing).tag(TABLE));
            }
            Err(why) => {
                self.drafts.keep(draft, text, cx);
                cx.say(format!("not saved, x opens it again: {why}"));
            }
        }
    }
}

/// What the draft of a trigger's table is kept by.
fn draft_id(id: &str) -> String {
    format!("{}{id}", drafts::TRIGGER)
}
