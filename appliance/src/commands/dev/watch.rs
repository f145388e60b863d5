//! Wakes on saves in the app folder; asleep in the kernel otherwise.

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long it must have been quiet before the folder is read: an editor's save is several steps.
const QUIET: Duration = Duration::from_millis(25);
/// How long after the first step it is read in any case.
const QUIET_WAIT_MAX: Duration = Duration::from_millis(150);
/// The folders of an app that are watched with everything below them.
///
/// The app folder itself is watched without what is below it: `.picloud` is there, and every write of the
/// store would wake us.
const FOLDERS: [&str; 3] = ["scripts", "modules", "static"];

/// The folder under watch.
pub(super) struct Watch {
    folder: PathBuf,
    watcher: RecommendedWatcher,
    changed: mpsc::Receiver<()>,
}

impl Watch {
    /// Begins to watch.
    pub(super) fn start(folder: &Path) -> notify::Result<Self> {
        // Room for one: that something changed is all there is to know.
        let (sender, changed) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, matters) {
                let _already_known = sender.try_send(());
            }
        })?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        let mut watch = Self { folder: folder.to_owned(), watcher, changed };
        watch.watch_folders();
        Ok(watch)
    }

    /// Waits for a change, and until the folder is quiet again.
    pub(super) async fn next(&mut self) {
        if self.changed.recv().await.is_none() {
            // The watcher is gone; it is a field of ours, so this cannot be. Never wake in a circle for it.
            std::future::pending::<()>().await;
        }
        let latest = tokio::time::Instant::now() + QUIET_WAIT_MAX;
        loop {
            let quiet = tokio::time::Instant::now() + QUIET;
            match tokio::time::timeout_at(quiet.min(latest), self.changed.recv()).await {
                Ok(Some(())) if quiet < latest => {}
                _ => break,
            }
        }
        self.watch_folders();
    }

    /// Watches the folders that are there: one may be new, or be another than the one of that name before.
    fn watch_folders(&mut self) {
        for name in FOLDERS {
            let folder = self.folder.join(name);
            if folder.is_dir()
                && let Err(error) = self.watcher.watch(&folder, RecursiveMode::Recursive)
            {
                tracing::warn!(folder = %folder.display(), %error, "changes in a folder will not be noticed");
            }
        }
    }
}

/// Whether an event may be a save: reading is none, and neither is anything in a hidden file.
fn matters(event: &Event) -> bool {
    let write = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    };
    write && (event.paths.is_empty() || event.paths.iter().any(|path| !is_hidden(path)))
}

fn is_hidden(path: &Path) -> bool {
    path.components().next_back().is_some_and(|last| match last {
        Component::Normal(name) => starts_with_dot(name),
        _ => false,
    })
}

fn starts_with_dot(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}
