//! What others store: told by the stream of changes, and read soon after.

use super::Kv;
use super::lines::Target;
use super::reads::listed_of;
use super::value;
use crate::app::{Answered, Context, Slot};
use picloud_model::audit::AuditEntry;
use std::collections::BTreeSet;

/// How long after what others change is collected before it is read.
const TOUCHED_MS: u64 = 300;
/// More keys changed at once are read with their whole collection.
const TOUCHED_MAX: usize = 5;
/// A collection of which more was read is not read again by itself where much of it changes.
const AGAIN_KEYS_MAX: usize = 5000;

impl Kv {
    /// Somebody changed something.
    pub(super) fn touched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        if entry.action.starts_with("app.") {
            return self.load_apps(cx);
        }
        let Some(app) = entry.app.as_deref().filter(|_| entry.action.starts_with("kv.")) else { return };
        let Some(branch) = self.shelf.app(app) else { return };
        if branch.collections.is_none() {
            return;
        }
        let is_due = !self.counts_wanted.is_empty();
        self.counts_wanted.insert(app.to_owned());
        if let Some((name, key)) = entry.target.split_once('/') {
            // More than are read one by one need not be known by name.
            let (app, name) = (app.to_owned(), name.to_owned());
            self.touched.insert(match self.touched.len() <= TOUCHED_MAX {
                true => Target::Key(app, name, key.to_owned()),
                false => Target::Collection(app, name),
            });
        } else if entry.action == "kv.delete_collection" {
            if let Some(known) = self.shelf.collection_mut(app, &entry.target) {
                known.entries.clear();
            }
            self.settle(cx);
        } else {
            // Several keys at once: which, it does not say.
            let of_app = self.open_collections().into_iter().filter(|target| target.app() == app);
            self.touched.extend(of_app);
        }
        // However much comes, it is read so often, and not only when it is over.
        if !is_due {
            cx.later("touched", TOUCHED_MS);
        }
    }

    /// Reads what was touched: keys one by one, or the whole collection where that is not much.
    pub(super) fn read_touched(&mut self, cx: &mut Context<'_>) {
        for app in std::mem::take(&mut self.counts_wanted) {
            self.load_collections(&app, cx);
        }
        let touched = std::mem::take(&mut self.touched);
        let is_few = touched.len() <= TOUCHED_MAX;
        let collections: BTreeSet<Target> = touched.iter().filter_map(Target::around).collect();
        let is_shown = |target: &&Target| {
            touched.contains(target)
                || target.around().is_some_and(|of| touched.contains(&of) || !is_few && collections.contains(&of))
        };
        if let Some(shown) = self.value.target().filter(is_shown).cloned() {
            self.load_value(&shown, cx);
        }
        for target in if is_few { touched } else { collections } {
            match &target {
                Target::Key(..) => self.load_entry(&target, cx),
                Target::Collection(app, name) => self.read_again(app, name, cx),
                _ => {}
            }
        }
        self.settle(cx);
    }

    /// Reads a collection again, where that is not much; else says that it is not what it was.
    fn read_again(&mut self, app: &str, name: &str, cx: &mut Context<'_>) {
        let Some(known) = self.shelf.collection_mut(app, name).filter(|known| known.is_open) else { return };
        if known.entries.len() > AGAIN_KEYS_MAX {
            known.is_outdated = true;
        } else {
            self.restart(app, name, cx);
        }
    }

    /// Reads what is known of a key, without its value.
    pub(super) fn load_entry(&self, target: &Target, cx: &mut Context<'_>) {
        if let Target::Key(app, name, key) = target {
            let path = value::path(app, name, key).flag("keys_only", true);
            cx.load(Slot::of("entry", format!("{app}/{name}/{key}")), path);
        }
    }

    /// What is known of one key was read.
    pub(super) fn entry_came(&mut self, of: &str, answered: Answered, cx: &mut Context<'_>) {
        let mut parts = of.splitn(3, '/').map(str::to_owned);
        let (Some(app), Some(name), Some(key)) = (parts.next(), parts.next(), parts.next()) else { return };
        let target = Target::Key(app, name, key);
        if let Ok(listed) = listed_of(&target, answered) {
            self.take_listed(&target, listed.as_ref());
            self.reveal(cx);
            self.settle(cx);
        }
    }
}
