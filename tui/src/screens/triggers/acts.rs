//! What keys do to triggers.

use super::letters::Of;
use super::{Pane, Triggers, forms, letter_acts, publish, told};
use crate::app::{Answered, Change, Context, Offer, Place, Request, ScreenId, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::widgets::form::Values;
use crate::widgets::picker::{Picker, PickerItem};
use picloud_model::trigger::{Trigger, TriggerKind, TriggerSpec};
use serde_json::{Value, json};

/// The picker of kinds.
pub(super) const KIND: &str = "kind";
/// The form of a trigger's table.
pub(super) const SPEC: &str = "spec";
/// The form of a made-up event.
pub(super) const FIRE: &str = "fire";
/// When a schedule would come.
pub(super) const PREVIEW: &str = "preview";
/// When a schedule comes, for the information.
const NEXT: &str = "next";
/// What a trigger started lately.
const RUNS: &str = "last-runs";
/// Times that are told before a schedule is saved, and of one that is there.
const PREVIEW_TIMES: u32 = 3;
const NEXT_TIMES: u32 = 5;
/// Runs that are told of.
const RUNS_TOLD: u32 = 10;

/// What an open form is about.
#[derive(Clone, Debug)]
pub(super) struct Editing {
    /// The app; empty where the form asks for it.
    pub(super) app: String,
    /// As it was.
    pub(super) was: TriggerSpec,
    /// The version that was changed; `None` for a new one.
    pub(super) version: Option<i64>,
    /// The schedule and zone whose times were told already.
    pub(super) previewed: Option<(Option<String>, Option<String>)>,
}

impl Triggers {
    /// What can be done with triggers now.
    pub(super) fn offered(&self) -> Vec<Offer> {
        if self.focus == Pane::Letters {
            return self.offered_for_letters();
        }
        let (trigger, count) = (self.selected(), self.list.chosen().len());
        let none = trigger.is_none().then(|| "no trigger is selected".to_owned());
        let refused = self.may_not_write.clone().or(none.clone());
        let one = refused.clone().or((count > 1).then(|| "one at a time: Esc unmarks".to_owned()));
        let pause = if trigger.is_some_and(|(_, trigger)| trigger.paused.is_some()) { "resume" } else { "pause" };
        let letters = self.list.selected_id().and_then(Of::row).map_or(0, |of| self.count(&of));
        let no_letters = (letters == 0).then(|| "it has no dead letters".to_owned());
        vec![
            Offer::new(Action::Open, "info").unless(none.clone()),
            Offer::new(Action::NextPane, "letters"),
            Offer::new(Action::Pause, pause).unless(refused.clone()),
            Offer::new(Action::Test, "fire").unless(one.clone()),
            Offer::new(Action::RunAgain, "replay letters").unless(self.may_not_write.clone().or(no_letters)),
            Offer::new(Action::New, "new").unless(self.may_not_write.clone()),
            Offer::new(Action::Edit, "edit").unless(one.clone()),
            Offer::new(Action::EditOutside, "$EDITOR").unless(one),
            Offer::new(Action::Delete, "delete").unless(refused),
            Offer::new(Action::Logs, "runs").unless(none.clone()),
            Offer::new(Action::Right, "script").unless(none.clone()),
            Offer::new(Action::Copy, "copy name").unless(none),
            Offer::new(Action::Mark, "mark"),
            Offer::new(Action::Sort, "sort"),
        ]
    }

    /// The trigger with the cursor, and its app.
    pub(super) fn selected(&self) -> Option<(&str, &Trigger)> {
        let (app, name) = self.list.selected_id()?.split_once('/')?;
        Some((app, self.find(app, name)?))
    }

    fn chosen(&self) -> Vec<(String, Trigger)> {
        let found = self.list.chosen().into_iter().filter_map(|id| {
            let (app, name) = id.split_once('/')?;
            Some((app.to_owned(), self.find(app, name)?.clone()))
        });
        found.collect()
    }

    /// A key while the list of triggers has the focus.
    pub(super) fn act_on_triggers(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::NextPane | Action::PreviousPane => {
                self.show_letters(cx);
                self.focus = Pane::Letters;
            }
            Action::Back => return self.list.unmark(),
            Action::New => self.pick_kind(cx),
            _ if self.list.act(action) => self.rests(cx),
            Action::Pause => self.pause(cx),
            Action::Delete => self.delete(cx),
            Action::RunAgain => self.replay_all(cx),
            _ => return self.act_on_trigger(action, cx),
        }
        true
    }

    fn act_on_trigger(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let Some((app, trigger)) = self.selected().map(|(app, trigger)| (app.to_owned(), trigger.clone())) else {
            return false;
        };
        let spec = &trigger.spec;
        match action {
            Action::Open | Action::Info => self.ask_info(&app, &trigger, cx),
            Action::Test => cx.form(FIRE, forms::fire(&app, spec)),
            Action::Edit => {
                let (was, version) = (spec.clone(), Some(trigger.version));
                cx.form(SPEC, forms::edit(&app, spec));
                self.editing = Some(Editing { app, was, version, previewed: None });
            }
            Action::EditOutside => self.edit_outside(&app, &trigger, cx),
            Action::Logs => cx.go(Place::of(ScreenId::Runs).app(app).thing(format!("trigger:{}", spec.name))),
            Action::Right => cx.go(Place::of(ScreenId::Scripts).app(app).thing(&spec.script)),
            Action::Copy => cx.copy("the name", spec.name.clone()),
            _ => return false,
        }
        true
    }

    /// Pauses what runs; where nothing of it does, lets it go on.
    fn pause(&self, cx: &mut Context<'_>) {
        let chosen = self.chosen();
        let pauses = chosen.iter().any(|(_, trigger)| trigger.paused.is_none());
        let wanted = chosen.iter().filter(|(_, trigger)| trigger.paused.is_none() == pauses);
        let change = |(app, trigger): &(String, Trigger)| {
            let name = &trigger.spec.name;
            let path = |verb| ApiPath::of_app(app, &["triggers", name, verb]);
            let reason = trigger.paused.as_ref().map(|paused| paused.reason.clone());
            let pause = Request::post(path("pause"), &json!({ "reason": reason }));
            let resume = Request::new(http::Method::POST, path("resume"));
            let (paused, resumed) = (format!("paused {app}/{name}"), format!("{app}/{name} goes on"));
            if pauses {
                Change::new(format!("{paused}: what happens meanwhile is queued"), pause).undone_by(resumed, resume)
            } else {
                Change::new(resumed, resume).undone_by(paused, pause)
            }
        };
        cx.changes(wanted.map(change).collect());
    }

    fn delete(&self, cx: &mut Context<'_>) {
        let chosen = self.chosen();
        let queued: i64 = chosen.iter().map(|(_, trigger)| trigger.queued).sum();
        let queue = match queued {
            0 => ": nothing is queued".to_owned(),
            queued => format!(" and {queued} queued events"),
        };
        let count = chosen.len();
        let changes = chosen.iter().map(|(app, trigger)| {
            let name = &trigger.spec.name;
            let request = Request::delete(ApiPath::of_app(app, &["triggers", name])).if_match(trigger.version);
            // Made anew and not put: where somebody made one of this name since, theirs stays.
            let back = Request::post(ApiPath::of_app(app, &["triggers"]), &trigger.spec);
            let change = Change::new(format!("deleted {app}/{name}"), request);
            let change = change.undone_anyway_by(format!("{app}/{name} is there again, its queue empty"), back);
            if count == 1 {
                change.asks("delete", format!("delete {app}/{name}{queue}"))
            } else {
                change.asks_to_type("delete", format!("delete {count} triggers{queue}"), count)
            }
        });
        cx.changes(changes.collect());
    }

    /// All letters of the trigger, or of those that are marked, are sent again.
    fn replay_all(&self, cx: &mut Context<'_>) {
        let wanted: Vec<Of> = self.list.chosen().into_iter().filter_map(Of::row).collect();
        let wanted: Vec<(Of, u64)> =
            wanted.into_iter().map(|of| (self.count(&of), of)).map(|(n, of)| (of, n)).collect();
        let total: u64 = wanted.iter().map(|(_, count)| count).sum();
        let changes = wanted.into_iter().filter(|(of, count)| *count > 0 && of.trigger.is_some()).map(|(of, count)| {
            let path = ApiPath::of_app(&of.app, &["dead-letters", "retry"]);
            let request = Request::post(path, &json!({ "trigger": of.trigger }));
            let name = of.name();
            let question = format!("replay all {total} letters of {name}");
            Change::new(format!("{count} letters of {name} are sent again"), request).asks("replay", question)
        });
        let changes: Vec<Change> = changes.collect();
        if changes.is_empty() {
            cx.say("letters that no trigger led to are replayed one by one: Tab, * and R");
        }
        cx.changes(changes);
    }

    fn pick_kind(&self, cx: &mut Context<'_>) {
        if self.apps.is_empty() && cx.facts.app_names().is_empty() {
            return cx.say("there is no app yet that a trigger could belong to: 3 n makes one");
        }
        let about = |kind| match kind {
            TriggerKind::Kv => "keys of a collection are set or deleted",
            TriggerKind::Files => "files of a collection are made, changed or deleted",
            TriggerKind::Cron => "a schedule's time comes",
            TriggerKind::Pubsub => "something is published on a topic",
            TriggerKind::DeadLetter => "a delivery is given up",
        };
        let item = |kind: &TriggerKind| PickerItem::new(kind.as_str(), kind.as_str(), about(*kind));
        let items = TriggerKind::ALL.iter().map(item).chain([publish::item()]).collect();
        cx.pick(KIND, Picker::new("What starts the script", items));
    }

    /// A kind was chosen for a new one.
    pub(super) fn kind_picked(&mut self, kind: &str, cx: &mut Context<'_>) {
        let Some(kind) = TriggerKind::ALL.iter().copied().find(|known| known.as_str() == kind) else { return };
        let (apps, selected) = self.apps_to_choose(cx);
        cx.form(SPEC, forms::new(kind, apps, selected.as_deref()));
        let was = TriggerSpec::new("", kind, "");
        self.editing = Some(Editing { app: String::new(), was, version: None, previewed: None });
    }

    /// All apps, and the one of the row with the cursor.
    pub(super) fn apps_to_choose(&self, cx: &Context<'_>) -> (Vec<String>, Option<String>) {
        let selected = self.list.selected_id().and_then(Of::row).map(|of| of.app);
        let mut apps: Vec<String> = cx.facts.app_names().into_iter().map(str::to_owned).collect();
        if apps.is_empty() {
            apps = self.apps.keys().cloned().collect();
        }
        (apps, selected)
    }

    /// The form of a table is filled in. Of a new schedule the next times are told first.
    pub(super) fn spec_filled(&mut self, values: &Values, cx: &mut Context<'_>) {
        let Some(editing) = &mut self.editing else { return };
        let spec = match forms::table(&editing.was, values) {
            Ok(spec) => spec,
            Err(why) => return cx.refuse(why),
        };
        let schedule = (spec.schedule.clone(), spec.timezone.clone());
        let is_same = schedule == (editing.was.schedule.clone(), editing.was.timezone.clone());
        if spec.kind == TriggerKind::Cron && !is_same && editing.previewed.as_ref() != Some(&schedule) {
            let input = json!({ "schedule": schedule.0, "timezone": schedule.1, "count": PREVIEW_TIMES });
            cx.load_with(PREVIEW, Request::post(ApiPath::new(&["schedules", "preview"]), &input));
            editing.previewed = Some(schedule);
            return cx.refuse("asking when it would come");
        }
        let app = values.filled("app").unwrap_or(&editing.app).to_owned();
        cx.change(saved(&app, &spec, editing).tag(SPEC));
    }

    /// When the schedule in the form would come.
    pub(super) fn previewed(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let answer = answered.as_ref().map_err(Clone::clone).and_then(|answer| answer.json::<Value>());
        match answer {
            Ok(next) => {
                let times = next["items"].as_array().into_iter().flatten();
                let times: Vec<&str> = times.filter_map(|time| time["local"].as_str()).collect();
                cx.refuse(format!("next: {}. Enter again saves it", times.join(", ")));
            }
            Err(problem) => {
                if let Some(editing) = &mut self.editing {
                    editing.previewed = None;
                }
                cx.refuse(problem.detail);
            }
        }
    }

    /// The form for firing is filled in.
    pub(super) fn fire(&self, values: &Values, cx: &mut Context<'_>) {
        let Some((app, trigger)) = self.selected() else { return };
        let event = match forms::event(values) {
            Ok(event) => event,
            Err(why) => return cx.refuse(why),
        };
        let name = &trigger.spec.name;
        let request = Request::post(ApiPath::of_app(app, &["triggers", name, "fire"]), &json!({ "event": event }));
        cx.change(Change::new(format!("fired {app}/{name}: l shows its runs"), request).tag(FIRE));
    }

    fn ask_info(&mut self, app: &str, trigger: &Trigger, cx: &mut Context<'_>) {
        self.info_next = Value::Null;
        let id = super::rows::id(app, &trigger.spec.name);
        if trigger.spec.kind == TriggerKind::Cron {
            let path = ApiPath::of_app(app, &["triggers", &trigger.spec.name, "next"]);
            cx.load(Slot::of(NEXT, id), path.query("count", Some(NEXT_TIMES)));
        } else {
            ask_runs(app, &trigger.spec.name, id, cx);
        }
    }

    /// Something came that was asked for by a key.
    pub(super) fn asked_for_came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        let answer = answered.as_ref().map_err(Clone::clone).and_then(|answer| answer.json::<Value>());
        let of = Of::row(&slot.of);
        match (slot.name, answer, of) {
            (PREVIEW, ..) => self.previewed(answered, cx),
            (NEXT, answer, Some(Of { app, trigger: Some(name) })) => {
                // Without times the rest is worth reading.
                self.info_next = answer.unwrap_or_default();
                ask_runs(&app, &name, slot.of.clone(), cx);
            }
            (RUNS, answer, Some(Of { app, trigger: Some(name) })) => {
                let Some(trigger) = self.find(&app, &name) else { return };
                let runs = answer.unwrap_or_default();
                let (now, zone) = (cx.now.unix_ms, &cx.facts.zone);
                cx.read(told::trigger(&app, trigger, &self.info_next, &runs, now, zone));
            }
            (letter_acts::READ | letter_acts::CHANGE | letter_acts::CHANGE_OUTSIDE, Ok(letter), _) => {
                self.letter_came(slot.name, &letter, cx);
            }
            (_, Err(problem), _) => cx.complain(problem),
            _ => {}
        }
    }
}

fn ask_runs(app: &str, name: &str, id: String, cx: &mut Context<'_>) {
    let path = ApiPath::of_app(app, &["executions"]).query("trigger", Some(name)).query("limit", Some(RUNS_TOLD));
    cx.load(Slot::of(RUNS, id), path);
}

/// Makes a trigger, or changes one; either can be taken back.
pub(super) fn saved(app: &str, spec: &TriggerSpec, editing: &Editing) -> Change {
    let name = &spec.name;
    let one = || ApiPath::of_app(app, &["triggers", name]);
    match editing.version {
        None => Change::new(format!("made {app}/{name}"), Request::post(ApiPath::of_app(app, &["triggers"]), spec))
            .undone_by(format!("{app}/{name} is gone again"), Request::delete(one())),
        Some(version) => Change::new(format!("saved {app}/{name}"), Request::put(one(), spec).if_match(version))
            .undone_by(format!("{app}/{name} is as before"), Request::put(one(), &editing.was)),
    }
}
