//! What the Apps screen reads: the apps; what each holds, of those near the cursor; what waits in them.

use super::Apps;
use super::rows::{Count, Held};
use crate::app::{Answered, Context, Slot, StreamEvent};
use crate::path::ApiPath;
use picloud_model::activity::{Activity, NeedKind};
use picloud_model::app::App;
use picloud_model::audit::AuditEntry;
use picloud_model::page::Page;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The apps.
const APPS: &str = "apps";
/// What waits in each.
pub(super) const STATUS: &str = "status";
/// The stream that tells of letters.
pub(super) const ACTIVITY: &str = "activity";
/// What is counted of each app: slots, and last segments of paths.
const COUNTED: [&str; 3] = ["scripts", "routes", "triggers"];
/// Changes are waited for so long before they are read: many come at once.
const SOON: &str = "soon";
const SOON_MS: u64 = 150;
/// Things of a page.
const PAGE: u32 = 1_000;
/// Apps within so many lines of the cursor are counted.
const NEAR_LINES: usize = 40;

/// What waits in one app.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Queue {
    app: String,
    /// Deliveries that wait or are under way.
    pub(super) deliveries: u64,
    /// For how long the oldest has been due.
    pub(super) oldest_due_ms: u64,
    /// Of those that wait, the ones that no node may run now.
    pub(super) waiting_for_node: u64,
    /// Dead letters.
    pub(super) dead_letters: u64,
    /// Bytes its scripts wrote since the appliance started.
    pub(super) bytes_written: u64,
}

#[derive(Deserialize)]
struct Status {
    queues: Vec<Queue>,
}

impl Apps {
    /// Reads the apps; what is shown stays meanwhile.
    pub(super) fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        self.pages.clear();
        cx.load(APPS, ApiPath::new(&["apps"]).query("limit", Some(PAGE)));
    }

    /// Something was loaded.
    pub(super) fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        match slot.name {
            APPS => self.apps_came(answered, cx),
            STATUS => {
                // Who may not know what waits sees a dash.
                if let Some(status) = answered.as_ref().ok().and_then(|answer| answer.json::<Status>().ok()) {
                    self.queues = status.queues.into_iter().map(|queue| (queue.app.clone(), queue)).collect();
                    self.show();
                }
            }
            name => match COUNTED.iter().find(|what| **what == name) {
                Some(what) => self.counted(what, &slot.of, answered),
                None => self.deploy_came(slot, answered, cx),
            },
        }
    }

    fn apps_came(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some(page) = self.state.take::<Page<App>>(cx.now, answered) else { return };
        self.pages.extend(page.items);
        if let Some(cursor) = page.cursor {
            self.state.begin();
            return cx.load(APPS, ApiPath::new(&["apps"]).query("limit", Some(PAGE)).query("cursor", Some(cursor)));
        }
        self.apps = std::mem::take(&mut self.pages);
        let apps = &self.apps;
        self.held.retain(|name, _| apps.iter().any(|app| app.name == *name));
        self.show();
        self.find_wanted(cx);
        self.count(cx);
    }

    /// Puts the cursor on the app that was gone to.
    pub(super) fn find_wanted(&mut self, cx: &mut Context<'_>) {
        let Some(wanted) = self.wanted.take() else { return };
        if !self.list.select(&wanted) {
            cx.say(format!("app {wanted} is not there (any more)"));
        }
    }

    /// Counts what apps near the cursor hold, where that is not known.
    pub(super) fn count(&mut self, cx: &mut Context<'_>) {
        let near: Vec<String> = self.list.near(NEAR_LINES).map(str::to_owned).collect();
        for app in near {
            let held = self.held.entry(app.clone()).or_default();
            let is_known = [held.scripts.is_some(), held.routes.is_some(), held.triggers.is_some()];
            for (what, is_known) in COUNTED.iter().zip(is_known) {
                if !is_known && self.counting.insert((what, app.clone())) {
                    let path = ApiPath::of_app(&app, &[what]).query("limit", Some(PAGE));
                    cx.load(Slot::of(what, app.clone()), path);
                }
            }
        }
    }

    fn counted(&mut self, what: &'static str, app: &str, answered: &Answered) {
        self.counting.remove(&(what, app.to_owned()));
        // Where it may not be known, the column stays empty.
        let Some(page) = answered.as_ref().ok().and_then(|answer| answer.json::<Page<Value>>().ok()) else { return };
        let count = Some(Count { number: page.items.len(), has_more: page.cursor.is_some() });
        let held = self.held.entry(app.to_owned()).or_default();
        match what {
            "scripts" => held.scripts = count,
            "routes" => held.routes = count,
            _ => held.triggers = count,
        }
        self.show();
    }

    /// Something was changed, here or elsewhere.
    pub(super) fn changed_elsewhere(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        let Some(app) = &entry.app else { return };
        let noun = entry.action.split('.').next().unwrap_or_default();
        let held = self.held.entry(app.clone()).or_default();
        match noun {
            "script" | "module" => held.scripts = None,
            "route" => held.routes = None,
            "trigger" => held.triggers = None,
            "dead_letter" => return cx.load(STATUS, ApiPath::new(&["status"])),
            "app" | "env" => {
                *held = Held::default();
                if !std::mem::replace(&mut self.is_soon, true) {
                    cx.later(SOON, SOON_MS);
                }
                return;
            }
            _ => return,
        }
        self.count(cx);
    }

    /// How many letters there are now; where that changed, queues did, too.
    pub(super) fn activity(&mut self, events: &[StreamEvent], cx: &mut Context<'_>) {
        let newest = events.iter().rev().find(|event| event.name == "activity");
        let Some(Ok(activity)) = newest.map(|event| serde_json::from_value::<Activity>(event.data.clone())) else {
            return;
        };
        let mut letters = BTreeMap::new();
        for need in activity.needs.iter().filter(|need| need.kind == NeedKind::DeadLetters) {
            if let Some(app) = &need.app {
                *letters.entry(app.clone()).or_insert(0) += need.count;
            }
        }
        if self.letters.as_ref() == Some(&letters) {
            return;
        }
        if self.letters.replace(letters).is_some() {
            cx.load(STATUS, ApiPath::new(&["status"]));
        }
        self.show();
    }
}
