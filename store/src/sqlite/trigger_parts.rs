//! The triggers of an app, all at once: what deploys and other changes of an app do to them.

use super::DataTx;
use super::error::JobResult;
use super::trigger_rows::{TriggerRow, insert_trigger, remove_trigger, triggers_of, update_trigger};
use crate::TriggerWrite;
use crate::parts::{Named, PartsChanged};
use crate::triggering::endpoints_of;
use picloud_model::clock::UnixMs;
use picloud_model::ids::AppId;
use std::collections::{BTreeSet, HashMap};

/// Makes the triggers exactly these; one that is there by its name keeps its id, its queue and its state.
pub(super) fn put_triggers(
    tx: &DataTx<'_>,
    app: AppId,
    triggers: &[TriggerWrite],
    scripts: &Named<'_>,
    at: UnixMs,
    parts: &mut PartsChanged,
) -> JobResult<()> {
    let targets = endpoints_of(triggers, scripts)?;
    let rows = triggers_of(tx.conn, app)?;
    let before: HashMap<&str, &TriggerRow> = rows.iter().map(|row| (row.trigger.spec.name.as_str(), row)).collect();
    let wanted: BTreeSet<&str> = triggers.iter().map(|write| write.spec.name.as_str()).collect();
    for row in rows.iter().filter(|row| !wanted.contains(row.trigger.spec.name.as_str())) {
        let queued = remove_trigger(tx, app, row.trigger.id)?;
        parts.triggers_deleted.push(format!("{} with {queued} queued", row.trigger.spec.name));
    }
    let mut moved = tx.conn.prepare_cached("UPDATE triggers SET position = ?2 WHERE id = ?1")?;
    for ((position, write), script) in (0_i64..).zip(triggers).zip(targets) {
        let name = &write.spec.name;
        let Some(row) = before.get(name.as_str()) else {
            insert_trigger(tx, app, position, write, script, at)?;
            parts.triggers_saved.push(name.clone());
            continue;
        };
        if row.trigger.spec != write.spec || row.script != script {
            update_trigger(tx, app, row, write, script, at)?;
            parts.triggers_saved.push(name.clone());
        }
        if row.position != position {
            moved.execute([row.trigger.id.0, position])?;
        }
    }
    let kept = |row: &&TriggerRow| wanted.contains(row.trigger.spec.name.as_str());
    let order_before: Vec<&str> = rows.iter().filter(kept).map(|row| row.trigger.spec.name.as_str()).collect();
    let order: Vec<&str> =
        triggers.iter().map(|write| write.spec.name.as_str()).filter(|name| before.contains_key(name)).collect();
    parts.triggers_moved = order != order_before;
    Ok(())
}
