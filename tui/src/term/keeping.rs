//! Drafts and settings of the person, on the disk of the machine the program runs on. Written by a thread of its own:
//! a card in a small machine takes its time.

use crate::config::{self, ConfigDir};
use crate::settings::{Settings, Surroundings};
use crate::theme::ThemeName;
use clap::ValueEnum;
use picloud_model::ContentHash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What waits to be written.
const WAITING_MAX: usize = 64;
/// Drafts that are read at the start; those of long ago may be more.
const DRAFTS_MAX: usize = 500;
/// The largest draft that is read.
const DRAFT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The settings' file in the folder of what is remembered.
const SETTINGS: &str = "tui.toml";
/// The setting of the colours.
const THEME: &str = "theme";
/// The setting of the mouse.
const MOUSE: &str = "mouse";

/// Writes down.
pub(super) struct Keeper {
    place: String,
    drafts: Option<PathBuf>,
    settings: Option<PathBuf>,
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Why something could not be written, until it was told.
    failed: Arc<Mutex<Option<String>>>,
}

/// What was written down before.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Text by the draft's name.
    pub(super) drafts: BTreeMap<String, String>,
    /// The colours that were chosen.
    pub(super) theme: Option<ThemeName>,
    /// Whether clicks were asked for.
    pub(super) mouse: bool,
}

/// A file with a draft.
#[derive(Serialize, Deserialize)]
struct Draft {
    /// Which appliance it is for.
    place: String,
    /// What of.
    id: String,
    /// The draft.
    text: String,
}

enum Job {
    Write(PathBuf, Vec<u8>),
    Remove(PathBuf),
    Set(PathBuf, &'static str, String),
}

impl Job {
    fn run(self) -> Result<(), String> {
        let (path, done) = match self {
            Self::Write(path, bytes) => {
                let done =
                    make_folder(&path).and_then(|()| config::write_private(&path, |file| file.write_all(&bytes)));
                (path, done)
            }
            Self::Remove(path) => {
                let done = match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                };
                (path, done)
            }
            Self::Set(path, name, value) => {
                let mut settings = read_settings(&path);
                settings.insert(name.to_owned(), value);
                let written = config::write_toml(&path, "# What was chosen in the terminal UI.", &settings);
                return written.map_err(|failure| failure.problem().detail);
            }
        };
        done.map_err(|error| format!("cannot write {}: {error}; a draft is kept only while this runs", path.display()))
    }
}

impl Keeper {
    /// For this person and this appliance.
    pub(super) fn begin(around: &Surroundings, settings: &Settings) -> Self {
        Self::at(format!("{:?}", settings.place), around.state_dir.clone(), &settings.config_dir)
    }

    fn at(place: String, state_dir: Option<PathBuf>, config_dir: &ConfigDir) -> Self {
        let (jobs, waiting) = sync_channel::<Job>(WAITING_MAX);
        let failed: Arc<Mutex<Option<String>>> = Arc::default();
        let told = Arc::clone(&failed);
        let thread = std::thread::spawn(move || {
            for job in waiting {
                if let Err(why) = job.run() {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                }
            }
        });
        Self {
            place,
            drafts: state_dir.map(|state| state.join("drafts")),
            settings: config_dir.file(SETTINGS),
            jobs: Some(jobs),
            thread: Some(thread),
            failed,
        }
    }

    /// What was written down; what cannot be read is passed over, and stays where it is.
    pub(super) fn read(&self) -> Kept {
        let settings = self.settings.as_deref().map(read_settings).unwrap_or_default();
        let theme = settings.get(THEME).and_then(|name| super::Theme::from_str(name, true).ok());
        let files = self.drafts.as_ref().and_then(|folder| fs::read_dir(folder).ok());
        let read = files.into_iter().flatten().flatten().take(DRAFTS_MAX).filter_map(|entry| read_draft(&entry.path()));
        let of_here = read.filter(|draft| draft.place == self.place);
        Kept {
            drafts: of_here.map(|draft| (draft.id, draft.text)).collect(),
            theme: theme.map(ThemeName::from),
            mouse: settings.get(MOUSE).is_some_and(|value| value == "on"),
        }
    }

    /// Writes a draft down; an empty one removes it.
    pub(super) fn keep_draft(&self, id: &str, text: &str) {
        let Some(folder) = &self.drafts else { return };
        let name = ContentHash::of(format!("{}\n{id}", self.place).as_bytes());
        let path = folder.join(format!("{name}.json"));
        if text.is_empty() {
            return self.put(Job::Remove(path));
        }
        let draft = Draft { place: self.place.clone(), id: id.to_owned(), text: text.to_owned() };
        self.put(Job::Write(path, serde_json::to_vec(&draft).expect("a draft has names as keys")));
    }

    /// Writes a setting down.
    pub(super) fn keep_setting(&self, name: &'static str, value: String) {
        if let Some(path) = &self.settings {
            self.put(Job::Set(path.clone(), name, value));
        }
    }

    fn put(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only after whoever puts has let go.
            let _never = jobs.send(job);
        }
    }

    /// Why something could not be written, once.
    pub(super) fn take_failed(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Keeper {
    /// Waits until all is written.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn read_settings(path: &Path) -> BTreeMap<String, String> {
    // Colours are not worth refusing to start for.
    config::read_toml(path, "remove it").ok().flatten().unwrap_or_default()
}

fn read_draft(path: &Path) -> Option<Draft> {
    let is_draft = path.extension().is_some_and(|extension| extension == "json");
    let size = fs::metadata(path).ok()?.len();
    if !is_draft || size > DRAFT_BYTES_MAX {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn keeper(home: &Path, place: &str) -> Keeper {
        let config = ConfigDir::of(None, Some(home.to_owned()));
        Keeper::at(place.to_owned(), Some(home.join("state/picloud")), &config)
    }

    #[test]
    fn a_draft_is_there_for_the_next_session_at_the_same_appliance_and_nobody_else() {
        let home = tempfile::tempdir().unwrap();
        let first = keeper(home.path(), "a");
        first.keep_draft("blog/feed", "1");
        first.keep_draft("blog/feed", "fn get() {}");
        first.keep_draft("blog/post", "gone");
        first.keep_draft("blog/post", "");
        drop(first);
        let drafts = keeper(home.path(), "a").read().drafts;
        assert_eq!(drafts, BTreeMap::from([("blog/feed".to_owned(), "fn get() {}".to_owned())]));
        assert!(keeper(home.path(), "b").read().drafts.is_empty());
        let folder = home.path().join("state/picloud/drafts");
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_theme_and_the_mouse_are_remembered_and_a_broken_file_is_none() {
        let home = tempfile::tempdir().unwrap();
        let first = keeper(home.path(), "a");
        assert_eq!(first.read().theme, None);
        first.keep_setting(THEME, "light".to_owned());
        first.keep_setting(MOUSE, "on".to_owned());
        drop(first);
        let second = keeper(home.path(), "a");
        assert_eq!((second.read().theme, second.read().mouse), (Some(ThemeName::Light), true));
        fs::write(home.path().join(".config/picloud/tui.toml"), "theme = 7").unwrap();
        assert_eq!((second.read().theme, second.read().mouse), (None, false));
    }

    #[test]
    fn what_cannot_be_written_is_told_once() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("state"), "in the way").unwrap();
        let mut keeper = keeper(home.path(), "a");
        keeper.keep_draft("blog/feed", "x");
        drop(keeper.jobs.take());
        keeper.thread.take().unwrap().join().unwrap();
        assert!(keeper.take_failed().unwrap().contains("drafts"));
        assert_eq!(keeper.take_failed(), None);
    }
}
