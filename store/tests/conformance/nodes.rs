//! Nodes and join tokens: who is let in, what changes and what stays, publishes that happen once, and what is kept under a
//! name.

use super::{NOW, act, act_at, endpoint, in_the_way, make_app, stale};
use picloud_model::audit::AuditQuery;
use picloud_model::event::Cause;
use picloud_model::hash::ContentHash;
use picloud_model::ids::EventId;
use picloud_model::limits::Limits;
use picloud_model::node::{NodeId, NodePatch, NodeRecord};
use picloud_model::page::PageRequest;
use picloud_model::placement::Labels;
use picloud_model::protocol::node::Once;
use picloud_model::publish::Publish;
use picloud_store::{JoinTokenWrite, NodeSeen, NodeWrite, Store, StoreError, TokenJoin, TriggerWrite};
use std::sync::Arc;

fn labels(all: &[(&str, &str)]) -> Labels {
    all.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn node(name: &str, key: &str) -> NodeWrite {
    NodeWrite {
        fingerprint: ContentHash::of(key.as_bytes()),
        name: name.to_owned(),
        labels: labels(&[("room", "attic")]),
        facts: labels(&[("arch", "aarch64")]),
    }
}

fn token(secret: &str, uses: u32) -> JoinTokenWrite {
    JoinTokenWrite {
        hash: ContentHash::of(secret.as_bytes()),
        labels: labels(&[("from", "token")]),
        uses,
        expires_at: NOW + 1_000,
    }
}

async fn names(store: &dyn Store) -> Vec<String> {
    store.nodes().await.unwrap().into_iter().map(|node| node.name).collect()
}

async fn actions(store: &dyn Store) -> Vec<(String, String)> {
    let page = store.audit(&AuditQuery::default()).await.unwrap();
    page.items.into_iter().rev().map(|entry| (entry.action, entry.target)).collect()
}

#[track_caller]
fn joined(join: TokenJoin) -> NodeRecord {
    match join {
        TokenJoin::Joined(node) => node,
        TokenJoin::Refused => panic!("it was refused"),
    }
}

pub(crate) async fn a_node_is_its_key_and_is_let_in_once(store: Arc<dyn Store>) {
    let pi = store.admit_node(&node("pi", "one"), &act()).await.unwrap();
    assert_eq!((pi.id.clone(), pi.version, pi.joined_at), (NodeId::of(&pi.fingerprint), 1, NOW));
    assert_eq!((pi.draining, pi.last_seen_at, pi.retired_at), (false, None, None));
    assert_eq!(store.node(&pi.id).await.unwrap(), Some(pi.clone()), "every field comes back");
    // Under another name it is the same one, and nothing changes.
    assert_eq!(store.admit_node(&node("other", "one"), &act_at(NOW + 1)).await.unwrap(), pi);
    assert_eq!(in_the_way(store.admit_node(&node("pi", "two"), &act()).await), ["node `pi`"]);
    store.admit_node(&node("attic", "two"), &act()).await.unwrap();
    assert_eq!(names(&*store).await, ["attic", "pi"]);
    let noted = [("node.approve", "pi"), ("node.approve", "attic")];
    assert_eq!(actions(&*store).await, noted.map(|(action, target)| (action.to_owned(), target.to_owned())));
}

pub(crate) async fn a_node_changes_its_name_and_labels_and_counts_its_version(store: Arc<dyn Store>) {
    let pi = store.admit_node(&node("pi", "one"), &act()).await.unwrap();
    store.admit_node(&node("attic", "two"), &act()).await.unwrap();
    let to_name = |name: &str| NodePatch { name: Some(name.to_owned()), labels: None };
    assert_eq!(in_the_way(store.change_node(&pi.id, &to_name("attic"), None, &act()).await), ["node `attic`"]);
    assert_eq!(stale(store.change_node(&pi.id, &to_name("roof"), Some(7), &act()).await), (7, 1));
    let roof = store.change_node(&pi.id, &to_name("roof"), Some(1), &act()).await.unwrap().unwrap();
    assert_eq!(roof, NodeRecord { name: "roof".to_owned(), version: 2, ..pi.clone() });
    let again = store.change_node(&pi.id, &to_name("roof"), None, &act()).await.unwrap().unwrap();
    assert_eq!(again, roof, "what changes nothing is no change");
    let patch = NodePatch { name: None, labels: Some(labels(&[("gpio", "")])) };
    let labelled = store.change_node(&pi.id, &patch, None, &act()).await.unwrap().unwrap();
    assert_eq!((labelled.labels, labelled.facts, labelled.version), (labels(&[("gpio", "")]), pi.facts, 3));
    let drained = store.drain_node(&pi.id, true, &act()).await.unwrap().unwrap();
    assert!(drained.draining && drained.version == 4);
    assert_eq!(store.drain_node(&pi.id, true, &act()).await.unwrap(), Some(drained));
    assert!(!store.drain_node(&pi.id, false, &act()).await.unwrap().unwrap().draining);
    let unknown = NodeId::of(&ContentHash::of(b"nobody"));
    assert_eq!(store.node(&unknown).await.unwrap(), None);
    assert_eq!(store.change_node(&unknown, &to_name("x"), None, &act()).await.unwrap(), None);
    assert_eq!(store.drain_node(&unknown, true, &act()).await.unwrap(), None);
    let noted: Vec<String> = actions(&*store).await.into_iter().map(|(action, _target)| action).collect();
    assert_eq!(noted, ["node.approve", "node.approve", "node.change", "node.change", "node.drain", "node.resume"]);
}

pub(crate) async fn a_removed_node_is_not_let_in_again_and_its_name_is_free(store: Arc<dyn Store>) {
    let pi = store.admit_node(&node("pi", "one"), &act()).await.unwrap();
    assert_eq!(stale(store.retire_node(&pi.id, Some(9), &act()).await), (9, 1));
    assert!(store.retire_node(&pi.id, Some(1), &act_at(NOW + 5)).await.unwrap());
    assert!(!store.retire_node(&pi.id, None, &act()).await.unwrap(), "it is removed already");
    assert_eq!(store.node(&pi.id).await.unwrap().unwrap().retired_at, Some(NOW + 5), "its row stays");
    assert_eq!(in_the_way(store.admit_node(&node("new", "one"), &act()).await), ["node `pi`"]);
    let made = store.create_join_token(&token("secret", 1), &act()).await.unwrap();
    let refused = store.admit_by_token(made.id, ContentHash::of(b"secret"), &node("new", "one"), &act()).await;
    assert_eq!(in_the_way(refused), ["node `pi`"]);
    store.admit_node(&node("pi", "two"), &act()).await.unwrap();
    store.admit_node(&node("roof", "three"), &act()).await.unwrap();
    assert_eq!(names(&*store).await, ["pi", "roof", "pi"], "removed ones last");
    assert_eq!(store.change_node(&pi.id, &NodePatch::default(), None, &act()).await.unwrap(), None);
}

pub(crate) async fn a_node_takes_the_place_of_another_with_its_name_and_labels(store: Arc<dyn Store>) {
    let old = store.admit_node(&node("pi", "one"), &act()).await.unwrap();
    let patch = NodePatch { name: None, labels: Some(labels(&[("camera", "front")])) };
    store.change_node(&old.id, &patch, None, &act()).await.unwrap();
    let unknown = NodeId::of(&ContentHash::of(b"nobody"));
    let fresh = NodeWrite { facts: labels(&[("arch", "armv7l")]), ..node("whatever", "two") };
    assert_eq!(store.replace_node(&unknown, &fresh, &act()).await.unwrap(), None);
    let new = store.replace_node(&old.id, &fresh, &act()).await.unwrap().unwrap();
    assert_eq!((new.name.as_str(), new.version), ("pi", 1));
    assert_eq!((new.labels, new.facts), (labels(&[("camera", "front")]), labels(&[("arch", "armv7l")])));
    assert!(store.node(&old.id).await.unwrap().unwrap().retired_at.is_some());
    assert_eq!(store.replace_node(&old.id, &node("x", "three"), &act()).await.unwrap(), None, "it is gone");
    // Neither one that is in, nor one that was removed.
    store.admit_node(&node("roof", "four"), &act()).await.unwrap();
    assert_eq!(in_the_way(store.replace_node(&new.id, &node("x", "four"), &act()).await), ["node `roof`"]);
    assert_eq!(in_the_way(store.replace_node(&new.id, &node("x", "one"), &act()).await), ["node `pi`"]);
    assert_eq!(names(&*store).await, ["pi", "roof", "pi"], "a refusal changes nothing");
    let (action, target) = actions(&*store).await.into_iter().rev().nth(1).unwrap();
    assert_eq!((action.as_str(), target.as_str()), ("node.replace", "pi"));
}

pub(crate) async fn what_a_node_was_seen_with_only_goes_forward(store: Arc<dyn Store>) {
    let pi = store.admit_node(&node("pi", "one"), &act()).await.unwrap();
    let seen = |at, facts: Option<&str>, expires| NodeSeen {
        id: pi.id.clone(),
        at,
        facts: facts.map(|arch| labels(&[("arch", arch)])),
        certificate_expires_at: expires,
        connected: None,
    };
    let unknown = NodeSeen { id: NodeId::of(&ContentHash::of(b"nobody")), ..seen(NOW, None, None) };
    store
        .nodes_seen(&[seen(NOW + 5, Some("x86_64"), None), unknown, seen(NOW + 5, None, Some(NOW + 90))])
        .await
        .unwrap();
    store.nodes_seen(&[seen(NOW + 4, Some("riscv"), Some(1))]).await.unwrap();
    store.nodes_seen(&[]).await.unwrap();
    let found = store.node(&pi.id).await.unwrap().unwrap();
    assert_eq!((found.last_seen_at, found.certificate_expires_at), (Some(NOW + 5), Some(NOW + 90)));
    assert_eq!((found.facts, found.version), (labels(&[("arch", "x86_64")]), 1), "that is no change by a person");
}

pub(crate) async fn a_token_lets_in_as_many_as_it_says_until_it_ends(store: Arc<dyn Store>) {
    let made = store.create_join_token(&token("secret", 2), &act()).await.unwrap();
    assert_eq!((made.uses_left, made.created_by.as_str(), made.created_at), (2, "ada", NOW));
    let (id, hash) = (made.id, ContentHash::of(b"secret"));
    let join = async |name, key, at| store.admit_by_token(id, hash, &node(name, key), &act_at(at)).await.unwrap();
    let wrong = store.admit_by_token(id, ContentHash::of(b"guess"), &node("pi", "one"), &act()).await.unwrap();
    assert_eq!(wrong, TokenJoin::Refused);
    let wrong = store.admit_by_token(id + 1, hash, &node("pi", "one"), &act()).await.unwrap();
    assert_eq!(wrong, TokenJoin::Refused);
    assert_eq!(join("pi", "one", NOW + 1_000).await, TokenJoin::Refused, "its time is over");
    assert!(names(&*store).await.is_empty());

    let first = joined(join("pi", "one", NOW).await);
    assert_eq!((first.name.as_str(), &first.labels), ("pi", &labels(&[("from", "token")])), "the token's labels");
    assert_eq!(joined(join("pi", "one", NOW + 1).await), first, "the answer may have been lost: nothing is used up");
    assert_eq!(joined(join("pi", "two", NOW).await).name, "pi-2");
    assert_eq!(join("pi", "three", NOW).await, TokenJoin::Refused, "it is used up");
    assert_eq!(joined(join("pi", "one", NOW).await), first, "who is in stays in");
    let tokens = store.join_tokens(&PageRequest::default()).await.unwrap().items;
    assert_eq!((tokens.len(), tokens[0].uses_left), (1, 0));
    let noted: Vec<String> = actions(&*store).await.into_iter().map(|(action, _target)| action).collect();
    assert_eq!(noted, ["join_token.create", "node.join", "node.join"]);
}

pub(crate) async fn tokens_are_listed_newest_first_deleted_and_dropped_after_their_end(store: Arc<dyn Store>) {
    let mut ids = Vec::new();
    for (secret, expires_at) in [("a", NOW + 10), ("b", NOW + 20), ("c", NOW + 30)] {
        let write = JoinTokenWrite { expires_at, ..token(secret, 1) };
        ids.push(store.create_join_token(&write, &act()).await.unwrap().id);
    }
    let page = store.join_tokens(&PageRequest { limit: Some(2), cursor: None }).await.unwrap();
    assert_eq!(page.items.iter().map(|token| token.id).collect::<Vec<_>>(), [ids[2], ids[1]]);
    let rest = store.join_tokens(&PageRequest { limit: Some(2), cursor: page.cursor }).await.unwrap();
    assert_eq!(rest.items.iter().map(|token| token.id).collect::<Vec<_>>(), [ids[0]]);
    let bad = PageRequest { limit: None, cursor: Some("x".to_owned()) };
    assert!(matches!(store.join_tokens(&bad).await, Err(StoreError::BadCursor)));
    assert!(store.delete_join_token(ids[2], &act()).await.unwrap());
    assert!(!store.delete_join_token(ids[2], &act()).await.unwrap());
    assert_eq!(store.expire_join_tokens(NOW + 10, 10).await.unwrap(), 0, "not before it has ended");
    assert_eq!(store.expire_join_tokens(NOW + 21, 1).await.unwrap(), 1, "no more than asked for");
    assert_eq!(store.expire_join_tokens(NOW + 21, 10).await.unwrap(), 1);
    assert!(store.join_tokens(&PageRequest::default()).await.unwrap().items.is_empty());
    let next = store.create_join_token(&token("d", 1), &act()).await.unwrap().id;
    assert!(next > ids[2], "an id is not given out again");
}

pub(crate) async fn a_publish_of_a_node_happens_once_however_often_it_is_said(store: Arc<dyn Store>) {
    let app = make_app(&*store, "kitchen").await.id;
    store.save_script(app, &endpoint("on_news", "()"), None, &act()).await.unwrap();
    let spec = serde_json::json!({ "name": "on-news", "kind": "pubsub", "topic": "news", "script": "on_news" });
    let trigger = TriggerWrite { spec: serde_json::from_value(spec).unwrap(), next_at: None };
    store.put_trigger(app, &trigger, None, &act()).await.unwrap();
    let (pi, roof) = (node("pi", "one"), node("roof", "two"));
    let (pi, roof) =
        (store.admit_node(&pi, &act()).await.unwrap().id, store.admit_node(&roof, &act()).await.unwrap().id);
    let cause = Cause::first(NOW, &Limits::default());
    let say = async |node: &NodeId, number, settled_below, event| {
        let publish = Publish { topic: "news".to_owned(), value: b"1".to_vec(), delay_ms: 0, dedup_key: None };
        store.publish_once(app, publish, &cause, node, Once { number, settled_below, event }).await.unwrap()
    };
    let (first, second, third) = (EventId::new(), EventId::new(), EventId::new());
    assert_eq!(say(&pi, 7, 7, first).await.deliveries, 1);
    assert_eq!(say(&pi, 7, 7, first).await.event, Some(first), "it is answered as if it had just been done");
    assert_eq!(say(&pi, 8, 7, second).await.event, Some(second));
    assert_eq!(say(&roof, 7, 7, third).await.deliveries, 1, "another node counts for itself");
    assert_eq!(say(&pi, 9, 9, EventId::new()).await.deliveries, 1);
    say(&pi, 7, 9, EventId::new()).await;
    // One that was under way for long: by what it says itself it is not settled.
    say(&pi, 8, 8, EventId::new()).await;
    let claimed = store.claim_deliveries(10, NOW).await.unwrap().deliveries;
    assert_eq!(claimed.len(), 4, "what was settled is not said again");
    let mut events: Vec<EventId> = claimed.iter().map(|delivery| delivery.event.id).collect();
    events.retain(|id| [first, second, third].contains(id));
    assert_eq!(events.len(), 3, "the ids are those that the node chose");
}

pub(crate) async fn what_is_kept_under_a_name_is_kept_once_and_replaced_knowingly(store: Arc<dyn Store>) {
    assert_eq!(store.kept("authority").await.unwrap(), None);
    assert_eq!(store.keep("authority", b"one").await.unwrap(), b"one");
    assert_eq!(store.keep("authority", b"two").await.unwrap(), b"one", "who comes second gets the first one's");
    assert_eq!(store.keep("other", b"").await.unwrap(), b"");
    assert!(!store.replace_kept("authority", b"two", b"three").await.unwrap());
    assert!(!store.replace_kept("nothing", b"", b"three").await.unwrap());
    assert!(store.replace_kept("authority", b"one", b"three").await.unwrap());
    assert_eq!(store.kept("authority").await.unwrap().unwrap(), b"three");
    assert_eq!(store.kept("other").await.unwrap().unwrap(), b"");
}

pub(crate) async fn every_apps_revision_is_known_at_once(store: Arc<dyn Store>) {
    assert!(store.revisions().await.unwrap().is_empty());
    let (kitchen, garden) = (make_app(&*store, "kitchen").await, make_app(&*store, "garden").await);
    store.save_script(garden.id, &endpoint("a", "1"), None, &act()).await.unwrap();
    let garden = store.app("garden").await.unwrap().unwrap();
    assert_eq!(store.revisions().await.unwrap(), [(kitchen.id, kitchen.revision), (garden.id, garden.revision)]);
    store.say_here("here", "10.0.0.1:8443").await.unwrap();
    assert!(store.others().await.unwrap().is_empty(), "one is none of the others");
}
