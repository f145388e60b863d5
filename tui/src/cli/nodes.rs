//! `picloud nodes`: the machines that run scripts, and those that ask to.

use super::node_upgrade::{self, Upgrade};
use super::show::time;
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use crate::words::{fingerprint_text, label, labels_text};
use clap::{Args, Subcommand};
use http::Method;
use picloud_model::node::{ApproveInput, Node, NodePatch, NodeState};
use picloud_model::placement::Labels;
use picloud_model::problem::Code;
use serde_json::{Value, json};

/// Digits of a whole fingerprint.
const FINGERPRINT_DIGITS: usize = 64;

/// See the machines that run scripts; let new ones in, label, drain, replace and remove them
///
/// A machine with the agent on it appears here by itself, as one that waits: compare its fingerprint with the one on
/// its console (or in `picloud-node status` there), and approve it. Without a verb: list.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Nodes {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Only those in this state: waiting, up, slow, away, draining, lost, retired
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<&'static str>,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the nodes: what each is doing, what it has room for, where it answers
    #[command(after_help = "Examples:\n  picloud nodes list\n  picloud nodes list --state waiting")]
    List(ListArgs),
    /// Show a node: its labels, its addresses, its times
    #[command(after_help = "Example:\n  picloud nodes get garage")]
    Get {
        /// Its name or id; of one that waits also the beginning of its fingerprint
        node: String,
    },
    /// Let a node in that waits
    #[command(after_help = APPROVE_HELP)]
    Approve(Approve),
    /// Label a node, so that scripts and triggers can say that they need it
    #[command(after_help = "\
Examples:
  picloud nodes label garage camera room=garage
  picloud nodes label garage camera-                 take a label away")]
    Label {
        /// Its name or id
        node: String,
        /// NAME, NAME=VALUE, or NAME- to take it away
        #[arg(value_name = "LABEL", required = true)]
        labels: Vec<String>,
    },
    /// Give a node another name; it stays the same node
    #[command(after_help = "Example:\n  picloud nodes rename raspberrypi garage")]
    Rename {
        /// Its name or id
        node: String,
        /// The new name: a-z, 0-9 and `-`
        name: String,
    },
    /// Have a node take no new work, and finish what it has
    #[command(after_help = "Example:\n  picloud nodes drain garage")]
    Drain {
        /// Its name or id
        node: String,
    },
    /// Have a node take work again
    #[command(after_help = "Example:\n  picloud nodes resume garage")]
    Resume {
        /// Its name or id
        node: String,
    },
    /// Install a new version on one node after the other, over ssh
    #[command(after_help = node_upgrade::HELP)]
    Upgrade(Upgrade),
    /// Let a node in that waits, with the name and labels of another, which is removed
    #[command(after_help = "Example:\n  picloud nodes replace garage raspberrypi       after garage got a new card")]
    Replace {
        /// The one that goes: its name or id
        old: String,
        /// The one that comes: its id, what it calls itself, or the beginning of its fingerprint
        new: String,
        #[command(flatten)]
        compared: Compared,
    },
    /// Remove a node: it is cut off, and its key is not let in again
    #[command(after_help = "Example:\n  picloud nodes delete garage")]
    Delete {
        /// Its name or id
        node: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

const APPROVE_HELP: &str = "\
On a terminal the fingerprint is shown and compared; what was shown is what is let in, and nothing else.

Examples:
  picloud nodes approve raspberrypi
  picloud nodes approve raspberrypi --name garage --label camera --label room=garage
  picloud nodes approve 3f2a91bc --node-fingerprint \"3f2a 91bc …\"";

#[derive(Args, Debug)]
struct Approve {
    /// Its id, what it calls itself, or its fingerprint
    node: String,
    /// What it is to be called [default: what it calls itself]
    #[arg(long)]
    name: Option<String>,
    /// A label: NAME or NAME=VALUE; may be given more than once
    #[arg(long = "label", value_name = "LABEL", value_parser = label)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    compared: Compared,
}

#[derive(Args, Debug)]
struct Compared {
    /// The fingerprint that was compared, whole or from the beginning: another is refused
    #[arg(long, value_name = "DIGITS")]
    node_fingerprint: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Nodes {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        match self.verb {
            None => list(session, &self.list).await,
            Some(Verb::List(arguments)) => list(session, &arguments).await,
            Some(Verb::Get { node }) => session.print(path_of(&node)).await,
            Some(Verb::Approve(approve)) => approve.run(session).await,
            Some(Verb::Label { node, labels }) => relabel(session, &node, &labels).await,
            Some(Verb::Rename { node, name }) => {
                let patch = NodePatch { name: Some(name.clone()), labels: None };
                let ask = Ask::new(Method::PATCH, path_of(&node)).json(&patch);
                let answer: Value = session.client.send(ask).await?.value()?;
                session.done(&answer, &format!("node {node} is called {name}"));
                Ok(())
            }
            Some(Verb::Drain { node }) => {
                let answer = post(session, path_of(&node).below(&["drain"]), &json!({})).await?;
                let running = answer["running"].as_u64().unwrap_or(0);
                let has =
                    if running == 0 { String::new() } else { format!("; it finishes the {running} that it runs") };
                session.done(&answer, &format!("node {node} takes no new work{has}"));
                Ok(())
            }
            Some(Verb::Resume { node }) => {
                let answer = post(session, path_of(&node).below(&["resume"]), &json!({})).await?;
                session.done(&answer, &format!("node {node} takes work again"));
                Ok(())
            }
            Some(Verb::Upgrade(upgrade)) => upgrade.run(session).await,
            Some(Verb::Replace { old, new, compared }) => replace(session, &old, &new, &compared).await,
            Some(Verb::Delete { node, yes }) => {
                if !yes {
                    session
                        .output
                        .confirm(&format!("Remove {node}? It is cut off, and its key is not let in again."))?;
                }
                session.client.send(Ask::new(Method::DELETE, path_of(&node))).await?;
                session.done(&json!({ "deleted": node }), &format!("node {node} is removed"));
                Ok(())
            }
        }
    }
}

impl Approve {
    async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let Self { node, name, labels, compared } = self;
        let (node, fingerprint) = compare(session, &node, &compared, "Let it in?").await?;
        let how = ApproveInput { name, labels: labels.into_iter().collect(), fingerprint, replaces: None };
        let answer = post(session, path_of(&node).below(&["approve"]), &json!(how)).await?;
        session.done(&answer, &format!("node {} is let in: {}", text(&answer["name"]), text(&answer["id"])));
        Ok(())
    }
}

async fn replace(session: &Session<'_>, old: &str, new: &str, compared: &Compared) -> Result<(), Failure> {
    let question = format!("Let it in, in the place of {old}? That one is cut off.");
    let (by, fingerprint) = compare(session, new, compared, &question).await?;
    let answer =
        post(session, path_of(old).below(&["replace"]), &json!({ "by": by, "fingerprint": fingerprint })).await?;
    session.done(&answer, &format!("node {} is now {}", text(&answer["name"]), text(&answer["id"])));
    Ok(())
}

/// Shows a person whom they let in, and asks. Answers how to name the node, and the fingerprint to hold it to.
async fn compare(
    session: &Session<'_>,
    node: &str,
    Compared { node_fingerprint, yes }: &Compared,
    question: &str,
) -> Result<(String, Option<String>), Failure> {
    let is_whole = digits_of(node).len() == FINGERPRINT_DIGITS;
    let name = if is_whole { digits_of(node) } else { node.to_owned() };
    let seen: Node = match session.client.get(path_of(&name)).await {
        Ok(seen) => seen,
        // It has not come yet: whoever gives all of its fingerprint has compared it.
        Err(Failure::Answered(problem)) if is_whole && problem.code == Code::NotFound => {
            return Ok((name.clone(), Some(name)));
        }
        Err(failure) => return Err(failure),
    };
    if let Some(wanted) = node_fingerprint {
        let has = digits_of(seen.fingerprint.as_deref().unwrap_or_default());
        let wanted = digits_of(wanted);
        if wanted.is_empty() || !has.starts_with(&wanted) {
            let has = fingerprint_text(&has);
            let hint = "compare with `picloud-node status` on that machine; nothing was done";
            return Err(Failure::other(format!("{} has another fingerprint: {has}", seen.name), Some(hint)));
        }
    } else if !yes && seen.state == NodeState::Waiting {
        let shown = fingerprint_text(seen.fingerprint.as_deref().unwrap_or_default());
        let at = seen.urls.first().map(|url| format!(" at {url}")).unwrap_or_default();
        let name = &seen.name;
        session.output.confirm(&format!(
            "{name}{at} has the fingerprint\n\n    {shown}\n\nIts console shows the same? {question}"
        ))?;
    }
    Ok((seen.id.to_string(), seen.fingerprint))
}

async fn relabel(session: &Session<'_>, name: &str, changes: &[String]) -> Result<(), Failure> {
    let node: Node = session.client.get(path_of(name)).await?;
    let mut labels: Labels = node.labels;
    for change in changes {
        match change.strip_suffix('-').filter(|label| !label.contains('=')) {
            Some(gone) if labels.remove(gone).is_none() => {
                let hint = format!("picloud nodes get {name} shows its labels; what a node says of itself stays");
                return Err(Failure::other(format!("{name} has no label {gone} of yours"), Some(&hint)));
            }
            Some(_gone) => {}
            None => {
                let (label, value) = label(change).map_err(|wrong| Failure::usage(wrong, "NAME or NAME=VALUE"))?;
                labels.insert(label, value);
            }
        }
    }
    let patch = NodePatch { name: None, labels: Some(labels.clone()) };
    // What was read is what is changed: somebody else's label must not be lost.
    let ask = Ask::new(Method::PATCH, path_of(name)).if_match(Some(node.revision_of_record)).json(&patch);
    let answer: Value = session.client.send(ask).await?.value()?;
    let shown = if labels.is_empty() { "no labels of yours".to_owned() } else { labels_text(&labels) };
    session.done(&answer, &format!("node {name} has {shown}"));
    Ok(())
}

async fn post(session: &Session<'_>, path: ApiPath, body: &Value) -> Result<Value, Failure> {
    session.client.send(Ask::new(Method::POST, path).json(body)).await?.value()
}

fn path_of(node: &str) -> ApiPath {
    ApiPath::new(&["nodes", node])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The digits of a fingerprint, however it is written: with blanks or colons, in capital letters.
fn digits_of(fingerprint: &str) -> String {
    let is_between = |c: &char| c.is_whitespace() || *c == ':';
    let digits: String = fingerprint.chars().filter(|c| !is_between(c)).collect();
    let digits = digits.to_ascii_lowercase();
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { digits } else { String::new() }
}

fn state(text: &str) -> Result<&'static str, String> {
    let known: Vec<&'static str> = NodeState::ALL.iter().map(|state| state.as_str()).collect();
    let found = known.iter().find(|state| **state == text);
    found.copied().ok_or_else(|| format!("states are {}", known.join(", ")))
}

const HEADINGS: [&str; 6] = ["name", "state", "since", "runs", "deploys", "where"];

async fn list(session: &Session<'_>, arguments: &ListArgs) -> Result<(), Failure> {
    let path = ApiPath::new(&["nodes"]).query("state", arguments.state);
    if session.output.json {
        let path = path.query("limit", arguments.page.limit).query("cursor", arguments.page.cursor.as_ref());
        return session.print(path).await;
    }
    session.list(path, &arguments.page, &HEADINGS, row, "there are no nodes").await
}

fn row(node: &Node) -> Vec<String> {
    let is_waiting = node.state == NodeState::Waiting;
    let place = match (is_waiting, &node.fingerprint) {
        (true, Some(fingerprint)) => fingerprint_text(fingerprint),
        _ => node.urls.first().cloned().unwrap_or_default(),
    };
    let step = match node.in_step {
        Some(true) => "in step",
        Some(false) => "behind",
        None => "",
    };
    vec![
        node.name.clone(),
        node.state.as_str().to_owned(),
        node.since.map(time).unwrap_or_default(),
        node.places.map(|places| format!("{}/{places}", node.running)).unwrap_or_default(),
        step.to_owned(),
        place,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_however_it_is_written() {
        assert_eq!(digits_of("0123 4567:89AB\tcdef"), "0123456789abcdef");
        assert_eq!(digits_of("garage"), "", "a name is none");
    }
}
