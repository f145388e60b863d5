//! What keys do to dead letters: read, send again as they are or changed, discard.

use super::letters::Of;
use super::{Pane, Triggers, drafts, forms, rows, told};
use crate::app::{Change, Context, Offer, Place, Request, ScreenId, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::widgets::form::Values;
use picloud_model::dead_letter::RetryInput;
use serde_json::{Value, json};

/// A letter that is read.
pub(super) const READ: &str = "letter";
/// One that is changed in a form.
pub(super) const CHANGE: &str = "letter-change";
/// One that is changed in `$EDITOR`.
pub(super) const CHANGE_OUTSIDE: &str = "letter-outside";
/// The form of a letter's event.
pub(super) const LETTER: &str = "letter-form";

impl Triggers {
    /// What can be done with letters now.
    pub(super) fn offered_for_letters(&self) -> Vec<Offer> {
        let count = self.letters.chosen().len();
        let none = (count == 0).then(|| "there is no dead letter here".to_owned());
        let refused = self.may_not_write.clone().or(none.clone());
        let one = refused.clone().or((count > 1).then(|| "one at a time: Esc unmarks".to_owned()));
        let of = self.letters.of.as_ref().zip(self.letters.selected());
        let has_draft =
            of.is_some_and(|(of, letter)| self.drafts.get(&draft_id(&of.app, &letter.id.to_string())).is_some());
        let outside = if has_draft { "your draft in $EDITOR" } else { "change in $EDITOR" };
        let many = if count > 1 { format!(" {count}") } else { String::new() };
        vec![
            Offer::new(Action::Open, "read").unless(none.clone()),
            Offer::new(Action::RunAgain, format!("replay{many}")).unless(refused.clone()),
            Offer::new(Action::Delete, format!("discard{many}")).unless(refused),
            Offer::new(Action::Edit, "change and replay").unless(one.clone()),
            Offer::new(Action::NextPane, "triggers"),
            Offer::new(Action::Mark, "mark").unless(none.clone()),
            Offer::new(Action::MarkAll, "mark all").unless(none.clone()),
            Offer::new(Action::EditOutside, outside).unless(one),
            Offer::new(Action::Right, "script").unless(none.clone()),
            Offer::new(Action::Logs, "runs").unless(none.clone()),
            Offer::new(Action::Copy, "copy command").unless(none),
            Offer::new(Action::Sort, "sort"),
        ]
    }

    /// A key while the letters have the focus.
    pub(super) fn act_on_letters(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::NextPane | Action::PreviousPane => self.focus = Pane::Triggers,
            Action::Back if self.letters.list.unmark() => {}
            // The filter goes first: the shell clears it.
            Action::Back if !self.letters.list.filter_text().is_empty() => return false,
            Action::Back => self.focus = Pane::Triggers,
            Action::RunAgain => self.replay(cx),
            Action::Delete => self.discard(cx),
            _ if self.letters.list.act(action) => self.letters.more(cx),
            _ => return self.act_on_letter(action, cx),
        }
        true
    }

    fn act_on_letter(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let (Some(of), Some(letter)) = (&self.letters.of, self.letters.selected()) else { return false };
        let id = letter.id.to_string();
        let one = || ApiPath::of_app(&of.app, &["dead-letters", &id]);
        let slot = |name| Slot::of(name, format!("{}/{id}", of.app));
        match action {
            Action::Open | Action::Info => cx.load(slot(READ), one()),
            Action::Edit => cx.load(slot(CHANGE), one()),
            Action::EditOutside => match self.drafts.get(&draft_id(&of.app, &id)) {
                Some(_) => drafts::ask(&format!("of letter {id}"), "replay", cx),
                None => cx.load(slot(CHANGE_OUTSIDE), one()),
            },
            Action::Right => {
                let place = Place::of(ScreenId::Scripts).app(&of.app);
                let at = letter.error.at.as_ref();
                let script = at.map_or(&letter.script, |at| &at.script);
                let place = place.thing(script);
                cx.go(at.map_or(place.clone(), |at| place.line(at.line)));
            }
            Action::Logs => {
                let place = Place::of(ScreenId::Runs).app(&of.app);
                let thing = match &of.trigger {
                    Some(name) => format!("trigger:{name}"),
                    None => format!("script:{}", letter.script),
                };
                cx.go(place.thing(thing));
            }
            Action::Copy => cx.copy("the command", format!("picloud dead-letters retry {id} --app {}", of.app)),
            _ => return false,
        }
        true
    }

    /// The chosen letters are sent again, after one question.
    fn replay(&self, cx: &mut Context<'_>) {
        let (Some(of), chosen) = (&self.letters.of, self.letters.chosen()) else { return };
        let (name, count) = (of.name(), chosen.len());
        let question = match count {
            1 => format!("replay letter {} of {name}", chosen[0]),
            count => format!("replay {count} letters of {name}"),
        };
        // All of them: one request, and none is left behind that came meanwhile.
        if count > 1 && self.letters.is_whole() && count == self.letters.list.rows().len() && of.trigger.is_some() {
            let path = ApiPath::of_app(&of.app, &["dead-letters", "retry"]);
            let request = Request::post(path, &json!({ "trigger": of.trigger }));
            return cx.change(Change::new(format!("{count} letters are sent again"), request).asks("replay", question));
        }
        let change = |id: &i64| {
            let path = ApiPath::of_app(&of.app, &["dead-letters", &id.to_string(), "retry"]);
            let request = Request::post(path, &RetryInput::default());
            Change::new(format!("letter {id} is sent again"), request).asks("replay", question.clone())
        };
        cx.changes(chosen.iter().map(change).collect());
    }

    /// The chosen letters are discarded, after a question; of many their count is to be typed.
    fn discard(&self, cx: &mut Context<'_>) {
        let (Some(of), chosen) = (&self.letters.of, self.letters.chosen()) else { return };
        let (name, count) = (of.name(), chosen.len());
        let change = |id: &i64| {
            let request = Request::delete(ApiPath::of_app(&of.app, &["dead-letters", &id.to_string()]));
            let change = Change::new(format!("letter {id} is discarded"), request);
            match count {
                1 => change.asks("discard", format!("discard letter {id} of {name} for good")),
                _ => change.asks_to_type("discard", format!("discard {count} letters of {name} for good"), count),
            }
        };
        cx.changes(chosen.iter().map(change).collect());
    }

    /// A letter came that a key asked for.
    pub(super) fn letter_came(&mut self, why: &str, letter: &Value, cx: &mut Context<'_>) {
        let Some(id) = letter["id"].as_i64() else { return };
        let app = self.letters.of.as_ref().map(|of| of.app.clone()).unwrap_or_default();
        let event = rows::without_head(&letter["event"]);
        match why {
            READ => cx.read(told::letter(letter, cx.now.unix_ms, &cx.facts.zone)),
            CHANGE => {
                self.changing = Some((app, id));
                cx.form(LETTER, forms::letter(id, &event));
            }
            _ => {
                let text = format!("{}\n", crate::widgets::json::set_out(&event.to_string()));
                cx.edit_outside(
                    Slot::of(CHANGE_OUTSIDE, format!("{app}/{id}")),
                    &format!("letter-{id}.json"),
                    text,
                    None,
                );
            }
        }
    }

    /// The form of a letter's event is filled in.
    pub(super) fn letter_filled(&self, values: &Values, cx: &mut Context<'_>) {
        let Some((app, id)) = &self.changing else { return };
        let version = match values.filled("version").map(|version| version.trim().parse::<i64>()).transpose() {
            Ok(version) => version,
            Err(_) => return cx.refuse("version is no number"),
        };
        match event_of(values.get("event")) {
            Ok(event) => cx.change(changed(app, *id, event, version)),
            Err(why) => cx.refuse(why),
        }
    }

    /// What becomes of a draft: of the letter or the trigger with the cursor.
    pub(super) fn draft_picked(&mut self, choice: &str, cx: &mut Context<'_>) {
        if self.focus == Pane::Triggers {
            return self.table_draft(choice, cx);
        }
        let (Some(of), Some(letter)) = (&self.letters.of, self.letters.selected()) else { return };
        let (app, id) = (of.app.clone(), letter.id.to_string());
        let Some(text) = self.drafts.get(&draft_id(&app, &id)).map(str::to_owned) else { return };
        let slot = Slot::of(CHANGE_OUTSIDE, format!("{app}/{id}"));
        match choice {
            "open" => cx.edit_outside(slot, &format!("letter-{id}.json"), text, None),
            "send" => self.event_edited(&slot.of, &text, cx),
            _ => self.drafts.forget(&draft_id(&app, &id), cx),
        }
    }

    /// `$EDITOR` ended with a letter's event.
    pub(super) fn event_edited(&mut self, of: &str, text: &str, cx: &mut Context<'_>) {
        let Some(Of { app, trigger: Some(id) }) = Of::row(of) else { return };
        let Ok(id) = id.parse::<i64>() else { return };
        let draft = draft_id(&app, &id.to_string());
        match event_of(text) {
            Ok(event) => {
                // Whoever answers the question with no, or is refused, finds it again.
                self.drafts.send(draft, text, cx);
                let question = format!("replay letter {id} with the changed event");
                cx.change(changed(&app, id, event, None).asks("replay", question).tag(CHANGE_OUTSIDE));
            }
            Err(why) => {
                self.drafts.keep(draft, text, cx);
                cx.say(format!("not sent, x opens it again: {why}"));
            }
        }
    }
}

/// What the draft of a letter's event is kept by.
fn draft_id(app: &str, id: &str) -> String {
    format!("{}{app}/{id}", drafts::LETTER)
}

fn changed(app: &str, id: i64, event: Value, version: Option<i64>) -> Change {
    let path = ApiPath::of_app(app, &["dead-letters", &id.to_string(), "retry"]);
    let request = Request::post(path, &RetryInput { event: Some(event), version });
    Change::new(format!("letter {id} is sent again, changed"), request)
}

fn event_of(text: &str) -> Result<Value, String> {
    match serde_json::from_str::<Value>(text) {
        Ok(event) if event.is_object() => Ok(event),
        Ok(_) => Err("the event is no object: write its fields in braces".to_owned()),
        Err(error) => Err(format!("the event is no JSON: {error}")),
    }
}
