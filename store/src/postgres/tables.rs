//! Rows of all tables for the copier of stores: read at one moment, or written in one transaction.

use super::alone::others_that_stay;
use super::connection::Address;
use super::{PgStore, migrate};
use crate::migrate_store::{Kind, MigrateError, Row, Side, SideError, SideResult, StorePlace, Table, Value};
use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row as _};

/// One is all that a copy uses.
const CONNECTIONS_MAX: u32 = 1;
/// A copy takes as long as it takes, and waits for the other side between its statements.
const NO_TIMEOUTS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
/// Numbers that SQLite keeps in the table `sequences`, and the sequence that they come from here.
const SEQUENCES: [(&str, &str); 2] = [("kv_version", "kv_versions"), ("delivery", "delivery_ids")];

/// A database, in a transaction of its own.
pub(crate) struct PgSide {
    sql: sqlx::Transaction<'static, Postgres>,
    /// Whether it is written.
    writes: bool,
}

impl PgSide {
    /// The database of a store that goes on, at this moment.
    pub(super) async fn of(store: &PgStore) -> sqlx::Result<Self> {
        Self::begin_to_read(&store.pool).await
    }

    /// The database at `url`, which nobody else uses; refuses one without a store.
    pub(crate) async fn read_alone(url: &str) -> Result<Self, MigrateError> {
        let (address, pool) = connect_alone(url).await?;
        let mut conn = pool.acquire().await.map_err(|error| address.unreachable(error))?;
        if migrate::schema(&mut conn, &address).await?.0 == 0 {
            return Err(MigrateError::NoStore(StorePlace::Url(url.to_owned())));
        }
        migrate::check(&mut conn, &address).await?;
        drop(conn);
        Self::begin_to_read(&pool).await.map_err(|error| address.unreachable(error).into())
    }

    /// The database of the pool, at this moment.
    pub(super) async fn begin_to_read(pool: &sqlx::PgPool) -> sqlx::Result<Self> {
        let mut sql = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        sqlx::raw_sql(NO_TIMEOUTS).execute(&mut *sql).await?;
        Ok(Self { sql, writes: false })
    }

    /// The database at `url`, which nobody else uses, to be written: made a store where it is none.
    pub(crate) async fn write(url: &str, tables: &[Table]) -> Result<Self, MigrateError> {
        let (address, pool) = connect_alone(url).await?;
        let mut conn = pool.acquire().await.map_err(|error| address.unreachable(error))?;
        match migrate::schema(&mut conn, &address).await?.0 {
            0 => migrate::migrate(&address).await?,
            _ => migrate::check(&mut conn, &address).await?,
        }
        drop(conn);
        let begun = async {
            let mut sql = pool.begin().await?;
            sqlx::raw_sql(NO_TIMEOUTS).execute(&mut *sql).await?;
            let names: Vec<String> = tables.iter().map(|table| format!("\"{}\"", table.name)).collect();
            let lock = format!("LOCK TABLE {} IN EXCLUSIVE MODE", names.join(", "));
            sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *sql).await?;
            Ok::<_, sqlx::Error>(sql)
        };
        let sql = begun.await.map_err(|error| address.unreachable(error))?;
        Ok(Self { sql, writes: true })
    }

    /// Rows of `sequences` as SQLite would have them: all up to `reserved` may have been given out.
    async fn reserved(&mut self, table: &Table, rows: &mut [Row]) -> SideResult<()> {
        let Some([name, reserved]) = columns_at(table, ["name", "reserved"]) else { return Ok(()) };
        for row in rows {
            if let (Some(sequence), Value::Integer(stored)) = (sequence_of(&row[name]), row[reserved].clone())
                // A database of an older schema counted in the table.
                && is_there(&mut self.sql, sequence).await?
            {
                row[reserved] = Value::Integer(stored.max(given_out(&mut self.sql, sequence).await?));
            }
        }
        Ok(())
    }

    /// Numbers go on behind those of `sequences`.
    async fn go_on(&mut self, table: &Table, rows: &[Row]) -> SideResult<()> {
        let Some([name, reserved]) = columns_at(table, ["name", "reserved"]) else { return Ok(()) };
        for row in rows {
            if let (Some(sequence), Value::Integer(reserved)) = (sequence_of(&row[name]), &row[reserved]) {
                set_next(&mut self.sql, sequence, reserved + 1).await?;
            }
        }
        Ok(())
    }
}

/// The database, where no other connection of PiCloud's stays open to it.
async fn connect_alone(url: &str) -> Result<(Address, sqlx::PgPool), MigrateError> {
    let address = Address::parse(url)?;
    let pool = address.pool(CONNECTIONS_MAX);
    let others = async { others_that_stay(&mut *pool.acquire().await?).await };
    let connections = others.await.map_err(|error| address.unreachable(error))?;
    if connections > 0 {
        return Err(MigrateError::InUse { place: StorePlace::Url(url.to_owned()), connections });
    }
    Ok((address, pool))
}

/// Where the columns of `sequences` are, if `table` is that one.
fn columns_at<const N: usize>(table: &Table, names: [&str; N]) -> Option<[usize; N]> {
    let place = |name| table.columns.iter().position(|column| column.name == name);
    (table.name == "sequences").then(|| names.map(|name| place(name).expect("the table has these columns")))
}

fn sequence_of(name: &Value) -> Option<&'static str> {
    let Value::Text(name) = name else { return None };
    SEQUENCES.iter().find(|(kept_as, _sequence)| kept_as == name).map(|(_kept_as, sequence)| *sequence)
}

async fn is_there(conn: &mut PgConnection, sequence: &str) -> SideResult<bool> {
    Ok(sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(sequence).fetch_one(conn).await?)
}

/// The highest number that a sequence may have given out.
async fn given_out(conn: &mut PgConnection, sequence: &str) -> SideResult<i64> {
    let sql = format!(
        "SELECT CASE WHEN s.is_called THEN s.last_value + p.seqincrement - 1 ELSE s.last_value - 1 END
         FROM {sequence} s, pg_sequence p WHERE p.seqrelid = '{sequence}'::regclass"
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(conn).await?)
}

async fn set_next(conn: &mut PgConnection, sequence: &str, next: i64) -> SideResult<()> {
    sqlx::query("SELECT setval($1::text::regclass, $2, false)").bind(sequence).bind(next).execute(conn).await?;
    Ok(())
}

/// The sequence behind a column, where it has one.
async fn own_sequence(conn: &mut PgConnection, table: &str, column: &str) -> SideResult<Option<String>> {
    let select = sqlx::query_scalar("SELECT pg_get_serial_sequence(quote_ident($1), $2)");
    Ok(select.bind(table).bind(column).fetch_one(conn).await?)
}

/// Behind ids that rows were copied with, of tables whose numbers nobody ever sees.
async fn go_on_behind_ids(conn: &mut PgConnection) -> SideResult<()> {
    let identities: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text FROM information_schema.columns
         WHERE table_schema = current_schema() AND is_identity = 'YES'",
    )
    .fetch_all(&mut *conn)
    .await?;
    for (table, column) in identities {
        let Some(sequence) = own_sequence(conn, &table, &column).await? else { continue };
        let sql = format!("SELECT coalesce(max(\"{column}\"), 0) FROM \"{table}\"");
        let highest: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *conn).await?;
        if highest > given_out(conn, &sequence).await? {
            set_next(conn, &sequence, highest + 1).await?;
        }
    }
    Ok(())
}

#[async_trait]
impl Side for PgSide {
    async fn rows_after(&mut self, table: &Table, after: Option<&[Value]>, rows_max: u32) -> SideResult<Vec<Row>> {
        // By its bytes, as SQLite has it, whatever the column is ordered by otherwise.
        let key: Vec<String> = table
            .key_columns()
            .map(|column| match column.kind {
                Kind::Text => format!("\"{}\" COLLATE \"C\"", column.name),
                Kind::Integer | Kind::Blob => format!("\"{}\"", column.name),
            })
            .collect();
        let key = key.join(", ");
        let marks: Vec<String> = (1..=table.key.len()).map(|number| format!("${number}")).collect();
        let behind = after.map_or(String::new(), |_after| format!("WHERE ({key}) > ({})", marks.join(", ")));
        let (columns, name) = (table.column_names(), &table.name);
        let sql = format!("SELECT {columns} FROM \"{name}\" {behind} ORDER BY {key} LIMIT {rows_max}");
        let mut select = sqlx::query(AssertSqlSafe(sql));
        for value in after.unwrap_or_default() {
            select = match value {
                Value::Integer(number) => select.bind(*number),
                Value::Text(text) => select.bind(text.clone()),
                Value::Blob(bytes) => select.bind(bytes.clone()),
                Value::Null => return Err("a key without a value".into()),
            };
        }
        let rows = select.fetch_all(&mut *self.sql).await?;
        let mut rows = rows.iter().map(|row| row_of(table, row)).collect::<sqlx::Result<Vec<Row>>>()?;
        self.reserved(table, &mut rows).await?;
        Ok(rows)
    }

    async fn count(&mut self, table: &Table) -> SideResult<u64> {
        let sql = format!("SELECT count(*) FROM \"{}\"", table.name);
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *self.sql).await?;
        Ok(count.unsigned_abs())
    }

    async fn insert(&mut self, table: &Table, rows: Vec<Row>) -> SideResult<()> {
        refuse_nul(table, &rows)?;
        let arrays: Vec<String> = table
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| match column.kind {
                Kind::Integer => format!("${}::bigint[]", at + 1),
                Kind::Text => format!("${}::text[]", at + 1),
                Kind::Blob => format!("${}::bytea[]", at + 1),
            })
            .collect();
        let (name, columns) = (&table.name, table.column_names());
        let replace = if table.first_rows.is_empty() { String::new() } else { table.replace_clause() };
        let sql = format!("INSERT INTO \"{name}\" ({columns}) SELECT * FROM unnest({}) {replace}", arrays.join(", "));
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for (at, column) in table.columns.iter().enumerate() {
            insert = bind_column(insert, column.kind, rows.iter().map(|row| &row[at]));
        }
        insert.execute(&mut *self.sql).await?;
        self.go_on(table, &rows).await
    }

    async fn last_id(&mut self, table: &Table) -> SideResult<i64> {
        match own_sequence(&mut self.sql, &table.name, "id").await? {
            Some(sequence) => given_out(&mut self.sql, &sequence).await,
            None => Err("its ids do not count".into()),
        }
    }

    async fn set_last_id(&mut self, table: &Table, id: i64) -> SideResult<()> {
        match own_sequence(&mut self.sql, &table.name, "id").await? {
            Some(sequence) => set_next(&mut self.sql, &sequence, id + 1).await,
            None => Err("its ids do not count".into()),
        }
    }

    async fn keep(mut self: Box<Self>) -> SideResult<()> {
        if self.writes {
            go_on_behind_ids(&mut self.sql).await?;
        }
        Ok(self.sql.commit().await?)
    }
}

fn row_of(table: &Table, row: &PgRow) -> sqlx::Result<Row> {
    let values = table.columns.iter().enumerate().map(|(at, column)| {
        let value = match column.kind {
            Kind::Integer => row.try_get::<Option<i64>, _>(at)?.map(Value::Integer),
            Kind::Text => row.try_get::<Option<String>, _>(at)?.map(Value::Text),
            Kind::Blob => row.try_get::<Option<Vec<u8>>, _>(at)?.map(Value::Blob),
        };
        Ok(value.unwrap_or(Value::Null))
    });
    values.collect()
}

type Bound<'q> = Query<'q, Postgres, PgArguments>;

/// All values of a column as one array.
fn bind_column<'q, 'v>(query: Bound<'q>, kind: Kind, values: impl Iterator<Item = &'v Value>) -> Bound<'q> {
    match kind {
        Kind::Integer => query.bind(values.map(integer).collect::<Vec<Option<i64>>>()),
        Kind::Text => query.bind(values.map(|value| text(value).map(str::to_owned)).collect::<Vec<Option<String>>>()),
        Kind::Blob => query.bind(values.map(|value| blob(value).map(<[u8]>::to_vec)).collect::<Vec<Option<Vec<u8>>>>()),
    }
}

fn integer(value: &Value) -> Option<i64> {
    if let Value::Integer(number) = value { Some(*number) } else { None }
}

fn text(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn blob(value: &Value) -> Option<&[u8]> {
    if let Value::Blob(bytes) = value { Some(bytes) } else { None }
}

/// Postgres keeps no text with a NUL in it.
fn refuse_nul(table: &Table, rows: &[Row]) -> SideResult<()> {
    for row in rows {
        if let Some(at) = row.iter().position(|value| text(value).is_some_and(|text| text.contains('\0'))) {
            let key: Vec<String> = table.key_of(row).iter().map(Value::to_string).collect();
            let (column, key) = (&table.columns[at].name, key.join(", "));
            let told =
                format!("`{column}` of the row with the key {key} holds a NUL, which Postgres cannot keep in a text");
            return Err(SideError::from(told));
        }
    }
    Ok(())
}
