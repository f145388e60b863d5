//! `/logs`: what scripts write and why they fail, as it happens.

use crate::events::Events;
use crate::hello;
use crate::https::{Https, make_key};
use crate::support::Appliance;
use serde_json::json;
use tempfile::tempdir;

const TALKS: &str = r#"log::debug("thinking"); log::info("hello", #{ n: 1 }); log::warn("careful");
if ctx.request.query.fail == "yes" { throw "broken"; }
1"#;

#[test]
fn lines_and_failures_come_as_they_happen_to_whoever_asked_for_them() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", TALKS));
    appliance.deploy(&hello("cellar", TALKS));
    let all = Events::of(&appliance, "/logs");
    let cellar = Events::of(&appliance, "/logs?app=cellar&script=hello");
    let warnings = Events::of(&appliance, "/logs?level=warn");
    let elsewhere = Events::of(&appliance, "/logs?node=nowhere");
    let (_, key) = make_key(&appliance, "reader", &["script:read@kitchen"]);
    let addr = Https::of(&appliance, data.path()).addr;
    let kitchen = Events::remote(addr, data.path(), &key, "/logs");
    assert_eq!(Events::remote(addr, data.path(), &key, "/logs?app=cellar").status, 403);
    assert_eq!(appliance.get("/cellar").status, 200);
    assert_eq!(appliance.get("/kitchen?fail=yes").status, 500);
    let seen = all.take(7);
    let said: Vec<_> = seen
        .iter()
        .map(|event| [&event.data["app"], &event.data["level"], &event.data["message"]].map(|v| v.as_str().unwrap()))
        .collect();
    let three = |app| [[app, "debug", "thinking"], [app, "info", "hello"], [app, "warn", "careful"]];
    assert_eq!(said[..3], three("cellar"));
    assert_eq!(said[3..6], three("kitchen"));
    assert_eq!(said[6], ["kitchen", "error", "broken (hello:2:38)"]);
    let line = &seen[1].data;
    assert_eq!((&line["fields"], &line["script"], &line["version"]), (&json!({ "n": 1 }), &json!("hello"), &json!(1)));
    let id = seen[6].data["execution_id"].as_str().unwrap();
    let run = appliance.admin("GET", &format!("/apps/kitchen/executions/{id}"), "").json();
    assert_eq!(run["error"]["detail"], "broken");
    assert_eq!(cellar.take(3), seen[..3]);
    assert_eq!(kitchen.take(4), seen[3..]);
    let levels: Vec<_> = warnings.take(3).into_iter().map(|event| event.data["level"].clone()).collect();
    assert_eq!(levels, ["warn", "warn", "error"]);
    drop(elsewhere);
    for (path, status) in [("/logs?level=loud", 400), ("/logs?app=nobody", 404), ("/logs?colour=red", 400)] {
        assert_eq!(Events::of(&appliance, path).status, status, "{path}");
    }
}
