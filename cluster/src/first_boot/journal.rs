//! How far a first boot came: which file it was for, and which steps are done.

use super::disk::{Disk, PRIVATE};
use super::{STATE_FOLDER, apps::App};
use picloud_model::hash::ContentHash;
use std::collections::BTreeMap;
use std::io::Result;
use std::path::{Path, PathBuf};

/// What is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was ever applied.
    #[default]
    Nothing,
    /// Steps are being done.
    Applying,
    /// All steps are done; secrets are being removed.
    Erasing,
    /// All is done.
    Applied,
}

const STAGES: [(Stage, &str); 4] = [
    (Stage::Nothing, "nothing"),
    (Stage::Applying, "applying"),
    (Stage::Erasing, "erasing"),
    (Stage::Applied, "applied"),
];

/// The file `state`, a line for each thing that is known.
pub(super) struct Journal {
    stage: Stage,
    /// Of the file that is being applied, or was.
    hash: String,
    steps: Vec<String>,
    apps: BTreeMap<String, String>,
    masked: Vec<u8>,
}

impl Journal {
    /// What was written down. What cannot be understood counts as nothing: every step may be done again.
    pub(super) fn open(disk: &Disk) -> Result<Self> {
        let mut journal = Self {
            stage: Stage::Nothing,
            hash: String::new(),
            steps: Vec::new(),
            apps: BTreeMap::new(),
            masked: Vec::new(),
        };
        for line in disk.text(path("state"))?.lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("stage"), Some(word), Some(hash)) => {
                    journal.stage =
                        STAGES.iter().find(|(_, name)| *name == word).map(|(stage, _)| *stage).unwrap_or_default();
                    hash.clone_into(&mut journal.hash);
                }
                (Some("step"), Some(name), None) => journal.steps.push(name.to_owned()),
                (Some("app"), Some(name), Some(hash)) => drop(journal.apps.insert(name.to_owned(), hash.to_owned())),
                _unknown => {}
            }
        }
        if journal.stage == Stage::Erasing {
            journal.masked = disk.text(path("masked.toml"))?.into_bytes();
        }
        Ok(journal)
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether this text is what was applied, without its secrets.
    pub(super) fn is_applied(&self, text: &[u8]) -> bool {
        self.stage == Stage::Applied && self.hash == hash(text)
    }

    /// Whether this text is the one whose secrets are being removed: what differs from what it becomes are bytes that
    /// go.
    pub(super) fn is_being_erased(&self, text: &[u8]) -> bool {
        let goes = |(is, becomes): (&u8, &u8)| is == becomes || *becomes == b'*';
        text.len() == self.masked.len() && text.iter().zip(&self.masked).all(goes)
    }

    /// What it becomes.
    pub(super) fn masked(&self) -> &[u8] {
        &self.masked
    }

    /// Begins to apply this text, or goes on with it.
    pub(super) fn begin(&mut self, disk: &Disk, text: &[u8]) -> Result<()> {
        if self.stage == Stage::Applying && self.hash == hash(text) {
            return Ok(());
        }
        (self.stage, self.hash) = (Stage::Applying, hash(text));
        self.steps.clear();
        self.write(disk)
    }

    pub(super) fn is_done(&self, step: &str) -> bool {
        self.steps.iter().any(|done| done == step)
    }

    pub(super) fn done(&mut self, disk: &Disk, step: &str) -> Result<()> {
        self.steps.push(step.to_owned());
        self.write(disk)
    }

    /// Whether just this app was copied.
    pub(super) fn has_app(&self, app: &App) -> bool {
        self.apps.get(&app.name) == Some(&app.hash)
    }

    pub(super) fn copied(&mut self, disk: &Disk, app: &App) -> Result<()> {
        self.apps.insert(app.name.clone(), app.hash.clone());
        self.write(disk)
    }

    /// Begins to remove secrets.
    pub(super) fn erasing(&mut self, disk: &Disk, masked: &[u8]) -> Result<()> {
        disk.write(path("masked.toml"), masked, PRIVATE, None)?;
        masked.clone_into(&mut self.masked);
        (self.stage, self.hash) = (Stage::Erasing, hash(masked));
        self.write(disk)
    }

    /// All is done.
    pub(super) fn applied(&mut self, disk: &Disk, masked: &[u8]) -> Result<()> {
        (self.stage, self.hash) = (Stage::Applied, hash(masked));
        self.steps.clear();
        self.write(disk)
    }

    fn write(&self, disk: &Disk) -> Result<()> {
        let word = STAGES.iter().find(|(stage, _)| *stage == self.stage).map_or("nothing", |(_, word)| *word);
        let steps = self.steps.iter().map(|step| format!("step {step}\n"));
        let apps = self.apps.iter().map(|(name, hash)| format!("app {name} {hash}\n"));
        let lines: String = std::iter::once(format!("stage {word} {}\n", self.hash)).chain(steps).chain(apps).collect();
        disk.write(path("state"), lines.as_bytes(), PRIVATE, None)
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(STATE_FOLDER).join(name)
}

fn hash(text: &[u8]) -> String {
    ContentHash::of(text).to_string()
}
