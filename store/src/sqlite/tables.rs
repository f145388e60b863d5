//! What the tables of both files are, out of their schema, and their rows for the copier of stores.

use super::connection::{Database, open_reader, open_writer};
use super::migrate::{migrate_to, newest};
use crate::OpenError;
use crate::migrate_store::{Column, Kind, Part, Row, Side, SideError, SideResult, Table, Value};
use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, ToSql, params_from_iter};
use std::collections::BTreeSet;
use std::path::Path;

/// Tables that are the databases' own.
const NOT_OURS: &str = "name NOT LIKE 'sqlite_%' AND name <> 'refinery_schema_history'";

/// All tables of both files, each behind those that it refers to: read from the schema that a new store would have.
pub(crate) fn tables() -> Result<Vec<Table>, OpenError> {
    tables_at(newest(Database::Data), Some(newest(Database::History)))
}

/// The same of an older program's schema; without a history where there was none.
pub(crate) fn tables_at(data: i64, history: Option<i64>) -> Result<Vec<Table>, OpenError> {
    let nowhere = Path::new(":memory:");
    let unusable = |error: rusqlite::Error| OpenError::Unusable { path: nowhere.to_owned(), source: Box::new(error) };
    let mut tables = Vec::new();
    let parts = [(Database::Data, Part::Data, Some(data)), (Database::History, Part::History, history)];
    for (database, part, version) in parts {
        let Some(version) = version else { continue };
        let mut conn = Connection::open_in_memory().map_err(unusable)?;
        migrate_to(&mut conn, database, nowhere, version)?;
        tables.extend(in_order(&conn, part).map_err(unusable)?);
    }
    Ok(tables)
}

/// The tables of one file, each behind those that it refers to.
fn in_order(conn: &Connection, part: Part) -> rusqlite::Result<Vec<Table>> {
    let sql = format!("SELECT name FROM sqlite_schema WHERE type = 'table' AND {NOT_OURS} ORDER BY name");
    let mut left: Vec<String> = texts(conn, &sql)?;
    let mut tables: Vec<Table> = Vec::with_capacity(left.len());
    let mut done = BTreeSet::new();
    while !left.is_empty() {
        let mut later = Vec::new();
        let before = tables.len();
        for name in left {
            let parents = texts(conn, &format!("SELECT \"table\" FROM pragma_foreign_key_list('{name}')"))?;
            if parents.iter().all(|parent| done.contains(parent) || *parent == name) {
                tables.push(table(conn, part, &name)?);
                done.insert(name);
            } else {
                later.push(name);
            }
        }
        assert!(tables.len() > before, "tables that refer to each other in a circle: {later:?}");
        left = later;
    }
    Ok(tables)
}

fn texts(conn: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    conn.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn table(conn: &Connection, part: Part, name: &str) -> rusqlite::Result<Table> {
    let mut select = conn.prepare(&format!("SELECT name, type, pk FROM pragma_table_info('{name}') ORDER BY cid"))?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)))?;
    let mut columns = Vec::new();
    let mut key = Vec::new();
    for row in rows {
        let (name, kind, place): (String, _, _) = row?;
        let kind = match kind.as_str() {
            "INTEGER" => Kind::Integer,
            "TEXT" => Kind::Text,
            "BLOB" => Kind::Blob,
            other => unreachable!("strict tables of ours have no {other}"),
        };
        if place > 0 {
            key.push((place, columns.len()));
        }
        columns.push(Column { name, kind });
    }
    key.sort_unstable();
    let mut key: Vec<usize> = key.into_iter().map(|(_place, at)| at).collect();
    if key.is_empty() {
        key = unique_columns(conn, name, &columns)?;
    }
    let sql: String = conn.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0))?;
    let counts_ids = sql.contains("AUTOINCREMENT");
    let mut table = Table { part, name: name.to_owned(), columns, key, counts_ids, first_rows: Vec::new() };
    table.first_rows = rows_after(conn, &table, None, u32::MAX)?;
    Ok(table)
}

/// What tells rows apart where there is no primary key: the first unique index.
fn unique_columns(conn: &Connection, table: &str, columns: &[Column]) -> rusqlite::Result<Vec<usize>> {
    let sql = format!("SELECT name FROM pragma_index_list('{table}') WHERE \"unique\" = 1 ORDER BY seq DESC LIMIT 1");
    let index: String = conn.query_row(&sql, [], |row| row.get(0))?;
    let names = texts(conn, &format!("SELECT name FROM pragma_index_info('{index}') ORDER BY seqno"))?;
    let place = |name: &String| columns.iter().position(|column| column.name == *name);
    Ok(names.iter().filter_map(place).collect())
}

fn rows_after(conn: &Connection, table: &Table, after: Option<&[Value]>, rows_max: u32) -> rusqlite::Result<Vec<Row>> {
    let (columns, key) = (table.column_names(), table.key_names());
    let behind = match after {
        Some(after) => {
            let marks: Vec<String> = (1..=after.len()).map(|number| format!("?{number}")).collect();
            format!("WHERE ({key}) > ({})", marks.join(", "))
        }
        None => String::new(),
    };
    let sql = format!("SELECT {columns} FROM \"{}\" {behind} ORDER BY {key} LIMIT {rows_max}", table.name);
    let mut select = conn.prepare_cached(&sql)?;
    let rows = select.query_map(params_from_iter(after.unwrap_or_default().iter()), |row| {
        (0..table.columns.len()).map(|at| value(row.get_ref(at)?)).collect()
    })?;
    rows.collect()
}

fn value(stored: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Text(_) => Value::Text(stored.as_str()?.to_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
        ValueRef::Real(_) => unreachable!("strict tables of ours have no real numbers"),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => rusqlite::types::Null.to_sql()?,
            Self::Integer(number) => number.to_sql()?,
            Self::Text(text) => text.to_sql()?,
            Self::Blob(bytes) => bytes.to_sql()?,
        })
    }
}

/// Both files of a folder.
pub(crate) struct SqliteSide {
    conns: Option<Conns>,
}

struct Conns {
    data: Connection,
    /// `None` where the folder to read from has none.
    history: Option<Connection>,
}

impl Conns {
    fn of(&self, part: Part) -> Option<&Connection> {
        match part {
            Part::Data => Some(&self.data),
            Part::History => self.history.as_ref(),
        }
    }
}

impl SqliteSide {
    /// Makes new files in `dir` and begins to write into them. Blocks.
    pub(crate) fn make(dir: &Path) -> Result<Self, OpenError> {
        Self::make_at(dir, newest(Database::Data), Some(newest(Database::History)))
    }

    /// The same with an older program's schema; without a history where there was none. Blocks.
    pub(crate) fn make_at(dir: &Path, data: i64, history: Option<i64>) -> Result<Self, OpenError> {
        let make = |database: Database, version: i64| {
            let path = dir.join(database.file_name());
            let mut conn = open_writer(&path, database, None)?;
            migrate_to(&mut conn, database, &path, version)?;
            begin(&conn, &path)?;
            Ok::<_, OpenError>(conn)
        };
        let data = make(Database::Data, data)?;
        let history = history.map(|version| make(Database::History, version)).transpose()?;
        Ok(Self { conns: Some(Conns { data, history }) })
    }

    /// Opens the files in `dir`, which nobody has open, for reading. Blocks.
    pub(crate) fn read(dir: &Path) -> Result<Self, OpenError> {
        let there = dir.join(Database::History.file_name()).exists();
        Self::read_at(dir, newest(Database::Data), there.then(|| newest(Database::History)))
    }

    /// The same, which have an older program's schema. Blocks.
    pub(crate) fn read_at(dir: &Path, data: i64, history: Option<i64>) -> Result<Self, OpenError> {
        let open = |database: Database, known: i64| {
            let path = dir.join(database.file_name());
            let conn = open_reader(&path)?;
            let (found, _newest) = super::migrate::versions(&conn, database, &path)?;
            if found < known {
                return Err(OpenError::Older { path, found, known });
            }
            begin(&conn, &path)?;
            Ok::<_, OpenError>(conn)
        };
        let data = open(Database::Data, data)?;
        let history = history.map(|version| open(Database::History, version)).transpose()?;
        Ok(Self { conns: Some(Conns { data, history }) })
    }

    /// Does `work`, which blocks, elsewhere.
    async fn with<T: Send + 'static>(
        &mut self,
        table: &Table,
        work: impl FnOnce(&Connection, &Table) -> rusqlite::Result<T> + Send + 'static,
    ) -> SideResult<Option<T>> {
        let conns = self.conns.take().ok_or("the connection was lost")?;
        let table = table.clone();
        let (conns, done) = tokio::task::spawn_blocking(move || {
            let done = conns.of(table.part).map(|conn| work(conn, &table)).transpose();
            (conns, done)
        })
        .await?;
        self.conns = Some(conns);
        Ok(done?)
    }
}

fn begin(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    conn.execute_batch("BEGIN").map_err(|error| super::connection::open_error(error, path))
}

#[async_trait]
impl Side for SqliteSide {
    async fn rows_after(&mut self, table: &Table, after: Option<&[Value]>, rows_max: u32) -> SideResult<Vec<Row>> {
        let after = after.map(<[Value]>::to_vec);
        let rows = self.with(table, move |conn, table| rows_after(conn, table, after.as_deref(), rows_max)).await?;
        Ok(rows.unwrap_or_default())
    }

    async fn count(&mut self, table: &Table) -> SideResult<u64> {
        let count = self.with(table, |conn, table| {
            conn.query_row(&format!("SELECT count(*) FROM \"{}\"", table.name), [], |row| row.get::<_, i64>(0))
        });
        Ok(count.await?.unwrap_or(0).unsigned_abs())
    }

    async fn insert(&mut self, table: &Table, rows: Vec<Row>) -> SideResult<()> {
        let inserted = self.with(table, move |conn, table| {
            let marks: Vec<String> = (1..=table.columns.len()).map(|number| format!("?{number}")).collect();
            let replace = if table.first_rows.is_empty() { String::new() } else { table.replace_clause() };
            let (name, columns) = (&table.name, table.column_names());
            let sql = format!("INSERT INTO \"{name}\" ({columns}) VALUES ({}) {replace}", marks.join(", "));
            let mut insert = conn.prepare_cached(&sql)?;
            for row in &rows {
                insert.execute(params_from_iter(row.iter()))?;
            }
            Ok(())
        });
        inserted.await?.ok_or_else(|| SideError::from("there is no file for it"))
    }

    async fn last_id(&mut self, table: &Table) -> SideResult<i64> {
        let last = self.with(table, |conn, table| {
            let sql = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
            conn.query_row(sql, [&table.name], |row| row.get(0)).optional()
        });
        Ok(last.await?.flatten().unwrap_or(0))
    }

    async fn set_last_id(&mut self, table: &Table, id: i64) -> SideResult<()> {
        let set = self.with(table, move |conn, table| {
            conn.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [&table.name])?;
            if id > 0 {
                conn.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", (&table.name, id))?;
            }
            Ok(())
        });
        set.await?.ok_or_else(|| SideError::from("there is no file for it"))
    }

    async fn keep(mut self: Box<Self>) -> SideResult<()> {
        let conns = self.conns.take().ok_or("the connection was lost")?;
        let kept = tokio::task::spawn_blocking(move || {
            for conn in std::iter::once(conns.data).chain(conns.history) {
                conn.execute_batch("COMMIT")?;
                // What is in the log goes into the file, and the log goes.
                conn.close().map_err(|(_conn, error)| error)?;
            }
            Ok::<_, rusqlite::Error>(())
        });
        Ok(kept.await??)
    }
}
