//! The checked copy of both files before their schema is changed.

use super::backup::copy;
use super::connection::{Database, open_error, open_reader};
use super::migrate;
use crate::data_dir::io_error;
use crate::upgrade::{
    CopiedTable, Copying, Schema, Step, Stop, check_room, content_of, done, expire_copies, is_whole, upgrade_copies,
};
use crate::{OpenError, StoreError};
use picloud_model::clock::UnixMs;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::path::Path;

/// Both files, open for reading, with what each has and may have.
pub(crate) struct Found {
    data: Connection,
    /// `None` where it is missing or damaged: the opening begins a new one.
    history: Option<Connection>,
    /// What they have.
    pub(crate) found: Schema,
    /// What this program gives them.
    pub(crate) known: Schema,
}

impl Found {
    /// Looks at the files of a folder; `None` where there is no data yet. Changes nothing.
    pub(crate) fn look(dir: &Path) -> Result<Option<Self>, OpenError> {
        let open = |database: Database| {
            let path = dir.join(database.file_name());
            if std::fs::metadata(&path).map_or(true, |file| file.len() == 0) {
                return Ok(None);
            }
            let conn = open_reader(&path)?;
            // Whoever only looks leaves the log to those who write.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
                .map_err(|error| open_error(error, &path))?;
            let (found, known) = migrate::versions(&conn, database, &path)?;
            Ok(Some((conn, found, known)))
        };
        let Some((data, found, known)) = open(Database::Data)? else { return Ok(None) };
        let history = match open(Database::History) {
            Err(OpenError::NotADatabase { .. }) => None,
            opened => opened?,
        };
        let history_known = migrate::newest(Database::History);
        let (history, history_found) = match history {
            Some((conn, found, _known)) => (Some(conn), found),
            None => (None, 0),
        };
        let found = Schema { data: found, history: history_found };
        Ok(Some(Self { data, history, found, known: Schema { data: known, history: history_known } }))
    }

    /// Whether the opening would change the schema of what is there.
    pub(crate) fn is_older(&self) -> bool {
        let older = |found: i64, known: i64| found > 0 && found < known;
        older(self.found.data, self.known.data) || older(self.found.history, self.known.history)
    }

    /// What a copy takes: the pages that are in use.
    pub(crate) fn copy_bytes(&self) -> rusqlite::Result<u64> {
        let mut bytes = 0;
        for conn in std::iter::once(&self.data).chain(&self.history) {
            let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            bytes += (number("page_count")? - number("freelist_count")?) * number("page_size")?;
        }
        Ok(bytes.unsigned_abs())
    }

    /// Reads both files from end to end; answers what is wrong with the data. What is wrong with the history stops nobody.
    pub(crate) fn is_whole(&self) -> rusqlite::Result<Result<(), String>> {
        is_whole(&self.data)
    }

    fn content(&self) -> rusqlite::Result<Vec<CopiedTable>> {
        let mut tables = content_of(&self.data, Database::Data.file_name())?;
        if let Some(history) = &self.history {
            // A damaged one is put aside when it is opened: what it tells is worth less than what it tells of.
            tables.extend(content_of(history, Database::History.file_name()).unwrap_or_default());
        }
        Ok(tables)
    }
}

/// Copies the files of `dir` where their schema is older than this program's. Where the newest copy is of the same
/// content, because an upgrade was cut off or refused, there is no other.
pub(super) fn copy_if_older(dir: &Path, at: UnixMs, stop: Stop<'_>) -> Result<(), OpenError> {
    let data = dir.join(Database::Data.file_name());
    let failed = |error| open_error(error, &data);
    let Some(files) = Found::look(dir)?.filter(Found::is_older) else { return Ok(()) };
    let (found, known) = (files.found, files.known);
    let newest = upgrade_copies(dir)?.into_iter().next().map(|copy| copy.manifest);
    // The power went between both files: what is to be kept is in the copy already.
    let is_half_done = found.data == known.data;
    if is_half_done && newest.as_ref().is_some_and(|copy| copy.to == known && copy.from.history == found.history) {
        return Ok(());
    }
    let content = files.content().map_err(failed)?;
    if newest.is_some_and(|copy| copy.from == found && copy.tables == content) {
        return Ok(());
    }
    check_room(dir, files.copy_bytes().map_err(failed)?)?;
    tracing::info!(dir = %dir.display(), from = found.data, to = known.data, "the data is copied before its schema is changed");
    let copying = Copying::begin(dir, found, at, stop)?;
    let copied = match copy_checked(&files, dir, &copying.dir, &content) {
        Ok(copied) => copied,
        Err(error) => {
            copying.give_up();
            return Err(error);
        }
    };
    let copy = copying.keep("sqlite", at, (found, known), copied)?;
    let (gone, _due) = expire_copies(dir, at)?;
    tracing::info!(copy = %copy.dir.display(), bytes = copy.manifest.size_bytes(), older_removed = gone.len(), "the copy is whole");
    done(stop, Step::Expired, dir)
}

/// Copies, and compares what was written with what was read; answers what is in the copy.
fn copy_checked(files: &Found, from: &Path, to: &Path, content: &[CopiedTable]) -> Result<Vec<CopiedTable>, OpenError> {
    let not_copied = |error| match error {
        StoreError::Full(_) => OpenError::Full { dir: from.to_owned() },
        error => OpenError::Unusable { path: to.to_owned(), source: Box::new(error) },
    };
    let mut copied = check(from, to, &copy(from, to, Database::Data).map_err(not_copied)?, content)?;
    let has_history = content.iter().any(|table| table.file == Database::History.file_name());
    if files.history.is_some() && has_history {
        match copy(from, to, Database::History) {
            Ok(name) => copied.extend(check(from, to, &name, content)?),
            Err(StoreError::Full(_)) => return Err(OpenError::Full { dir: from.to_owned() }),
            Err(error) => {
                tracing::warn!(error = %error, "the history could not be copied; the copy is without it");
                let _missing = std::fs::remove_file(to.join(Database::History.file_name()));
            }
        }
    }
    std::fs::File::open(to).and_then(|dir| dir.sync_all()).map_err(|source| io_error(source, from, to))?;
    Ok(copied)
}

/// Reads the copy of one file from end to end, and compares it with what the file had.
fn check(from: &Path, to: &Path, name: &str, content: &[CopiedTable]) -> Result<Vec<CopiedTable>, OpenError> {
    let path = to.join(name);
    let failed = |error| open_error(error, &path);
    let differs = |what: String| OpenError::CopyDiffers { path: from.join(name), what };
    // Not the usual reader: the copy has no log, and is to have none.
    let conn = Connection::open_with_flags(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    is_whole(&conn).map_err(failed)?.map_err(differs)?;
    let found = content_of(&conn, name).map_err(failed)?;
    let expected: Vec<&CopiedTable> = content.iter().filter(|table| table.file == name).collect();
    if let Some(missing) = expected.iter().find(|table| !found.contains(table)) {
        let has = found.iter().find(|table| table.name == missing.name).map_or(0, |table| table.rows);
        let what = format!("table `{}` has {} rows, and {has} or others in the copy", missing.name, missing.rows);
        return Err(differs(what));
    }
    Ok(found)
}
