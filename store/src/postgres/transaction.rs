//! One verb, one transaction: begun, ended, told of, and run again where it met another one.

use super::PgStore;
use super::audit_rows::{Note, write_notes};
use super::error::{JobError, JobResult};
use super::signals::{News, NewsSet};
use crate::Result;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::timeout;

/// How long a verb may take with all of its statements. A server that hangs in the middle of one says nothing.
const VERB_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a verb is tried that met another one, or lost its connection before anything was done.
const TRIES_MAX: u32 = 5;
/// The wait before the second try; each further one waits twice as long.
const RETRY_WAIT: Duration = Duration::from_millis(5);

/// A transaction that is under way. Dropping it takes it back.
pub(super) struct Tx<'a> {
    pub(super) store: &'a PgStore,
    sql: sqlx::Transaction<'static, Postgres>,
    news: NewsSet,
    /// Entries of the audit log, written last.
    pub(super) notes: Vec<Note>,
}

impl Tx<'_> {
    /// What statements run on.
    pub(super) fn conn(&mut self) -> &mut PgConnection {
        &mut self.sql
    }

    /// The commit is news of this, here and to other appliances.
    pub(super) fn tell(&mut self, news: News) {
        self.news.add(news);
    }

    /// Ends it: commits where the work was done, with what was noted and what it is news of; takes it back where it was not,
    /// before anybody hears of that, so that nothing is locked by it any more.
    pub(super) async fn end<T>(mut self, done: JobResult<T>) -> JobResult<T> {
        let written = match done {
            Ok(value) => self.write_rest().await.map(|last_seq| (value, last_seq)),
            Err(error) => Err(error),
        };
        match written {
            Ok((value, last_seq)) => {
                let Self { store, sql, news, .. } = self;
                let signals = store.signals.clone();
                // In a task of its own: whoever waited may have gone, and what was begun is ended and told of all the same.
                let committed = tokio::spawn(async move {
                    let committed = sql.commit().await.map_err(lost_in_commit);
                    if committed.is_ok() {
                        signals.committed(news);
                        signals.audit_grew(last_seq);
                    }
                    committed
                });
                committed.await.unwrap_or(Err(JobError::Unknown(sqlx::Error::WorkerCrashed)))?;
                Ok(value)
            }
            Err(error) => {
                // Where the connection is gone, so is the transaction.
                let _gone = self.sql.rollback().await;
                Err(error)
            }
        }
    }

    /// Writes what was noted, and tells with the commit; answers the number of the newest entry of the audit log, 0 where
    /// none was written.
    async fn write_rest(&mut self) -> JobResult<i64> {
        let (store, notes) = (self.store, std::mem::take(&mut self.notes));
        let mut last_seq = 0;
        if !notes.is_empty() {
            last_seq = write_notes(&mut self.sql, notes, store.kept_max.audit_entries_max).await?;
            self.news.add(News::Audit);
        }
        if !self.news.is_empty() {
            sqlx::query("SELECT pg_notify(channel, $2) FROM unnest($1::text[]) AS channel")
                .bind(self.news.channels())
                .bind(format!("{} {last_seq}", store.instance))
                .execute(&mut *self.sql)
                .await?;
        }
        Ok(last_seq)
    }
}

/// A commit that got no answer may have happened; one that was refused has not.
pub(super) fn lost_in_commit(error: sqlx::Error) -> JobError {
    match error {
        error @ sqlx::Error::Database(_) => JobError::Sql(error),
        error => JobError::Unknown(error),
    }
}

impl PgStore {
    /// Begins a transaction that reads what is committed at each statement; rows that matter are locked by who reads them.
    pub(super) async fn begin(&self) -> JobResult<Tx<'_>> {
        Ok(Tx {
            store: self,
            sql: uninterrupted(self.pool.clone(), "BEGIN").await?,
            news: NewsSet::default(),
            notes: Vec::new(),
        })
    }

    /// A connection for one statement that reads.
    pub(super) async fn conn(&self) -> JobResult<PoolConnection<Postgres>> {
        Ok(self.pool.acquire().await?)
    }

    /// A transaction that reads, all of it at one moment.
    pub(super) async fn moment(&self) -> JobResult<sqlx::Transaction<'static, Postgres>> {
        uninterrupted(self.pool.clone(), "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }
}

/// Begins in a task of its own. Where nobody waits any more for a `BEGIN` that was sent, sqlx does not know of the
/// transaction: whoever had the connection next would be in it, and what he did would be taken back some day.
async fn uninterrupted(pool: PgPool, begin: &'static str) -> JobResult<sqlx::Transaction<'static, Postgres>> {
    let begun = tokio::spawn(async move { pool.begin_with(begin).await }).await;
    Ok(begun.unwrap_or(Err(sqlx::Error::WorkerCrashed))?)
}

/// Gives the verb up where it takes too long.
pub(super) async fn in_time<T>(work: impl Future<Output = JobResult<T>>) -> JobResult<T> {
    timeout(VERB_TIMEOUT, work).await.unwrap_or(Err(JobError::TooLong(VERB_TIMEOUT.as_secs())))
}

/// Says of what type a verb's block is.
pub(super) async fn job<T>(work: impl Future<Output = JobResult<T>>) -> JobResult<T> {
    work.await
}

/// How often a verb was tried.
#[derive(Default)]
pub(super) struct Tries {
    done: u32,
}

impl Tries {
    /// What came of a try: the end of it, or another one.
    pub(super) async fn after<T>(&mut self, tried: JobResult<T>) -> ControlFlow<Result<T>> {
        match tried {
            Err(error) if error.is_worth_another_try() && self.done + 1 < TRIES_MAX => {
                tokio::time::sleep(RETRY_WAIT * 2_u32.pow(self.done)).await;
                self.done += 1;
                tracing::debug!(error = %error, "a transaction is tried again");
                ControlFlow::Continue(())
            }
            tried => ControlFlow::Break(tried.map_err(JobError::into_store_error)),
        }
    }
}

/// `writing!(self, |tx| { … Ok(value) })`: the block in one transaction, again where it is worth it. `tx` is a
/// `&mut Tx`; `?` and `return` end the block, with a `JobResult`. What it needs is borrowed, for it may run again.
macro_rules! writing {
    ($store:expr, |$tx:ident| $work:expr) => {{
        let mut tries = $crate::postgres::transaction::Tries::default();
        loop {
            let work = async {
                let mut begun = $store.begin().await?;
                let done = {
                    let $tx = &mut begun;
                    $crate::postgres::transaction::job(async { $work }).await
                };
                begun.end(done).await
            };
            let tried = $crate::postgres::transaction::in_time(work).await;
            if let std::ops::ControlFlow::Break(result) = tries.after(tried).await {
                break result;
            }
        }
    }};
}
pub(super) use writing;

/// `reading!(self, |conn| { … Ok(value) })`: the block on a connection, where one statement is all it has.
macro_rules! reading {
    ($store:expr, |$conn:ident| $work:expr) => {
        $crate::postgres::transaction::reading!(@ $store, conn, |$conn| $work)
    };
    (@ $store:expr, $source:ident, |$conn:ident| $work:expr) => {{
        let mut tries = $crate::postgres::transaction::Tries::default();
        loop {
            let work = async {
                let mut source = $store.$source().await?;
                let $conn: &mut sqlx::PgConnection = &mut source;
                $crate::postgres::transaction::job(async { $work }).await
            };
            let tried = $crate::postgres::transaction::in_time(work).await;
            if let std::ops::ControlFlow::Break(result) = tries.after(tried).await {
                break result;
            }
        }
    }};
}
pub(super) use reading;

/// The same where there are several statements: all of them see one moment.
macro_rules! at_one_moment {
    ($store:expr, |$conn:ident| $work:expr) => {
        $crate::postgres::transaction::reading!(@ $store, moment, |$conn| $work)
    };
}
pub(super) use at_one_moment;
