//! What every run of an app or script needs, made once a snapshot instead of once a run.

use super::placement::{Placement, Record};
use crate::counting::ScriptCounter;
use arc_swap::ArcSwap;
use picloud_executor::services::{AppView, ScriptRef};
use picloud_model::AppId;
use picloud_model::limits::Limits;
use picloud_model::protocol::{AppSnapshot, ScriptEntry};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

/// One app as its runs see it.
pub(crate) struct RunApp {
    snapshot: Arc<AppSnapshot>,
    pub(crate) name: Arc<str>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) view: Arc<dyn AppView>,
    /// Beside `snapshot.scripts`, filled when a script first runs.
    scripts: Vec<OnceLock<Arc<RunScript>>>,
}

/// One script as its runs see it.
pub(crate) struct RunScript {
    pub(crate) name: Arc<str>,
    /// 0 for a text that is not saved.
    pub(crate) version: i64,
    pub(crate) placement: Arc<Record>,
    /// When a plain success was last kept, in milliseconds of the worker's life plus 1; 0 for never.
    pub(crate) kept_ms: AtomicU64,
    /// Where its runs are counted; a text that is not saved is not.
    pub(crate) counter: Option<Arc<ScriptCounter>>,
}

impl RunApp {
    /// Its id.
    pub(crate) fn id(&self) -> AppId {
        self.snapshot.id
    }

    /// Prepares the app.
    pub(crate) fn of(snapshot: &Arc<AppSnapshot>) -> Self {
        Self {
            snapshot: Arc::clone(snapshot),
            name: Arc::from(snapshot.name.as_str()),
            limits: Arc::new(snapshot.limits.clone()),
            view: Arc::new(View(Arc::clone(snapshot))),
            scripts: snapshot.scripts.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// The script behind `entry`, one of the snapshot's.
    pub(crate) fn script(&self, entry: &ScriptEntry, placement: &Placement) -> Arc<RunScript> {
        let make = || Arc::new(RunScript::of(self.id(), entry, placement.of(entry.hash)));
        match self.snapshot.scripts.binary_search_by(|other| other.name.cmp(&entry.name)) {
            Ok(index) => Arc::clone(self.scripts[index].get_or_init(make)),
            Err(_not_of_this_snapshot) => make(),
        }
    }
}

impl RunScript {
    fn of(app: AppId, entry: &ScriptEntry, placement: Arc<Record>) -> Self {
        let name: Arc<str> = Arc::from(entry.name.as_str());
        Self {
            counter: Some(ScriptCounter::new(app, Arc::clone(&name))),
            name,
            version: entry.version,
            placement,
            kept_ms: AtomicU64::new(0),
        }
    }

    /// A version that may not be live. What is learned of its runs stays with it: its modules may be others.
    pub(crate) fn preview(app: AppId, entry: &ScriptEntry) -> Arc<Self> {
        Arc::new(Self::of(app, entry, Arc::default()))
    }

    /// A text in the place of script `name`: no version of it, so it is neither learned from nor blamed on one.
    pub(crate) fn draft(name: &str) -> Self {
        let (name, placement) = (Arc::from(name), Arc::default());
        Self { name, version: 0, placement, kept_ms: AtomicU64::new(0), counter: None }
    }
}

/// The apps that ran lately, each at the snapshot it last ran at.
#[derive(Default)]
pub(crate) struct RunApps(ArcSwap<HashMap<AppId, Arc<RunApp>>>);

impl RunApps {
    /// The app prepared, made anew if `snapshot` is another than the last.
    pub(crate) fn of(&self, snapshot: &Arc<AppSnapshot>) -> Arc<RunApp> {
        if let Some(app) = self.0.load().get(&snapshot.id)
            && Arc::ptr_eq(&app.snapshot, snapshot)
        {
            return Arc::clone(app);
        }
        let app = Arc::new(RunApp::of(snapshot));
        // A racing insert may be lost, which costs making it once more.
        self.0.rcu(|apps| {
            let mut apps = HashMap::clone(apps);
            apps.insert(snapshot.id, Arc::clone(&app));
            apps
        });
        app
    }

    /// Forgets an app that is gone.
    pub(crate) fn forget(&self, app: AppId) {
        self.0.rcu(|apps| {
            let mut apps = HashMap::clone(apps);
            apps.remove(&app);
            apps
        });
    }
}

/// A snapshot as the executor looks at it.
pub(crate) struct View(pub(crate) Arc<AppSnapshot>);

impl AppView for View {
    fn script(&self, name: &str) -> Option<ScriptRef> {
        self.0.script(name).map(script_ref)
    }

    fn env(&self, name: &str) -> Option<String> {
        self.0.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}

/// An entry as the executor names it.
pub(crate) fn script_ref(entry: &ScriptEntry) -> ScriptRef {
    ScriptRef {
        kind: entry.kind,
        version: entry.version,
        hash: entry.hash,
        quarantined_after_crashes: entry.quarantined_after_crashes,
        elsewhere: entry.elsewhere,
    }
}
