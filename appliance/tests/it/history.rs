//! Executions: plain successes are seen and cost no disk, everything else is kept.

use crate::hello;
use crate::support::{Appliance, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::tempdir;

#[test]
fn plain_successes_are_seen_while_it_runs_and_failures_and_logs_for_long() {
    let data = tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    let source = "if ctx.request.query.say == \"yes\" { log::info(\"said\"); }
        if ctx.request.query.fail == \"yes\" { throw \"broken\"; } 1";
    appliance.deploy(&hello("kitchen", source));
    let list = |appliance: &Appliance, query: &str| -> Vec<Value> {
        let reply = appliance.admin("GET", &format!("/apps/kitchen/executions?{query}"), "");
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["items"].as_array().unwrap().clone()
    };
    // The worker tells of one plain success a second; the first of a minute goes to the disk.
    appliance.get("/kitchen");
    until("the first is there", || list(&appliance, "").len() == 1);
    until("another plain success is there", || {
        appliance.get("/kitchen");
        list(&appliance, "outcome=ok").len() >= 3
    });
    appliance.get("/kitchen?say=yes");
    appliance.get("/kitchen?fail=yes");
    until("both are there", || list(&appliance, "").iter().any(|run| run["outcome"] == "failed"));
    let before = list(&appliance, "");
    assert!(before.len() >= 5);
    let ids: Vec<&str> = before.iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice: {ids:?}");
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = appliance.admin("GET", &format!("/apps/kitchen/executions?limit=2{cursor}"), "").json();
        paged.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, before, "in pages, across disk and memory");
    for run in &before {
        let one = appliance.admin("GET", &format!("/apps/kitchen/executions/{}", run["id"].as_str().unwrap()), "");
        let mut one = one.json();
        let input = one.as_object_mut().unwrap().remove("input");
        assert!(input.is_some_and(|input| input["request"]["method"] == "GET"), "one alone tells what it saw");
        assert_eq!(one, *run);
    }
    kill(Pid::from_raw(i32::try_from(appliance.child.id()).unwrap()), Signal::SIGKILL).unwrap();
    let _killed = appliance.child.wait();
    let appliance = Appliance::serve(data.path());
    let after = list(&appliance, "");
    assert!(after.len() < before.len(), "plain successes were in memory only");
    let kept: Vec<_> =
        after.iter().map(|run| (run["outcome"].clone(), run["logs"].as_array().unwrap().len())).collect();
    assert_eq!(kept, [(json!("failed"), 0), (json!("ok"), 1), (json!("ok"), 0)], "failed, logged, and one sample");
    assert_eq!(appliance.admin("GET", "/apps/kitchen/executions?cursor=mine", "").status, 400);
}
