//! The audit log in Postgres: read, verified, and told of refusals. Changes write it in their own transactions.

use super::PgStore;
use super::apps::rows_max;
use super::audit_rows::{append, ends, entry_from_row, note, select_entry};
use super::error::JobResult;
use super::transaction::{at_one_moment, reading, writing};
use crate::audit_chain::{Noted, Walk};
use crate::cursor::{self, List};
use crate::{Audit, Result};
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use picloud_model::audit::{Act, AuditEntry, AuditOutcome, AuditQuery, AuditVerdict, RefusedAct};
use picloud_model::page::Page;
use sqlx::{PgConnection, Row as _};

#[async_trait]
impl Audit for PgStore {
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>> {
        let before = cursor::decode_number(List::Audit, query.cursor.as_deref(), i64::MAX)?;
        let items_max = cursor::page_items(query.limit);
        let action = query.action.as_deref();
        let (prefix, action) = action.map_or((None, None), |action| match action.ends_with('.') {
            true => (Some(action), None),
            false => (None, Some(action)),
        });
        reading!(self, |conn| {
            let rows = sqlx::query(select_entry!(
                "WHERE seq < $1 AND ($2::text IS NULL OR app = $2) AND ($3::text IS NULL OR who_name = $3)
                 AND ($4::text IS NULL OR action = $4) AND ($5::text IS NULL OR starts_with(action, $5))
                 AND ($6::text IS NULL OR outcome = $6) ORDER BY seq DESC LIMIT $7"
            ))
            .bind(before)
            .bind(query.app.as_deref())
            .bind(query.who.as_deref())
            .bind(action)
            .bind(prefix)
            .bind(query.outcome.map(AuditOutcome::as_str))
            .bind(rows_max(items_max))
            .fetch_all(conn)
            .await?;
            let entries = rows.iter().map(entry_from_row).collect::<JobResult<_>>()?;
            Ok(cursor::page(entries, items_max, List::Audit, |entry: &AuditEntry| entry.seq.to_be_bytes()))
        })
    }

    async fn audit_after(&self, seq: i64, entries_max: u32) -> Result<(Vec<AuditEntry>, i64)> {
        at_one_moment!(self, |conn| {
            let first_seq = ends(conn).await?.first_seq;
            let rows = sqlx::query(select_entry!("WHERE seq > $1 ORDER BY seq LIMIT $2"))
                .bind(seq)
                .bind(i64::from(entries_max))
                .fetch_all(conn)
                .await?;
            Ok((rows.iter().map(entry_from_row).collect::<JobResult<_>>()?, first_seq))
        })
    }

    async fn audit_last(&self) -> Result<i64> {
        reading!(self, |conn| Ok(ends(conn).await?.last_seq))
    }

    async fn audit_refusals(&self, refused: Vec<RefusedAct>) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        writing!(self, |tx| {
            for RefusedAct { act, action, app, target, reason } in &refused {
                let (app, after) = (app.as_deref(), Some(reason.clone()));
                append(tx, act, AuditOutcome::Refused, Noted { action, app, target, before: None, after });
            }
            Ok(())
        })
    }

    async fn audit_done(
        &self,
        act: &Act,
        app: Option<&str>,
        action: &str,
        target: &str,
        after: serde_json::Value,
    ) -> Result<()> {
        writing!(self, |tx| {
            let after = Some(after.clone()).filter(|after| !after.is_null());
            note(tx, act, Noted { action, app, target, before: None, after });
            Ok(())
        })
    }

    async fn verify_audit(&self) -> Result<AuditVerdict> {
        at_one_moment!(self, |conn| verify(conn).await)
    }

    fn audit_signal(&self) -> tokio::sync::watch::Receiver<i64> {
        self.signals.audit.subscribe()
    }
}

/// Walks the chain from its oldest entry to its newest.
async fn verify(conn: &mut PgConnection) -> JobResult<AuditVerdict> {
    let ends = ends(conn).await?;
    let mut walk = Walk::from(&ends);
    let mut rows = sqlx::query(select_entry!("ORDER BY seq")).fetch(conn);
    while let Some(row) = rows.try_next().await? {
        let (seq, entry) = (row.try_get(0)?, entry_from_row(&row));
        if let Err(reason) = walk.step(seq, entry.ok()) {
            return Ok(walk.broken(&ends, seq, reason));
        }
    }
    Ok(walk.end(&ends))
}
