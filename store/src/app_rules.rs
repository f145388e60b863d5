//! What both backends make of an app as a whole: what a deploy and a patch leave of it, and what the audit log shows.

use crate::audit_shown::{app_change_shown, app_shown, with_message};
use crate::parts::PartsChanged;
use crate::refusals::name_taken;
use crate::{DeployWrite, StoreError};
use picloud_model::app::{App, AppPatch, NewApp};
use picloud_model::audit::Act;
use picloud_model::clock::UnixMs;
use picloud_model::ids::AppId;
use serde_json::{Value, json};

/// The app that was made, at revision 1.
pub(crate) fn made(id: AppId, app: &NewApp, at: UnixMs) -> App {
    App {
        id,
        name: app.name.clone(),
        hosts: app.hosts.clone(),
        env: app.env.clone(),
        limits: app.limits.clone(),
        http: app.http.clone(),
        placement: app.placement.clone(),
        revision: 1,
        created_at: at,
        updated_at: at,
    }
}

/// The app with what the patch says; its revision is not counted up yet.
pub(crate) fn patched(before: &App, patch: &AppPatch) -> App {
    let patch = patch.clone();
    App {
        hosts: patch.hosts.unwrap_or_else(|| before.hosts.clone()),
        env: patch.env.unwrap_or_else(|| before.env.clone()),
        limits: patch.limits.unwrap_or_else(|| before.limits.clone()),
        http: patch.http.unwrap_or_else(|| before.http.clone()),
        placement: patch.placement.unwrap_or_else(|| before.placement.clone()),
        ..before.clone()
    }
}

/// An app that is deployed, as it was and is; its parts may still change.
pub(crate) struct PutApp {
    pub(crate) before: Option<App>,
    pub(crate) app: App,
    /// Whether it is new or other than before, and its revision counted up.
    pub(crate) changed: bool,
}

/// The app that was found as it is, and as the deploy wants it; `None` where the deploy makes a new one. Refuses where
/// that is not what whoever deploys expects.
pub(crate) fn found_and_wanted(found: Option<App>, deploy: &DeployWrite) -> Result<Option<(App, App)>, StoreError> {
    let wanted = &deploy.app;
    match (found, deploy.expected) {
        (None, None) => Ok(None),
        (None, Some(expected)) => Err(StoreError::Stale { expected, actual: 0 }),
        (Some(_app), None) => Err(name_taken(&wanted.name)),
        (Some(app), Some(expected)) if app.revision != expected => {
            Err(StoreError::Stale { expected, actual: app.revision })
        }
        (Some(before), Some(_expected)) => {
            let mut app = before.clone();
            app.hosts.clone_from(&wanted.hosts);
            app.env.clone_from(&wanted.env);
            app.limits.clone_from(&wanted.limits);
            app.http.clone_from(&wanted.http);
            app.placement.clone_from(&wanted.placement);
            Ok(Some((before, app)))
        }
    }
}

/// What a deploy changed, before and after; of the app itself only where that changed.
pub(crate) fn deploy_shown(
    before: Option<&App>,
    after: &App,
    app_changed: bool,
    changed: &PartsChanged,
    act: &Act,
) -> (Option<Value>, Value) {
    let revision = |app: &App| json!({ "revision": app.revision });
    let (before_shown, mut after_shown) = match before {
        Some(before) if app_changed => (Some(app_shown(before)), app_change_shown(before, after)),
        Some(before) => (Some(revision(before)), revision(after)),
        None => (None, app_shown(after)),
    };
    if let Some(fields) = after_shown.as_object_mut() {
        fields.append(&mut changed.shown());
    }
    (before_shown, with_message(after_shown, act))
}
