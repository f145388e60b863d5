//! Forms of the Nodes screen.

use crate::app::{Answered, Context};
use crate::theme::Ink;
use crate::widgets::form::{Field, FieldKind, Form, Values};
use crate::widgets::reader::Reader;
use crate::words::{fingerprint_text, labels_from, labels_text};
use picloud_model::join_token::{MadeJoinToken, NewJoinToken};
use picloud_model::node::{ApproveInput, Node, NodePatch};

const LABELS_HELP: &str = "camera, room=garage: what scripts and triggers may need; empty for none";
const HOUR_MS: i64 = 60 * 60 * 1000;

/// Before a stranger is let in.
pub(super) fn approve(node: &Node) -> Form {
    let shown = fingerprint_text(node.fingerprint.as_deref().unwrap_or_default());
    let compare = "is it the same on that machine's console (or in `picloud-node status` there)? If not, Esc";
    let at = node.urls.first().map(|url| format!(" at {url}")).unwrap_or_default();
    // The line with what is to be compared is read only: a choice of one.
    Form::new(format!("Let {}{at} in", node.name), "let in")
        .field(Field::line("key", "key", compare).kind(FieldKind::Choice(vec![shown])))
        .field(
            Field::line(
                "name",
                "name",
                "is the key the same on its console? Then what it is to be called: a-z, 0-9 and -",
            )
            .with(&node.name)
            .needed(),
        )
        .field(Field::line("labels", "labels", LABELS_HELP))
}

/// What the form for a stranger says.
pub(super) fn approved(node: &Node, values: &Values) -> Result<ApproveInput, String> {
    let name = values.get("name").trim();
    picloud_model::node::check_name(name)?;
    let labels = labels_from(values.get("labels"))?;
    Ok(ApproveInput { name: Some(name.to_owned()), labels, fingerprint: node.fingerprint.clone(), replaces: None })
}

/// To rename and label one.
pub(super) fn edit(node: &Node) -> Form {
    let name = "the same node under another name: a-z, 0-9 and -";
    Form::new(format!("Node {}", node.name), "save")
        .field(Field::line("name", "name", name).with(&node.name).needed())
        .field(Field::line("labels", "labels", LABELS_HELP).with(labels_text(&node.labels)))
}

/// What the form says that is otherwise than it was, and what takes it back; none where nothing is.
pub(super) fn edited(node: &Node, values: &Values) -> Result<Option<(NodePatch, NodePatch)>, String> {
    let name = values.get("name").trim();
    let labels = labels_from(values.get("labels"))?;
    let is_named = name != node.name;
    if is_named {
        picloud_model::node::check_name(name)?;
    }
    let is_labelled = labels != node.labels;
    let patch = NodePatch { name: is_named.then(|| name.to_owned()), labels: is_labelled.then_some(labels) };
    let back =
        NodePatch { name: is_named.then(|| node.name.clone()), labels: is_labelled.then(|| node.labels.clone()) };
    Ok((is_named || is_labelled).then_some((patch, back)))
}

/// To make a join token.
pub(in crate::screens) fn token_form() -> Form {
    Form::new("New join token: lets machines in by themselves", "make")
        .field(Field::line("labels", "labels", "of the nodes that join with it: camera, room=garage"))
        .field(Field::line("hours", "hours", "for how long it is good").with("1").needed())
        .field(Field::line("uses", "nodes", "how many it lets in").with("1").needed())
}

/// What that form says.
pub(in crate::screens) fn token_from(values: &Values) -> Result<NewJoinToken, String> {
    let number = |field: &str, label: &str| {
        let number = values.get(field).trim().parse::<u32>().ok().filter(|number| *number > 0);
        number.ok_or_else(|| format!("{label}: write a number above 0"))
    };
    let hours = number("hours", "hours")?;
    let uses = number("uses", "nodes")?;
    let labels = labels_from(values.get("labels"))?;
    Ok(NewJoinToken { labels, expires_in_ms: Some(i64::from(hours) * HOUR_MS), uses: Some(uses) })
}

/// The token that was made, this once. Its text is the token alone, so that this is what is copied.
pub(in crate::screens) fn token_reader(answered: &Answered, cx: &mut Context<'_>) {
    let Ok(answer) = answered else { return };
    match answer.json::<MadeJoinToken>() {
        Ok(MadeJoinToken { made, token }) => {
            cx.read(Reader::of("Join token, shown this once: y copies it", vec![vec![(Ink::Strong, token)]]));
            cx.say(format!("token {}: on the node, picloud-node join TOKEN, or join_token in node.toml", made.id));
        }
        Err(problem) => cx.complain(problem),
    }
}
