//! What the Nodes screen reads, and what makes it read anew: changes by people, and the stream of activity, which tells of
//! nodes that come and go by themselves.

use super::{Nodes, rows};
use crate::app::{Answered, Context, StreamEvent};
use crate::path::ApiPath;
use picloud_model::activity::{Activity, NeedKind, NodeGlance};
use picloud_model::node::Node;
use picloud_model::page::Page;

/// The nodes.
const NODES: &str = "nodes";
/// The stream that tells who is there.
pub(super) const ACTIVITY: &str = "activity";
/// Changes are waited for so long before they are read: many come at once.
const SOON: &str = "soon";
const SOON_MS: u64 = 150;
/// Nodes of a page.
const PAGE: u32 = 1_000;

/// Who is there and how, as far as the list would look otherwise: (id, state, since, step), ids of strangers, counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Glance {
    nodes: Vec<(String, &'static str, Option<i64>, Option<bool>)>,
    strangers: Vec<String>,
    counts: Vec<u64>,
}

impl Glance {
    fn of(activity: &Activity) -> Self {
        let one = |node: &NodeGlance| (node.id.to_string(), node.state.as_str(), node.since, node.in_step);
        let waiting = activity.needs.iter().filter(|need| need.kind == NeedKind::NodeWaiting);
        Self {
            nodes: activity.nodes.iter().map(one).collect(),
            strangers: waiting.map(|need| need.target.clone()).collect(),
            counts: activity.nodes_by_state.values().copied().collect(),
        }
    }
}

impl Nodes {
    /// Reads all of them; what is shown stays meanwhile.
    pub(super) fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        self.pages.clear();
        cx.load(NODES, ApiPath::new(&["nodes"]).query("limit", Some(PAGE)));
    }

    /// Reads them in a moment, unless that is to be done already.
    pub(super) fn load_soon(&mut self, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.is_soon, true) {
            cx.later(SOON, SOON_MS);
        }
    }

    /// A page of nodes came.
    pub(super) fn came(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some(page) = self.state.take::<Page<Node>>(cx.now, answered) else { return };
        self.pages.extend(page.items);
        if let Some(cursor) = page.cursor {
            self.state.begin();
            return cx.load(NODES, ApiPath::new(&["nodes"]).query("limit", Some(PAGE)).query("cursor", Some(cursor)));
        }
        self.nodes = std::mem::take(&mut self.pages);
        self.nodes.sort_by(|a, b| rows::place(a).cmp(&rows::place(b)));
        self.show(cx);
        self.find_wanted(cx);
    }

    fn show(&mut self, cx: &Context<'_>) {
        let (now, zone) = (cx.now.unix_ms, &cx.facts.zone);
        self.list.set(self.nodes.iter().map(|node| rows::row(node, now, zone)).collect());
    }

    /// Puts the cursor on the node that was gone to: by its id, or by its name.
    pub(super) fn find_wanted(&mut self, cx: &mut Context<'_>) {
        let Some(wanted) = &self.wanted else { return };
        let found = self.nodes.iter().find(|node| node.id.as_str() == wanted || node.name == *wanted);
        if let Some(id) = found.map(|node| node.id.to_string()) {
            self.list.select(&id);
            self.wanted = None;
        } else if !self.state.is_loading() {
            cx.say(format!("node {wanted} is not there (any more)"));
            self.wanted = None;
        }
    }

    /// How everything is now: who came or went is read anew; how much each runs stands in the stream itself.
    pub(super) fn activity(&mut self, events: &[StreamEvent], cx: &mut Context<'_>) {
        let newest = events.iter().rev().find(|event| event.name == "activity");
        let Some(Ok(activity)) = newest.map(|event| serde_json::from_value::<Activity>(event.data.clone())) else {
            return;
        };
        let glance = Glance::of(&activity);
        // The first one is as new as what is read when the screen is entered.
        if self.glance.as_ref().is_some_and(|before| *before != glance) {
            self.load_soon(cx);
        }
        self.glance = Some(glance);
        let mut has_changed = false;
        for told in &activity.nodes {
            if let Some(node) = self.nodes.iter_mut().find(|node| node.id == told.id) {
                has_changed |= (node.running, node.places) != (told.running, told.places);
                (node.running, node.places) = (told.running, told.places);
            }
        }
        if has_changed {
            self.show(cx);
        }
    }
}
