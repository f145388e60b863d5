//! The triggers of each app as the writer knows them: read once, kept until one changes, looked up at every write.

use super::emit::Happened;
use super::error::JobResult;
use picloud_model::ids::{AppId, ScriptId, TriggerId};
use picloud_model::publish::topic_matches;
use picloud_model::trigger::{TriggerKind, TriggerSpec};
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

/// Apps whose triggers are kept in memory; with more, all are read anew as they are needed.
const APPS_KNOWN_MAX: usize = 4_096;

/// A trigger as far as making its deliveries needs it.
#[derive(Debug)]
pub(super) struct KnownTrigger {
    pub(super) id: TriggerId,
    /// The endpoint it starts.
    pub(super) script: ScriptId,
    pub(super) spec: TriggerSpec,
}

impl KnownTrigger {
    /// Whether it chooses or orders by what is in the event.
    pub(super) fn reads_body(&self) -> bool {
        !self.spec.matches.is_empty() || self.spec.ordering_key.is_some()
    }

    fn takes(&self, happened: &Happened<'_>) -> bool {
        let spec = &self.spec;
        let begins = |text: &str| spec.prefix.as_deref().is_none_or(|prefix| text.starts_with(prefix));
        match *happened {
            Happened::Kv { op, key, .. } => (spec.ops.is_empty() || spec.ops.contains(&op)) && begins(key),
            Happened::Files { op, name, .. } => (spec.ops.is_empty() || spec.ops.contains(&op)) && begins(name),
            Happened::Pubsub { topic } => spec.topic.as_deref().is_some_and(|pattern| topic_matches(pattern, topic)),
            Happened::DeadLetter { trigger } => spec.trigger.is_none() || spec.trigger.as_deref() == trigger,
        }
    }
}

/// The triggers of one app, by what they listen to. Schedules are not here: nothing that happens starts them.
#[derive(Debug, Default)]
pub(super) struct AppTriggers {
    kv: HashMap<String, Vec<Arc<KnownTrigger>>>,
    files: HashMap<String, Vec<Arc<KnownTrigger>>>,
    pubsub: Vec<Arc<KnownTrigger>>,
    dead_letter: Vec<Arc<KnownTrigger>>,
}

impl AppTriggers {
    fn load(conn: &Connection, app: AppId) -> JobResult<Self> {
        let mut select = conn.prepare_cached(
            "SELECT id, script_id, spec FROM triggers WHERE app_id = ?1 AND kind <> 'cron' ORDER BY position",
        )?;
        let mut rows = select.query([app.0])?;
        let mut known = Self::default();
        while let Some(row) = rows.next()? {
            let spec: TriggerSpec = serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
            let trigger = KnownTrigger { id: TriggerId(row.get(0)?), script: ScriptId(row.get(1)?), spec };
            known.add(Arc::new(trigger));
        }
        Ok(known)
    }

    fn add(&mut self, trigger: Arc<KnownTrigger>) {
        let collection = trigger.spec.collection.clone().unwrap_or_default();
        match trigger.spec.kind {
            TriggerKind::Kv => self.kv.entry(collection).or_default().push(trigger),
            TriggerKind::Files => self.files.entry(collection).or_default().push(trigger),
            TriggerKind::Pubsub => self.pubsub.push(trigger),
            TriggerKind::DeadLetter => self.dead_letter.push(trigger),
            TriggerKind::Cron => {}
        }
    }

    /// Whether anything listens to keys of the collection.
    pub(super) fn listen_to_keys_of(&self, collection: &str) -> bool {
        self.kv.contains_key(collection)
    }

    /// Those that take what happened, so far as can be told without its body.
    pub(super) fn choose<'a>(&'a self, happened: &'a Happened<'a>) -> impl Iterator<Item = &'a Arc<KnownTrigger>> {
        let some = match happened {
            Happened::Kv { collection, .. } => self.kv.get(*collection).map_or(&[][..], Vec::as_slice),
            Happened::Files { collection, .. } => self.files.get(*collection).map_or(&[][..], Vec::as_slice),
            Happened::Pubsub { .. } => &self.pubsub,
            Happened::DeadLetter { .. } => &self.dead_letter,
        };
        some.iter().filter(move |trigger| trigger.takes(happened))
    }
}

/// The writer's memory of triggers.
#[derive(Debug, Default)]
pub(super) struct KnownTriggers {
    apps: RefCell<HashMap<AppId, Arc<AppTriggers>>>,
    /// Whether the running transaction changed any.
    changed: Cell<bool>,
}

impl KnownTriggers {
    /// The app's triggers.
    pub(super) fn of(&self, conn: &Connection, app: AppId) -> JobResult<Arc<AppTriggers>> {
        if let Some(known) = self.apps.borrow().get(&app) {
            return Ok(known.clone());
        }
        let known = Arc::new(AppTriggers::load(conn, app)?);
        let mut apps = self.apps.borrow_mut();
        if apps.len() >= APPS_KNOWN_MAX {
            apps.clear();
        }
        apps.insert(app, known.clone());
        Ok(known)
    }

    /// Triggers of the app, or the app itself, changed in the running transaction.
    pub(super) fn forget(&self, app: AppId) {
        self.changed.set(true);
        self.apps.borrow_mut().remove(&app);
    }

    /// A transaction begins.
    pub(super) fn begin(&self) {
        self.changed.set(false);
    }

    /// A job or the transaction was taken back: what was read of changes in it never was.
    pub(super) fn taken_back(&self) {
        if self.changed.get() {
            self.apps.borrow_mut().clear();
        }
    }
}
