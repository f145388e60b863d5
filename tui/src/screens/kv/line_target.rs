//! What a line of the tree is about.

use super::lines::{Line, Target};
use super::shelf::{Branch, Collection, Shelf};

impl Line {
    /// How deep below the root it stands.
    pub(super) fn depth(self) -> u16 {
        match self {
            Line::App { .. } => 0,
            Line::Collection { .. } | Line::Empty { .. } => 1,
            Line::Prefix { depth, .. } | Line::Key { depth, .. } => depth,
            Line::Rest { .. } => 2,
        }
    }

    /// Its app.
    pub(super) fn app_of(self, shelf: &Shelf) -> Option<&Branch> {
        let (Line::App { app }
        | Line::Collection { app, .. }
        | Line::Prefix { app, .. }
        | Line::Key { app, .. }
        | Line::Rest { app, .. }
        | Line::Empty { app }) = self;
        shelf.apps.as_deref()?.get(app as usize)
    }

    /// Its collection, where it has one.
    pub(super) fn collection_of(self, shelf: &Shelf) -> Option<&Collection> {
        let number = match self {
            Line::App { .. } | Line::Empty { .. } => return None,
            Line::Collection { collection, .. }
            | Line::Prefix { collection, .. }
            | Line::Key { collection, .. }
            | Line::Rest { collection, .. } => collection,
        };
        self.app_of(shelf)?.collections.as_deref()?.get(number as usize)
    }

    /// What it is about.
    pub(super) fn target(self, shelf: &Shelf) -> Option<Target> {
        let app = self.app_of(shelf)?.name.clone();
        let known = self.collection_of(shelf);
        let name = || known.map(|known| known.counted.name.clone());
        let key = |at: u32| known.and_then(|known| known.entries.get(at as usize)).map(|entry| &*entry.key);
        Some(match self {
            Line::App { .. } => Target::App(app),
            Line::Empty { .. } => Target::Empty(app),
            Line::Collection { .. } => Target::Collection(app, name()?),
            Line::Rest { .. } => Target::Rest(app, name()?),
            Line::Prefix { from, bytes, .. } => {
                Target::Prefix(app, name()?, key(from)?.get(..bytes as usize)?.to_owned())
            }
            Line::Key { at, .. } => Target::Key(app, name()?, key(at)?.to_owned()),
        })
    }

    /// Whether it is about this; without making anything.
    pub(super) fn is(self, target: &Target, shelf: &Shelf) -> bool {
        let (wanted_app, wanted) = (target.app(), target.collection().map(|(_, name)| name));
        if self.app_of(shelf).is_none_or(|app| app.name != wanted_app) {
            return false;
        }
        let known = self.collection_of(shelf);
        if known.map(|known| known.counted.name.as_str()) != wanted {
            return false;
        }
        let key = |at: u32| known.and_then(|known| known.entries.get(at as usize)).map(|entry| &*entry.key);
        match (self, target) {
            (Line::Key { at, .. }, Target::Key(_, _, wanted)) => key(at) == Some(wanted),
            (Line::Prefix { from, bytes, .. }, Target::Prefix(_, _, wanted)) => {
                key(from).and_then(|key| key.get(..bytes as usize)) == Some(wanted)
            }
            (Line::App { .. }, Target::App(_))
            | (Line::Collection { .. }, Target::Collection(..))
            | (Line::Rest { .. }, Target::Rest(..))
            | (Line::Empty { .. }, Target::Empty(_)) => true,
            _ => false,
        }
    }
}
