//! Going to a thing that was named, while what is around it is still being read.

use super::Kv;
use super::lines::Target;
use crate::app::{Context, Place};

impl Kv {
    /// Goes to the place that was asked for, as far as it is known by now.
    pub(super) fn arrive(&mut self, cx: &mut Context<'_>) {
        let Some(Place { app: Some(app), thing, .. }) = self.wanted.clone() else { return };
        if self.shelf.apps.is_none() {
            return;
        }
        let Some(branch) = self.shelf.app(&app) else {
            self.wanted = None;
            return cx.say(format!("there is no app {app}"));
        };
        let is_known = branch.collections.is_some();
        self.open(&Target::App(app.clone()), true, cx);
        let Some(thing) = thing.filter(|_| is_known) else {
            if is_known {
                self.wanted = None;
            }
            self.tree.arrange(&self.shelf);
            self.tree.select(&Target::App(app), &self.shelf);
            return;
        };
        let (name, key) = thing.split_once('/').map_or((thing.as_str(), ""), |(name, key)| (name, key));
        let collection = Target::Collection(app.clone(), name.to_owned());
        if self.shelf.collection(&app, name).is_none() {
            self.wanted = None;
            return cx.say(format!("{app} has no collection {name}"));
        }
        if !key.is_empty() && self.tree.filter_text() != format!("^{key}") {
            self.tree.set_filter(&format!("^{key}"), &self.shelf);
        }
        self.open(&collection, true, cx);
        self.tree.arrange(&self.shelf);
        self.tree.select(&collection, &self.shelf);
        let is_read = self.shelf.collection(&app, name).is_some_and(|known| !known.is_loading);
        if key.is_empty() || is_read {
            self.wanted = None;
            self.tree.select(&Target::Key(app, name.to_owned(), key.to_owned()), &self.shelf);
        }
    }

    /// Shows a key that was just stored: everything around it opens.
    pub(super) fn reveal(&mut self, cx: &mut Context<'_>) {
        let Some(target @ Target::Key(app, name, key)) = &self.stored.clone() else { return };
        self.open(&Target::App(app.clone()), true, cx);
        self.open(&Target::Collection(app.clone(), name.clone()), true, cx);
        if let Some(known) = self.shelf.collection_mut(app, name) {
            known.open.extend(key.match_indices('/').map(|(at, _)| key[..=at].to_owned()));
        }
        self.tree.arrange(&self.shelf);
        if self.tree.select(target, &self.shelf) {
            self.stored = None;
        }
    }
}
