//! What is known of apps, their collections and keys: only as much as was looked at.

use picloud_model::kv::KvCollection;
use picloud_model::page::Page;
use picloud_model::problem::Problem;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::num::NonZeroI64;

/// An entry as a list answers it; the value only where it was asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    /// The key.
    pub(super) key: String,
    /// JSON, digit for digit.
    pub(super) value: Option<Box<RawValue>>,
    /// The version.
    pub(super) version: i64,
    /// When it was last set.
    #[serde(with = "picloud_model::clock::as_rfc3339")]
    pub(super) updated_at: i64,
    /// When it ceases to be there.
    #[serde(default, with = "picloud_model::clock::as_rfc3339_option")]
    pub(super) expires_at: Option<i64>,
}

/// A key, without its value: a hundred thousand of them take a few megabytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name.
    pub(super) key: Box<str>,
    /// The version.
    pub(super) version: i64,
    /// When it was last set.
    pub(super) updated_at: i64,
    /// When it ceases to be there: half as large as with a number that may be 0, which is none.
    expires_at: Option<NonZeroI64>,
}

impl Entry {
    /// When it ceases to be there.
    pub(super) fn expires_at(&self) -> Option<i64> {
        self.expires_at.map(NonZeroI64::get)
    }
}

impl From<&Listed> for Entry {
    fn from(listed: &Listed) -> Self {
        Self {
            key: listed.key.as_str().into(),
            version: listed.version,
            updated_at: listed.updated_at,
            expires_at: listed.expires_at.and_then(NonZeroI64::new),
        }
    }
}

/// A collection.
#[derive(Debug)]
pub(super) struct Collection {
    /// Its name, keys and bytes, as the appliance counted them.
    pub(super) counted: KvCollection,
    /// Whether its keys are shown.
    pub(super) is_open: bool,
    /// The keys that were read, in the order of their bytes.
    pub(super) entries: Vec<Entry>,
    /// Beginnings of keys (with their `/`) that are open.
    pub(super) open: BTreeSet<String>,
    /// Only keys that begin so are read; empty for all.
    pub(super) prefix: String,
    /// Where the next page begins.
    pub(super) cursor: Option<String>,
    /// The last key of the page before it.
    read_to: Option<Box<str>>,
    /// Whether the end was reached.
    pub(super) is_whole: bool,
    /// Whether a page is on its way.
    pub(super) is_loading: bool,
    /// Why the last page did not come.
    pub(super) problem: Option<Problem>,
    /// Whether so much was stored since that it was not read again by itself.
    pub(super) is_outdated: bool,
    /// The time of day at which its first page was read: what scripts store is not told of.
    pub(super) read_at: String,
}

impl Collection {
    fn new(counted: KvCollection) -> Self {
        Self {
            counted,
            is_open: false,
            entries: Vec::new(),
            open: BTreeSet::new(),
            prefix: String::new(),
            cursor: None,
            read_to: None,
            is_whole: false,
            is_loading: false,
            problem: None,
            is_outdated: false,
            read_at: String::new(),
        }
    }

    /// Reads from the first page again; what is known stays until then.
    pub(super) fn restart(&mut self) {
        self.cursor = None;
        self.read_to = None;
        self.is_whole = false;
        self.is_loading = false;
        self.is_outdated = false;
        self.problem = None;
    }

    /// Takes the next page: it says all there is between the page before it and its last key.
    pub(super) fn absorb(&mut self, page: &Page<Listed>) {
        let last = page.items.last().map(|listed| listed.key.as_str()).filter(|_| page.cursor.is_some());
        let from = match &self.read_to {
            Some(read_to) => self.entries.partition_point(|entry| *entry.key <= **read_to),
            None => 0,
        };
        let to = match last {
            Some(last) => self.entries.partition_point(|entry| *entry.key <= *last),
            None => self.entries.len(),
        };
        self.entries.splice(from..to.max(from), page.items.iter().map(Entry::from));
        self.read_to = last.map(Into::into);
        self.cursor.clone_from(&page.cursor);
        self.is_whole = page.cursor.is_none();
        self.is_loading = false;
        self.problem = None;
    }

    /// Whether keys are shown that were read before the last restart.
    pub(super) fn has_stale(&self) -> bool {
        match &self.read_to {
            Some(read_to) if !self.is_whole => self.entries.last().is_some_and(|last| *last.key > **read_to),
            _ => false,
        }
    }

    /// Takes one key as it is now.
    pub(super) fn put(&mut self, listed: &Listed) {
        match self.entries.binary_search_by(|entry| (*entry.key).cmp(listed.key.as_str())) {
            Ok(at) => self.entries[at] = listed.into(),
            // Beyond what was read it comes with its page.
            Err(at) if at < self.entries.len() || self.is_whole => {
                if listed.key.starts_with(&self.prefix) {
                    self.entries.insert(at, listed.into());
                }
            }
            Err(_) => {}
        }
    }

    /// Forgets a key.
    pub(super) fn remove(&mut self, key: &str) {
        if let Ok(at) = self.entries.binary_search_by(|entry| (*entry.key).cmp(key)) {
            self.entries.remove(at);
        }
    }

    /// A key, if it was read.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| (*entry.key).cmp(key)).ok()?;
        self.entries.get(at)
    }
}

/// An app.
#[derive(Debug)]
pub(super) struct Branch {
    /// Its name.
    pub(super) name: String,
    /// Whether its collections are shown.
    pub(super) is_open: bool,
    /// Its collections, once they were read.
    pub(super) collections: Option<Vec<Collection>>,
    /// Whether they were asked for.
    pub(super) is_asked: bool,
    /// Why they were not.
    pub(super) problem: Option<Problem>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// The apps, once they were read.
    pub(super) apps: Option<Vec<Branch>>,
    /// Counts what may have changed, so that lines are made anew only then.
    pub(super) revision: u64,
}

impl Shelf {
    /// Takes the names of apps; what is known of those that stay, stays.
    pub(super) fn take_apps(&mut self, names: Vec<String>) {
        self.revision += 1;
        let mut before = self.apps.take().unwrap_or_default();
        let branch = |name: String| match before.iter().position(|branch| branch.name == name) {
            Some(at) => before.swap_remove(at),
            None => Branch { name, is_open: false, collections: None, is_asked: false, problem: None },
        };
        self.apps = Some(names.into_iter().map(branch).collect());
    }

    /// Takes the collections of an app; what is known of those that stay, stays.
    pub(super) fn take_collections(&mut self, app: &str, counted: Vec<KvCollection>) {
        let Some(branch) = self.app_mut(app) else { return };
        let mut before = branch.collections.take().unwrap_or_default();
        let collection = |counted: KvCollection| match before.iter().position(|c| c.counted.name == counted.name) {
            Some(at) => Collection { counted, ..before.swap_remove(at) },
            None => Collection::new(counted),
        };
        branch.collections = Some(counted.into_iter().map(collection).collect());
        branch.problem = None;
    }

    /// An app.
    pub(super) fn app(&self, app: &str) -> Option<&Branch> {
        self.apps.iter().flatten().find(|branch| branch.name == app)
    }

    /// An app, to be changed.
    pub(super) fn app_mut(&mut self, app: &str) -> Option<&mut Branch> {
        self.revision += 1;
        self.apps.iter_mut().flatten().find(|branch| branch.name == app)
    }

    /// A collection.
    pub(super) fn collection(&self, app: &str, name: &str) -> Option<&Collection> {
        self.app(app)?.collections.iter().flatten().find(|collection| collection.counted.name == name)
    }

    /// A collection, to be changed.
    pub(super) fn collection_mut(&mut self, app: &str, name: &str) -> Option<&mut Collection> {
        self.app_mut(app)?.collections.iter_mut().flatten().find(|collection| collection.counted.name == name)
    }
}
