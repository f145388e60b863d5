//! SQLite behind the traits: a file a noun, each with the SQL of its trait.
//!
//! Writes go through [`writer`], one thread that commits in groups; reads through [`reader`]. History has
//! its own file with its own threads.

mod apps;
mod connection;
mod deploys;
mod error;
mod executions;
mod history;
mod kv;
mod kv_list;
mod migrate;
mod queue;
mod reader;
mod routes;
mod script_rows;
mod scripts;
mod snapshot;
mod static_files;
mod versions;
mod writer;

use crate::data_dir::{DataDirLock, keep_reserve, use_reserve};
use crate::{OpenError, OpenSettings, Result};
use connection::Database;
use error::JobResult;
use history::History;
use picloud_model::clock::Clock;
use reader::Readers;
use rusqlite::Connection;
use std::sync::Arc;
use versions::Versions;
use writer::{Tx, Undo, Writer};

/// Threads that read: one a core within these bounds.
const READERS_MIN: usize = 2;
const READERS_MAX: usize = 4;

/// A write to the data.
type DataTx<'a> = Tx<'a, Versions>;

/// The store on SQLite. Dropping it waits for what was asked of it; fields are dropped in this order.
pub(crate) struct SqliteStore {
    readers: Readers,
    writer: Writer<Versions>,
    history: History,
    /// For the few methods that are given no time.
    clock: Arc<dyn Clock>,
    /// Last: whoever takes it over finds the files closed.
    _lock: DataDirLock,
}

impl SqliteStore {
    /// Opens both files, making and migrating them. Blocks.
    pub(crate) fn open(settings: &OpenSettings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let dir = &settings.data_dir;
        let lock = DataDirLock::take(dir)?;
        let files = match Files::open(settings, clock.as_ref()) {
            Err(OpenError::Full { .. }) if use_reserve(dir) => Files::open(settings, clock.as_ref())?,
            opened => opened?,
        };
        keep_reserve(dir);
        let unusable = |source| OpenError::Unusable { path: dir.clone(), source: Box::new(source) };
        Ok(Self {
            readers: Readers::start("store-read", files.readers, dir.clone()).map_err(unusable)?,
            writer: Writer::start("store-write", files.writer, files.versions, dir.clone()).map_err(unusable)?,
            history: files.history,
            clock,
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
        self.writer.write(Undo::Savepoint, work).await
    }
}

/// All that is opened.
struct Files {
    writer: Connection,
    versions: Versions,
    readers: Vec<Connection>,
    history: History,
}

impl Files {
    fn open(settings: &OpenSettings, clock: &dyn Clock) -> Result<Self, OpenError> {
        let path = settings.data_dir.join(Database::Data.file_name());
        let mut writer = connection::open_writer(&path, Database::Data, settings.data_bytes_max)?;
        migrate::migrate(&mut writer, Database::Data, &path)?;
        let versions = Versions::load(&writer).map_err(|error| connection::open_error(error, &path))?;
        let cores = std::thread::available_parallelism().map_or(READERS_MIN, usize::from);
        let readers = (0..cores.clamp(READERS_MIN, READERS_MAX)).map(|_number| connection::open_reader(&path));
        let readers = readers.collect::<Result<_, _>>()?;
        let history = History::open(settings, clock)?;
        Ok(Self { writer, versions, readers, history })
    }
}
