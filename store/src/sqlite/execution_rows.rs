//! What a run's row holds: what it is found by in columns, the rest as JSON without what is empty. A device that runs a
//! script at every change keeps many of these; in full they would be twice as long.

use super::error::JobResult;
use picloud_model::clock::rfc3339;
use picloud_model::execution::Execution;
use picloud_model::ids::ExecutionId;
use rusqlite::Row;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The columns that [`read`] takes, in its order.
pub(super) const COLUMNS: &str = "id, root_id, app_id, script, outcome, started_at, trigger_name, body";
/// What stands in a column of its own.
const IN_COLUMNS: [&str; 7] = ["id", "root_id", "app_id", "script", "outcome", "started_at", "trigger"];

/// The JSON of `execution` for the column `body`.
pub(super) fn body(execution: &Execution) -> JobResult<String> {
    let mut fields = serde_json::to_value(execution)?;
    if let Some(fields) = fields.as_object_mut() {
        for name in IN_COLUMNS {
            fields.remove(name);
        }
        drop_empty(fields);
    }
    Ok(fields.to_string())
}

/// Reads the [`COLUMNS`] of a row.
pub(super) fn read(row: &Row<'_>) -> JobResult<Execution> {
    let id = ExecutionId(Uuid::from_bytes(row.get(0)?));
    let root_id = row.get::<_, Option<[u8; 16]>>(1)?.map_or(id, |root| ExecutionId(Uuid::from_bytes(root)));
    let mut fields: Map<String, Value> =
        serde_json::from_str(row.get_ref(7)?.as_str().map_err(rusqlite::Error::from)?)?;
    for (name, value) in [
        ("id", id.to_string().into()),
        ("root_id", root_id.to_string().into()),
        ("app_id", row.get::<_, i64>(2)?.into()),
        ("script", row.get::<_, String>(3)?.into()),
        ("outcome", row.get::<_, String>(4)?.into()),
        ("started_at", rfc3339(row.get(5)?).into()),
        ("trigger", row.get::<_, Option<String>>(6)?.unwrap_or_default().into()),
    ] {
        fields.insert(name.to_owned(), value);
    }
    Ok(serde_json::from_value(Value::Object(fields))?)
}

/// Removes what reading puts back by itself.
fn drop_empty(fields: &mut Map<String, Value>) {
    fields.retain(|_name, value| match value {
        Value::Null => false,
        Value::Number(number) => number.as_u64() != Some(0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => {
            drop_empty(fields);
            !fields.is_empty()
        }
        Value::Bool(_) => true,
    });
}
