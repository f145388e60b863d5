//! What a worker counted.

use crate::ids::{AppId, KeyId};
use crate::problem::Code;
use serde::{Deserialize, Serialize};

/// How many runs there are in one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsNow {
    /// Runs under way.
    pub in_flight: u64,
    /// Requests that wait for one of them to end.
    pub waiting: u64,
}

/// Bounds of the duration buckets in microseconds; the last bucket has none. The usual ones of Prometheus, with two
/// more below a millisecond, where most scripts are.
pub const DURATION_BUCKETS_US: [u64; 12] =
    [100, 500, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 30_000_000];

/// What a worker counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Runs, by script.
    pub scripts: Vec<ScriptCounts>,
    /// Requests answered without a run, by status (`404` → 3, …): files, no route, refused, overloaded.
    pub statuses: Vec<(u16, u64)>,
    /// Keys that were shown and let in.
    pub keys_used: Vec<KeyId>,
    /// Who was not let in; equal ones are one.
    pub refusals: Vec<Refusal>,
    /// The last of those that were too many to be told apart, of keys and of strangers: `times` is how many they were.
    pub other_refusals: Vec<Refusal>,
}

/// Somebody asked for what needs a key and was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The key's name, where it is one that is known and holds.
    pub key: Option<String>,
    /// The client's address.
    pub from: String,
    /// The app's name.
    pub app: String,
    /// The route's path.
    pub route: String,
    /// Why.
    pub code: Code,
    /// Why, as a sentence.
    pub detail: String,
    /// How often it came.
    pub times: u64,
}

/// The runs of one script since the last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptCounts {
    /// The app.
    pub app: AppId,
    /// The script.
    pub script: String,
    /// Runs that went well.
    pub ok: u64,
    /// Runs that failed.
    pub failed: u64,
    /// All their durations, in microseconds.
    pub duration_us: u64,
    /// Runs by duration: one number per bound of [`DURATION_BUCKETS_US`] and one above; not cumulative.
    pub buckets: Vec<u64>,
    /// Most memory one of them held, in bytes.
    pub memory_bytes_max: u64,
}
