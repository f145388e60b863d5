//! Rows of the audit log: what a transaction did is noted while it runs, and written last, for whoever writes holds the
//! end of the chain until the commit.

use super::error::{JobError, JobResult, unreadable};
use super::transaction::Tx;
pub(super) use crate::audit_chain::Noted;
use crate::audit_chain::{Ends, Written, first_kept};
use picloud_model::audit::{Act, AuditEntry, AuditOutcome};
use picloud_model::hash::ContentHash;
use picloud_model::principal::{Principal, PrincipalKind};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// The columns of [`entry_from_row`].
macro_rules! select_entry {
    ($rest:literal) => {
        concat!(
            "SELECT seq, at, who_kind, who_name, came_from, action, app, target, outcome, hash, shown_before, shown_after
             FROM audit ",
            $rest
        )
    };
}
pub(super) use select_entry;

/// An entry that is to be written.
pub(super) struct Note {
    act: Act,
    outcome: AuditOutcome,
    action: String,
    app: Option<String>,
    target: String,
    before: Option<Value>,
    after: Option<Value>,
}

/// Writes down that something was done, with the commit.
pub(super) fn note(tx: &mut Tx<'_>, act: &Act, noted: Noted<'_>) {
    append(tx, act, AuditOutcome::Done, noted);
}

/// Adds an entry behind the last one, with the commit.
pub(super) fn append(tx: &mut Tx<'_>, act: &Act, outcome: AuditOutcome, noted: Noted<'_>) {
    tx.notes.push(Note {
        act: act.clone(),
        outcome,
        action: noted.action.to_owned(),
        app: noted.app.map(str::to_owned),
        target: noted.target.to_owned(),
        before: noted.before,
        after: noted.after,
    });
}

/// Reads the ends of the chain.
pub(super) async fn ends(conn: &mut PgConnection) -> JobResult<Ends> {
    let select = "SELECT first_seq, previous_hash, last_seq, last_hash FROM audit_ends WHERE id = 1";
    ends_from_row(&sqlx::query(select).fetch_one(conn).await?)
}

fn ends_from_row(row: &PgRow) -> JobResult<Ends> {
    Ok(Ends {
        first_seq: row.try_get(0)?,
        previous_hash: ContentHash(row.try_get(1)?),
        last_seq: row.try_get(2)?,
        last_hash: ContentHash(row.try_get(3)?),
    })
}

/// Writes the notes behind the last entry, drops the oldest above the bound, and answers the number of the newest. The
/// end of the chain is locked from here on.
pub(super) async fn write_notes(conn: &mut PgConnection, notes: Vec<Note>, entries_max: i64) -> JobResult<i64> {
    // Where somebody slipped rows in behind the end, the log goes on behind them: the gap shows.
    let row = sqlx::query(
        "SELECT first_seq, previous_hash, last_seq, last_hash, (SELECT coalesce(max(seq), 0) FROM audit)
         FROM audit_ends WHERE id = 1 FOR UPDATE",
    )
    .fetch_one(&mut *conn)
    .await?;
    let ends = ends_from_row(&row)?;
    let (mut last_seq, mut last_hash) = (ends.last_seq.max(row.try_get(4)?), ends.last_hash);
    let mut written = Vec::with_capacity(notes.len());
    for Note { act, outcome, action, app, target, before, after } in notes {
        let noted = Noted { action: &action, app: app.as_deref(), target: &target, before, after };
        let one = Written::behind(last_seq, &last_hash, &act, outcome, noted)?;
        (last_seq, last_hash) = (one.entry.seq, one.entry.hash);
        written.push(one);
    }
    insert(conn, written).await?;
    drop_oldest(conn, ends.first_seq, last_seq, entries_max).await?;
    Ok(last_seq)
}

async fn insert(conn: &mut PgConnection, written: Vec<Written>) -> JobResult<()> {
    for Written { entry, shown: [before, after] } in written {
        sqlx::query(
            "WITH ended AS (UPDATE audit_ends SET last_seq = $1, last_hash = $10 WHERE id = 1)
             INSERT INTO audit (seq, at, who_kind, who_name, came_from, action, app, target, outcome, hash,
                                shown_before, shown_after)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(entry.seq)
        .bind(entry.at)
        .bind(entry.who.kind.as_str())
        .bind(entry.who.name)
        .bind(entry.from)
        .bind(entry.action)
        .bind(entry.app)
        .bind(entry.target)
        .bind(entry.outcome.as_str())
        .bind(entry.hash.0)
        .bind(before)
        .bind(after)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Moves the beginning of the chain on and drops what is before it, where there are more than are kept.
async fn drop_oldest(conn: &mut PgConnection, first_seq: i64, last_seq: i64, entries_max: i64) -> JobResult<()> {
    let Some(first_seq) = first_kept(first_seq, last_seq, entries_max) else { return Ok(()) };
    let previous: Option<[u8; 32]> = sqlx::query_scalar("SELECT hash FROM audit WHERE seq = $1")
        .bind(first_seq - 1)
        .fetch_optional(&mut *conn)
        .await?;
    // Where the row is missing, the log was tampered with: it goes on, and the chain stays broken at its beginning.
    sqlx::query("UPDATE audit_ends SET first_seq = $1, previous_hash = $2 WHERE id = 1")
        .bind(first_seq)
        .bind(previous.unwrap_or_default())
        .execute(&mut *conn)
        .await?;
    sqlx::query("DELETE FROM audit WHERE seq < $1").bind(first_seq).execute(&mut *conn).await?;
    Ok(())
}

pub(super) fn entry_from_row(row: &PgRow) -> JobResult<AuditEntry> {
    let kinds = [PrincipalKind::Person, PrincipalKind::Key, PrincipalKind::Node, PrincipalKind::Script];
    let outcomes = [AuditOutcome::Done, AuditOutcome::Refused];
    Ok(AuditEntry {
        seq: row.try_get(0)?,
        at: row.try_get(1)?,
        who: Principal { kind: word_in(row, "who_kind", &kinds, |kind| kind.as_str())?, name: row.try_get(3)? },
        from: row.try_get(4)?,
        action: row.try_get(5)?,
        app: row.try_get(6)?,
        target: row.try_get(7)?,
        outcome: word_in(row, "outcome", &outcomes, |outcome| outcome.as_str())?,
        hash: ContentHash(row.try_get(9)?),
        before: json_in(row, 10)?,
        after: json_in(row, 11)?,
    })
}

fn word_in<T: Copy>(row: &PgRow, column: &str, all: &[T], word: impl Fn(T) -> &'static str) -> Result<T, JobError> {
    let found: &str = row.try_get(column)?;
    all.iter().copied().find(|&one| word(one) == found).ok_or_else(|| unreadable(column, "the word"))
}

fn json_in(row: &PgRow, column: usize) -> JobResult<Option<Value>> {
    let text: Option<&str> = row.try_get(column)?;
    Ok(text.map(serde_json::from_str).transpose()?)
}
