//! The audit log in SQLite: read, verified, and told of refusals. Changes write it in their own transactions.

use super::SqliteStore;
use super::apps::rows_max;
use super::audit_rows::{append, ends, entry_from_row, note, select_entry};
use super::error::JobResult;
use crate::audit_chain::{Noted, Walk};
use crate::cursor::{self, List};
use crate::{Audit, Result};
use async_trait::async_trait;
use picloud_model::audit::{Act, AuditEntry, AuditOutcome, AuditQuery, AuditVerdict, RefusedAct};
use picloud_model::page::Page;
use rusqlite::{Connection, params};

#[async_trait]
impl Audit for SqliteStore {
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>> {
        let before = cursor::decode_number(List::Audit, query.cursor.as_deref(), i64::MAX)?;
        let items_max = cursor::page_items(query.limit);
        let query = query.clone();
        self.read(move |conn| {
            let mut select = conn.prepare_cached(select_entry!(
                "WHERE seq < ?1 AND (?2 IS NULL OR app = ?2) AND (?3 IS NULL OR who_name = ?3)
                 AND (?4 IS NULL OR action = ?4) AND (?5 IS NULL OR substr(action, 1, length(?5)) = ?5)
                 AND (?6 IS NULL OR outcome = ?6) ORDER BY seq DESC LIMIT ?7"
            ))?;
            let action = query.action.as_deref();
            let (prefix, action) = action.map_or((None, None), |action| match action.ends_with('.') {
                true => (Some(action), None),
                false => (None, Some(action)),
            });
            let outcome = query.outcome.map(AuditOutcome::as_str);
            let bound = params![before, query.app, query.who, action, prefix, outcome, rows_max(items_max)];
            let rows = select.query_map(bound, entry_from_row)?;
            let entries = rows.collect::<rusqlite::Result<_>>()?;
            Ok(cursor::page(entries, items_max, List::Audit, |entry: &AuditEntry| entry.seq.to_be_bytes()))
        })
        .await
    }

    async fn audit_after(&self, seq: i64, entries_max: u32) -> Result<(Vec<AuditEntry>, i64)> {
        self.read(move |conn| {
            let moment = conn.unchecked_transaction()?;
            let first_seq = ends(&moment)?.first_seq;
            let mut select = moment.prepare_cached(select_entry!("WHERE seq > ?1 ORDER BY seq LIMIT ?2"))?;
            let rows = select.query_map([seq, i64::from(entries_max)], entry_from_row)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, first_seq))
        })
        .await
    }

    async fn audit_last(&self) -> Result<i64> {
        self.read(|conn| Ok(ends(conn)?.last_seq)).await
    }

    async fn audit_refusals(&self, refused: Vec<RefusedAct>) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            for RefusedAct { act, action, app, target, reason } in refused {
                let (app, after) = (app.as_deref(), Some(reason));
                let noted = Noted { action: &action, app, target: &target, before: None, after };
                append(tx, &act, AuditOutcome::Refused, noted)?;
            }
            Ok(())
        })
        .await
    }

    async fn audit_done(
        &self,
        act: &Act,
        app: Option<&str>,
        action: &str,
        target: &str,
        after: serde_json::Value,
    ) -> Result<()> {
        let (act, action, target) = (act.clone(), action.to_owned(), target.to_owned());
        let app = app.map(str::to_owned);
        self.write(move |tx| {
            let after = Some(after).filter(|after| !after.is_null());
            note(tx, &act, Noted { action: &action, app: app.as_deref(), target: &target, before: None, after })
        })
        .await
    }

    async fn verify_audit(&self) -> Result<AuditVerdict> {
        self.read(|conn| {
            let moment = conn.unchecked_transaction()?;
            verify(&moment)
        })
        .await
    }

    fn audit_signal(&self) -> tokio::sync::watch::Receiver<i64> {
        self.audit_signal.clone()
    }
}

/// Walks the chain from its oldest entry to its newest.
fn verify(conn: &Connection) -> JobResult<AuditVerdict> {
    let ends = ends(conn)?;
    let mut walk = Walk::from(&ends);
    let mut select = conn.prepare(select_entry!("ORDER BY seq"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, entry) = (row.get(0)?, entry_from_row(row));
        if let Err(reason) = walk.step(seq, entry.ok()) {
            return Ok(walk.broken(&ends, seq, reason));
        }
    }
    Ok(walk.end(&ends))
}
