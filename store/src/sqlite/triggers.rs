//! Triggers in SQLite.

use super::apps::{name_of, rows_max, touch_app};
use super::audit_rows::{Noted, note};
use super::audit_shown::trigger_shown;
use super::emit::cause_by_hand;
use super::enqueue::enqueue;
use super::error::{JobResult, expect_version};
use super::events::endpoint;
use super::trigger_rows::{
    TriggerRow, changed, insert_trigger, remove_trigger, select_trigger, trigger_by_name, trigger_from_row,
    update_trigger,
};
use super::{DataTx, SqliteStore};
use crate::cursor::{self, List};
use crate::triggering::{fired, is_so_already, state_shown};
use crate::{Result, TriggerWrite, Triggers};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::ids::{AppId, EventId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::trigger::Trigger;
use rusqlite::params;
use serde_json::{Value, json};

#[async_trait]
impl Triggers for SqliteStore {
    async fn triggers(&self, app: AppId, page: &PageRequest) -> Result<Page<Trigger>> {
        let after = cursor::decode_number(List::Triggers, page.cursor.as_deref(), i64::MIN)?;
        let items_max = cursor::page_items(page.limit);
        self.read(move |conn| {
            let mut select = conn.prepare_cached(select_trigger!(
                "WHERE t.app_id = ?1 AND t.position > ?2 ORDER BY t.position LIMIT ?3"
            ))?;
            let mut rows = select.query([app.0, after, rows_max(items_max)])?;
            let mut triggers = Vec::new();
            while let Some(row) = rows.next()? {
                triggers.push(trigger_from_row(row)?);
            }
            let page = cursor::page(triggers, items_max, List::Triggers, |row| row.position.to_be_bytes());
            Ok(page.map(|row| row.trigger))
        })
        .await
    }

    async fn trigger(&self, app: AppId, name: &str) -> Result<Option<Trigger>> {
        let name = name.to_owned();
        self.read(move |conn| Ok(trigger_by_name(conn, app, &name)?.map(|row| row.trigger))).await
    }

    async fn put_trigger(
        &self,
        app: AppId,
        trigger: &TriggerWrite,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Trigger> {
        let (trigger, act) = (trigger.clone(), act.clone());
        self.write(move |tx| put(tx, app, &trigger, expected, &act)).await
    }

    async fn delete_trigger(&self, app: AppId, name: &str, expected: Option<i64>, act: &Act) -> Result<bool> {
        let (name, act) = (name.to_owned(), act.clone());
        self.write(move |tx| {
            let Some(TriggerRow { trigger, .. }) = trigger_by_name(tx.conn, app, &name)? else { return Ok(false) };
            expect_version(expected, trigger.version)?;
            let queued = remove_trigger(tx, app, trigger.id)?;
            touch_app(tx, app, act.at)?;
            let mut before = trigger_shown(&trigger);
            before["queued"] = queued.into();
            note_trigger(tx, app, &act, "trigger.delete", &name, Some(before), None)?;
            Ok(true)
        })
        .await
    }

    async fn pause_trigger(&self, app: AppId, name: &str, reason: Option<&str>, act: &Act) -> Result<Option<Trigger>> {
        let (name, reason, act) = (name.to_owned(), reason.map(str::to_owned), act.clone());
        self.write(move |tx| {
            let Some(TriggerRow { trigger, .. }) = trigger_by_name(tx.conn, app, &name)? else { return Ok(None) };
            if is_so_already(&trigger, reason.as_deref()) {
                return Ok(Some(trigger));
            }
            set_paused(tx, app, &trigger, reason.as_deref(), act.at)?;
            let action = if reason.is_some() { "trigger.pause" } else { "trigger.resume" };
            let after = trigger_by_name(tx.conn, app, &name)?.expect("it was just changed").trigger;
            let shown = Some(state_shown(&after));
            note_trigger(tx, app, &act, action, &name, Some(state_shown(&trigger)), shown)?;
            Ok(Some(after))
        })
        .await
    }

    async fn fire_trigger(&self, app: AppId, name: &str, body: &[u8], act: &Act) -> Result<Option<EventId>> {
        let (name, body, act) = (name.to_owned(), body.to_vec(), act.clone());
        self.write(move |tx| fire(tx, app, &name, &body, &act)).await
    }
}

fn put(tx: &DataTx<'_>, app: AppId, write: &TriggerWrite, expected: Option<i64>, act: &Act) -> JobResult<Trigger> {
    let name = &write.spec.name;
    let before = trigger_by_name(tx.conn, app, name)?;
    expect_version(expected, before.as_ref().map_or(0, |row| row.trigger.version))?;
    let script = endpoint(tx.conn, app, &write.spec.script, &format!("trigger `{name}`"))?;
    match &before {
        Some(before) if before.trigger.spec == write.spec => return Ok(before.trigger.clone()),
        Some(before) => update_trigger(tx, app, before, write, script, act.at)?,
        None => {
            let mut last = tx.conn.prepare_cached("SELECT max(position) FROM triggers WHERE app_id = ?1")?;
            let last: Option<i64> = last.query_row([app.0], |row| row.get(0))?;
            insert_trigger(tx, app, last.map_or(0, |last| last + 1), write, script, act.at)?;
        }
    }
    touch_app(tx, app, act.at)?;
    let after = trigger_by_name(tx.conn, app, name)?.expect("it was written in this transaction").trigger;
    let (before, shown) = (before.map(|row| trigger_shown(&row.trigger)), trigger_shown(&after));
    note_trigger(tx, app, act, "trigger.save", name, before, Some(shown))?;
    Ok(after)
}

/// Writes down that it is paused, and why, or not any more.
fn set_paused(tx: &DataTx<'_>, app: AppId, trigger: &Trigger, reason: Option<&str>, at: UnixMs) -> JobResult<()> {
    let since = reason.map(|_reason| at);
    let mut update = tx.conn.prepare_cached(
        "UPDATE triggers SET paused_at = ?2, paused_by = ?3, failures = iif(?2 IS NULL, 0, failures) WHERE id = ?1",
    )?;
    update.execute(params![trigger.id.0, since, reason])?;
    changed(tx, app);
    Ok(())
}

/// Makes a delivery of an event that never happened. A paused trigger's own lane stands still, so it takes the app's.
fn fire(tx: &mut DataTx<'_>, app: AppId, name: &str, body: &[u8], act: &Act) -> JobResult<Option<EventId>> {
    let Some(TriggerRow { trigger, script, .. }) = trigger_by_name(tx.conn, app, name)? else { return Ok(None) };
    let cause = cause_by_hand(tx.conn, app, act.at)?;
    let (event, target) = fired(app, trigger, script, body, &cause)?;
    enqueue(tx, app, &cause, &event, &[target])?;
    let after = json!({ "event_id": event.id });
    note_trigger(tx, app, act, "trigger.fire", name, None, Some(after))?;
    Ok(Some(event.id))
}

fn note_trigger(
    tx: &DataTx<'_>,
    app: AppId,
    act: &Act,
    action: &str,
    trigger: &str,
    before: Option<Value>,
    after: Option<Value>,
) -> JobResult<()> {
    note(tx, act, Noted { action, app: Some(&name_of(tx.conn, app)?), target: trigger, before, after })
}
