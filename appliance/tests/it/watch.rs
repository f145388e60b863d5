//! `/watch`: whoever follows misses no change, and sees none that is not theirs to see.

use crate::events::{Event, Events};
use crate::hello;
use crate::https::{Https, make_key};
use crate::support::{Appliance, until};
use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::tempdir;

fn set(appliance: &Appliance, app: &str, key: &str, value: usize) {
    let put = appliance.admin("PUT", &format!("/apps/{app}/kv/c/{key}"), &value.to_string());
    assert_eq!(put.status, 200, "{}", put.text());
}

fn targets(events: &[Event]) -> Vec<(&str, &str)> {
    let text = |event: &'_ Event, name: &str| event.data[name].as_str().unwrap_or_default().to_owned().leak() as &str;
    events.iter().map(|event| (text(event, "action"), text(event, "target"))).collect()
}

#[test]
fn changes_come_in_their_order_and_who_was_away_gets_what_was_missed() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let events = Events::of(&appliance, "/watch");
    appliance.deploy(&hello("kitchen", "1"));
    appliance.admin("PUT", "/apps/kitchen/scripts/other", "{\"kind\": \"endpoint\", \"source\": \"2\"}");
    appliance.admin("PUT", "/apps/kitchen/secrets/token", "{\"value\": \"hunter2\"}");
    set(&appliance, "kitchen", "k", 1);
    assert_eq!(
        appliance.admin("PUT", "/apps/kitchen/scripts/other", "{\"kind\": \"endpoint\", \"source\": \"}\"}").status,
        422
    );
    appliance.admin("DELETE", "/apps/kitchen", "");
    let seen = events.take(5);
    let expected = ["app.deploy", "script.save", "secret.set", "kv.set", "app.delete"];
    assert_eq!(targets(&seen).iter().map(|(action, _)| *action).collect::<Vec<_>>(), expected);
    for event in &seen {
        assert_eq!((event.kind.as_str(), event.id), ("change", event.data["seq"].as_i64()));
        assert_eq!((event.data["from"].as_str(), event.data["outcome"].as_str()), (Some("socket"), Some("done")));
    }
    assert!(seen.windows(2).all(|pair| pair[0].id < pair[1].id), "{seen:?}");
    let second = seen[1].id.unwrap();
    let again = Events::with(&appliance, "/watch", &format!("last-event-id: {second}\r\n"));
    assert_eq!(again.take(3), seen[2..], "by the header");
    let again = Events::of(&appliance, &format!("/watch?after={second}"));
    assert_eq!(again.take(3), seen[2..], "by the query");
    let fresh = Events::of(&appliance, "/watch");
    appliance.deploy(&hello("cellar", "1"));
    for stream in [events, again, fresh] {
        assert_eq!(targets(&stream.take(1)), [("app.deploy", "cellar")]);
    }
    let ahead = Events::of(&appliance, "/watch?after=1000000");
    let gap = ahead.next().unwrap();
    assert_eq!((gap.kind.as_str(), &gap.data["missed_to"]), ("gap", &json!(1_000_000)));
    for (path, headers) in
        [("/watch?after=x", ""), ("/watch?after=1&colour=red", ""), ("/watch", "last-event-id: x\r\n")]
    {
        assert_eq!(Events::with(&appliance, path, headers).status, 400, "{path} {headers}");
    }
    assert_eq!(Events::of(&appliance, "/watch?app=nobody").status, 404);
}

#[test]
fn every_one_of_many_followers_sees_every_change_once() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "1"));
    let followers: Vec<Events> = (0..20).map(|_n| Events::of(&appliance, "/watch")).collect();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let appliance = &appliance;
            scope.spawn(move || (0..40).for_each(|n| set(appliance, "kitchen", &format!("k{writer}"), n)));
        }
    });
    let first = followers[0].take(160);
    assert!(first.windows(2).all(|pair| pair[0].id.unwrap() + 1 == pair[1].id.unwrap()));
    for follower in &followers[1..] {
        assert_eq!(follower.take(160), first);
    }
}

#[test]
fn a_key_sees_its_apps_only_and_its_stream_ends_with_it() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "1"));
    appliance.deploy(&hello("cellar", "1"));
    let (id, key) = make_key(&appliance, "reader", &["script:read@kitchen"]);
    let (_, admin) = make_key(&appliance, "admin", &["script:read", "app:admin", "instance:admin"]);
    let (_, blind) = make_key(&appliance, "blind", &["node:read"]);
    let addr = Https::of(&appliance, data.path()).addr;
    let follow = |key: &str, path: &str| Events::remote(addr, data.path(), key, path);
    assert_eq!(follow(&blind, "/watch").status, 403);
    assert_eq!(follow(&key, "/watch?app=cellar").status, 403);
    assert_eq!(follow("picloud_wrong", "/watch").status, 401);
    let (narrow, wide) = (follow(&key, "/watch"), follow(&admin, "/watch"));
    let one_app = follow(&admin, "/watch?app=cellar");
    set(&appliance, "cellar", "k", 1);
    appliance.admin("PUT", "/apps/kitchen/secrets/token", "{\"value\": \"hunter2\"}");
    set(&appliance, "kitchen", "k", 1);
    let (other, _) = make_key(&appliance, "other", &["invoke"]);
    let expected = ["kv.set", "secret.set", "kv.set", "key.create"];
    let seen = wide.take(4);
    assert_eq!(targets(&seen).iter().map(|(action, _)| *action).collect::<Vec<_>>(), expected);
    assert_eq!(one_app.take(1)[0].data["app"], "cellar");
    appliance.admin("DELETE", &format!("/keys/{other}"), "");
    set(&appliance, "kitchen", "last", 1);
    let seen = narrow.take(2);
    assert!(seen.iter().all(|event| event.data["app"] == "kitchen" && event.data["action"] == "kv.set"), "{seen:?}");
    appliance.admin("DELETE", &format!("/keys/{id}"), "");
    assert_eq!(narrow.next(), None, "the key is revoked");
    assert_eq!(wide.take(3)[2].data["action"], "key.delete");
}

#[test]
fn streams_are_bounded_and_all_end_when_the_appliance_does() {
    let data = tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    let mut open: Vec<Events> = (0..64).map(|n| Events::of(&appliance, ["/watch", "/logs"][n % 2])).collect();
    assert!(open.iter().all(|events| events.status == 200));
    let refused = appliance.admin("GET", "/watch", "");
    assert_eq!((refused.status, refused.header("retry-after")), (503, "10"), "{}", refused.text());
    // Their connections stay open until the threads that read them notice; ending them needs a change to read.
    let rest = open.split_off(32);
    drop(open);
    appliance.deploy(&hello("kitchen", "log::info(\"x\")"));
    appliance.get("/kitchen");
    until("there is room again", || Events::of(&appliance, "/logs").status == 200);
    let began = std::time::Instant::now();
    assert!(appliance.end(Signal::SIGTERM).success());
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
    for events in rest {
        while events.next().is_some() {}
    }
}
