//! What the Triggers screen reads, and what makes it read anew: changes of triggers and letters, deploys, and the stream
//! of activity, which tells of letters that failing runs leave.

use super::letters::{self, Of};
use super::{Triggers, rows};
use crate::app::{Answered, Context, Slot, StreamEvent};
use crate::path::ApiPath;
use picloud_model::activity::{ACTIVITY_NEEDS_MAX, Activity, NeedKind};
use picloud_model::app::App;
use picloud_model::audit::AuditEntry;
use picloud_model::page::Page;
use picloud_model::problem::Code;
use picloud_model::trigger::Trigger;
use std::collections::HashMap;

/// The apps.
pub(super) const APPS: &str = "apps";
/// Triggers of an app.
pub(super) const TRIGGERS: &str = "triggers";
/// The stream that tells how many letters there are.
pub(super) const ACTIVITY: &str = "activity";
/// Changes are waited for so long before they are read: many come at once.
pub(super) const SOON: &str = "soon";
const SOON_MS: u64 = 150;
/// The selection stays for so long before its letters are read.
pub(super) const RESTS: &str = "rests";
const RESTS_MS: u64 = 80;
/// Apps and triggers of a page.
const PAGE: u32 = 1_000;
/// A schedule's next time is read anew this often at most.
const NEXT_MS: u64 = 5_000;

impl Triggers {
    /// Reads all of it; what is shown stays meanwhile.
    pub(super) fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        self.new_apps.clear();
        cx.load(APPS, ApiPath::new(&["apps"]).query("limit", Some(PAGE)));
    }

    /// A page of apps came.
    pub(super) fn apps_came(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let page = match answered.as_ref().map_err(Clone::clone).and_then(|answer| answer.json::<Page<App>>()) {
            Ok(page) => page,
            Err(problem) => return self.state.ended(cx.now, Some(&problem)),
        };
        self.new_apps.extend(page.items.into_iter().map(|app| app.name));
        if let Some(cursor) = page.cursor {
            let path = ApiPath::new(&["apps"]).query("limit", Some(PAGE));
            return cx.load(APPS, path.query("cursor", Some(cursor)));
        }
        let apps = std::mem::take(&mut self.new_apps);
        self.apps.retain(|app, _| apps.contains(app));
        self.loose.retain(|app, _| apps.contains(app));
        for app in &apps {
            self.load_app(app, cx);
        }
        self.tell(cx);
    }

    fn load_app(&mut self, app: &str, cx: &mut Context<'_>) {
        self.waiting.insert(app.to_owned());
        self.pages.remove(app);
        self.read_ms.insert(app.to_owned(), cx.now.mono_ms);
        cx.load(Slot::of(TRIGGERS, app), ApiPath::of_app(app, &["triggers"]).query("limit", Some(PAGE)));
    }

    /// A page of an app's triggers came.
    pub(super) fn triggers_came(&mut self, app: &str, answered: &Answered, cx: &mut Context<'_>) {
        match answered.as_ref().map_err(Clone::clone).and_then(|answer| answer.json::<Page<Trigger>>()) {
            Ok(page) => {
                let pages = self.pages.entry(app.to_owned()).or_default();
                pages.extend(page.items);
                if let Some(cursor) = page.cursor {
                    let path = ApiPath::of_app(app, &["triggers"]).query("limit", Some(PAGE));
                    return cx.load(Slot::of(TRIGGERS, app), path.query("cursor", Some(cursor)));
                }
                let triggers = self.pages.remove(app).unwrap_or_default();
                self.apps.insert(app.to_owned(), triggers);
            }
            // An app that is gone, or that this key may not see, has none here.
            Err(problem) if matches!(problem.code, Code::NotFound | Code::Forbidden) => {
                self.apps.remove(app);
            }
            Err(problem) => {
                self.state.ended(cx.now, Some(&problem));
                self.waiting.remove(app);
                return self.tell(cx);
            }
        }
        self.waiting.remove(app);
        self.tell(cx);
    }

    /// The rows anew, and the place that was gone to where it is there now.
    pub(super) fn tell(&mut self, cx: &mut Context<'_>) {
        let (now, zone) = (cx.now.unix_ms, &cx.facts.zone);
        let mut all = Vec::new();
        for (app, triggers) in &self.apps {
            all.extend(triggers.iter().map(|trigger| rows::trigger(app, trigger, now, zone)));
            all.extend(self.loose.get(app).map(|count| rows::loose(app, *count)));
        }
        if self.state.is_read() {
            self.list.set(all);
        } else {
            self.list.grow(all);
        }
        if self.waiting.is_empty() && self.new_apps.is_empty() && self.state.is_loading() {
            self.state.ended(cx.now, None);
        }
        if let Some((id, with_letters)) = &self.wanted
            && self.list.select(id)
        {
            if *with_letters {
                self.focus = super::Pane::Letters;
            }
            self.wanted = None;
        } else if let Some((id, _)) = &self.wanted
            && self.state.is_read()
        {
            cx.say(format!("trigger {id} is not there (any more)"));
            self.wanted = None;
        }
        self.rests(cx);
    }

    /// The selection may have moved: its letters are read when it rests.
    pub(super) fn rests(&mut self, cx: &mut Context<'_>) {
        let selected = self.list.selected_id().and_then(Of::row);
        if selected == self.letters.of {
            self.letters.more(cx);
        } else if self.letters.of.is_none() || self.focus == super::Pane::Letters {
            self.show_letters(cx);
        } else {
            cx.later(RESTS, RESTS_MS);
        }
    }

    /// The letters of what is selected.
    pub(super) fn show_letters(&mut self, cx: &mut Context<'_>) {
        let of = self.list.selected_id().and_then(Of::row);
        if of != self.letters.of {
            let count = of.as_ref().map_or(0, |of| self.count(of));
            self.letters.show(of, count, cx);
        }
    }

    /// How many letters a trigger has, as far as is known.
    pub(super) fn count(&self, of: &Of) -> u64 {
        match &of.trigger {
            Some(name) => {
                let trigger = self.find(&of.app, name);
                trigger.map_or(0, |trigger| u64::try_from(trigger.dead_letters).unwrap_or(0))
            }
            None => self.loose.get(&of.app).copied().unwrap_or(0),
        }
    }

    /// A trigger that was read.
    pub(super) fn find(&self, app: &str, name: &str) -> Option<&Trigger> {
        self.apps.get(app)?.iter().find(|trigger| trigger.spec.name == name)
    }

    /// Something was changed, here or elsewhere.
    pub(super) fn changed_elsewhere(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        let noun = entry.action.split('.').next().unwrap_or_default();
        match (noun, &entry.app) {
            ("trigger" | "dead_letter", Some(app)) => self.read_soon(app, cx),
            ("app", Some(app)) if entry.action == "app.deploy" => self.read_soon(app, cx),
            ("app", _) => self.load(cx),
            _ => {}
        }
    }

    fn read_soon(&mut self, app: &str, cx: &mut Context<'_>) {
        // What is asked for already is not put off further.
        if self.dirty.is_empty() {
            cx.later(SOON, SOON_MS);
        }
        self.dirty.insert(app.to_owned());
    }

    /// Reads what changed.
    pub(super) fn read_dirty(&mut self, cx: &mut Context<'_>) {
        for app in std::mem::take(&mut self.dirty) {
            if self.letters.of.as_ref().is_some_and(|of| of.app == app) {
                self.letters.load(cx);
            }
            self.load_app(&app, cx);
        }
    }

    /// How many letters there are now; schedules whose time has come are read anew.
    pub(super) fn activity(&mut self, events: &[StreamEvent], cx: &mut Context<'_>) {
        let newest = events.iter().rev().find(|event| event.name == "activity");
        let Some(Ok(activity)) = newest.map(|event| serde_json::from_value::<Activity>(event.data.clone())) else {
            return;
        };
        let of_letters = activity.needs.iter().filter(|need| need.kind == NeedKind::DeadLetters);
        let counts: HashMap<(&str, &str), u64> =
            of_letters.filter_map(|need| Some(((need.app.as_deref()?, need.target.as_str()), need.count))).collect();
        let is_whole = activity.needs.len() < ACTIVITY_NEEDS_MAX;
        let before = self.letters.of.clone().map(|of| self.count(&of));
        let mut has_changed = false;
        let mut late = Vec::new();
        for (app, triggers) in &mut self.apps {
            for trigger in triggers {
                let told = counts.get(&(app.as_str(), trigger.spec.name.as_str())).copied();
                let told = told.or(is_whole.then_some(0)).and_then(|count| i64::try_from(count).ok());
                has_changed |= told.is_some_and(|count| count != trigger.dead_letters);
                trigger.dead_letters = told.unwrap_or(trigger.dead_letters);
                let is_over = trigger.next_at.is_some_and(|at| at < cx.now.unix_ms) && trigger.paused.is_none();
                let was_read = self.read_ms.get(app).is_some_and(|read| read + NEXT_MS > cx.now.mono_ms);
                if is_over && !was_read {
                    late.push(app.clone());
                }
            }
        }
        let loose = counts.iter().filter(|((_, trigger), _)| trigger.is_empty());
        let loose = loose.map(|((app, _), count)| ((*app).to_owned(), *count)).collect();
        if is_whole && self.loose != loose {
            self.loose = loose;
            has_changed = true;
        }
        for app in late {
            self.read_soon(&app, cx);
        }
        if has_changed {
            self.counts_changed(before, cx);
        }
    }

    fn counts_changed(&mut self, before: Option<u64>, cx: &mut Context<'_>) {
        self.tell(cx);
        let Some(of) = self.letters.of.clone() else { return };
        match (self.count(&of), before) {
            (0, Some(1..)) => self.letters.show(Some(of), 0, cx),
            (count, before) if Some(count) != before => self.letters.load(cx),
            _ => {}
        }
    }

    /// Something of this screen was read.
    pub(super) fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        match slot.name {
            APPS => self.apps_came(answered, cx),
            TRIGGERS => self.triggers_came(&slot.of, answered, cx),
            letters::FIRST | letters::MORE => self.letters.loaded(slot.name == letters::FIRST, answered, cx),
            letters::PAYLOAD => self.letters.payload(&slot.of, answered, cx),
            _ => self.asked_for_came(slot, answered, cx),
        }
    }
}
