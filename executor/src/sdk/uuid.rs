//! `uuid`: identifiers that nobody else makes.

use super::Namespace;
use crate::run_state::RunState;
use rhai::NativeCallContext;
use std::sync::{LazyLock, Mutex, PoisonError};
use uuid::{ContextV7, Timestamp, Uuid};

/// Keeps those of one millisecond in order.
static ORDER: LazyLock<Mutex<ContextV7>> = LazyLock::new(|| Mutex::new(ContextV7::new()));

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new("uuid", "Identifiers that nobody else makes, as 36 characters in lower case.")
        .example("let id = uuid::v7();\nid.len() == 36")
        .function("v4() -> string", "A random one.", || Uuid::new_v4().to_string())
        .function("v7() -> string", "One that sorts by the time it was made.", v7)
}

fn v7(context: NativeCallContext) -> String {
    let now_ms = RunState::of(&context).services.clock.now_ms().max(0).unsigned_abs();
    let nanos = u32::try_from(now_ms % 1000).unwrap_or(0) * 1_000_000;
    let order = ORDER.lock().unwrap_or_else(PoisonError::into_inner);
    Uuid::new_v7(Timestamp::from_unix(&*order, now_ms / 1000, nanos)).to_string()
}
