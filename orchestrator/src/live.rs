//! What requests are answered from at one moment; swapped whole when something changes.

use crate::keyring::Keyring;
use crate::route_table::RouteTable;
use picloud_model::AppId;
use picloud_model::protocol::{AppSnapshot, KeyEntry, Snapshot};
use std::collections::HashMap;
use std::sync::Arc;

/// The apps and their route table at one revision.
#[derive(Debug, Default)]
pub struct Live {
    /// The snapshot's revision.
    pub revision: u64,
    /// Where requests go.
    pub table: Arc<RouteTable>,
    /// The apps.
    pub apps: HashMap<AppId, Arc<AppSnapshot>>,
    /// The API keys that may call routes.
    pub keys: Arc<Keyring>,
}

impl Live {
    /// All of `snapshot`.
    pub fn of(snapshot: Snapshot) -> Self {
        let keys = Arc::new(Keyring::of(&snapshot.keys));
        Self::new(snapshot.revision, snapshot.apps.into_iter().map(|app| (app.id, app)).collect(), keys)
    }

    /// This with one app new or changed.
    pub fn changed(&self, revision: u64, app: Arc<AppSnapshot>) -> Self {
        let mut apps = self.apps.clone();
        apps.insert(app.id, app);
        Self::new(revision, apps, Arc::clone(&self.keys))
    }

    /// This with one app gone.
    pub fn removed(&self, revision: u64, app: AppId) -> Self {
        let mut apps = self.apps.clone();
        apps.remove(&app);
        Self::new(revision, apps, Arc::clone(&self.keys))
    }

    /// This with other keys; the table is the same one.
    pub fn with_keys(&self, revision: u64, keys: &[KeyEntry]) -> Self {
        let table = Arc::clone(&self.table);
        Self { revision, table, apps: self.apps.clone(), keys: Arc::new(Keyring::of(keys)) }
    }

    fn new(revision: u64, apps: HashMap<AppId, Arc<AppSnapshot>>, keys: Arc<Keyring>) -> Self {
        let mut sorted: Vec<Arc<AppSnapshot>> = apps.values().cloned().collect();
        // The table may depend on the order; parent and worker must come to the same one.
        sorted.sort_unstable_by_key(|app| app.id);
        let (table, conflicts) = RouteTable::build_serving(&sorted);
        for conflict in conflicts {
            tracing::error!("{conflict}; the older app's route answers");
        }
        Self { revision, table: Arc::new(table), apps, keys }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::NormalPath;
    use crate::route_table::Found;
    use crate::route_table::tests_support::{app, route};

    #[test]
    fn an_app_changes_and_goes_without_touching_the_others() {
        let a = Arc::new(app(1, "a", &[route(&[], "/x")]));
        let b = Arc::new(app(2, "b", &[route(&[], "/x")]));
        let live = Live::of(Snapshot { revision: 1, apps: vec![a, b], keys: Arc::default() });
        let knows = |live: &Live, path| {
            matches!(live.table.find(None, &NormalPath::parse(path).unwrap(), "GET"), Found::Script(_))
        };
        let changed = live.changed(2, Arc::new(app(2, "b", &[route(&[], "/y")])));
        assert_eq!(["/a/x", "/b/x", "/b/y"].map(|path| knows(&changed, path)), [true, false, true]);
        let removed = changed.removed(3, AppId(1));
        assert_eq!(["/a/x", "/b/y"].map(|path| knows(&removed, path)), [false, true]);
        assert_eq!((removed.revision, removed.apps.len(), knows(&live, "/b/x")), (3, 1, true));
        assert!(Arc::ptr_eq(&removed.with_keys(4, &[]).table, &removed.table), "keys change no route");
    }
}
