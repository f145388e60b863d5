//! What needs a person: gathered from what nodes, the store, the history and the registry know.

use super::Live;
use super::recent::first_line;
use crate::appliance::Appliance;
use crate::registry::Registry;
use crate::repository::Outcomes;
use picloud_model::activity::{BACKUP_OLD_MS, Need, NeedKind};
use picloud_model::clock::UnixMs;
use picloud_model::ids::AppId;
use picloud_model::node::{Node, NodeState};
use picloud_store::{LettersOf, PausedTrigger, Room, StoreError};
use std::path::Path;

/// From then on, a node that is away may not come back by itself.
pub(super) const AWAY_LONG_MS: i64 = 10 * 60 * 1_000;
/// Certificates that end sooner than this should have been renewed.
const ENDING_MS: i64 = 14 * 24 * 60 * 60 * 1_000;
/// Failures without a success from which on it is no accident.
const FAILING_RUNS_MIN: u64 = 3;
/// Triggers with dead letters, and those that paused themselves, that are told of.
const TRIGGERS_MAX: u32 = 100;
/// The disk is nearly full where it has less left than this.
const DISK_LEFT_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Of a fingerprint: its first four groups.
const FINGERPRINT_CHARS: usize = 19;

/// Whether it is worked out from memory, at every look.
pub(super) fn is_of_memory(kind: NeedKind) -> bool {
    match kind {
        NeedKind::NodeWaiting
        | NeedKind::NodeLost
        | NeedKind::NodeAway
        | NeedKind::CertificateEnding
        | NeedKind::Quarantined
        | NeedKind::Failing => true,
        NeedKind::StoreFull
        | NeedKind::HistoryDamaged
        | NeedKind::BackupFailed
        | NeedKind::BackupOld
        | NeedKind::TriggerPaused
        | NeedKind::DeadLetters => false,
    }
}

fn need(kind: NeedKind, target: impl Into<String>, text: impl Into<String>) -> Need {
    Need { kind, app: None, target: target.into(), count: 1, text: text.into(), at: None }
}

/// Of machines.
pub(super) fn of_nodes(nodes: &[Node], now: UnixMs) -> Vec<Need> {
    let mut needs = Vec::new();
    for node in nodes {
        let (id, name) = (node.id.as_str(), &node.name);
        let about = |kind, text: String| Need { at: node.since, ..need(kind, id, text) };
        match node.state {
            NodeState::Waiting => {
                let fingerprint: String =
                    node.fingerprint.iter().flat_map(|digits| digits.chars()).take(FINGERPRINT_CHARS).collect();
                needs.push(about(
                    NeedKind::NodeWaiting,
                    format!("{name} asks to be let in: fingerprint {fingerprint} …"),
                ));
            }
            NodeState::Lost => {
                needs.push(about(NeedKind::NodeLost, format!("{name} is lost: away for a day or more")));
            }
            NodeState::Away if node.since.is_some_and(|since| now - since >= AWAY_LONG_MS) => {
                needs.push(about(NeedKind::NodeAway, format!("{name} is away")));
            }
            _ => {}
        }
        let joined = !matches!(node.state, NodeState::Waiting | NodeState::Retired);
        if let Some(ends_at) = node.certificate_expires_at.filter(|at| joined && at - now < ENDING_MS) {
            let text = format!("{name} has a certificate that ends soon: it renews it by itself once it is connected");
            needs.push(Need { at: Some(ends_at), ..need(NeedKind::CertificateEnding, id, text) });
        }
    }
    needs
}

/// Of scripts: those in quarantine, and those whose live version has only failed.
pub(super) fn of_scripts(live: &Live, registry: &Registry) -> Vec<Need> {
    let apps = registry.all();
    let mut needs = Vec::new();
    for app in &apps {
        for script in &app.scripts {
            if let Some(crashes) = script.quarantined_after_crashes {
                let text = format!("took its worker down {crashes} times, and is not run any more");
                let about = need(NeedKind::Quarantined, &script.name, text);
                needs.push(Need { app: Some(app.name.clone()), count: u64::from(crashes), ..about });
            }
        }
    }
    let noted = live.noted();
    for ((app, script), doing) in noted.recent.doing() {
        if doing.has_done_well || doing.failed < FAILING_RUNS_MIN {
            continue;
        }
        let entry = apps.iter().find(|it| it.name == *app).and_then(|app| app.script(script));
        let is_live =
            entry.is_some_and(|entry| entry.version == doing.version && entry.quarantined_after_crashes.is_none());
        if is_live {
            let why = doing.error.as_deref().unwrap_or("no reason was kept");
            let text = format!("version {} has only failed so far, {} times: {why}", doing.version, doing.failed);
            let about = need(NeedKind::Failing, script, text);
            needs.push(Need { app: Some(app.clone()), count: doing.failed, at: Some(doing.last_at), ..about });
        }
    }
    needs
}

/// Of the store and its disk. What cannot be read is left out: the log has it.
pub(super) async fn of_store(appliance: &Appliance) -> Vec<Need> {
    let (letters, paused) = tokio::join!(
        appliance.store.letters_by_trigger(TRIGGERS_MAX),
        appliance.store.triggers_that_paused(TRIGGERS_MAX)
    );
    let name = |app: AppId| appliance.registry.app(app).map(|app| app.name.clone());
    let letters = or_none(letters).into_iter().filter_map(|of| Some(of_letters(name(of.app)?, &of)));
    let paused = or_none(paused).into_iter().filter_map(|of| Some(of_paused(name(of.app)?, of)));
    let disk = of_disk(appliance.data_dir(), appliance.store_kind() == "sqlite");
    let backup = of_backups(Outcomes::read(appliance.data_dir()), appliance.clock.now_ms());
    disk.into_iter().chain(backup).chain(letters).chain(paused).collect()
}

fn or_none<T>(read: Result<Vec<T>, StoreError>) -> Vec<T> {
    read.unwrap_or_else(|error| {
        tracing::debug!(%error, "what needs a person could not be read from the store");
        Vec::new()
    })
}

fn of_letters(app: String, of: &LettersOf) -> Need {
    let last = first_line(&of.error.detail);
    let text = match of.letters {
        1 => format!("1 dead letter: {last}"),
        letters => format!("{letters} dead letters, the last: {last}"),
    };
    let count = u64::try_from(of.letters).unwrap_or(0);
    let about = need(NeedKind::DeadLetters, of.trigger.clone().unwrap_or_default(), text);
    Need { app: Some(app), count, at: Some(of.last_at), ..about }
}

fn of_paused(app: String, of: PausedTrigger) -> Need {
    let text = format!("paused itself after {}", of.paused.reason);
    Need { app: Some(app), at: Some(of.paused.since), ..need(NeedKind::TriggerPaused, of.trigger, text) }
}

/// Of the disk with the data, and of the history's file.
fn of_disk(data_dir: &Path, has_history: bool) -> Vec<Need> {
    let mut needs = Vec::new();
    if let Ok(Room { free_bytes, .. }) = Room::of(data_dir)
        && free_bytes < DISK_LEFT_BYTES_MIN
    {
        let mib = free_bytes / (1024 * 1024);
        let text = format!("{mib} MiB are left on the disk: nothing can be written once it is full");
        needs.push(need(NeedKind::StoreFull, data_dir.display().to_string(), text));
    }
    // The store leaves it there for the next start.
    if has_history && data_dir.join("history.damaged").exists() {
        let text = "the history is damaged, and nothing is kept of runs: a new one is begun at the next start";
        needs.push(need(NeedKind::HistoryDamaged, "history.db", text));
    }
    needs
}

/// Of backups into the repository. Nobody is told to make some who never did: that is `doctor`'s to say.
fn of_backups(Outcomes { success, failure }: Outcomes, now: UnixMs) -> Option<Need> {
    if let Some(failure) = failure {
        let why = failure.error.as_deref().map(first_line).unwrap_or_default();
        let text = format!("the last backup failed: {why}");
        return Some(Need { at: Some(failure.at), ..need(NeedKind::BackupFailed, failure.repository, text) });
    }
    let old = success.filter(|success| now - success.at >= BACKUP_OLD_MS)?;
    let text = "the newest backup is older than three days: is the timer picloud-backup on?";
    Some(Need { at: Some(old.at), ..need(NeedKind::BackupOld, old.repository, text) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Outcome;
    use picloud_model::node::LOST_AFTER_MS;
    use serde_json::json;

    #[test]
    fn machines_that_wait_or_stay_away_need_somebody_and_those_that_are_well_do_not() {
        let node = |name: &str, state: NodeState, since: i64| {
            let mut node: Node = serde_json::from_value(json!({
                "id": "0".repeat(20), "name": name, "kind": "node", "state": state, "labels": {}, "facts": {},
                "urls": [], "running": 0, "revision_of_record": 1,
                "fingerprint": "3f2a 91bc 0c11 8d2e 5501 77aa 3f2a 91bc",
            }))
            .unwrap();
            node.since = Some(since);
            node
        };
        let now = 2 * LOST_AFTER_MS;
        let mut ending = node("ending", NodeState::Up, 0);
        ending.certificate_expires_at = Some(now + 1);
        let nodes = [
            node("well", NodeState::Up, 0),
            node("new", NodeState::Waiting, now - 5),
            node("rebooting", NodeState::Away, now - AWAY_LONG_MS + 1),
            node("away", NodeState::Away, now - AWAY_LONG_MS),
            node("lost", NodeState::Lost, 1),
            node("gone", NodeState::Retired, 1),
            ending,
        ];
        let needs = of_nodes(&nodes, now);
        let shown: Vec<_> = needs.iter().map(|need| (need.kind, need.text.as_str(), need.at)).collect();
        assert_eq!(
            shown,
            [
                (NeedKind::NodeWaiting, "new asks to be let in: fingerprint 3f2a 91bc 0c11 8d2e …", Some(now - 5)),
                (NeedKind::NodeAway, "away is away", Some(now - AWAY_LONG_MS)),
                (NeedKind::NodeLost, "lost is lost: away for a day or more", Some(1)),
                (
                    NeedKind::CertificateEnding,
                    "ending has a certificate that ends soon: it renews it by itself once it is connected",
                    Some(now + 1)
                ),
            ]
        );
    }

    #[test]
    fn a_damaged_history_is_told_of_where_there_is_one() {
        let data = tempfile::tempdir().unwrap();
        let kinds = |has_history| of_disk(data.path(), has_history).iter().map(|need| need.kind).collect::<Vec<_>>();
        assert!(!kinds(true).contains(&NeedKind::HistoryDamaged));
        std::fs::write(data.path().join("history.damaged"), "").unwrap();
        assert!(kinds(true).contains(&NeedKind::HistoryDamaged) && !kinds(false).contains(&NeedKind::HistoryDamaged));
    }

    #[test]
    fn a_backup_that_failed_is_told_of_and_one_that_is_old_and_none_that_never_was() {
        let outcome = |at, error: Option<&str>| {
            let error = error.map(str::to_owned);
            Some(Outcome {
                at,
                ok: error.is_none(),
                repository: "sftp:nas:/pi".to_owned(),
                error,
                ..Outcome::default()
            })
        };
        let told = |success, failure, now| {
            of_backups(Outcomes { success, failure }, now).map(|need| (need.kind, need.at, need.text))
        };
        assert_eq!(told(None, None, BACKUP_OLD_MS), None);
        assert_eq!(told(outcome(7, None), None, BACKUP_OLD_MS + 6), None);
        assert_eq!(
            told(outcome(7, None), None, BACKUP_OLD_MS + 7),
            Some((
                NeedKind::BackupOld,
                Some(7),
                "the newest backup is older than three days: is the timer picloud-backup on?".to_owned()
            ))
        );
        assert_eq!(
            told(outcome(7, None), outcome(8, Some("nobody answers at nas\nhint: …")), 9),
            Some((NeedKind::BackupFailed, Some(8), "the last backup failed: nobody answers at nas".to_owned()))
        );
    }
}
