//! What a run's row holds: what it is found by in columns, the rest as JSON without what is empty. A device that runs a
//! script at every change keeps many of these; in full they would be twice as long.

use picloud_model::clock::{UnixMs, rfc3339};
use picloud_model::execution::{Execution, Outcome};
use picloud_model::ids::ExecutionId;
use serde_json::{Map, Value};
use uuid::Uuid;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long a run that went well is kept.
pub(crate) const KEPT_OK_MS: i64 = 14 * DAY_MS;
/// How long a run that failed is kept.
pub(crate) const KEPT_FAILED_MS: i64 = 30 * DAY_MS;
/// Every way a run can end: indexes hold the runs of one after those of another, and the first are dropped first.
pub(crate) const OUTCOMES: [Outcome; 3] = [Outcome::Ok, Outcome::Failed, Outcome::WorkerLost];

/// What stands in a column of its own.
const IN_COLUMNS: [&str; 7] = ["id", "root_id", "app_id", "script", "outcome", "started_at", "trigger"];

/// The columns of a row, `body` as JSON.
pub(crate) struct Stored<'a> {
    pub(crate) id: [u8; 16],
    /// Where it is another run than this one.
    pub(crate) root_id: Option<[u8; 16]>,
    pub(crate) app_id: i64,
    pub(crate) script: String,
    pub(crate) outcome: String,
    pub(crate) started_at: UnixMs,
    pub(crate) trigger_name: Option<String>,
    pub(crate) body: &'a str,
}

/// The JSON of `execution` for the column `body`.
pub(crate) fn body(execution: &Execution) -> serde_json::Result<String> {
    let mut fields = serde_json::to_value(execution)?;
    if let Some(fields) = fields.as_object_mut() {
        for name in IN_COLUMNS {
            fields.remove(name);
        }
        drop_empty(fields);
    }
    Ok(fields.to_string())
}

/// For the column `root_id`.
pub(crate) fn root_of(execution: &Execution) -> Option<[u8; 16]> {
    Some(execution.root_id).filter(|root| *root != execution.id).map(|root| root.0.into_bytes())
}

/// For the column `trigger_name`.
pub(crate) fn trigger_of(execution: &Execution) -> Option<&str> {
    Some(execution.trigger.as_str()).filter(|name| !name.is_empty())
}

/// The run of a row.
pub(crate) fn read(stored: Stored<'_>) -> serde_json::Result<Execution> {
    let id = ExecutionId(Uuid::from_bytes(stored.id));
    let root_id = stored.root_id.map_or(id, |root| ExecutionId(Uuid::from_bytes(root)));
    let mut fields: Map<String, Value> = serde_json::from_str(stored.body)?;
    for (name, value) in [
        ("id", id.to_string().into()),
        ("root_id", root_id.to_string().into()),
        ("app_id", stored.app_id.into()),
        ("script", stored.script.into()),
        ("outcome", stored.outcome.into()),
        ("started_at", rfc3339(stored.started_at).into()),
        ("trigger", stored.trigger_name.unwrap_or_default().into()),
    ] {
        let value: Value = value;
        fields.insert(name.to_owned(), value);
    }
    serde_json::from_value(Value::Object(fields))
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
