//! `/activity`, `/executions`, `/whoami`: what somebody who comes in sees first.

use crate::events::Events;
use crate::hello;
use crate::https::{Https, make_key};
use crate::nodes::{client, runtime};
use crate::support::{Appliance, until};
use nix::sys::signal::Signal;
use picloud_cluster::identity::{NodeKey, Trust};
use picloud_model::activity::{Activity, NeedKind, RunCause};
use serde_json::{Value, json};
use tempfile::tempdir;

/// The next look.
fn look(events: &Events) -> Activity {
    let event = events.next().expect("the stream goes on");
    assert_eq!(event.kind, "activity");
    serde_json::from_value(event.data).unwrap()
}

/// Looks until it is so; whoever looks is told of every change.
fn look_until(events: &Events, mut is_so: impl FnMut(&Activity) -> bool) -> Activity {
    loop {
        let activity = look(events);
        if is_so(&activity) {
            return activity;
        }
    }
}

fn runs(activity: &Activity) -> (u64, u64) {
    activity.hour.iter().fold((0, 0), |(runs, failed), minute| (runs + minute.runs, failed + minute.failed))
}

const SCRIPT: &str = "if ctx.request.query.fail == \"yes\" { throw \"broken\\nbadly\"; } 1";

#[test]
fn runs_are_seen_as_they_end_and_by_whoever_may_read_their_app() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let (_, wide) = make_key(&appliance, "wide", &["node:read", "script:read"]);
    let (_, narrow) = make_key(&appliance, "narrow", &["node:read", "script:read@kitchen"]);
    let (_, nodes) = make_key(&appliance, "nodes", &["node:read"]);
    let (_, blind) = make_key(&appliance, "blind", &["script:read"]);
    let addr = Https::of(&appliance, data.path()).addr;
    let follow = |key: &str| Events::remote(addr, data.path(), key, "/activity");
    assert_eq!(follow(&blind).status, 403);
    let events = Events::of(&appliance, "/activity");
    let first = look(&events);
    assert_eq!((first.apps, first.hour.len(), first.recent.len(), first.needs.len()), (0, 0, 0, 0), "{first:?}");
    assert_eq!((first.nodes.len(), first.nodes_by_state.len()), (1, 1), "the appliance itself: {first:?}");
    appliance.deploy(&hello("kitchen", SCRIPT));
    appliance.deploy(&hello("cellar", SCRIPT));
    appliance.get("/kitchen");
    appliance.get("/kitchen?fail=yes");
    appliance.get("/cellar");
    let whole = look_until(&events, |activity| runs(activity) == (3, 1) && activity.recent.len() == 3);
    assert_eq!((whole.apps, whole.scripts), (2, 2));
    assert!(whole.hour.iter().all(|minute| minute.p95_ms.is_some_and(|ms| ms > 0.0)), "{whole:?}");
    let [cause] = whole.causes[..] else { panic!("{whole:?}") };
    assert_eq!((cause.cause, cause.runs), (RunCause::Http, 3));
    let apps: Vec<_> = whole.recent.iter().map(|run| (run.app.as_str(), run.error.as_deref())).collect();
    assert_eq!(apps, [("cellar", None), ("kitchen", Some("broken")), ("kitchen", None)], "newest first");
    assert!(whole.recent.iter().all(|run| run.cause.starts_with("GET /") && run.script == "hello"), "{whole:?}");
    assert_eq!(look(&follow(&wide)).recent, whole.recent, "whoever comes later sees the same at once");
    let narrow = look(&follow(&narrow));
    assert_eq!((narrow.apps, runs(&narrow), narrow.recent.len()), (1, (2, 1), 2), "{narrow:?}");
    assert!(narrow.recent.iter().all(|run| run.app == "kitchen"));
    let nodes = look(&follow(&nodes));
    assert_eq!((nodes.apps, runs(&nodes), nodes.recent.len(), nodes.nodes.len()), (0, (0, 0), 0, 1), "{nodes:?}");
}

#[test]
fn looks_come_no_more_than_once_a_second_and_not_where_nothing_changes() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "1"));
    let events = Events::of(&appliance, "/activity");
    let began = look(&events).at;
    for _ in 0..300 {
        appliance.get("/kitchen");
    }
    let mut looks = 0;
    let last = look_until(&events, |activity| {
        looks += 1;
        runs(activity) == (300, 0)
    });
    let seconds = (last.at - began) / 1_000;
    assert!(looks <= seconds + 1, "{looks} looks in {seconds} s");
    // A value of an app is nothing that is shown, and the next app is: it is what is told next.
    appliance.admin("GET", "/executions", "");
    let fresh = Events::of(&appliance, "/activity");
    let before = look(&fresh);
    appliance.admin("PUT", "/apps/kitchen/env/city", "{\"value\": \"Berlin\"}");
    appliance.deploy(&hello("cellar", "1"));
    let next = look(&fresh);
    assert!(next.apps == 2 && next.at - before.at >= 1_000, "{next:?}");
}

#[test]
fn what_needs_a_person_is_told_and_goes_when_it_is_done() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let retry = json!({ "max_attempts": 1, "base_ms": 1, "factor": 1.0, "max_ms": 1 });
    appliance.deploy(&json!({
        "name": "kitchen",
        "routes": [{ "methods": ["GET"], "path": "/", "script": "bad" }],
        "scripts": { "on_job": "throw terminal(\"no such job\")", "bad": "throw \"always\"" },
        "triggers": [{
            "name": "on-job", "kind": "pubsub", "topic": "jobs", "script": "on_job", "retry": retry, "pause_after": 2,
        }],
    }));
    let events = Events::of(&appliance, "/activity");
    let publish = || appliance.admin("POST", "/apps/kitchen/publish", "{\"topic\": \"jobs\", \"value\": 1}");
    publish();
    let has = |activity: &Activity, kind| activity.needs.iter().any(|need| need.kind == kind);
    let one = look_until(&events, |activity| has(activity, NeedKind::DeadLetters));
    let need = &one.needs[0];
    assert_eq!((need.app.as_deref(), need.target.as_str(), need.count), (Some("kitchen"), "on-job", 1), "{need:?}");
    assert_eq!(need.text, "1 dead letter: no such job");
    publish();
    let two = look_until(&events, |activity| has(activity, NeedKind::TriggerPaused));
    let letters = two.needs.iter().find(|need| need.kind == NeedKind::DeadLetters).unwrap();
    assert_eq!(letters.text, "2 dead letters, the last: no such job");
    assert!(two.causes.iter().any(|cause| (cause.cause, cause.runs) == (RunCause::Pubsub, 2)), "{two:?}");
    for _ in 0..3 {
        assert_eq!(appliance.get("/kitchen").status, 500);
    }
    let failing = look_until(&events, |activity| has(activity, NeedKind::Failing));
    let need = failing.needs.iter().find(|need| need.kind == NeedKind::Failing).unwrap();
    assert_eq!(
        (need.target.as_str(), need.text.as_str()),
        ("bad", "version 1 has only failed so far, 3 times: always")
    );
    appliance.admin("PUT", "/apps/kitchen/scripts/bad", "{\"kind\": \"endpoint\", \"source\": \"1\"}");
    appliance.admin("POST", "/apps/kitchen/triggers/on-job/resume", "");
    look_until(&events, |activity| !has(activity, NeedKind::Failing) && !has(activity, NeedKind::TriggerPaused));
    let letters = appliance.admin("GET", "/apps/kitchen/dead-letters", "").json();
    for letter in letters["items"].as_array().unwrap() {
        appliance.admin("DELETE", &format!("/apps/kitchen/dead-letters/{}", letter["id"]), "");
    }
    look_until(&events, |activity| activity.needs.is_empty());
}

#[test]
fn a_machine_that_waits_needs_somebody_until_it_is_let_in() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let events = Events::of(&appliance, "/activity");
    assert!(look(&events).needs.is_empty());
    let addr = client::node_addr(&appliance);
    runtime().block_on(async {
        let key = NodeKey::make().unwrap();
        let mut connection = client::Connection::open(addr, Trust::FirstSeen, None).await.unwrap();
        let asking = tokio::spawn({
            let body = serde_json::to_vec(&client::enrol(&key, "pi-2", None)).unwrap();
            async move { connection.exchange("/node/v1/enrol", Some("1-1"), &body).await }
        });
        let (events, waiting) = tokio::task::spawn_blocking(move || {
            let waiting = look_until(&events, |activity| !activity.needs.is_empty());
            (events, waiting)
        })
        .await
        .unwrap();
        let need = &waiting.needs[0];
        assert_eq!((need.kind, need.target.as_str()), (NeedKind::NodeWaiting, key.id().as_str()));
        let digits: String = need.text.rsplit("fingerprint ").next().unwrap().chars().take(4).collect();
        assert!(key.fingerprint().to_string().starts_with(&digits), "{need:?}");
        let approve = format!("/nodes/{}/approve", key.id());
        assert_eq!(client::admin(&appliance, "POST", &approve, "").status, 200);
        assert_eq!(asking.await.unwrap().0, 200);
        let told = tokio::task::spawn_blocking(move || look_until(&events, |activity| activity.needs.is_empty()));
        assert_eq!(told.await.unwrap().nodes.len(), 2);
    });
}

#[test]
fn after_a_restart_the_last_hour_is_what_the_history_kept() {
    let data = tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", SCRIPT));
    for _ in 0..3 {
        appliance.get("/kitchen?fail=yes");
    }
    let kept = |appliance: &Appliance| {
        let list = appliance.admin("GET", "/executions?outcome=failed", "").json();
        list["items"].as_array().unwrap().len() == 3
    };
    until("they are kept", || kept(&appliance));
    assert!(appliance.end(Signal::SIGTERM).success());
    let appliance = Appliance::serve(data.path());
    let seen = look(&Events::of(&appliance, "/activity"));
    assert_eq!((runs(&seen), seen.recent.len()), ((3, 3), 3), "{seen:?}");
    assert!(seen.recent.iter().all(|run| run.started_at < seen.counted_since));
    assert!(seen.needs.iter().any(|need| need.kind == NeedKind::Failing && need.count == 3), "{seen:?}");
    appliance.get("/kitchen?fail=yes");
    let events = Events::of(&appliance, "/activity");
    look_until(&events, |activity| runs(activity) == (4, 4) && activity.recent.len() == 4);
}

#[test]
fn runs_of_all_apps_are_one_list_of_those_that_may_be_read() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    for app in ["kitchen", "cellar", "attic"] {
        appliance.deploy(&hello(app, SCRIPT));
        appliance.get(&format!("/{app}?fail=yes"));
        appliance.get(&format!("/{app}"));
    }
    let items = |reply: &Value| reply["items"].as_array().unwrap().clone();
    let list = |query: &str| {
        let reply = appliance.admin("GET", &format!("/executions{query}"), "");
        assert_eq!(reply.status, 200, "{}", reply.text());
        items(&reply.json())
    };
    until("all are there", || list("").len() == 6);
    let all = list("");
    let ids: Vec<&str> = all.iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice: {ids:?}");
    assert_eq!(list("?outcome=failed").len(), 3);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = appliance.admin("GET", &format!("/executions?limit=2{cursor}"), "").json();
        paged.extend(items(&page));
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all, "in pages, across disk and memory");
    let (_, narrow) = make_key(&appliance, "narrow", &["script:read@kitchen,attic"]);
    let mut client = Https::of(&appliance, data.path());
    let seen = items(&client.send(&narrow, "GET", "/executions", "").json());
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|run| run["app"] != "cellar"));
    assert_eq!(client.send(&narrow, "GET", "/apps/cellar/executions", "").status, 403);
    appliance.admin("DELETE", "/apps/attic", "");
    assert_eq!((list("").len(), items(&client.send(&narrow, "GET", "/executions", "").json()).len()), (6, 2));
    assert_eq!(appliance.admin("GET", "/executions?cursor=mine", "").status, 400);
}

#[test]
fn whoever_asks_is_told_who_they_are() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let local = appliance.admin("GET", "/whoami", "").json();
    assert_eq!((&local["kind"], local["grants"].as_array().map(Vec::len)), (&json!("person"), Some(7)), "{local}");
    let (_, key) = make_key(&appliance, "laptop", &["invoke", "script:read@kitchen"]);
    let mut client = Https::of(&appliance, data.path());
    let told = client.send(&key, "GET", "/whoami", "").json();
    assert_eq!(told, json!({ "kind": "key", "name": "laptop", "grants": ["invoke", "script:read@kitchen"] }));
}
