//! Back to the copy from before an upgrade: the newer store is put aside, the copy is put in its place.
//!
//! What is to be done is written down first. From then on whoever opens the folder ends it: files are only renamed, each
//! step can be done twice, and no file is ever in no place.

use super::folder::{self, ASIDE, COPIES, UpgradeCopy, read_json, upgrade_copies, write_json};
use super::making::sum_of;
use super::manifest::MANIFEST;
use super::steps::{Step, Stop, done, go_on};
use super::{CopiedTable, GoBackError, content_of, is_whole};
use crate::OpenError;
use crate::data_dir::{DataDirLock, io_error};
use crate::sqlite::{DATABASE_FILES, newest_schema, schema_of_file};
use picloud_model::clock::UnixMs;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What is under way.
const JOURNAL: &str = "going-back.json";
/// What SQLite has beside a file: first what belongs to it, then the file.
const SUFFIXES: [&str; 3] = ["-wal", "-shm", ""];

/// What going back would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoingBack {
    /// The copy.
    pub copy: UpgradeCopy,
    /// The schema of what is there now; `None` where nobody can read it.
    pub now: Option<i64>,
    /// When something was last written there.
    pub written_at: Option<UnixMs>,
    /// The newest entry of the audit log there.
    pub audited_at: Option<UnixMs>,
    /// Tables that have another number of rows now than in the copy, or that the copy does not have.
    pub tables: Vec<TableThen>,
}

/// A table now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableThen {
    /// Its name.
    pub name: String,
    /// Rows that it has now.
    pub rows_now: u64,
    /// Rows in the copy.
    pub rows_then: u64,
}

/// What was done; kept beside what was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WentBack {
    /// When.
    #[serde(with = "picloud_model::clock::as_rfc3339")]
    pub at: UnixMs,
    /// What the newer store had.
    pub from: i64,
    /// What the copy has.
    pub to: i64,
    /// When the copy was made.
    #[serde(with = "picloud_model::clock::as_rfc3339")]
    pub copy_made_at: UnixMs,
    /// The copy's name.
    pub copy: String,
    /// The name of the folder where the newer store is now.
    pub aside: String,
    /// The files that are to be put there: those that were there when it began.
    files: Vec<String>,
}

impl WentBack {
    /// Where the newer store is now.
    pub fn aside_in(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(ASIDE).join(&self.aside)
    }
}

/// What going back to `name`, or to the newest copy that this program can open, would do. The copy is checked from end to
/// end; nothing is changed. Blocks.
pub fn going_back(data_dir: &Path, name: Option<&str>) -> Result<GoingBack, GoBackError> {
    let copy = choose(data_dir, name)?;
    check(&copy)?;
    let mut found = GoingBack { copy, now: None, written_at: None, audited_at: None, tables: Vec::new() };
    let path = data_dir.join(DATABASE_FILES[0]);
    let log = data_dir.join(format!("{}-wal", DATABASE_FILES[0]));
    found.written_at = [&path, &log].into_iter().filter_map(|path| written_at(path)).max();
    // What nobody can read can be put aside all the same.
    if let Ok(conn) = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
        found.now = schema_of_file(&conn).ok();
        found.audited_at = conn.query_row("SELECT max(at) FROM audit", [], |row| row.get(0)).ok().flatten();
        found.tables = compare(&found.copy.manifest.tables, &content_of(&conn, DATABASE_FILES[0]).unwrap_or_default());
    }
    Ok(found)
}

fn compare(then: &[CopiedTable], now: &[CopiedTable]) -> Vec<TableThen> {
    let is_shown = |name: &str| name != "sqlite_sequence" && name != "refinery_schema_history";
    let tables = now.iter().filter(|table| is_shown(&table.name)).map(|table| {
        let there = then.iter().find(|other| other.file == table.file && other.name == table.name);
        let rows_then = there.map_or(0, |table| table.rows);
        TableThen { name: table.name.clone(), rows_now: table.rows, rows_then }
    });
    tables.filter(|table| table.rows_now != table.rows_then).collect()
}

/// Goes back; `at` is when. Refuses while an appliance uses the folder. Blocks.
pub fn go_back(data_dir: &Path, name: Option<&str>, at: UnixMs) -> Result<WentBack, GoBackError> {
    go_back_with(data_dir, name, at, &go_on)
}

/// The same with somebody who sees each step, and may end it there.
pub(super) fn go_back_with(
    data_dir: &Path,
    name: Option<&str>,
    at: UnixMs,
    stop: Stop<'_>,
) -> Result<WentBack, GoBackError> {
    // No folder without a copy is made one.
    choose(data_dir, name)?;
    let _lock = DataDirLock::take(data_dir)?;
    let copy = choose(data_dir, name)?;
    check(&copy)?;
    let from = write_log_into_file(data_dir).unwrap_or(0);
    let root = data_dir.join(ASIDE);
    let io = |source| io_error(source, data_dir, &root);
    folder::make(&root, data_dir).map_err(io)?;
    let aside = folder::free_name(&root, &folder::name_of(from, at));
    let names = DATABASE_FILES.iter().flat_map(|file| SUFFIXES.map(|suffix| format!("{file}{suffix}")));
    let back = WentBack {
        at,
        from,
        to: copy.manifest.from.data,
        copy_made_at: copy.manifest.made_at,
        copy: copy.name(),
        aside,
        files: names.filter(|name| data_dir.join(name).exists()).collect(),
    };
    let dir = back.aside_in(data_dir);
    folder::make(&dir, data_dir).map_err(io)?;
    write_json(&dir.join(MANIFEST), &back, data_dir).and_then(|()| folder::sync(&root)).map_err(io)?;
    write_json(&data_dir.join(JOURNAL), &back, data_dir).map_err(io)?;
    done(stop, Step::Noted, data_dir)?;
    finish(data_dir, &back, stop)?;
    Ok(back)
}

/// Ends what somebody began, if anybody did. The folder's lock is held. Blocks.
pub(crate) fn finish_going_back(data_dir: &Path) -> Result<(), OpenError> {
    let journal = data_dir.join(JOURNAL);
    let back = match read_json::<WentBack>(&journal) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        back => back.map_err(|source| io_error(source, data_dir, &journal))?,
    };
    tracing::warn!(copy = %back.copy, "going back to the copy from before an upgrade was cut off, and is ended now");
    finish(data_dir, &back, &go_on)
}

fn finish(data_dir: &Path, back: &WentBack, stop: Stop<'_>) -> Result<(), OpenError> {
    let (aside, copy) = (back.aside_in(data_dir), data_dir.join(COPIES).join(&back.copy));
    let io = |source| io_error(source, data_dir, &copy);
    // The whole of a store at once: a log without its file, or with another one, would be worse than either.
    for name in &back.files {
        if !aside.join(name).exists() {
            move_to(&data_dir.join(name), &aside.join(name)).map_err(io)?;
            done(stop, Step::PutAside, &aside)?;
        }
    }
    for dir in [&aside, data_dir] {
        folder::sync(dir).map_err(io)?;
    }
    // The history first: without the data it is no store.
    for name in DATABASE_FILES.iter().rev() {
        let file = copy.join(name);
        if file.exists() {
            move_to(&file, &data_dir.join(name)).map_err(io)?;
            done(stop, Step::PutBack, data_dir)?;
        }
    }
    folder::sync(data_dir).map_err(io)?;
    if copy.exists() {
        folder::remove(&copy).map_err(io)?;
        done(stop, Step::Emptied, data_dir)?;
    }
    std::fs::remove_file(data_dir.join(JOURNAL)).and_then(|()| folder::sync(data_dir)).map_err(io)
}

/// What is not there was moved before.
fn move_to(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        moved => moved,
    }
}

fn choose(data_dir: &Path, name: Option<&str>) -> Result<UpgradeCopy, GoBackError> {
    let copies = upgrade_copies(data_dir)?;
    if copies.is_empty() {
        return Err(GoBackError::NoCopy { dir: data_dir.to_owned(), known: None });
    }
    let known = newest_schema();
    let chosen = match name {
        Some(name) => copies.iter().find(|copy| copy.name() == name).ok_or_else(|| GoBackError::UnknownCopy {
            dir: data_dir.to_owned(),
            name: name.to_owned(),
            names: copies.iter().map(UpgradeCopy::name).collect(),
        }),
        None => copies
            .iter()
            .find(|copy| copy.manifest.from.data <= known)
            .ok_or_else(|| GoBackError::NoCopy { dir: data_dir.to_owned(), known: Some(known) }),
    }?;
    if chosen.manifest.store != "sqlite" {
        return Err(GoBackError::OfPostgres { dir: chosen.dir.clone() });
    }
    Ok(chosen.clone())
}

/// Refuses a copy of which a single byte is another.
fn check(copy: &UpgradeCopy) -> Result<(), GoBackError> {
    let damaged = |what: String| GoBackError::Damaged { dir: copy.dir.clone(), what };
    for file in &copy.manifest.files {
        let path = copy.dir.join(&file.name);
        let found = sum_of(&path, &file.name).map_err(|error| damaged(format!("`{}`: {error}", file.name)))?;
        if found != *file {
            return Err(damaged(format!("`{}` is not what was written", file.name)));
        }
        let conn = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let whole = conn.and_then(|conn| is_whole(&conn)).map_err(|error| damaged(error.to_string()))?;
        whole.map_err(damaged)?;
    }
    if !copy.manifest.files.iter().any(|file| file.name == DATABASE_FILES[0]) {
        return Err(damaged(format!("it has no `{}`", DATABASE_FILES[0])));
    }
    Ok(())
}

/// Has SQLite put everything into the file itself, so that the file is all there is; answers its schema. A file that is
/// damaged goes aside with its log.
fn write_log_into_file(data_dir: &Path) -> rusqlite::Result<i64> {
    let mut schema = Ok(0);
    for name in DATABASE_FILES.iter().rev() {
        let path = data_dir.join(name);
        if !path.exists() {
            continue;
        }
        let conn = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema = schema_of_file(&conn);
        let _busy = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()));
    }
    schema
}

fn written_at(path: &Path) -> Option<UnixMs> {
    let written: SystemTime = std::fs::metadata(path).ok().filter(|file| file.len() > 0)?.modified().ok()?;
    UnixMs::try_from(written.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}
