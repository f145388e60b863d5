//! How nodes stand in the list.

use crate::theme::Ink;
use crate::widgets::list::{Cel, Column, Row, inked};
use crate::widgets::text;
use crate::words::labels_text;
use picloud_model::node::{Node, NodeKind, NodeState};

/// The columns.
pub(super) static COLUMNS: [Column; 9] = [
    Column::new("name", 15),
    Column::new("state", 9),
    Column::rest("labels").spare(4),
    Column::new("run", 5).right(),
    Column::new("rtt", 6).right().spare(2),
    Column::new("spool", 5).right().spare(6),
    Column::new("step", 7).spare(1),
    Column::new("version", 9).spare(5),
    Column::new("since", 11).spare(3),
];

/// Strangers first, then who is there by name, then who is no more.
pub(super) fn place(node: &Node) -> (u8, &str, &str) {
    let group = match node.state {
        NodeState::Waiting => 0,
        NodeState::Retired => 2,
        _ => 1,
    };
    (group, &node.name, node.id.as_str())
}

/// A node's row.
pub(super) fn row(node: &Node, now: i64, zone: &jiff::tz::TimeZone) -> Row {
    let or_dash = |text: Option<String>| Cel::from(text.unwrap_or_else(|| "-".to_owned()));
    let cells = vec![
        node.name.clone().into(),
        state(node.state),
        labels(node).into(),
        or_dash(node.places.map(|places| format!("{}/{places}", node.running))),
        or_dash(node.round_trip_ms.map(|ms| format!("{ms} ms"))),
        match node.spooled {
            Some(0) => "0".into(),
            Some(waiting) => inked(Ink::Warn, waiting.to_string()),
            None => "-".into(),
        },
        match node.in_step {
            Some(true) => "in step".into(),
            Some(false) => inked(Ink::Warn, "behind"),
            None => "-".into(),
        },
        or_dash(node.version.clone()),
        or_dash(node.since.map(|since| text::moment(now, since, zone))),
    ];
    Row::new(node.id.as_str(), cells)
}

/// The state in a word; what asks for a person has a `!`.
fn state(state: NodeState) -> Cel {
    let word = state.as_str();
    match state {
        NodeState::Waiting => inked(Ink::Warn, format!("! {word}")),
        NodeState::Lost => inked(Ink::Bad, format!("! {word}")),
        NodeState::Away => inked(Ink::Bad, word),
        NodeState::Slow | NodeState::Draining => inked(Ink::Warn, word),
        NodeState::Up => inked(Ink::Good, word),
        NodeState::Retired => inked(Ink::Faint, word),
    }
}

/// What a person labelled it with, else what it is.
fn labels(node: &Node) -> String {
    if !node.labels.is_empty() {
        return labels_text(&node.labels);
    }
    match (node.facts.get("model"), node.kind) {
        (Some(model), _) => model.clone(),
        (None, NodeKind::Appliance) => "appliance".to_owned(),
        (None, NodeKind::Node) => node.facts.get("arch").cloned().unwrap_or_default(),
    }
}
