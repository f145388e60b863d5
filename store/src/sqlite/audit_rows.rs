//! Rows of the audit log: appended within the transaction of what they tell of, dropped only at their old end.

use super::DataTx;
use super::error::JobResult;
pub(super) use crate::audit_chain::Noted;
use crate::audit_chain::{Ends, Written, first_kept};
use picloud_model::audit::{Act, AuditEntry, AuditOutcome};
use picloud_model::hash::ContentHash;
use picloud_model::principal::{Principal, PrincipalKind};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;

/// The columns of [`entry_from_row`], in its order.
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

/// Reads the ends of the chain.
pub(super) fn ends(conn: &Connection) -> JobResult<Ends> {
    let mut select =
        conn.prepare_cached("SELECT first_seq, previous_hash, last_seq, last_hash FROM audit_ends WHERE id = 1")?;
    Ok(select.query_row([], |row| {
        Ok(Ends {
            first_seq: row.get(0)?,
            previous_hash: ContentHash(row.get(1)?),
            last_seq: row.get(2)?,
            last_hash: ContentHash(row.get(3)?),
        })
    })?)
}

/// Writes down that something was done.
pub(super) fn note(tx: &DataTx<'_>, act: &Act, noted: Noted<'_>) -> JobResult<()> {
    append(tx, act, AuditOutcome::Done, noted)
}

/// Adds an entry behind the last one, and drops the oldest above the bound.
pub(super) fn append(tx: &DataTx<'_>, act: &Act, outcome: AuditOutcome, noted: Noted<'_>) -> JobResult<()> {
    let ends = ends(tx.conn)?;
    // Where somebody slipped rows in behind the end, the log goes on behind them: the gap shows.
    let mut newest = tx.conn.prepare_cached("SELECT coalesce(max(seq), 0) FROM audit")?;
    let newest: i64 = newest.query_row([], |row| row.get(0))?;
    let Written { entry, shown: [before, after] } =
        Written::behind(ends.last_seq.max(newest), &ends.last_hash, act, outcome, noted)?;
    let mut insert = tx.conn.prepare_cached(
        "INSERT INTO audit (seq, at, who_kind, who_name, came_from, action, app, target, outcome, hash,
                            shown_before, shown_after)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    insert.execute(params![
        entry.seq,
        entry.at,
        entry.who.kind.as_str(),
        entry.who.name,
        entry.from,
        entry.action,
        entry.app,
        entry.target,
        outcome.as_str(),
        entry.hash.0,
        before,
        after,
    ])?;
    let mut update = tx.conn.prepare_cached("UPDATE audit_ends SET last_seq = ?1, last_hash = ?2 WHERE id = 1")?;
    update.execute(params![entry.seq, entry.hash.0])?;
    tx.state.audit.grew();
    drop_oldest(tx, ends.first_seq, entry.seq)
}

/// Moves the beginning of the chain on and drops what is before it, where there are more than are kept.
fn drop_oldest(tx: &DataTx<'_>, first_seq: i64, last_seq: i64) -> JobResult<()> {
    let Some(first_seq) = first_kept(first_seq, last_seq, tx.state.audit.entries_max) else { return Ok(()) };
    let mut hash = tx.conn.prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?;
    let previous: Option<[u8; 32]> = hash.query_row([first_seq - 1], |row| row.get(0)).optional()?;
    let mut update = tx.conn.prepare_cached("UPDATE audit_ends SET first_seq = ?1, previous_hash = ?2 WHERE id = 1")?;
    // Where the row is missing, the log was tampered with: it goes on, and the chain stays broken at its beginning.
    update.execute(params![first_seq, previous.unwrap_or_default()])?;
    tx.conn.prepare_cached("DELETE FROM audit WHERE seq < ?1")?.execute([first_seq])?;
    Ok(())
}

pub(super) fn entry_from_row(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let kinds = [PrincipalKind::Person, PrincipalKind::Key, PrincipalKind::Node, PrincipalKind::Script];
    let outcomes = [AuditOutcome::Done, AuditOutcome::Refused];
    Ok(AuditEntry {
        seq: row.get(0)?,
        at: row.get(1)?,
        who: Principal { kind: word_in(row, 2, &kinds, |kind| kind.as_str())?, name: row.get(3)? },
        from: row.get(4)?,
        action: row.get(5)?,
        app: row.get(6)?,
        target: row.get(7)?,
        outcome: word_in(row, 8, &outcomes, |outcome| outcome.as_str())?,
        hash: ContentHash(row.get(9)?),
        before: json_in(row, 10)?,
        after: json_in(row, 11)?,
    })
}

fn word_in<T: Copy>(row: &Row<'_>, column: usize, all: &[T], word: impl Fn(T) -> &'static str) -> rusqlite::Result<T> {
    let found = row.get_ref(column)?.as_str()?;
    let known = all.iter().copied().find(|&one| word(one) == found);
    known.ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, "an unknown word".into()))
}

fn json_in(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Value>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    let value = text.map(serde_json::from_str).transpose();
    value.map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}
