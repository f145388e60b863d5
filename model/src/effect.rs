//! What a dry run would have done.

use serde::{Deserialize, Serialize};

/// One thing a run would have done to the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Effect {
    /// The function: `kv.set`, `pubsub::publish`, `files.create`, `http::request`, `timer::after`.
    pub what: String,
    /// What it was about: `widgets/a`, a topic, `POST https://…`.
    pub target: String,
    /// The value as text, cut where it is long; empty for none.
    pub value: String,
}

/// Longest [`Effect::value`], in bytes.
pub const EFFECT_VALUE_BYTES_MAX: usize = 4 * 1024;
/// Most effects that are listed.
pub const EFFECTS_MAX: usize = 1_000;
