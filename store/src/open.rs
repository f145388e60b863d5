//! Opening the store: settings, the choice of backend, and every reason why it cannot be opened.

use crate::Store;
use crate::postgres::{Address, PgStore, masked};
use crate::sqlite::SqliteStore;
use picloud_model::clock::Clock;
use std::path::PathBuf;
use std::sync::Arc;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Where the store is and how large it may become.
#[derive(Clone)]
pub struct OpenSettings {
    /// The directory that holds everything, or with `database_url` what is not in that database; made (0700) where it is
    /// missing.
    pub data_dir: PathBuf,
    /// `postgres://…`: the database that several appliances may share. Absent, it is SQLite in the directory.
    pub database_url: Option<String>,
    /// The most bytes the data (without history) may take; the disk's size where absent.
    pub data_bytes_max: Option<u64>,
    /// The most bytes the history may take.
    pub history_bytes_max: u64,
    /// Runs that are kept of one app.
    pub history_app_runs_max: u32,
    /// Entries of the audit log that are kept.
    pub audit_entries_max: u32,
}

impl OpenSettings {
    /// The same with the database that holds the data, where it is not SQLite in the directory.
    pub fn with_database(self, database_url: Option<String>) -> Self {
        Self { database_url, ..self }
    }

    /// The defaults for a data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database_url: None,
            data_bytes_max: None,
            history_bytes_max: 256 * 1024 * 1024,
            history_app_runs_max: 10_000,
            audit_entries_max: 100_000,
        }
    }
}

impl std::fmt::Debug for OpenSettings {
    /// Without the database's password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenSettings")
            .field("data_dir", &self.data_dir)
            .field("database_url", &self.database_url.as_deref().map(masked))
            .field("data_bytes_max", &self.data_bytes_max)
            .field("history_bytes_max", &self.history_bytes_max)
            .field("history_app_runs_max", &self.history_app_runs_max)
            .field("audit_entries_max", &self.audit_entries_max)
            .finish()
    }
}

/// Why the store cannot be opened. [`OpenError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data directory `{}` is in use by another appliance{}", dir.display(), by_pid(*pid))]
    Taken {
        /// The data directory.
        dir: PathBuf,
        /// The other process, where it said.
        pid: Option<u32>,
    },
    /// Nothing can be written there.
    #[error("the data directory `{}` cannot be written", dir.display())]
    NotWritable {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: Source,
    },
    /// There is no room.
    #[error("the disk that holds the data directory `{}` is full", dir.display())]
    Full {
        /// The data directory.
        dir: PathBuf,
    },
    /// The file is something else, or damaged.
    #[error("`{}` is not a PiCloud database, or it is damaged", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is from the future.
    #[error("`{}` was written by a newer PiCloud (schema {found}, this one knows {known})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema this program knows.
        known: i64,
    },
    /// Before its schema is changed it is copied, and there is no room for that.
    #[error(
        "`{}` was written by an older PiCloud, and the copy that is made before it is brought up to date needs {} MiB; {} MiB \
         are free",
        dir.display(), mib(*needed_bytes), free_bytes / MIB
    )]
    NoRoomToUpgrade {
        /// The data directory.
        dir: PathBuf,
        /// What the upgrade needs.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// The copy that was made before a change of the schema is not what was copied.
    #[error("the copy of `{}` from before its upgrade is not the same: {what}", path.display())]
    CopyDiffers {
        /// The file.
        path: PathBuf,
        /// What is wrong with the copy.
        what: String,
    },
    /// Before the schema is changed, nobody else may use the database.
    #[error(
        "the database `{shown}` was written by an older PiCloud, and other appliances are at work on it ({connections} \
         connections)"
    )]
    OthersAtWork {
        /// Where it is, without the password.
        shown: String,
        /// Theirs.
        connections: i64,
    },
    /// The file is from the past, and whoever opens it must not change it.
    #[error("`{}` was written by an older PiCloud (schema {found}, this one has {known})", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// This program's schema.
        known: i64,
    },
    /// A migration that was applied is not the one this program holds.
    #[error("`{}` was made with another {migration} than this program's", path.display())]
    ChangedMigration {
        /// The file.
        path: PathBuf,
        /// The migration's file name.
        migration: String,
    },
    /// A migration was refused by the database; all of it was taken back.
    #[error("`{}` could not be brought up to date: {migration} failed{}: {reason}", path.display(), at_statement(statement.as_deref()))]
    Migration {
        /// The file or the database.
        path: PathBuf,
        /// The migration's file name.
        migration: String,
        /// The first line of the statement that failed, where the database says which.
        statement: Option<String>,
        /// What the database said.
        reason: String,
    },
    /// It is no address of a database.
    #[error("`{shown}` is no address of a Postgres database")]
    Address {
        /// What was given, without its password.
        shown: String,
        /// What is wrong with it.
        #[source]
        source: Source,
    },
    /// The database does not answer, or does not let this program in.
    #[error("the database `{shown}` cannot be reached")]
    Unreachable {
        /// Where it is, without the password.
        shown: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// Everything else.
    #[error("`{}` cannot be opened", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: Source,
    },
}

/// Bytes of a mebibyte.
const MIB: u64 = 1024 * 1024;

/// Rounded up: what is needed is never told too small.
fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(MIB)
}

fn at_statement(statement: Option<&str>) -> String {
    statement.map(|statement| format!(" at `{statement}`")).unwrap_or_default()
}

/// Letters of a statement that are told.
const STATEMENT_CHARS_MAX: usize = 120;

/// The first line of a statement that says something.
pub(crate) fn first_line(statement: &str) -> String {
    let mut lines = statement.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
    lines.next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(STATEMENT_CHARS_MAX).collect()
}

fn by_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl OpenError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Taken { pid: Some(pid), .. } => {
                format!("stop that one first (`kill {pid}`), or give this one a `data-dir` of its own")
            }
            Self::Taken { pid: None, .. } => "stop that one first, or give this one a `data-dir` of its own".to_owned(),
            Self::NotWritable { dir, .. } => {
                format!(
                    "give it to the user that runs PiCloud (`chown`), or choose another `data-dir` than `{}`",
                    dir.display()
                )
            }
            Self::Full { .. } => "make room (`df -h`), then start again; nothing was lost".to_owned(),
            Self::NotADatabase { path } => {
                format!("put a backup in its place, or move `{}` away to start empty", path.display())
            }
            Self::Newer { .. } => "install the newer PiCloud again, or go back to what it had before it was upgraded: \
                                   `picloud-appliance go-back` shows what that would lose"
                .to_owned(),
            Self::NoRoomToUpgrade { dir, needed_bytes, free_bytes } => format!(
                "make {} MiB of room on the disk of `{}` (`df -h`), then start again; nothing was changed, and the older \
                 PiCloud opens it as before",
                mib(needed_bytes.saturating_sub(*free_bytes)),
                dir.display()
            ),
            Self::CopyDiffers { .. } => {
                "nothing was changed, and the older PiCloud opens it as before: take a backup with that one, and check the \
                 disk (`dmesg`)"
                    .to_owned()
            }
            Self::OthersAtWork { .. } => {
                "stop all appliances on this database, then start this one alone; nothing was changed".to_owned()
            }
            Self::Older { .. } => "start the appliance on it once: that brings it up to date".to_owned(),
            Self::ChangedMigration { .. } => {
                "install the PiCloud that made it; a build between two releases may have changed its schema".to_owned()
            }
            Self::Migration { .. } => "nothing was changed, and the older PiCloud opens it as before: install that one again, \
                                       and report this text; the data may hold what the newer one does not expect"
                .to_owned(),
            Self::Address { .. } => "write `database-url = \"postgres://USER:PASSWORD@HOST:5432/DATABASE\"`".to_owned(),
            Self::Unreachable { shown, .. } => {
                format!("try `psql {shown}` from here: server, name, password and the database itself must be right")
            }
            Self::Unusable { .. } => "check that the path is a directory on a disk that works".to_owned(),
        }
    }
}

/// Whether this is the address of a Postgres database.
pub fn is_database_url(text: &str) -> bool {
    Address::parse(text).is_ok()
}

/// A database's address as it may be shown: without its password.
pub fn shown_database_url(url: &str) -> String {
    masked(url)
}

/// Opens the store, making what is missing. Time where no method is given any comes from `clock`.
pub async fn open(settings: OpenSettings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Store>, OpenError> {
    if let Some(database_url) = &settings.database_url {
        return Ok(Arc::new(PgStore::open(&settings, database_url, clock.as_ref()).await?));
    }
    let path = settings.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&settings, clock.as_ref())).await;
    let store = opened.map_err(|source| OpenError::Unusable { path, source: Box::new(source) })??;
    Ok(Arc::new(store))
}
