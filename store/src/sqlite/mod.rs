//! SQLite behind the traits: a file a noun, each with the SQL of its trait.
//!
//! Writes go through [`writer`], one thread that commits in groups; reads through [`reader`]. History has
//! its own file with its own threads.

mod app_parts;
mod apps;
mod async_requests;
mod attention;
mod audit;
mod audit_rows;
mod backup;
mod before_upgrade;
mod changes;
mod claiming;
mod claims;
mod connection;
mod dead_letter_rows;
mod dead_letters;
mod deliveries;
mod delivery_ends;
mod deploys;
mod emit;
mod enqueue;
mod error;
mod events;
mod execution_rows;
mod executions;
mod file_rows;
mod file_writes;
mod files;
mod history;
mod join_tokens;
mod keys;
mod kv;
mod kv_atomic;
mod kv_by_hand;
mod kv_events;
mod kv_list;
mod letter_retries;
mod letters_gone;
mod matching;
mod memory;
mod migrate;
mod node_rows;
mod nodes;
mod queue;
mod reader;
mod routes;
mod savepoint;
mod script_rows;
mod scripts;
mod secrets;
mod slots;
mod snapshot;
mod static_files;
mod tables;
mod timers;
mod trigger_parts;
mod trigger_rows;
mod triggers;
mod version_contexts;
mod version_pruning;
mod versions;
mod waiting;
mod writer;

use crate::audit_shown;
pub(crate) use before_upgrade::Found;
pub(crate) use migrate::schema_of_file;
pub(crate) use tables::{SqliteSide, tables, tables_at};

use crate::data_dir::{DataDirLock, keep_reserve, use_reserve};
use crate::upgrade::{Step, Stop, done, go_on};
use crate::{OpenError, OpenSettings, Result};
use connection::Database;
use error::JobResult;
use history::History;
use memory::Memory;
use picloud_model::clock::Clock;
use queue::Hurry;
use reader::Readers;
use rusqlite::Connection;
use std::path::PathBuf;
use writer::{Tx, Undo, Writer};

/// The names of both files: the data's, and the history's.
pub(crate) const DATABASE_FILES: [&str; 2] = [Database::Data.file_name(), Database::History.file_name()];

/// The newest schemas there are.
pub(crate) fn known() -> crate::upgrade::Schema {
    crate::upgrade::Schema { data: newest_schema(), history: migrate::newest(Database::History) }
}

/// The newest schema of the data.
pub(crate) fn newest_schema() -> i64 {
    migrate::newest(Database::Data)
}

/// Threads that read: one a core within these bounds.
const READERS_MIN: usize = 2;
const READERS_MAX: usize = 4;

/// A write to the data.
type DataTx<'a> = Tx<'a, Memory>;

/// The store on SQLite. Dropping it waits for what was asked of it; fields are dropped in this order.
pub(crate) struct SqliteStore {
    readers: Readers,
    writer: Writer<Memory>,
    history: History,
    /// The newest entry of the audit log.
    audit_signal: tokio::sync::watch::Receiver<i64>,
    /// Which deliveries are under way, and whose turn is next.
    claims: std::sync::Arc<claims::Claims>,
    turn: tokio::sync::Mutex<claiming::Turn>,
    delivery_signal: tokio::sync::watch::Sender<u64>,
    schedule_signal: tokio::sync::watch::Receiver<u64>,
    /// Never changes: there is one appliance.
    others_signal: tokio::sync::watch::Sender<u64>,
    /// Told when blobs may have been dropped.
    dropped: std::sync::Arc<tokio::sync::Notify>,
    /// Where the files are.
    dir: PathBuf,
    /// Last: whoever takes it over finds the files closed.
    _lock: DataDirLock,
}

impl SqliteStore {
    /// Opens both files, making and migrating them. Blocks.
    pub(crate) fn open(settings: &OpenSettings, clock: &dyn Clock) -> Result<Self, OpenError> {
        Self::open_with(settings, clock, &go_on)
    }

    /// The same with somebody who sees each step of an upgrade, and may end it there.
    pub(crate) fn open_with(settings: &OpenSettings, clock: &dyn Clock, stop: Stop<'_>) -> Result<Self, OpenError> {
        let dir = &settings.data_dir;
        let lock = DataDirLock::take(dir)?;
        let files = match Files::open(settings, clock, stop) {
            Err(OpenError::Full { .. }) if use_reserve(dir) => Files::open(settings, clock, stop)?,
            opened => opened?,
        };
        keep_reserve(dir);
        let unusable = |source| OpenError::Unusable { path: dir.clone(), source: Box::new(source) };
        Ok(Self {
            audit_signal: files.memory.audit.signal(),
            claims: files.memory.waiting.claims.clone(),
            turn: tokio::sync::Mutex::default(),
            delivery_signal: files.memory.waiting.delivery_signal(),
            schedule_signal: files.memory.waiting.schedule_signal(),
            others_signal: tokio::sync::watch::Sender::default(),
            dropped: std::sync::Arc::default(),
            readers: Readers::start("store-read", files.readers, dir.clone()).map_err(unusable)?,
            writer: Writer::start("store-write", files.writer, files.memory, dir.clone()).map_err(unusable)?,
            history: files.history,
            dir: dir.clone(),
            _lock: lock,
        })
    }

    async fn read<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> JobResult<T> + Send + 'static,
        T: Send + 'static,
    {
        self.readers.read(work).await
    }

    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&mut DataTx<'_>) -> JobResult<T> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.write(Undo::Savepoint, Hurry::Now, work).await
    }
}

/// All that is opened.
struct Files {
    writer: Connection,
    memory: Memory,
    readers: Vec<Connection>,
    history: History,
}

impl Files {
    fn open(settings: &OpenSettings, clock: &dyn Clock, stop: Stop<'_>) -> Result<Self, OpenError> {
        before_upgrade::copy_if_older(&settings.data_dir, clock.now_ms(), stop)?;
        let path = settings.data_dir.join(Database::Data.file_name());
        let mut writer = connection::open_writer(&path, Database::Data, settings.data_bytes_max)?;
        migrate::migrate(&mut writer, Database::Data, &path)?;
        done(stop, Step::DataMigrated, &path)?;
        let memory = Memory::load(&writer, settings).map_err(|error| connection::open_error(error, &path))?;
        let cores = std::thread::available_parallelism().map_or(READERS_MIN, usize::from);
        let readers = (0..cores.clamp(READERS_MIN, READERS_MAX)).map(|_number| connection::open_reader(&path));
        let readers = readers.collect::<Result<_, _>>()?;
        let history = History::open(settings, clock)?;
        done(stop, Step::HistoryMigrated, &path)?;
        Ok(Self { writer, memory, readers, history })
    }
}
