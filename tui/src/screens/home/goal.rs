//! Where Enter leads from a line of Home.

use crate::app::{Place, ScreenId};
use picloud_model::activity::{Activity, Need, NeedKind, NodeGlance, RunGlance};

/// Where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To a thing elsewhere.
    Place(Place),
    /// To the rest of what needs a person.
    AllNeeds,
}

/// To what needs a person, where it can be done something about.
pub(super) fn of_need(need: &Need, activity: &Activity) -> Goal {
    let of_app = |screen| {
        let place = Place::of(screen).app(need.app.clone().unwrap_or_default());
        if need.target.is_empty() { place } else { place.thing(&need.target) }
    };
    Goal::Place(match need.kind {
        NeedKind::NodeWaiting | NeedKind::NodeLost | NeedKind::NodeAway | NeedKind::CertificateEnding => {
            let named = activity.nodes.iter().find(|node| node.id.as_str() == need.target);
            Place::of(ScreenId::Nodes).thing(named.map_or(&need.target, |node| &node.name))
        }
        NeedKind::Quarantined | NeedKind::Failing => of_app(ScreenId::Scripts),
        NeedKind::TriggerPaused | NeedKind::DeadLetters => of_app(ScreenId::Triggers),
        NeedKind::StoreFull | NeedKind::HistoryDamaged | NeedKind::BackupFailed | NeedKind::BackupOld => {
            Place::of(ScreenId::Settings).thing("backups")
        }
    })
}

/// To a machine.
pub(super) fn of_node(node: &NodeGlance) -> Goal {
    Goal::Place(Place::of(ScreenId::Nodes).thing(&node.name))
}

/// To a run.
pub(super) fn of_run(run: &RunGlance) -> Goal {
    Goal::Place(Place::of(ScreenId::Runs).app(&run.app).thing(run.id.to_string()))
}
