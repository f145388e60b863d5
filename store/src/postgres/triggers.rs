//! Triggers in Postgres.

use super::PgStore;
use super::apps::{name_of, rows_max, touch_app};
use super::audit_rows::{Noted, note};
use super::emit::cause_by_hand;
use super::enqueue::enqueue;
use super::error::{JobResult, expect_version};
use super::events::endpoint;
use super::transaction::{Tx, reading, writing};
use super::trigger_rows::{
    TriggerRow, changed, insert_trigger, locked_trigger, remove_trigger, select_trigger, trigger_by_name,
    trigger_from_row, update_trigger,
};
use crate::audit_shown::trigger_shown;
use crate::cursor::{self, List};
use crate::triggering::{fired, is_so_already, state_shown};
use crate::{Result, TriggerWrite, Triggers};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::ids::{AppId, EventId};
use picloud_model::page::{Page, PageRequest};
use picloud_model::trigger::Trigger;
use serde_json::{Value, json};

#[async_trait]
impl Triggers for PgStore {
    async fn triggers(&self, app: AppId, page: &PageRequest) -> Result<Page<Trigger>> {
        let after = cursor::decode_number(List::Triggers, page.cursor.as_deref(), i64::MIN)?;
        let items_max = cursor::page_items(page.limit);
        reading!(self, |conn| {
            let rows =
                sqlx::query(select_trigger!("WHERE t.app_id = $1 AND t.position > $2 ORDER BY t.position LIMIT $3"))
                    .bind(app.0)
                    .bind(after)
                    .bind(rows_max(items_max))
                    .fetch_all(conn)
                    .await?;
            let triggers = rows.iter().map(trigger_from_row).collect::<JobResult<_>>()?;
            let page = cursor::page(triggers, items_max, List::Triggers, |row: &TriggerRow| row.position.to_be_bytes());
            Ok(page.map(|row| row.trigger))
        })
    }

    async fn trigger(&self, app: AppId, name: &str) -> Result<Option<Trigger>> {
        reading!(self, |conn| Ok(trigger_by_name(conn, app, name).await?.map(|row| row.trigger)))
    }

    async fn put_trigger(
        &self,
        app: AppId,
        trigger: &TriggerWrite,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Trigger> {
        writing!(self, |tx| put(tx, app, trigger, expected, act).await)
    }

    async fn delete_trigger(&self, app: AppId, name: &str, expected: Option<i64>, act: &Act) -> Result<bool> {
        writing!(self, |tx| {
            let Some(TriggerRow { trigger, .. }) = locked_trigger(tx.conn(), app, name).await? else {
                return Ok(false);
            };
            expect_version(expected, trigger.version)?;
            let queued = remove_trigger(tx, app, trigger.id).await?;
            touch_app(tx, app, act.at).await?;
            let mut before = trigger_shown(&trigger);
            before["queued"] = queued.into();
            note_trigger(tx, app, act, "trigger.delete", name, Some(before), None).await?;
            Ok(true)
        })
    }

    async fn pause_trigger(&self, app: AppId, name: &str, reason: Option<&str>, act: &Act) -> Result<Option<Trigger>> {
        writing!(self, |tx| pause(tx, app, name, reason, act).await)
    }

    async fn fire_trigger(&self, app: AppId, name: &str, body: &[u8], act: &Act) -> Result<Option<EventId>> {
        writing!(self, |tx| fire(tx, app, name, body, act).await)
    }
}

async fn put(
    tx: &mut Tx<'_>,
    app: AppId,
    write: &TriggerWrite,
    expected: Option<i64>,
    act: &Act,
) -> JobResult<Trigger> {
    let name = &write.spec.name;
    let before = locked_trigger(tx.conn(), app, name).await?;
    expect_version(expected, before.as_ref().map_or(0, |row| row.trigger.version))?;
    let script = endpoint(tx.conn(), app, &write.spec.script, &format!("trigger `{name}`")).await?;
    match &before {
        Some(before) if before.trigger.spec == write.spec => return Ok(before.trigger.clone()),
        Some(before) => update_trigger(tx, before, write, script, act.at).await?,
        None => {
            let last: Option<i64> = sqlx::query_scalar("SELECT max(position) FROM triggers WHERE app_id = $1")
                .bind(app.0)
                .fetch_one(tx.conn())
                .await?;
            insert_trigger(tx, app, last.map_or(0, |last| last + 1), write, script, act.at).await?;
        }
    }
    touch_app(tx, app, act.at).await?;
    let after = trigger_by_name(tx.conn(), app, name).await?.expect("it was written in this transaction").trigger;
    let (before, shown) = (before.map(|row| trigger_shown(&row.trigger)), trigger_shown(&after));
    note_trigger(tx, app, act, "trigger.save", name, before, Some(shown)).await?;
    Ok(after)
}

/// Writes down that it is paused, and why, or not any more.
async fn pause(tx: &mut Tx<'_>, app: AppId, name: &str, reason: Option<&str>, act: &Act) -> JobResult<Option<Trigger>> {
    let Some(TriggerRow { trigger, .. }) = locked_trigger(tx.conn(), app, name).await? else { return Ok(None) };
    if is_so_already(&trigger, reason) {
        return Ok(Some(trigger));
    }
    let since: Option<UnixMs> = reason.map(|_reason| act.at);
    sqlx::query(
        "UPDATE triggers SET paused_at = $2, paused_by = $3, failures = CASE WHEN $2 IS NULL THEN 0 ELSE failures END
         WHERE id = $1",
    )
    .bind(trigger.id.0)
    .bind(since)
    .bind(reason)
    .execute(tx.conn())
    .await?;
    changed(tx);
    let action = if reason.is_some() { "trigger.pause" } else { "trigger.resume" };
    let after = trigger_by_name(tx.conn(), app, name).await?.expect("it was just changed").trigger;
    let shown = Some(state_shown(&after));
    note_trigger(tx, app, act, action, name, Some(state_shown(&trigger)), shown).await?;
    Ok(Some(after))
}

/// Makes a delivery of an event that never happened.
async fn fire(tx: &mut Tx<'_>, app: AppId, name: &str, body: &[u8], act: &Act) -> JobResult<Option<EventId>> {
    let Some(TriggerRow { trigger, script, .. }) = trigger_by_name(tx.conn(), app, name).await? else {
        return Ok(None);
    };
    let cause = cause_by_hand(tx.conn(), app, act.at).await?;
    let (event, target) = fired(app, trigger, script, body, &cause)?;
    enqueue(tx, app, &cause, &event, vec![target]).await?;
    let after = json!({ "event_id": event.id });
    note_trigger(tx, app, act, "trigger.fire", name, None, Some(after)).await?;
    Ok(Some(event.id))
}

async fn note_trigger(
    tx: &mut Tx<'_>,
    app: AppId,
    act: &Act,
    action: &str,
    trigger: &str,
    before: Option<Value>,
    after: Option<Value>,
) -> JobResult<()> {
    let app = name_of(tx.conn(), app).await?;
    note(tx, act, Noted { action, app: Some(&app), target: trigger, before, after });
    Ok(())
}
