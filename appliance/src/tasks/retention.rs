//! Drops executions and versions of scripts that are older than they are kept: at the start and once a day.

use picloud_model::clock::Clock;
use picloud_store::{Store, StoreError, VersionsKept};
use std::sync::Arc;
use std::time::Duration;

/// How often.
const PERIOD: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after the start, so that it takes nothing from the first answers.
const FIRST_AFTER: Duration = Duration::from_secs(30);

/// Executions dropped in one transaction.
const STEP_RUNS_MAX: u32 = 500;
/// Versions dropped in one transaction.
const STEP_VERSIONS_MAX: u32 = 200;

/// Drops for ever.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, kept: VersionsKept) {
    tokio::time::sleep(FIRST_AFTER).await;
    loop {
        match drop_executions(store.as_ref(), clock.as_ref()).await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(dropped, "executions older than they are kept were dropped"),
            Err(error) => tracing::warn!(%error, "old executions could not be dropped"),
        }
        match drop_versions(store.as_ref(), clock.as_ref(), &kept).await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(dropped, "versions of scripts that are not kept any longer were dropped"),
            Err(error) => tracing::warn!(%error, "old versions of scripts could not be dropped"),
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Drops what is older than it is kept, in steps so short that nobody waits behind one; answers how many runs.
async fn drop_executions(store: &dyn Store, clock: &dyn Clock) -> Result<u64, StoreError> {
    let mut dropped = 0;
    loop {
        let step = store.expire_executions(clock.now_ms(), STEP_RUNS_MAX).await?;
        if step == 0 {
            return Ok(dropped);
        }
        dropped += step;
        // Whoever waits to write comes first.
        tokio::task::yield_now().await;
    }
}

/// Drops what `kept` does not keep, in steps so short that nobody waits behind one; answers how many versions.
async fn drop_versions(store: &dyn Store, clock: &dyn Clock, kept: &VersionsKept) -> Result<u64, StoreError> {
    let mut dropped = 0;
    loop {
        let step = store.prune_versions(kept, clock.now_ms(), STEP_VERSIONS_MAX).await?;
        // Not just fewer than a step: a dropped version may have been the last that needed another.
        if step == 0 {
            return Ok(dropped);
        }
        dropped += step;
        // Whoever waits to write comes first.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::app::NewApp;
    use picloud_model::audit::Act;
    use picloud_model::clock::ManualClock;
    use picloud_model::ids::AppId;
    use picloud_model::page::PageRequest;
    use picloud_model::script::ScriptKind;
    use picloud_store::{OpenSettings, ScriptWrite};

    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

    async fn save(store: &dyn Store, clock: &ManualClock, app: AppId, name: &str, number: i64) {
        let is_module = name == "units";
        let write = ScriptWrite {
            name: name.to_owned(),
            kind: if is_module { ScriptKind::Module } else { ScriptKind::Endpoint },
            source: format!("// {number}"),
            imports: if is_module { Vec::new() } else { vec!["units".to_owned()] },
        };
        let act = Act::of_appliance("pi", clock.now_ms());
        store.save_script(app, &write, None, &act).await.unwrap();
    }

    async fn versions(store: &dyn Store, app: AppId, name: &str) -> Vec<i64> {
        let (script, _live) = store.script(app, name).await.unwrap().unwrap();
        let page = store.versions(script.id, &PageRequest::default()).await.unwrap();
        page.items.iter().map(|version| version.version).collect()
    }

    #[tokio::test]
    async fn old_versions_go_but_never_what_is_live_or_what_a_kept_version_needs() {
        let data = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(1_800_000_000_000));
        let store = picloud_store::open(OpenSettings::new(data.path()), clock.clone()).await.unwrap();
        let (store, act) = (store.as_ref(), Act::of_appliance("pi", clock.now_ms()));
        let app = store.create_app(&NewApp { name: "kitchen".to_owned(), ..NewApp::default() }, &act).await.unwrap().id;
        for number in 1..=6 {
            save(store, &clock, app, "units", number).await;
            // The endpoint stands still after its third version, and so needs the third of the module.
            if number <= 3 {
                save(store, &clock, app, "hello", number).await;
            }
            clock.advance(DAY_MS);
        }
        let kept = VersionsKept { newest_min: 1, newest_max: 100, age_ms_max: 100 * DAY_MS };
        assert_eq!(drop_versions(store, clock.as_ref(), &kept).await.unwrap(), 0, "they are young");
        let kept = VersionsKept { age_ms_max: DAY_MS / 2, ..kept };
        assert_eq!(drop_versions(store, clock.as_ref(), &kept).await.unwrap(), 6);
        assert_eq!(versions(store, app, "hello").await, [3]);
        assert_eq!(versions(store, app, "units").await, [6, 3]);
        assert_eq!(drop_versions(store, clock.as_ref(), &kept).await.unwrap(), 0, "a second time changes nothing");
    }
}
