//! What came of things that go on after the first boot: apps are deployed by the appliance, and a backup comes back
//! once there is a network.
//!
//! The appliance may not write to the boot partition. It leaves its notes in its own data folder, and root puts them
//! into the report: [`take_over`], which systemd starts when they change.

use super::disk::{Disk, PUBLIC};
use super::report::Report;
use super::{FirstBootError, Machine, Program, STATE_FOLDER};
use crate::private_file;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file in the appliance's data folder in which it says what came of the card's apps.
pub const NOTES_FILE: &str = "first-boot-report.toml";
/// Largest such file.
const NOTES_BYTES_MAX: u64 = 256 * 1024;
/// Most notes; a card has fewer apps.
const NOTES_MAX: usize = 100;
/// Longest that one may be about, and be.
const ABOUT_BYTES_MAX: usize = 100;
const SAID_BYTES_MAX: usize = 2_000;
/// The file in which root keeps them.
const KEPT_FILE: &str = "later.toml";

/// What came of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The thing: `app kitchen`, `restore`.
    pub about: String,
    /// What is said of it.
    pub said: String,
    /// Whether it went wrong.
    pub is_wrong: bool,
}

impl Note {
    /// What is wrong, in one line; nothing where nothing is.
    pub fn trouble(&self) -> Option<String> {
        let line = self.said.lines().next().unwrap_or_default();
        self.is_wrong.then(|| format!("{}: {line}", self.about))
    }

    /// As a person may read it on a screen: what an app is called and says is the app's.
    fn made_fit(self) -> Self {
        let is_shown = |c: &char| !c.is_control() || *c == '\n';
        let fit = |text: &str, bytes_max| super::cut(text, bytes_max).chars().filter(is_shown).collect::<String>();
        let about = fit(&self.about, ABOUT_BYTES_MAX).replace('\n', " ");
        Self { about, said: fit(&self.said, SAID_BYTES_MAX), ..self }
    }
}

/// The form of both files.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
struct Notes {
    #[serde(default)]
    note: Vec<Note>,
}

/// Leaves notes in a data folder, for [`take_over`].
pub fn leave(data_dir: &Path, notes: Vec<Note>) -> Result<()> {
    let text = toml::to_string(&Notes { note: notes }).map_err(Error::other)?;
    private_file::write(&data_dir.join(NOTES_FILE), text.as_bytes())
}

/// The notes that were left there; none where they cannot be read.
pub fn left(data_dir: &Path) -> Result<Vec<Note>> {
    let Some(bytes) = read_plain(&data_dir.join(NOTES_FILE))? else { return Ok(Vec::new()) };
    let unreadable = || Error::new(ErrorKind::InvalidData, format!("`{NOTES_FILE}` holds no notes"));
    let text = std::str::from_utf8(&bytes).map_err(|_no_text| unreadable())?;
    let notes: Notes = toml::from_str(text).map_err(|_other| unreadable())?;
    Ok(notes.note.into_iter().take(NOTES_MAX).map(Note::made_fit).collect())
}

/// Root reads what somebody else has written: no link is followed, and nothing is waited for.
fn read_plain(path: &Path) -> Result<Option<Vec<u8>>> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let refused = |why: &str| Error::new(ErrorKind::InvalidInput, format!("`{}` {why}", path.display()));
    if !file.metadata()?.is_file() {
        return Err(refused("is no plain file"));
    }
    let bytes = first_bytes(file)?;
    if bytes.len() as u64 > NOTES_BYTES_MAX { Err(refused("is too long")) } else { Ok(Some(bytes)) }
}

fn first_bytes(file: File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(NOTES_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts the notes that the program left into the report, everywhere that it is told. Answers whether they are new.
pub fn take_over(program: &Program, machine: &Machine) -> std::result::Result<bool, FirstBootError> {
    let disk = Disk::new(machine);
    let read = || FirstBootError::step("read what came of the card's apps");
    let settings = disk.text(program.config_file).map_err(read())?;
    let data_dir = (program.data_dir)(Path::new(program.config_file), &settings)
        .map_err(|error| read()(Error::other(error.message())))?;
    let notes = left(&disk.at(data_dir)).map_err(read())?;
    // What is about other things is not the program's to change.
    note(program, machine, &disk, |about| about.starts_with("app "), notes)
}

/// Puts a note of root's own into the report, in place of the one about the same.
pub fn add(program: &Program, machine: &Machine, said: Note) -> std::result::Result<bool, FirstBootError> {
    let about = said.about.clone();
    note(program, machine, &Disk::new(machine), |other| other == about, vec![said])
}

/// What is announced from now on, where `said` is announced, and another thing than before is wrong with the notes;
/// nothing where that is the same. A fault of the card itself stays.
pub fn announced_after(said: &str, before: &[Note], after: &[Note]) -> Option<String> {
    let trouble = |notes: &[Note]| {
        let line = notes.iter().find_map(Note::trouble);
        line.map_or(super::setup::OK.to_owned(), |line| super::cut(&line, super::SETUP_BYTES_MAX).to_owned())
    };
    let (before, after) = (trouble(before), trouble(after));
    (said != after && (said == before || said == super::setup::OK)).then_some(after)
}

fn note(
    program: &Program,
    machine: &Machine,
    disk: &Disk,
    replaces: impl Fn(&str) -> bool,
    mut notes: Vec<Note>,
) -> std::result::Result<bool, FirstBootError> {
    notes.retain(|note| replaces(&note.about));
    let before = kept(disk);
    let others = before.iter().filter(|note| !replaces(&note.about)).cloned();
    let after: Vec<Note> = others.chain(notes).collect();
    if after == before {
        return Ok(false);
    }
    keep(disk, &after).map_err(FirstBootError::step("write what came after the first boot"))?;
    let mut report = Report::new(program.name);
    report.restore_told(disk);
    report.publish(disk, machine, after.iter().any(|note| note.is_wrong && !before.contains(note)));
    Ok(true)
}

/// The notes that are part of the report.
pub(super) fn kept(disk: &Disk) -> Vec<Note> {
    let text = disk.text(path()).unwrap_or_default();
    toml::from_str::<Notes>(&text).unwrap_or_default().note
}

/// They are about what another card said.
pub(super) fn forget(disk: &Disk) -> Result<()> {
    disk.remove_file(path())
}

fn keep(disk: &Disk, notes: &[Note]) -> Result<()> {
    let text = toml::to_string(&Notes { note: notes.to_vec() }).map_err(Error::other)?;
    disk.write(path(), text.as_bytes(), PUBLIC, None)
}

fn path() -> PathBuf {
    Path::new(STATE_FOLDER).join(KEPT_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;

    fn note(about: &str, said: &str) -> Note {
        Note { about: about.to_owned(), said: said.to_owned(), is_wrong: true }
    }

    #[test]
    fn what_is_announced_follows_the_notes_and_a_fault_of_the_card_stays() {
        let (wrong, right) =
            (note("app b", "no\nhint: x"), Note { is_wrong: false, ..note("app b", "it is deployed") });
        let after = |said: &str, before: &[Note], after: &[Note]| announced_after(said, before, after);
        assert_eq!(after("ok", &[], from_ref(&wrong)).as_deref(), Some("app b: no"));
        assert_eq!(after("ok", &[], from_ref(&right)), None);
        assert_eq!(after("app b: no", from_ref(&wrong), &[right]).as_deref(), Some("ok"));
        assert_eq!(after("app b: no", from_ref(&wrong), from_ref(&wrong)), None);
        assert_eq!(after("picloud.toml line 1: x", &[], &[wrong]), None);
    }

    #[test]
    fn notes_come_through_as_they_were_left_and_nothing_else_is_followed_or_shown() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(left(dir.path()).unwrap(), []);
        let notes = vec![note("app kitchen", "the route is taken\n  hint: \"another\""), note("app b", "x")];
        leave(dir.path(), notes.clone()).unwrap();
        assert_eq!(left(dir.path()).unwrap(), notes);
        leave(dir.path(), vec![note("app \u{1b}[2J\n", &"ü".repeat(3_000))]).unwrap();
        let fit = left(dir.path()).unwrap();
        assert_eq!((fit[0].about.as_str(), fit[0].said.len()), ("app [2J ", SAID_BYTES_MAX));
        let file = dir.path().join(NOTES_FILE);
        std::fs::write(&file, "note = 3").unwrap();
        let refused = left(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("holds no notes"), "{refused}");
        std::fs::write(&file, vec![b'#'; NOTES_BYTES_MAX as usize + 1]).unwrap();
        assert!(left(dir.path()).unwrap_err().to_string().contains("too long"));
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert!(left(dir.path()).is_err(), "a link is not followed");
        std::fs::remove_file(&file).unwrap();
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(left(dir.path()).unwrap_err().to_string().contains("no plain file"), "nor is a pipe waited for");
    }
}
