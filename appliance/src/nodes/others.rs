//! Other appliances on the same database: what they change is read again here, and told to the worker and to nodes.

use crate::appliance::Appliance;
use picloud_model::ids::AppId;
use picloud_store::StoreError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Follows what other appliances change, for ever; on SQLite there are none, and it sleeps.
pub(crate) async fn run(appliance: Arc<Appliance>) {
    let mut signal = appliance.store.others_signal();
    let mut known = match appliance.store.revisions().await {
        Ok(revisions) => revisions.into_iter().collect(),
        Err(error) => {
            tracing::warn!(%error, "the apps' revisions could not be read: they are read again with the first change");
            BTreeMap::new()
        }
    };
    say_here(&appliance).await;
    while signal.changed().await.is_ok() {
        signal.mark_unchanged();
        if let Err(error) = read_again(&appliance, &mut known).await {
            tracing::warn!(%error, "what another appliance changed could not be read; it is with the next change");
        }
    }
}

/// Says that this appliance is there, and where nodes reach it.
async fn say_here(appliance: &Appliance) {
    let Some(addr) = appliance.https().map(crate::admin::Https::reached_at) else { return };
    if let Err(error) = appliance.store.say_here(&appliance.node, &addr).await {
        tracing::warn!(%error, "other appliances could not be told of this one");
    }
    appliance.cluster.read_others().await;
}

async fn read_again(appliance: &Arc<Appliance>, known: &mut BTreeMap<AppId, i64>) -> Result<(), StoreError> {
    appliance.cluster.reload().await?;
    appliance.cluster.read_others().await;
    appliance.keys_changed().await?;
    let now: BTreeMap<AppId, i64> = appliance.store.revisions().await?.into_iter().collect();
    let gone = known.keys().filter(|app| !now.contains_key(app));
    let changed = now.iter().filter(|(app, revision)| known.get(app) != Some(revision)).map(|(app, _revision)| app);
    let all: Vec<AppId> = gone.chain(changed).copied().collect();
    for app in all {
        appliance.registry.publish(app).await?;
    }
    // A secret's change is no revision of its app.
    for app in now.keys() {
        appliance.vault.changed_elsewhere(*app).await;
    }
    *known = now;
    Ok(())
}
