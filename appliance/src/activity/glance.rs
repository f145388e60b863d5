//! Everything at one moment: gathered once for all who look, and shown to each as far as they may see it.

use super::{Ears, Heard, Live, needs};
use crate::appliance::Appliance;
use picloud_model::activity::{ACTIVITY_NEEDS_MAX, ACTIVITY_NODES_MAX, ACTIVITY_RUNS_MAX, Activity, Need, NodeGlance};
use picloud_model::clock::UnixMs;
use picloud_model::node::{LOST_AFTER_MS, Node, NodeId, NodeState};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// Whoever looks is shown something new no more often.
const SHOWN_EVERY: Duration = Duration::from_secs(1);
/// While runs go on, what they may have left in the store is read again so often; some of it is told of by nobody.
const READ_EVERY: Duration = Duration::from_secs(5);
/// The store, its disk and its backups are read again after this in any case: a backup grows old by itself.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(60 * 60);
/// A node that waits is looked at again so often: it is forgotten where it asks no more.
const WAITING_EVERY_MS: i64 = 60_000;
/// What a node's times may differ by without being others: they are worked out from two clocks.
const SAME_MS: i64 = 2_000;

/// What is the same for everybody who looks.
pub(super) struct Known {
    heard: Heard,
    nodes: Vec<Node>,
    needs: Vec<Need>,
    /// When the store was read.
    read_at: Instant,
    /// How often something had run by then.
    read_ran: u64,
    /// When it has to be gathered anew though nothing tells of a change.
    due: Instant,
}

/// Somebody who looks.
pub(crate) struct Eye {
    ears: Ears,
    shown: Option<Activity>,
    /// When it was last looked, and when the time alone may change something.
    looked: Option<(Instant, Instant)>,
}

impl Eye {
    /// Nothing has been looked at yet.
    pub(crate) fn new(appliance: &Appliance) -> Self {
        let ears = Ears::new(&appliance.activity, &appliance.cluster, &appliance.registry, appliance.store.as_ref());
        Self { ears, shown: None, looked: None }
    }

    /// How everything is: at once the first time, and from then on when it is not as it was. What is of an app is shown
    /// where `sees` says so.
    pub(crate) async fn look(&mut self, appliance: &Appliance, sees: impl Fn(&str) -> bool) -> Activity {
        loop {
            if let Some((looked_at, due)) = self.looked {
                tokio::select! {
                    () = self.ears.hear() => {}
                    () = tokio::time::sleep_until(due) => {}
                }
                tokio::time::sleep_until(looked_at + SHOWN_EVERY).await;
            }
            let heard = self.ears.heard();
            let (activity, due) = appliance.activity.now(appliance, heard, &sees).await;
            self.looked = Some((Instant::now(), due));
            let is_new =
                self.shown.as_ref().is_none_or(|shown| Activity { at: shown.at, ..activity.clone() } != *shown);
            if is_new {
                self.shown = Some(activity.clone());
                return activity;
            }
        }
    }
}

impl Live {
    /// How everything is, and when time alone may change it.
    async fn now(&self, appliance: &Appliance, heard: Heard, sees: &impl Fn(&str) -> bool) -> (Activity, Instant) {
        self.fill(appliance.store.as_ref()).await;
        let mut known = self.0.known.lock().await;
        let is_fresh = known.as_ref().is_some_and(|known| known.heard == heard && known.due > Instant::now());
        if !is_fresh {
            *known = Some(gather(self, appliance, heard, known.take()).await);
        }
        let known = known.as_ref().expect("it was gathered just now");
        (self.shown(appliance, known, sees), known.due)
    }

    fn shown(&self, appliance: &Appliance, known: &Known, sees: &impl Fn(&str) -> bool) -> Activity {
        let now = appliance.clock.now_ms();
        let apps = appliance.registry.all();
        let seen = || apps.iter().filter(|app| sees(&app.name));
        let (hour, causes, recent) = {
            let noted = self.noted();
            let (hour, causes) = noted.hour.shown(now, sees);
            (hour, causes, noted.recent.newest(ACTIVITY_RUNS_MAX, sees))
        };
        let needs = known.needs.iter().filter(|need| need.app.as_ref().is_none_or(|app| sees(app)));
        let (nodes, nodes_by_state) = glances(&known.nodes);
        Activity {
            at: now,
            apps: seen().count() as u64,
            scripts: seen().map(|app| app.scripts.len() as u64).sum(),
            nodes,
            nodes_by_state,
            hour,
            causes,
            counted_since: self.0.since,
            recent,
            needs: needs.take(ACTIVITY_NEEDS_MAX).cloned().collect(),
        }
    }
}

/// Gathers what is the same for all; what was read from the store a moment ago holds where nothing says otherwise.
async fn gather(live: &Live, appliance: &Appliance, heard: Heard, before: Option<Known>) -> Known {
    let now = appliance.clock.now_ms();
    let mut nodes = appliance.cluster.nodes().await.unwrap_or_else(|error| {
        tracing::debug!(%error, "nodes could not be read for those who look");
        Vec::new()
    });
    if let Some(before) = &before {
        steady(&mut nodes, &before.nodes);
    }
    let reusable = before.filter(|before| {
        let told = |heard: &Heard| (heard.trouble, heard.apps, heard.audit);
        told(&before.heard) == told(&heard) && Instant::now() < next_read(before.read_at, before.read_ran != heard.ran)
    });
    let (mut needs, read_at, read_ran) = match reusable {
        Some(before) => {
            let of_store = before.needs.into_iter().filter(|need| !needs::is_of_memory(need.kind));
            (of_store.collect(), before.read_at, before.read_ran)
        }
        None => (needs::of_store(appliance).await, Instant::now(), heard.ran),
    };
    needs.extend(needs::of_nodes(&nodes, now));
    needs.extend(needs::of_scripts(live, &appliance.registry));
    needs.sort_by_key(|need: &Need| (need.kind, std::cmp::Reverse(need.at), need.app.clone(), need.target.clone()));
    let next_read = next_read(read_at, read_ran != heard.ran);
    let due = next_change(&nodes, now).map_or(next_read, |change| change.min(next_read));
    Known { heard, nodes, needs, read_at, read_ran, due }
}

/// When what was read then is to be read again: soon where something has run since.
fn next_read(read_at: Instant, something_ran: bool) -> Instant {
    read_at + if something_ran { READ_EVERY } else { READ_AGAIN_AFTER }
}

/// Times that are worked out anew stay what they were, unless they are others.
fn steady(nodes: &mut [Node], before: &[Node]) {
    let before: HashMap<&NodeId, &Node> = before.iter().map(|node| (&node.id, node)).collect();
    for node in nodes {
        let Some(before) = before.get(&node.id).filter(|before| before.state == node.state) else { continue };
        if let (Some(now), Some(then)) = (node.since, before.since)
            && (now - then).abs() < SAME_MS
        {
            node.since = before.since;
        }
    }
}

/// When time alone changes what is shown of nodes.
fn next_change(nodes: &[Node], now: UnixMs) -> Option<Instant> {
    let change = |node: &Node| match node.state {
        NodeState::Away => {
            let since = node.since?;
            [needs::AWAY_LONG_MS, LOST_AFTER_MS].into_iter().map(|after| since + after).find(|at| *at > now)
        }
        NodeState::Waiting => Some(now + WAITING_EVERY_MS),
        _ => None,
    };
    let at = nodes.iter().filter_map(change).min()?;
    let wait = Duration::from_millis(u64::try_from(at - now).unwrap_or(0));
    Some(Instant::now() + wait)
}

/// Machines that joined and were not removed, those first that are not well; and how many are in each state.
fn glances(nodes: &[Node]) -> (Vec<NodeGlance>, BTreeMap<NodeState, u64>) {
    let mut by_state = BTreeMap::new();
    let mut shown: Vec<&Node> =
        nodes.iter().filter(|node| !matches!(node.state, NodeState::Waiting | NodeState::Retired)).collect();
    for node in &shown {
        *by_state.entry(node.state).or_default() += 1;
    }
    let is_well = |node: &Node| node.state == NodeState::Up && node.in_step != Some(false);
    // They come by name, and stay so.
    shown.sort_by_key(|node| is_well(node));
    let glances = shown.into_iter().take(ACTIVITY_NODES_MAX).map(|node| NodeGlance {
        id: node.id.clone(),
        name: node.name.clone(),
        kind: node.kind,
        state: node.state,
        since: node.since,
        running: node.running,
        places: node.places,
        in_step: node.in_step,
    });
    (glances.collect(), by_state)
}
