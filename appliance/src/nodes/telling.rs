//! Says to a node what is in its feed: always the newest there is, in an order in which nothing is missed.

use super::hub::{Attached, Due, End};
use crate::appliance::Appliance;
use axum::body::Bytes;
use picloud_cluster::frames::encode;
use picloud_model::ids::AppId;
use picloud_model::placement::Labels;
use picloud_model::protocol::node::{SecretEntry, ToNode};
use picloud_model::protocol::{AppSnapshot, Snapshot};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Tells the node all there is to tell, until its connection is to end or it does not listen any more.
pub(super) async fn tell(appliance: &Arc<Appliance>, node: &Attached, sender: mpsc::Sender<Bytes>) -> End {
    let mut said = Said { appliance, node, sender, revision: 0, known: BTreeSet::new(), with_secrets: BTreeSet::new() };
    loop {
        let due = node.feed.next().await;
        let end = due.end;
        if said.all(due).await.is_err() {
            // Whoever reads from it learns why.
            std::future::pending::<()>().await;
        }
        if let Some(end) = end {
            return end;
        }
    }
}

/// The node does not listen any more.
struct Deaf;

/// What it was told so far.
struct Said<'a> {
    appliance: &'a Arc<Appliance>,
    node: &'a Attached,
    sender: mpsc::Sender<Bytes>,
    revision: u64,
    /// The apps that it has.
    known: BTreeSet<AppId>,
    /// The apps whose secrets it has.
    with_secrets: BTreeSet<AppId>,
}

impl Said<'_> {
    async fn all(&mut self, due: Due) -> Result<(), Deaf> {
        if let Some(number) = due.beat {
            self.say(&ToNode::Beat { number }).await?;
        }
        if due.end == Some(End::Retired) {
            return self.say(&ToNode::Retired).await;
        }
        if due.end.is_some() {
            return Ok(());
        }
        if due.welcome {
            self.welcome().await?;
        }
        if !due.taken.is_empty() {
            self.say(&ToNode::Taken(due.taken)).await?;
        }
        if let Some(batch) = due.taken_executions {
            self.say(&ToNode::TakenExecutions { batch }).await?;
        }
        if let Some(draining) = due.drain {
            self.say(&ToNode::Drain(draining)).await?;
        }
        // Read first: what changes while the rest is read is in the feed again.
        let revision = self.appliance.cluster.hub.revision();
        let labels = self.appliance.cluster.hub.labels(&self.node.id);
        if due.everything {
            self.everything(revision, &labels).await?;
        } else {
            self.changes(due.apps, due.keys, revision, &labels).await?;
            for app in due.secrets {
                self.secrets(app, &labels).await?;
            }
        }
        if due.runs.is_empty() { Ok(()) } else { self.say(&ToNode::Run(due.runs)).await }
    }

    async fn welcome(&mut self) -> Result<(), Deaf> {
        let cluster = &self.appliance.cluster;
        let Some(record) = cluster.record(&self.node.id) else { return Ok(()) };
        let welcome = ToNode::Welcome {
            appliance: self.appliance.node.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: record.name.clone(),
            others: cluster.other_addresses(),
        };
        self.say(&welcome).await
    }

    async fn everything(&mut self, revision: u64, labels: &Labels) -> Result<(), Deaf> {
        let apps: Vec<Arc<AppSnapshot>> =
            self.appliance.registry.all().iter().map(|app| app.placed_on(labels)).collect();
        self.known = apps.iter().map(|app| app.id).collect();
        self.revision = revision;
        // Before the apps: a script must not run without the secrets that it was granted.
        let before: BTreeSet<AppId> = self.known.union(&self.with_secrets).copied().collect();
        for app in before {
            self.secrets(app, labels).await?;
        }
        let keys = self.appliance.keys.for_workers();
        self.say(&ToNode::Snapshot(Snapshot { revision, apps, keys })).await
    }

    /// Of several frames only the last has the new revision, so that whoever is there answers from all of it.
    async fn changes(&mut self, apps: BTreeSet<AppId>, keys: bool, revision: u64, labels: &Labels) -> Result<(), Deaf> {
        let before = self.revision;
        let last = apps.last().copied();
        for app in apps {
            let revision = if !keys && Some(app) == last { revision } else { before };
            if let Some(snapshot) = self.appliance.registry.app(app) {
                self.known.insert(app);
                self.secrets(app, labels).await?;
                self.say(&ToNode::AppChanged { revision, app: snapshot.placed_on(labels) }).await?;
            } else {
                self.known.remove(&app);
                self.say(&ToNode::AppRemoved { revision, app }).await?;
                self.secrets(app, labels).await?;
            }
        }
        if keys {
            self.say(&ToNode::Keys { revision, keys: self.appliance.keys.for_workers() }).await?;
        }
        if keys || last.is_some() {
            self.revision = revision;
        }
        Ok(())
    }

    /// The app's secrets, as far as a script that may run there is granted them.
    async fn secrets(&mut self, app: AppId, labels: &Labels) -> Result<(), Deaf> {
        let snapshot = self.appliance.registry.app(app).map(|snapshot| snapshot.placed_on(labels));
        let secrets = match &snapshot {
            None => Vec::new(),
            Some(snapshot) => match self.appliance.vault.all(app).await {
                Ok(all) => all.into_iter().filter(|secret| may_read(snapshot, secret)).collect(),
                Err(error) => {
                    tracing::warn!(app = %snapshot.name, node = %self.node.id, %error, "a node is not told an app's secrets");
                    return Ok(());
                }
            },
        };
        if secrets.is_empty() && !self.with_secrets.remove(&app) {
            return Ok(());
        }
        if !secrets.is_empty() {
            self.with_secrets.insert(app);
        }
        self.say(&ToNode::Secrets { app, secrets }).await
    }

    async fn say(&mut self, frame: &ToNode) -> Result<(), Deaf> {
        let bytes = match encode(frame) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(node = %self.node.id, %error, "what a node is to be told cannot be said");
                return Ok(());
            }
        };
        self.sender.send(bytes).await.map_err(|_hung_up| Deaf)
    }
}

/// Whether a script that may run there reads the secret.
fn may_read(app: &AppSnapshot, secret: &SecretEntry) -> bool {
    let runs_here = |name: &str| app.script(name).is_some_and(|script| !script.elsewhere);
    secret.scripts.iter().any(|script| match script.as_str() {
        "*" => app.scripts.iter().any(|script| !script.elsewhere),
        name => runs_here(name),
    })
}
