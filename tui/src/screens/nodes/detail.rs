//! All that is known of a node: below the list, and as a text.

use crate::theme::{Ink, Look};
use crate::widgets::reader::Reader;
use crate::widgets::text;
use crate::words::{fingerprint_groups, fingerprint_text, labels_text};
use picloud_model::clock::UnixMs;
use picloud_model::node::{Node, NodeKind, NodeState};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Columns of what stands before each line.
const LABEL_COLUMNS: usize = 12;
/// Groups of a whole fingerprint.
const GROUPS: usize = 16;

/// A line: what it means, and its text.
pub(super) type Line = (Ink, String);

/// The lines below the list.
pub(super) fn lines(node: &Node, now: UnixMs, zone: &jiff::tz::TimeZone) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |ink, label: &str, said: String| {
        if !said.is_empty() {
            lines.push((ink, format!("{label:LABEL_COLUMNS$}{said}")));
        }
    };
    if let Some(fingerprint) = &node.fingerprint {
        line(Ink::Plain, "fingerprint", fingerprint_text(fingerprint));
    }
    if node.state == NodeState::Waiting {
        line(Ink::Warn, "", "compare it with that machine's console; A lets it in, D forgets it".to_owned());
    }
    line(Ink::Plain, "answers at", node.urls.join("  "));
    line(Ink::Plain, "labels", labels_text(&node.labels));
    line(Ink::Faint, "says", labels_text(&node.facts));
    let moment = |at: Option<UnixMs>| at.map(|at| text::moment(now, at, zone));
    let joined = node.joined_at.map(|at| text::day(at, zone));
    let times = [("joined", joined), ("heard of", moment(node.last_seen_at))];
    let mut times = named(&times);
    if let Some(at) = node.certificate_expires_at {
        times.push(format!("certificate ends {}", text::day(at, zone)));
    }
    line(Ink::Plain, "times", times.join("  "));
    line(Ink::Plain, "work", work(node).join("  "));
    lines
}

fn named(pairs: &[(&str, Option<String>)]) -> Vec<String> {
    pairs.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?))).collect()
}

fn work(node: &Node) -> Vec<String> {
    let mut work = named(&[
        ("at", node.appliance.clone().filter(|_| node.kind == NodeKind::Node)),
        ("version", node.version.clone()),
    ]);
    if let Some((applied, newest)) = node.applied_revision.zip(node.revision) {
        work.push(format!("revision {applied} of {newest}"));
    }
    if let Some(spooled) = node.spooled.filter(|spooled| *spooled > 0) {
        work.push(format!("{spooled} publishes wait on it"));
    }
    work
}

/// Draws the lines below a rule with the node's name.
pub(super) fn view(look: &Look, area: Rect, buf: &mut Buffer, name: &str, lines: &[Line]) {
    let signs = look.signs();
    let width = usize::from(area.width);
    text::put(buf, area, (area.x, area.y), &signs.rule.repeat(width), width, look.ink(Ink::Faint));
    let name = format!(" {} ", text::cut(&text::clean(name), width.saturating_sub(8), signs.more));
    text::put(buf, area, (area.x + 3, area.y), &name, width, look.ink(Ink::Strong));
    for ((ink, line), y) in lines.iter().zip(area.y + 1..area.bottom()) {
        let shown = text::cut(&text::clean(line), width.saturating_sub(2), signs.more);
        text::put(buf, area, (area.x + 1, y), &shown, width.saturating_sub(2), look.ink(*ink));
    }
}

/// Everything, as a text and as JSON.
pub(super) fn reader(node: &Node, now: UnixMs, zone: &jiff::tz::TimeZone) -> Reader {
    let mut told = vec![
        (Ink::Plain, format!("{:LABEL_COLUMNS$}{}", "state", node.state.as_str())),
        (Ink::Plain, format!("{:LABEL_COLUMNS$}{}", "id", node.id)),
    ];
    told.extend(lines(node, now, zone));
    if let Some(fingerprint) = &node.fingerprint {
        told.push((Ink::Faint, format!("{:LABEL_COLUMNS$}{}", "whole", fingerprint_groups(fingerprint, GROUPS))));
    }
    if let Some(places) = node.places {
        told.push((Ink::Plain, format!("{:LABEL_COLUMNS$}{} of {places} deliveries", "runs", node.running)));
    }
    if let Some(ms) = node.round_trip_ms {
        told.push((Ink::Plain, format!("{:LABEL_COLUMNS$}{ms} ms", "round trip")));
    }
    let lines = told.into_iter().map(|line| vec![line]).collect();
    Reader::of(format!("Node {}", node.name), lines).json(serde_json::json!(node))
}
