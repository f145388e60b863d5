//! Killed processes: nothing acknowledged is lost, and nothing stays stuck.

use crate::hello;
use crate::https::make_key;
use crate::support::{Appliance, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::tempdir;

const SPIN: &str = "let x = 0; if ctx.request.query.spin == \"yes\" { loop { x += 1; } } \"fine\"";

/// Kills the worker while a run of `/kitchen?spin=yes` is under way in it.
fn kill_worker_in_a_run(appliance: &Appliance) {
    let pid = appliance.worker_pid();
    std::thread::scope(|scope| {
        let lost = scope.spawn(|| appliance.try_get("/kitchen?spin=yes"));
        // The run is under way once the worker uses the processor for it; it spins until its deadline.
        let spent = || {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| {
                let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
                fields.get(11)?.parse::<u64>().ok()
            })
        };
        let before = spent().unwrap();
        until("the run spins", || spent().is_some_and(|now| now > before + 10));
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        let answer = lost.join().unwrap().expect("its client gets an answer");
        assert_eq!((answer.status, &answer.json()["code"]), (502, &json!("worker-lost")));
    });
}

#[test]
fn a_worker_that_dies_is_back_its_runs_are_named_and_the_third_time_is_the_last() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut bundle = hello("kitchen", SPIN);
    bundle["limits"] = json!({ "timeout_ms": 60_000 });
    appliance.deploy(&bundle);
    appliance.deploy(&hello("cellar", "\"cool\""));
    for crash in 1..=3 {
        kill_worker_in_a_run(&appliance);
        // No connection is refused meanwhile: this one waits for the new worker.
        assert_eq!(appliance.get("/cellar").text(), "cool");
        let list = || appliance.admin("GET", "/apps/kitchen/executions?outcome=worker_lost", "").json();
        until("the lost run is kept", || list()["items"].as_array().is_some_and(|items| items.len() == crash));
        let lost = &list()["items"][0];
        assert_eq!((lost["script"].as_str(), lost["cause"].as_str()), (Some("hello"), Some("GET /kitchen")), "{lost}");
        assert_eq!(lost["error"]["code"], "worker-lost");
    }
    until("the script is in quarantine", || appliance.get("/kitchen").status == 502);
    let refused = appliance.get("/kitchen").json();
    assert_eq!(refused["code"], "worker-lost");
    let text = refused.to_string();
    assert!(text.contains("hello") && text.contains('3') && text.contains("scripts release hello"), "{text}");
    let script = appliance.admin("GET", "/apps/kitchen/scripts/hello", "").json();
    assert_eq!(script["quarantine"]["crashes"], 3);
    let released = appliance.admin("POST", "/apps/kitchen/scripts/hello/release", "");
    assert_eq!(released.json(), json!({ "released": true }));
    assert_eq!(appliance.get("/kitchen").text(), "fine");
}

#[test]
fn a_new_version_leaves_the_quarantine_behind() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut bundle = hello("kitchen", SPIN);
    bundle["limits"] = json!({ "timeout_ms": 60_000 });
    appliance.deploy(&bundle);
    for crash in 1..=3 {
        kill_worker_in_a_run(&appliance);
        let list = || appliance.admin("GET", "/apps/kitchen/executions?outcome=worker_lost", "").json();
        until("the lost run is kept", || list()["items"].as_array().is_some_and(|items| items.len() == crash));
    }
    until("the script is in quarantine", || appliance.get("/kitchen").status == 502);
    appliance.deploy(&hello("kitchen", "\"mended\""));
    assert_eq!(appliance.get("/kitchen").text(), "mended");
    let (_, key) = make_key(&appliance, "tester", &["invoke"]);
    let bearer = format!("Bearer {key}");
    let version = |version| {
        let headers = [("authorization", bearer.as_str()), ("x-picloud-version", version)];
        appliance.send("GET", "/kitchen", &headers, b"")
    };
    assert_eq!(version("2").text(), "mended");
    let refused = version("1");
    assert_eq!((refused.status, &refused.json()["code"]), (502, &json!("worker-lost")), "{}", refused.text());
    assert!(refused.text().contains("version 1") && refused.text().contains("3 times"), "{}", refused.text());
}

#[test]
fn every_acknowledged_write_survives_the_appliance_being_killed() {
    let data = tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..3 {
        let mut appliance = Appliance::serve(data.path());
        if round == 0 {
            appliance.deploy(&hello("kitchen", "kv::collection(\"c\").incr(\"n\", 1)"));
        }
        let counted: i64 = appliance.get("/kitchen").text().parse().unwrap();
        assert!(counted > acknowledged, "round {round}: {counted} after {acknowledged}");
        acknowledged = counted;
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|_writer| {
                    let appliance = &appliance;
                    scope.spawn(move || {
                        let mut last = 0;
                        // Until the connection breaks: each number was answered, so it is in the store.
                        while let Ok(reply) = appliance.try_get("/kitchen") {
                            match reply.text().parse::<i64>() {
                                Ok(n) if reply.status == 200 => last = n,
                                _ => break,
                            }
                        }
                        last
                    })
                })
                .collect();
            until("some writes are acknowledged", || {
                let read = appliance.admin("GET", "/apps/kitchen/kv/c/n", "");
                read.json().as_i64().is_some_and(|n| n > counted + 20)
            });
            let pid = Pid::from_raw(i32::try_from(appliance.child.id()).unwrap());
            kill(pid, Signal::SIGKILL).unwrap();
            for writer in writers {
                acknowledged = acknowledged.max(writer.join().unwrap());
            }
        });
        let _killed = appliance.child.wait();
    }
    let appliance = Appliance::serve(data.path());
    let stored: i64 = appliance.admin("GET", "/apps/kitchen/kv/c/n", "").text().parse().unwrap();
    assert!(stored >= acknowledged, "{stored} are stored, {acknowledged} were acknowledged");
}
