//! Refusals that every backend says in the same words.

use crate::StoreError;
use picloud_model::route::RouteSpec;

/// Something stands in the way.
pub(crate) fn conflict(message: impl Into<String>, in_the_way: Vec<String>) -> StoreError {
    StoreError::Conflict { message: message.into(), in_the_way }
}

/// Refuses where the thing is not at the version the caller expects.
pub(crate) fn expect_version(expected: Option<i64>, actual: i64) -> Result<(), StoreError> {
    match expected {
        Some(expected) if expected != actual => Err(StoreError::Stale { expected, actual }),
        _ => Ok(()),
    }
}

/// The app's name is another's.
pub(crate) fn name_taken(name: &str) -> StoreError {
    conflict(format!("an app named `{name}` exists"), vec![format!("app `{name}`")])
}

/// The route leads to no endpoint.
pub(crate) fn no_endpoint(spec: &RouteSpec) -> StoreError {
    let message = format!("route {} leads to `{}`, which is no endpoint of the app", spec.title(), spec.script);
    conflict(message, vec![format!("route {}", spec.title())])
}

/// Two routes answer the same.
pub(crate) fn route_twice(spec: &RouteSpec) -> StoreError {
    let title = format!("route {}", spec.title());
    conflict(format!("{title} stands twice in the app"), vec![title])
}

/// Two scripts have one name.
pub(crate) fn script_twice(name: &str) -> StoreError {
    let message = format!("`{name}` stands twice: endpoints and modules share their names");
    conflict(message, vec![name.to_owned()])
}

/// A script imports modules that are not there.
pub(crate) fn missing_modules(script: &str, missing: Vec<String>) -> StoreError {
    conflict(format!("`{script}` imports what the app does not have: {}", missing.join(", ")), missing)
}
