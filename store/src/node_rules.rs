//! What both backends say of nodes and join tokens alike: what the audit log shows of them, why one is not let in, and
//! the name that one gets whose own is taken.

use crate::{NodeWrite, StoreError};
use picloud_model::clock::{UnixMs, rfc3339};
use picloud_model::join_token::{JoinToken, TOKENS_MAX};
use picloud_model::node::{NODES_MAX, NodeId, NodeRecord};
use picloud_model::protocol::node::Once;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Longest name of a node, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// The node that was let in.
pub(crate) fn made(node: &NodeWrite, at: UnixMs) -> NodeRecord {
    let NodeWrite { fingerprint, name, labels, facts } = node.clone();
    NodeRecord {
        id: NodeId::of(&fingerprint),
        name,
        fingerprint,
        labels,
        facts,
        draining: false,
        retired_at: None,
        joined_at: at,
        last_seen_at: None,
        certificate_expires_at: None,
        version: 1,
    }
}

/// As the audit log shows a node.
pub(crate) fn node_shown(node: &NodeRecord) -> Value {
    json!({
        "id": node.id, "name": node.name, "fingerprint": node.fingerprint, "labels": node.labels,
        "draining": node.draining, "version": node.version,
    })
}

/// As the audit log shows a join token.
pub(crate) fn token_shown(token: &JoinToken) -> Value {
    json!({ "labels": token.labels, "uses_left": token.uses_left, "expires_at": rfc3339(token.expires_at) })
}

/// A join token as the audit log names it.
pub(crate) fn token_title(id: i64) -> String {
    format!("join token {id}")
}

/// `found`, which has the key of `node`, as it is, unless it was removed.
pub(crate) fn in_already(found: NodeRecord) -> Result<NodeRecord, StoreError> {
    if found.retired_at.is_none() {
        return Ok(found);
    }
    let message = format!(
        "node {} (`{}`) was removed, and its key is not let in again: reset it there, which makes it a new one",
        found.id, found.name
    );
    Err(StoreError::Conflict { message, in_the_way: vec![title(&found.name)] })
}

/// The name is another node's.
pub(crate) fn name_taken(name: &str) -> StoreError {
    StoreError::Conflict { message: format!("a node named `{name}` exists"), in_the_way: vec![title(name)] }
}

/// A node that is to take a place is in one already.
pub(crate) fn has_a_place(found: &NodeRecord) -> StoreError {
    let message = format!("this node is in already, as `{}`: it cannot take the place of another", found.name);
    StoreError::Conflict { message, in_the_way: vec![title(&found.name)] }
}

/// Refuses one more node than may be.
pub(crate) fn expect_room(nodes: i64) -> Result<(), StoreError> {
    refuse_above(nodes, NODES_MAX, "nodes are in already, as many as there may be: remove one that is lost")
}

/// Refuses one more token than may be.
pub(crate) fn expect_token_room(tokens: i64) -> Result<(), StoreError> {
    refuse_above(tokens, TOKENS_MAX, "join tokens exist, as many as there may be: delete one")
}

fn refuse_above(count: i64, max: u32, what: &str) -> Result<(), StoreError> {
    if count < i64::from(max) {
        return Ok(());
    }
    Err(StoreError::Conflict { message: format!("{count} {what}"), in_the_way: Vec::new() })
}

/// A publish's number and the highest that is settled, as they are kept: -1 where none is.
pub(crate) fn numbers(once: Once) -> (i64, i64) {
    let stored = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    (stored(once.number), stored(once.settled_below) - 1)
}

fn title(name: &str) -> String {
    format!("node `{name}`")
}

/// The name of `node`, or with the lowest number behind it that makes it nobody else's.
pub(crate) fn free_name(node: &NodeWrite, taken: &BTreeSet<String>) -> String {
    if !taken.contains(&node.name) {
        return node.name.clone();
    }
    let numbered = (2_u64..).map(|number| {
        let number = format!("-{number}");
        // Names are of one byte a character; of one that is not, nothing is cut in two.
        let mut end = node.name.len().min(NAME_BYTES_MAX - number.len());
        while !node.name.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}{number}", &node.name[..end])
    });
    numbered.into_iter().find(|name| !taken.contains(name)).expect("there are more numbers than nodes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::hash::ContentHash;

    #[test]
    fn a_taken_name_gets_the_lowest_number_that_is_free() {
        let name = |name: &str, taken: &[&str]| {
            let (labels, facts) = Default::default();
            let node = NodeWrite { fingerprint: ContentHash([0; 32]), name: name.to_owned(), labels, facts };
            free_name(&node, &taken.iter().map(|&name| name.to_owned()).collect())
        };
        assert_eq!(name("pi", &[]), "pi");
        assert_eq!(name("pi", &["pi"]), "pi-2");
        assert_eq!(name("pi", &["pi", "pi-2", "pi-4"]), "pi-3");
        let long = "p".repeat(63);
        assert_eq!(name(&long, &[&long]), format!("{}-2", "p".repeat(61)));
    }
}
