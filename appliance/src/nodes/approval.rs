//! Letting strangers in.

use super::shown::Found;
use super::strangers::{Decision, Stranger};
use super::{Cluster, name_for};
use crate::admin::from_store;
use picloud_cluster::identity::is_fingerprint;
use picloud_model::audit::Act;
use picloud_model::hash::ContentHash;
use picloud_model::node::{ApproveInput, Node, NodeId, NodeRecord, check_name};
use picloud_model::placement::{LABELS_MAX, Labels, check_label};
use picloud_model::problem::{Code, Problem};
use picloud_store::NodeWrite;

impl Cluster {
    /// Lets a stranger in; also one that has not asked yet but was seen, or whose full fingerprint is given.
    pub async fn approve(&self, node: &str, how: ApproveInput, act: &Act) -> Result<Node, Problem> {
        check_labels(&how.labels)?;
        let (fingerprint, stranger) = self.meant(node, how.fingerprint.as_deref())?;
        let id = NodeId::of(&fingerprint);
        let name = match &how.name {
            Some(name) => {
                check_name(name).map_err(|error| Problem::new(Code::Invalid, error))?;
                name.clone()
            }
            None => self.free_name(stranger.as_ref().map_or_else(|| name_for(&id), |it| it.name.clone())),
        };
        let facts = stranger.map(|stranger| stranger.facts).unwrap_or_default();
        let write = NodeWrite { fingerprint, name, labels: how.labels, facts };
        let record = match &how.replaces {
            None => self.shared.store.admit_node(&write, act).await.map_err(from_store)?,
            Some(old) => self.replace(old, write, act).await?,
        };
        self.reload().await.map_err(from_store)?;
        self.strangers().decide(&record.id, Decision::Admitted);
        Ok(self.shown(&record))
    }

    async fn replace(&self, old: &str, write: NodeWrite, act: &Act) -> Result<NodeRecord, Problem> {
        let old = match self.find(old)? {
            Found::Record(record) if record.retired_at.is_none() => record,
            Found::Record(_) => return Err(Problem::new(Code::Conflict, format!("node `{old}` was removed already"))),
            Found::Appliance(_) => return Err(Problem::new(Code::Invalid, format!("`{old}` is an appliance"))),
            Found::Stranger(_) => return Err(Problem::new(Code::Invalid, format!("`{old}` was never let in"))),
        };
        let replaced = self.shared.store.replace_node(&old.id, &write, act).await.map_err(from_store)?;
        replaced.ok_or_else(|| Problem::not_found("node", &old.name))
    }

    /// Whose key is meant, and the stranger that has it, where one is known.
    fn meant(&self, node: &str, compared: Option<&str>) -> Result<(ContentHash, Option<Stranger>), Problem> {
        let whole = |text: &str| {
            let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
            digits.to_ascii_lowercase().parse::<ContentHash>().ok()
        };
        match self.find(node) {
            Ok(Found::Stranger(stranger)) => {
                check_compared(&stranger, node, compared)?;
                Ok((stranger.fingerprint, Some(*stranger)))
            }
            Ok(Found::Record(record)) if record.retired_at.is_none() => {
                Err(Problem::new(Code::Conflict, format!("node `{}` was let in already", record.name))
                    .hint("change its name or labels: picloud nodes rename, picloud nodes label"))
            }
            Ok(Found::Record(record)) => Err(Problem::new(Code::Conflict, format!("node {} was removed", record.id))
                .hint("on that machine: picloud-node reset, which makes it another node")),
            Ok(Found::Appliance(_)) => Err(Problem::new(Code::Conflict, format!("`{node}` is an appliance"))),
            // It need not have asked yet where its whole fingerprint is known.
            Err(error) => match whole(node).or_else(|| compared.and_then(whole)) {
                Some(fingerprint) if self.knows(&NodeId::of(&fingerprint)) => Err(Problem::new(
                    Code::Conflict,
                    "the node with this fingerprint was let in already, or was removed",
                )),
                Some(fingerprint) => Ok((fingerprint, None)),
                None => Err(error.hint("it is known once it asks; or give its whole fingerprint: picloud-node status")),
            },
        }
    }

    /// `name`, or `name-2`, `name-3`, … where it is taken.
    fn free_name(&self, name: String) -> String {
        let records = self.all_records();
        let is_taken = |name: &str| records.iter().any(|it| it.retired_at.is_none() && it.name == name);
        let others = (2..).map(|number| {
            let number = format!("-{number}");
            format!("{}{number}", &name[..name.len().min(63 - number.len())])
        });
        let free = std::iter::once(name.clone()).chain(others).find(|name| !is_taken(name));
        free.expect("there are fewer nodes than numbers")
    }
}

/// Refuses where another fingerprint was compared, and where none was of one that has proved nothing yet.
fn check_compared(stranger: &Stranger, node: &str, compared: Option<&str>) -> Result<(), Problem> {
    match compared {
        Some(compared) if is_fingerprint(&stranger.fingerprint, compared) => Ok(()),
        Some(_other) => Err(Problem::new(
            Code::Conflict,
            format!("`{}` has another fingerprint than the one that was compared", stranger.name),
        )
        .hint("compare at least the first 8 groups with the machine's own console: picloud-node status")),
        None if stranger.has_asked || is_fingerprint(&stranger.fingerprint, node) => Ok(()),
        None => Err(Problem::new(
            Code::Conflict,
            format!("`{}` was only seen on the network and has proved nothing yet", stranger.name),
        )
        .hint("give the fingerprint that its console shows: --fingerprint \"…\"")),
    }
}

/// Refuses what is no label, and too many of them.
pub(super) fn check_labels(labels: &Labels) -> Result<(), Problem> {
    if labels.len() > LABELS_MAX {
        let detail = format!("{} labels are more than {LABELS_MAX}", labels.len());
        return Err(Problem::new(Code::Invalid, detail).limit("labels", LABELS_MAX as u64));
    }
    let wrong = labels.iter().find_map(|(name, value)| check_label(name, value).err());
    wrong.map_or(Ok(()), |error| Err(Problem::new(Code::Invalid, error)))
}
