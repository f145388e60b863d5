//! The things of Home that can be selected: what needs a person, the first steps, the machines, the newest runs.

use super::goal::{self, Goal};
use crate::app::{Place, ScreenId};
use picloud_model::activity::{Activity, Need, NeedKind, NodeGlance, RunGlance};
use picloud_model::node::NodeKind;

/// Machines that are shown one by one.
const NODES_MAX: usize = 6;

/// Which part of the screen a thing is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// What needs a person, and what to do next.
    Needs,
    /// The machines.
    Nodes,
    /// The newest runs.
    Runs,
}

/// A thing that can be selected.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// What it is selected by.
    pub(super) id: String,
    /// Where Enter leads.
    pub(super) goal: Goal,
    /// Where it stands.
    pub(super) section: Section,
    /// What it is.
    pub(super) what: What,
}

/// What a line shows.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// What needs a person.
    Need(Need),
    /// A machine.
    Node(NodeGlance),
    /// A run.
    Run(RunGlance),
    /// What to do next, and how; or what is left out.
    Words(String, String),
}

impl Item {
    fn words(section: Section, name: &str, text: impl Into<String>, goal: Goal) -> Self {
        Self { id: format!("words/{name}"), goal, section, what: What::Words(name.to_owned(), text.into()) }
    }

    /// Whether it has this text, in lower case.
    pub(super) fn has(&self, needle: &str) -> bool {
        let text = match &self.what {
            What::Need(need) => format!("{} {}", about(need), need.text),
            What::Node(node) => format!("{} {}", node.name, node.state.as_str()),
            What::Run(run) => {
                let error = run.error.as_deref().unwrap_or_default();
                format!("{} {} {} {} {} {error}", run.app, run.script, run.cause, run.node, run.outcome.as_str())
            }
            What::Words(name, text) => format!("{name} {text}"),
        };
        text.to_lowercase().contains(needle)
    }
}

/// All things in their order.
pub(super) fn all(activity: &Activity, runs: &[RunGlance], needs_max: usize) -> Vec<Item> {
    let mut items = Vec::new();
    let shown = if activity.needs.len() > needs_max { needs_max.saturating_sub(1) } else { activity.needs.len() };
    for need in &activity.needs[..shown] {
        items.push(Item {
            id: format!("need/{}/{}/{}", need.kind.as_str(), need.app.as_deref().unwrap_or_default(), need.target),
            goal: goal::of_need(need, activity),
            section: Section::Needs,
            what: What::Need(need.clone()),
        });
    }
    if shown < activity.needs.len() {
        let name = format!("{} more", activity.needs.len() - shown);
        items.push(Item::words(Section::Needs, &name, "Enter shows all", Goal::AllNeeds));
    }
    items.extend(steps(activity));
    let all = usize::try_from(activity.nodes_by_state.values().sum::<u64>()).unwrap_or(usize::MAX);
    let nodes_max = if all > NODES_MAX { NODES_MAX - 1 } else { NODES_MAX };
    for node in activity.nodes.iter().take(nodes_max) {
        let (id, goal) = (format!("node/{}", node.id), goal::of_node(node));
        items.push(Item { id, goal, section: Section::Nodes, what: What::Node(node.clone()) });
    }
    let more = all.saturating_sub(activity.nodes.len().min(nodes_max));
    if more > 0 {
        let goal = Goal::Place(Place::of(ScreenId::Nodes));
        items.push(Item::words(Section::Nodes, &format!("{more} more"), "", goal));
    }
    items.extend(runs.iter().map(|run| Item {
        id: format!("run/{}", run.id),
        goal: goal::of_run(run),
        section: Section::Runs,
        what: What::Run(run.clone()),
    }));
    items
}

/// The first minute: what to do next, with its keys.
fn steps(activity: &Activity) -> Vec<Item> {
    let mut steps = Vec::new();
    let mut step = |name: &str, how: &str, screen| {
        steps.push(Item::words(Section::Needs, name, how, Goal::Place(Place::of(screen))));
    };
    if activity.apps == 0 {
        step("make an app", "Enter or 3, then n", ScreenId::Apps);
    } else if activity.scripts == 0 {
        step("write a script", "Enter or 4, then n", ScreenId::Scripts);
    }
    let has_waiting = activity.needs.iter().any(|need| need.kind == NeedKind::NodeWaiting);
    let is_alone = activity.nodes.iter().all(|node| node.kind == NodeKind::Appliance);
    if is_alone && (activity.apps == 0 || activity.scripts == 0) {
        let how = if has_waiting { "one waits: Enter or 2, then A" } else { "picloud-node run there, then 2, A" };
        step("add a machine", how, ScreenId::Nodes);
    }
    steps
}

/// The first thing of the section after or before the one at `at`.
pub(super) fn next_section(items: &[Item], at: usize, forward: bool) -> usize {
    let starts: Vec<usize> =
        (0..items.len()).filter(|at| *at == 0 || items[*at].section != items[*at - 1].section).collect();
    let here = starts.iter().rposition(|start| *start <= at).unwrap_or(0);
    let step = if forward { 1 } else { starts.len().saturating_sub(1) };
    starts.get((here + step) % starts.len().max(1)).copied().unwrap_or(0)
}

/// `kitchen/on-job`; what it is about.
pub(super) fn about(need: &Need) -> String {
    match (&need.app, need.kind) {
        (Some(app), _) if need.target.is_empty() => app.clone(),
        (Some(app), _) => format!("{app}/{}", need.target),
        (None, NeedKind::StoreFull) => "the disk".to_owned(),
        (None, NeedKind::HistoryDamaged) => "the history".to_owned(),
        (None, NeedKind::BackupFailed | NeedKind::BackupOld) => "the backup".to_owned(),
        // The text begins with the machine's name.
        (None, _) => need.text.split(' ').next().unwrap_or_default().to_owned(),
    }
}

/// What a need says beside what it is about.
pub(super) fn said(need: &Need) -> &str {
    let about = about(need);
    need.text.strip_prefix(about.as_str()).map_or(need.text.as_str(), str::trim_start)
}
