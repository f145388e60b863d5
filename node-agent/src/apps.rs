//! What this node answers from: all apps as the appliance gave them last, the hashes of keys, and the secrets.
//!
//! Apps and keys are on the disk as well; secrets are in memory only, and gone when the agent ends.

use picloud_model::hash::ContentHash;
use picloud_model::ids::AppId;
use picloud_model::protocol::node::SecretEntry;
use picloud_model::protocol::{AppSnapshot, KeyEntry, Snapshot};
use picloud_model::secret::EVERY_SCRIPT;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// All of it.
#[derive(Default)]
pub struct Apps {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    known: bool,
    revision: u64,
    apps: BTreeMap<AppId, Arc<AppSnapshot>>,
    keys: Arc<Vec<KeyEntry>>,
    secrets: HashMap<AppId, Vec<SecretEntry>>,
}

/// What of a whole snapshot is another than before.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Apps that are new, changed or gone.
    pub apps: BTreeSet<AppId>,
    /// The keys are others.
    pub keys: bool,
}

impl Apps {
    /// Whether there is anything to answer from yet.
    pub fn known(&self) -> bool {
        self.read().known
    }

    /// The revision that the appliance gave last; 0 of what was on the disk.
    pub fn revision(&self) -> u64 {
        self.read().revision
    }

    /// One app.
    pub fn app(&self, id: AppId) -> Option<Arc<AppSnapshot>> {
        self.read().apps.get(&id).cloned()
    }

    /// All apps and keys.
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.read();
        let apps = inner.apps.values().cloned().collect();
        Snapshot { revision: inner.revision, apps, keys: Arc::clone(&inner.keys) }
    }

    /// The keys.
    pub fn keys(&self) -> Arc<Vec<KeyEntry>> {
        Arc::clone(&self.read().keys)
    }

    /// Everything anew.
    pub fn replace(&self, snapshot: Snapshot) -> Changed {
        let mut inner = self.write();
        let mut before = std::mem::take(&mut inner.apps);
        let mut changed = Changed { keys: *inner.keys != *snapshot.keys, ..Changed::default() };
        for app in snapshot.apps {
            if before.remove(&app.id).is_none_or(|old| !is_same(&old, &app)) {
                changed.apps.insert(app.id);
            }
            inner.apps.insert(app.id, app);
        }
        changed.apps.extend(before.into_keys());
        inner.keys = snapshot.keys;
        inner.revision = snapshot.revision;
        inner.known = true;
        let here: BTreeSet<AppId> = inner.apps.keys().copied().collect();
        inner.secrets.retain(|app, _secrets| here.contains(app));
        changed
    }

    /// One app is new or changed.
    pub fn set_app(&self, revision: u64, app: Arc<AppSnapshot>) {
        let mut inner = self.write();
        inner.revision = revision;
        inner.apps.insert(app.id, app);
    }

    /// One app is gone, and its secrets with it.
    pub fn remove_app(&self, revision: u64, app: AppId) {
        let mut inner = self.write();
        inner.revision = revision;
        inner.apps.remove(&app);
        inner.secrets.remove(&app);
    }

    /// The keys are others.
    pub fn set_keys(&self, revision: u64, keys: Arc<Vec<KeyEntry>>) {
        let mut inner = self.write();
        inner.revision = revision;
        inner.keys = keys;
    }

    /// An app's secrets, all of them.
    pub fn set_secrets(&self, app: AppId, secrets: Vec<SecretEntry>) {
        self.write().secrets.insert(app, secrets);
    }

    /// The value of a secret, where this script of this app was granted it and it is here.
    pub fn secret(&self, app: AppId, script: &str, name: &str) -> Option<String> {
        let inner = self.read();
        let secret = inner.secrets.get(&app)?.iter().find(|secret| secret.name == name)?;
        let granted = secret.scripts.iter().any(|granted| granted == script || granted == EVERY_SCRIPT);
        granted.then(|| secret.value.clone())
    }

    /// Everything that the apps are made of: sources, and static files with their sizes.
    pub fn contents(&self) -> Contents {
        let inner = self.read();
        let mut contents = Contents::default();
        for app in inner.apps.values() {
            contents.sources.extend(app.scripts.iter().map(|script| (script.hash, app.id)));
            contents.files.extend(app.static_files.iter().map(|file| (file.hash, (app.id, file.size_bytes))));
        }
        contents
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.write() = Inner::default();
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What apps are made of, each with an app that it belongs to.
#[derive(Debug, Default)]
pub struct Contents {
    /// Sources.
    pub sources: HashMap<ContentHash, AppId>,
    /// Static files, and their sizes.
    pub files: HashMap<ContentHash, (AppId, u64)>,
}

impl Contents {
    /// The hashes of all of it.
    pub fn hashes(&self) -> HashSet<ContentHash> {
        self.sources.keys().chain(self.files.keys()).copied().collect()
    }
}

/// Whether the worker would see any difference.
fn is_same(a: &AppSnapshot, b: &AppSnapshot) -> bool {
    // Snapshots are compared by their form between processes: that is what the worker gets.
    postcard::to_stdvec(a).ok() == postcard::to_stdvec(b).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::limits::Limits;

    fn app(id: i64, name: &str) -> Arc<AppSnapshot> {
        Arc::new(AppSnapshot {
            id: AppId(id),
            name: name.to_owned(),
            hosts: Vec::new(),
            env: Vec::new(),
            limits: Limits::default(),
            http_allow: Vec::new(),
            routes: Vec::new(),
            scripts: Vec::new(),
            static_files: Vec::new(),
        })
    }

    fn whole(revision: u64, apps: Vec<Arc<AppSnapshot>>) -> Snapshot {
        Snapshot { revision, apps, keys: Arc::default() }
    }

    #[test]
    fn of_a_whole_snapshot_only_what_is_another_goes_to_the_worker() {
        let apps = Apps::default();
        assert!(!apps.known());
        let first = apps.replace(whole(4, vec![app(1, "a"), app(2, "b"), app(3, "c")]));
        assert_eq!(first.apps.len(), 3);
        let again = apps.replace(whole(9, vec![app(1, "a"), app(2, "new"), app(4, "d")]));
        assert_eq!(again, Changed { apps: BTreeSet::from([AppId(2), AppId(3), AppId(4)]), keys: false });
        assert_eq!((apps.known(), apps.revision()), (true, 9));
    }

    #[test]
    fn a_secret_is_read_by_whom_it_was_granted_to_and_goes_with_its_app() {
        let apps = Apps::default();
        apps.replace(whole(1, vec![app(1, "a")]));
        let secret = |name: &str, scripts: &[&str]| SecretEntry {
            name: name.to_owned(),
            scripts: scripts.iter().map(|&script| script.to_owned()).collect(),
            value: format!("value of {name}"),
        };
        apps.set_secrets(AppId(1), vec![secret("one", &["hello"]), secret("all", &["*"])]);
        for (script, name, is_read) in
            [("hello", "one", true), ("other", "one", false), ("other", "all", true), ("hello", "none", false)]
        {
            assert_eq!(apps.secret(AppId(1), script, name).is_some(), is_read, "{script} {name}");
        }
        assert_eq!(apps.secret(AppId(2), "hello", "all"), None, "secrets are their app's");
        apps.remove_app(2, AppId(1));
        assert_eq!(apps.secret(AppId(1), "hello", "one"), None);
    }
}
