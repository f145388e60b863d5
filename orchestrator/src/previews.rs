//! Versions that are not live, for whoever asks for one by number: with the modules they were saved with.
//!
//! What is kept of one holds for the snapshot it was looked up at, so that nothing outlives a change of its app.

use crate::run::apps::{RunScript, View};
use futures_util::future::BoxFuture;
use picloud_executor::services::{AppView, ScriptRef};
use picloud_model::protocol::{AppSnapshot, ScriptEntry, ServiceFailure, VersionEntry};
use picloud_model::script::ScriptKind;
use picloud_model::{AppId, Code, Problem};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Versions kept prepared; past it the one not used for longest goes.
const PREVIEWS_MAX: usize = 64;

/// Where versions are looked up.
pub trait Versions: Send + Sync {
    /// The version of the app's script, `None` where it is not kept (any more).
    fn version(
        &self,
        app: AppId,
        script: &str,
        version: i64,
    ) -> BoxFuture<'static, Result<Option<VersionEntry>, ServiceFailure>>;
}

/// One version, ready to run.
pub struct Preview {
    /// The version in the place of the live one.
    pub(crate) entry: ScriptEntry,
    /// The app with its modules as they were.
    pub(crate) view: Arc<dyn AppView>,
    /// What its runs share.
    pub(crate) script: Arc<RunScript>,
    app: Arc<AppSnapshot>,
}

/// Looks versions up, and keeps the last ones.
pub(crate) struct Previews {
    versions: Arc<dyn Versions>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_name: HashMap<(AppId, String, i64), (Arc<Preview>, u64)>,
    /// Counts uses; the number beside a preview is its last one.
    uses: u64,
}

impl Previews {
    /// None yet.
    pub(crate) fn new(versions: Arc<dyn Versions>) -> Self {
        Self { versions, kept: Mutex::default() }
    }

    /// Version `version` of `live`, a script of `app`.
    pub(crate) async fn find(
        &self,
        app: &Arc<AppSnapshot>,
        live: &ScriptEntry,
        version: i64,
    ) -> Result<Arc<Preview>, Problem> {
        let name = (app.id, live.name.clone(), version);
        if let Some(found) = self.kept(&name, app) {
            return Ok(found);
        }
        let found = self.versions.version(app.id, &live.name, version).await;
        let found = found.map_err(|failure| Problem::new(failure.code, failure.message))?;
        let Some(found) = found else {
            let detail = format!("version {version} of script `{}` of app `{}` is not kept", live.name, app.name);
            return Err(Problem::new(Code::NotFound, detail)
                .hint(format!("`picloud --app {} scripts versions {}` lists those that are", app.name, live.name)));
        };
        if found.kind == ScriptKind::Module {
            let detail = format!("`{}` was a module at version {version}, and modules are not run", live.name);
            return Err(Problem::new(Code::Invalid, detail).hint("name a version that is an endpoint"));
        }
        if let Some(crashes) = found.quarantined_after_crashes {
            // Not kept: a release of a version that is not live changes no snapshot.
            let detail = format!(
                "version {version} of script `{}` of app `{}` took its worker down {crashes} times and is not run any more",
                live.name, app.name
            );
            return Err(Problem::new(Code::WorkerLost, detail).hint("name another version, or none for the live one"));
        }
        let preview = Arc::new(Preview::of(app, live, version, found));
        self.keep(name, &preview);
        Ok(preview)
    }

    fn kept(&self, name: &(AppId, String, i64), app: &Arc<AppSnapshot>) -> Option<Arc<Preview>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        let (preview, used) = kept.by_name.get_mut(name).filter(|(preview, _)| Arc::ptr_eq(&preview.app, app))?;
        *used = uses;
        Some(Arc::clone(preview))
    }

    fn keep(&self, name: (AppId, String, i64), preview: &Arc<Preview>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        kept.by_name.insert(name, (Arc::clone(preview), uses));
        if kept.by_name.len() > PREVIEWS_MAX
            && let Some(oldest) = kept.by_name.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| name.clone())
        {
            kept.by_name.remove(&oldest);
        }
    }
}

impl Preview {
    fn of(app: &Arc<AppSnapshot>, live: &ScriptEntry, version: i64, found: VersionEntry) -> Self {
        let VersionEntry { kind, hash, modules, quarantined_after_crashes: _not } = found;
        let entry = ScriptEntry {
            name: live.name.clone(),
            kind,
            version,
            hash,
            quarantined_after_crashes: None,
            placement: picloud_model::placement::Placement::default(),
            elsewhere: false,
        };
        let modules = modules.into_iter().map(|module| {
            let found = ScriptRef {
                kind: ScriptKind::Module,
                version: module.version,
                hash: module.hash,
                quarantined_after_crashes: None,
                elsewhere: false,
            };
            (module.name, found)
        });
        let view = ViewThen { live: Arc::new(View(Arc::clone(app))), modules: modules.collect() };
        Self { script: RunScript::preview(app.id, &entry), view: Arc::new(view), app: Arc::clone(app), entry }
    }
}

/// An app as a version sees it that may not be live: its modules as they were, all else as it is.
struct ViewThen {
    live: Arc<View>,
    modules: HashMap<String, ScriptRef>,
}

impl AppView for ViewThen {
    fn script(&self, name: &str) -> Option<ScriptRef> {
        let endpoint = || self.live.script(name).filter(|found| found.kind == ScriptKind::Endpoint);
        self.modules.get(name).cloned().or_else(endpoint)
    }

    fn env(&self, name: &str) -> Option<String> {
        self.live.env(name)
    }

    fn of_callees(&self) -> Option<Arc<dyn AppView>> {
        Some(Arc::clone(&self.live) as Arc<dyn AppView>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route_table::tests_support::app;
    use futures_util::FutureExt;
    use picloud_model::ContentHash;
    use picloud_model::script::ModuleVersion;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Store {
        asked: AtomicU32,
    }

    impl Versions for Store {
        fn version(
            &self,
            _app: AppId,
            _script: &str,
            version: i64,
        ) -> BoxFuture<'static, Result<Option<VersionEntry>, ServiceFailure>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let units = ModuleVersion { name: "units".to_owned(), version: 3, hash: ContentHash::of(b"units") };
            let kind = if version == 666 { ScriptKind::Module } else { ScriptKind::Endpoint };
            let entry = VersionEntry {
                kind,
                hash: ContentHash::of(b"then"),
                modules: vec![units],
                quarantined_after_crashes: (version == 99).then_some(3),
            };
            async move { Ok((version < 1_000).then_some(entry)) }.boxed()
        }
    }

    #[tokio::test]
    async fn a_version_is_looked_up_once_a_snapshot_and_so_many_are_kept() {
        let store = Arc::new(Store::default());
        let previews = Previews::new(Arc::clone(&store) as Arc<dyn Versions>);
        let kitchen = Arc::new(app(1, "kitchen", &[]));
        let live = &kitchen.scripts[0];
        for _ in 0..3 {
            let preview = previews.find(&kitchen, live, 7).await.unwrap();
            assert_eq!((preview.entry.version, preview.view.script("units").unwrap().version), (7, 3));
            assert!(preview.view.of_callees().unwrap().script("units").is_none(), "those it calls are as they are");
        }
        assert_eq!(store.asked.load(Ordering::Relaxed), 1);
        previews.find(&Arc::new(app(1, "kitchen", &[])), live, 7).await.unwrap();
        assert_eq!(store.asked.load(Ordering::Relaxed), 2, "after a change of the app it is asked again");
        for version in 100..300 {
            previews.find(&kitchen, live, version).await.unwrap();
        }
        assert_eq!(previews.kept.lock().unwrap().by_name.len(), PREVIEWS_MAX);
        assert_eq!(previews.find(&kitchen, live, 1_000).await.err().unwrap().code, Code::NotFound);
        assert_eq!(previews.find(&kitchen, live, 99).await.err().unwrap().code, Code::WorkerLost);
        assert_eq!(previews.find(&kitchen, live, 666).await.err().unwrap().code, Code::Invalid);
    }
}
