//! The triggers of an app, all at once: what deploys and other changes of an app do to them.

use super::error::JobResult;
use super::transaction::Tx;
use super::trigger_rows::{TriggerRow, insert_trigger, remove_trigger, triggers_of, update_trigger};
use crate::TriggerWrite;
use crate::parts::{Named, PartsChanged};
use crate::triggering::endpoints_of;
use picloud_model::clock::UnixMs;
use picloud_model::ids::AppId;
use std::collections::{BTreeSet, HashMap};

/// Makes the triggers exactly these; one that is there by its name keeps its id, its queue and its state.
pub(super) async fn put_triggers(
    tx: &mut Tx<'_>,
    app: AppId,
    triggers: &[TriggerWrite],
    scripts: &Named<'_>,
    at: UnixMs,
    parts: &mut PartsChanged,
) -> JobResult<()> {
    let targets = endpoints_of(triggers, scripts)?;
    let rows = triggers_of(tx.conn(), app).await?;
    let before: HashMap<&str, &TriggerRow> = rows.iter().map(|row| (row.trigger.spec.name.as_str(), row)).collect();
    let wanted: BTreeSet<&str> = triggers.iter().map(|write| write.spec.name.as_str()).collect();
    for row in rows.iter().filter(|row| !wanted.contains(row.trigger.spec.name.as_str())) {
        let queued = remove_trigger(tx, app, row.trigger.id).await?;
        parts.triggers_deleted.push(format!("{} with {queued} queued", row.trigger.spec.name));
    }
    for ((position, write), script) in (0_i64..).zip(triggers).zip(targets) {
        let name = &write.spec.name;
        let Some(row) = before.get(name.as_str()) else {
            insert_trigger(tx, app, position, write, script, at).await?;
            parts.triggers_saved.push(name.clone());
            continue;
        };
        if row.trigger.spec != write.spec || row.script != script {
            update_trigger(tx, row, write, script, at).await?;
            parts.triggers_saved.push(name.clone());
        }
        if row.position != position {
            sqlx::query("UPDATE triggers SET position = $2 WHERE id = $1")
                .bind(row.trigger.id.0)
                .bind(position)
                .execute(tx.conn())
                .await?;
        }
    }
    let kept = |row: &&TriggerRow| wanted.contains(row.trigger.spec.name.as_str());
    let order_before: Vec<&str> = rows.iter().filter(kept).map(|row| row.trigger.spec.name.as_str()).collect();
    let order: Vec<&str> =
        triggers.iter().map(|write| write.spec.name.as_str()).filter(|name| before.contains_key(name)).collect();
    parts.triggers_moved = order != order_before;
    Ok(())
}
