//! Every example is deployed as a newcomer would deploy it, and every route of it is asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use picloud_model::app_folder::{bundle_from_files, files_from_bundle, is_app_file};
use picloud_model::bundle::Bundle;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::{Appliance, Reply, until};

/// An example, running.
struct Example {
    appliance: Appliance,
    name: &'static str,
    _data: tempfile::TempDir,
}

impl Example {
    /// Deploys the example; it must be without a warning, and what is exported must be what was deployed.
    fn start(name: &'static str) -> Self {
        let bundle = bundle(name);
        let data = tempfile::tempdir().unwrap();
        let appliance = Appliance::serve(data.path());
        let report = appliance.deploy(&json!(bundle));
        assert_eq!(report["warnings"].as_array().map_or(0, Vec::len), 0, "{report:#}");
        let exported: Bundle =
            serde_json::from_value(appliance.admin("GET", &format!("/apps/{name}/export"), "").json()).unwrap();
        assert_eq!(files_from_bundle(&exported), files_from_bundle(&bundle));
        assert_eq!(appliance.deploy(&json!(exported))["changes"], json!([]), "an export is no change");
        Self { appliance, name, _data: data }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.appliance.send(method, &format!("/{}{path}", self.name), headers, body.as_bytes())
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    /// Sends JSON; answers status and JSON.
    fn json(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let reply = self.ask(method, path, &[("content-type", "application/json")], &body.to_string());
        (reply.status, if reply.body.is_empty() { Value::Null } else { reply.json() })
    }
}

fn bundle(name: &str) -> Bundle {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        for entry in std::fs::read_dir(folder.join(&below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if is_app_file(path.to_str().unwrap()) {
                files.insert(path.to_str().unwrap().to_owned(), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    bundle_from_files(files).unwrap_or_else(|found| panic!("{name}: {found:#?}"))
}

#[test]
fn quickstart_greets_echoes_counts_and_converts() {
    let example = Example::start("quickstart");
    let hello = example.get("/hello");
    assert_eq!((hello.status, hello.text().as_str()), (200, "Hello, world!"));
    assert_eq!(hello.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(example.get("/hello?name=Ada%20L").text(), "Hello, Ada L!");

    let echo = example.ask("PUT", "/echo/one/two/three?a=1&a=2", &[("user-agent", "test")], "text").json();
    let expected = json!({
        "method": "PUT", "word": "one", "rest": "two/three", "query": {"a": "1"}, "agent": "test", "body": "text",
    });
    assert_eq!(echo, expected);

    assert_eq!(example.get("/counter/visits").json(), json!({"name": "visits", "count": 0}));
    for count in 1..=3 {
        assert_eq!(example.json("POST", "/counter/visits", &json!(null)).1["count"], json!(count));
    }
    assert_eq!(example.get("/counter/visits").json()["count"], json!(3));
    assert_eq!(example.get("/counter/other").json()["count"], json!(0));
    assert_eq!(example.ask("DELETE", "/counter/visits", &[], "").status, 204);
    assert_eq!(example.get("/counter/visits").json()["count"], json!(0));
    assert_eq!(example.ask("PUT", "/counter/visits", &[], "").status, 405);

    let weather = example.get("/weather?celsius=21.5").json();
    assert_eq!(weather, json!({"city": "Berlin", "celsius": 21.5, "fahrenheit": 70.7, "feels": "warm"}));
    assert_eq!(example.get("/weather?celsius=-3").json()["feels"], "freezing");
    let refused = example.get("/weather?celsius=warm");
    assert_eq!((refused.status, refused.header("content-type")), (400, "application/problem+json"));
    assert!(refused.json()["detail"].as_str().unwrap().contains("warm"));

    let page = example.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(example.get("/static/style.css").header("content-type"), "text/css; charset=utf-8");
}

#[test]
fn shortener_makes_follows_counts_and_removes_links() {
    let example = Example::start("shortener");
    let (status, made) = example.json("POST", "/links", &json!({"url": "https://example.org/a?b=c"}));
    assert_eq!(status, 201, "{made}");
    let code = made["code"].as_str().unwrap();
    assert_eq!(made["path"], json!(format!("/shortener/{code}")));
    for _visit in 0..2 {
        let followed = example.get(&format!("/{code}"));
        assert_eq!((followed.status, followed.header("location")), (302, "https://example.org/a?b=c"));
    }
    let link = example.get(&format!("/links/{code}")).json();
    assert_eq!((&link["url"], &link["visits"]), (&json!("https://example.org/a?b=c"), &json!(2)));
    assert_eq!(example.ask("DELETE", &format!("/links/{code}"), &[], "").status, 204);
    assert_eq!(example.get(&format!("/{code}")).status, 404);
    assert_eq!(example.get(&format!("/links/{code}")).status, 404);

    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(example.ask("POST", "/links", &form, "url=https%3A%2F%2Fexample.org").status, 201);
    for (body, status) in
        [("no json", 400), ("{}", 422), ("[]", 400), ("{\"url\": 7}", 422), ("{\"url\": \"ftp://x\"}", 422)]
    {
        assert_eq!(example.ask("POST", "/links", &[], body).status, status, "{body}");
    }
    assert_eq!(example.json("POST", "/links", &json!({"url": "https://".to_owned() + &"x".repeat(2000)})).0, 422);
    assert_eq!(example.get("/").status, 200);
}

#[test]
fn guestbook_shows_what_visitors_wrote_and_nothing_they_could_break_it_with() {
    let example = Example::start("guestbook");
    let empty = example.get("/");
    assert_eq!((empty.status, empty.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(empty.text().contains("Nobody has written yet."));

    let form = [("content-type", "application/x-www-form-urlencoded")];
    let signed = example.ask("POST", "/", &form, "name=+Ada+&message=%3Cscript%3Ealert(1)%3C%2Fscript%3E");
    assert_eq!((signed.status, signed.header("location")), (303, "/guestbook/"));
    let page = example.get("/").text();
    assert!(page.contains("<h2>Ada</h2>") && page.contains("&lt;script&gt;alert(1)"), "{page}");
    assert!(!page.contains("<script>"), "{page}");

    for (body, status) in [("name=Ada", 422), ("name=+&message=x", 422), ("", 422)] {
        assert_eq!(example.ask("POST", "/", &form, body).status, status, "{body}");
    }
    let long = format!("name=Ada&message={}", "x".repeat(2001));
    assert_eq!(example.ask("POST", "/", &form, &long).status, 422);

    // More than a page: the newest first, and a way to the older ones.
    for number in 1..=20 {
        assert_eq!(example.ask("POST", "/", &form, &format!("name=Eve&message=number-{number}-")).status, 303);
    }
    let newest = example.get("/").text();
    assert!(newest.contains("number-20-") && !newest.contains("<h2>Ada</h2>"), "{newest}");
    assert!(newest.find("number-20-") < newest.find("number-19-"));
    let older = newest.split_once("href=\"?before=").unwrap().1.split_once('"').unwrap().0;
    let page = example.get(&format!("/?before={older}")).text();
    assert!(page.contains("<h2>Ada</h2>") && !page.contains("number-1-") && !page.contains("Older"), "{page}");
    assert_eq!(example.get("/static/style.css").status, 200);
}

#[test]
fn webhook_takes_what_is_signed_and_each_delivery_once() {
    let example = Example::start("webhook");
    let body = r#"{"event":"ping"}"#;
    // printf %s '{"event":"ping"}' | openssl dgst -sha256 -hmac change-me
    let signature = "sha256=5bd1ba08a7bab838c31c2741242f2e78aac532009caf441116827760e6582fca";
    let send = |signature: &str, id: &str, body: &str| {
        example.ask("POST", "/hook", &[("x-hub-signature-256", signature), ("x-delivery-id", id)], body)
    };
    let taken = send(signature, "one", body);
    assert_eq!((taken.status, taken.json()), (202, json!({"delivery": "one", "status": "taken"})));
    let again = send(signature, "one", body);
    assert_eq!((again.status, again.json()["status"].clone()), (200, json!("seen before")));
    for (signature, body) in
        [(signature, r#"{"event":"pong"}"#), ("", body), ("sha256=00", body), (&signature.to_uppercase(), body)]
    {
        assert_eq!(send(signature, "two", body).status, 401, "{signature} {body}");
    }
    assert_eq!(example.ask("POST", "/hook", &[("x-hub-signature-256", signature)], body).status, 400);
    let list = example.get("/deliveries").json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(
        (&list["items"][0]["delivery"], &list["items"][0]["payload"]),
        (&json!("one"), &json!({"event": "ping"}))
    );
    assert_eq!(list["cursor"], Value::Null);
}

#[test]
fn api_creates_reads_changes_lists_and_deletes_and_says_what_is_wrong() {
    let example = Example::start("api");
    let (status, made) = example.json("POST", "/tasks", &json!({"title": " write "}));
    assert_eq!((status, &made["title"], &made["done"]), (201, &json!("write"), &json!(false)), "{made}");
    let path = format!("/tasks/{}", made["id"].as_str().unwrap());
    assert_eq!(example.get(&path).json(), made);
    let (status, changed) = example.json("PUT", &path, &json!({"title": "write", "done": true}));
    assert_eq!((status, &changed["done"]), (200, &json!(true)));
    assert!(changed["version"].as_i64() > made["version"].as_i64(), "{changed}");
    assert_eq!(example.get(&path).json(), changed);

    for (body, status) in [
        (json!({}), 422),
        (json!({"title": ""}), 422),
        (json!({"title": 7}), 422),
        (json!({"title": "x", "done": "yes"}), 422),
        (json!({"title": "x", "owner": "me"}), 422),
        (json!({"title": "x".repeat(201)}), 422),
        (json!([]), 400),
    ] {
        let (answered, problem) = example.json("POST", "/tasks", &body);
        assert_eq!(answered, status, "{body}: {problem}");
        assert!(problem["detail"].is_string(), "{problem}");
    }
    assert_eq!(example.ask("POST", "/tasks", &[], "no json").status, 400);
    assert_eq!(example.ask("POST", "/tasks", &[], &" ".repeat(70_000)).status, 413);

    assert_eq!(example.ask("DELETE", &path, &[], "").status, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(example.ask(method, &path, &[], "").status, 404);
    }
    assert_eq!(example.json("PUT", &path, &json!({"title": "x"})).0, 404);

    for number in 0..5 {
        assert_eq!(example.json("POST", "/tasks", &json!({"title": format!("task {number}")})).0, 201);
    }
    let mut titles = Vec::new();
    let mut next = "/tasks?limit=2".to_owned();
    for _page in 0..3 {
        let page = example.get(&next).json();
        titles.extend(page["items"].as_array().unwrap().iter().map(|task| task["title"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["cursor"].as_str() else { break };
        next = format!("/tasks?limit=2&cursor={cursor}");
    }
    assert_eq!(titles, ["task 0", "task 1", "task 2", "task 3", "task 4"]);
    for wrong in ["limit=0", "limit=101", "limit=x"] {
        assert_eq!(example.get(&format!("/tasks?{wrong}")).status, 422, "{wrong}");
    }
    assert_eq!(example.get("/tasks?cursor=nonsense").status, 400);
}

#[test]
fn orders_are_paid_and_shipped_by_events_and_a_stuck_one_can_be_mended_and_sent_again() {
    let example = Example::start("orders");
    let order = |customer: &str, card: &str| {
        let (status, taken) =
            example.json("POST", "/orders", &json!({"customer": customer, "item": "lamp", "card": card}));
        assert_eq!((status, &taken["state"]), (202, &json!("new")), "{taken}");
        format!("/orders/{}", taken["id"].as_str().unwrap())
    };
    let shipped = |path: &str| example.get(path).json()["state"] == "shipped";
    let good = order("ada", "4711");
    until("the order is shipped", || shipped(&good));
    assert!(example.get(&good).json().get("card").is_none());

    let declined = order("eve", "declined");
    let busy = order("bob", "busy");
    until("both are problems", || example.get("/problems").json().as_array().unwrap().len() == 2);
    let problems = example.get("/problems").json();
    let of = |path: &str| {
        let id = path.rsplit('/').next().unwrap();
        problems.as_array().unwrap().iter().find(|problem| problem["order"] == id).unwrap().clone()
    };
    assert_eq!(of(&declined)["attempts"], 1, "what is terminal is not tried again");
    assert_eq!(of(&busy)["attempts"], 3);
    assert!(of(&busy)["why"].as_str().unwrap().contains("busy"));

    // The service is back: the order gets another card, and its event is sent again.
    let id = busy.rsplit('/').next().unwrap();
    let path = format!("/apps/orders/kv/orders/{id}");
    let mut stored = example.appliance.admin("GET", &path, "").json();
    stored["card"] = json!("4712");
    assert_eq!(example.appliance.admin("PUT", &path, &stored.to_string()).status, 200);
    let letters = example.appliance.admin("GET", "/apps/orders/dead-letters?trigger=pay", "").json();
    assert_eq!(letters["items"].as_array().unwrap().len(), 2, "{letters:#}");
    let retried = example.appliance.admin("POST", "/apps/orders/dead-letters/retry", r#"{"trigger": "pay"}"#);
    assert_eq!(retried.status, 202, "{}", retried.text());
    until("the mended order is shipped", || shipped(&busy));
    for (body, status) in [("no json", 400), ("{}", 422), (r#"{"customer":"a","item":"b","card":7}"#, 422)] {
        assert_eq!(example.ask("POST", "/orders", &[], body).status, status, "{body}");
    }
}

#[test]
fn photobox_keeps_pictures_indexes_them_by_events_and_shows_them_for_a_minute() {
    let example = Example::start("photobox");
    let picture = "not really a picture";
    let sent = example.ask("POST", "/photos?name=cat.jpg", &[("content-type", "image/jpeg")], picture);
    assert_eq!(sent.status, 201, "{}", sent.text());
    let path = sent.header("location").strip_prefix("/photobox").unwrap().to_owned();
    until("it is in the album", || example.get("/photos").json().as_array().unwrap().len() == 1);
    let album = example.get("/photos").json();
    assert_eq!((&album[0]["name"], &album[0]["bytes"]), (&json!("cat.jpg"), &json!(picture.len())));
    let shown = example.get(&path);
    assert_eq!(shown.status, 302, "{}", shown.text());
    let bytes = example.appliance.get(shown.header("location"));
    assert_eq!((bytes.status, bytes.text().as_str()), (200, picture));
    assert_eq!(example.ask("DELETE", &path, &[], "").status, 204);
    until("it is gone from the album", || example.get("/photos").json() == json!([]));
    assert_eq!(example.get(&path).status, 404);
    assert_eq!(example.ask("POST", "/photos", &[("content-type", "text/html")], "<p>").status, 422);
}

#[test]
fn report_turns_the_counters_into_a_report_when_its_schedule_is_fired() {
    let example = Example::start("report");
    for page in ["home", "home", "about"] {
        assert_eq!(example.ask("POST", &format!("/visit/{page}"), &[], "").status, 200);
    }
    let trigger = example.appliance.admin("GET", "/apps/report/triggers/nightly", "").json();
    assert!(trigger["next_at"].is_string(), "{trigger:#}");
    assert_eq!(example.appliance.admin("POST", "/apps/report/triggers/nightly/fire", "{}").status, 202);
    until("there is a report", || example.get("/reports").json().as_array().unwrap().len() == 1);
    let report = example.get("/reports").json();
    assert_eq!(report[0]["pages"], json!({"home": 2, "about": 1}), "{report:#}");
    assert_eq!(report[0]["total"], 3);
    assert_eq!(example.ask("POST", "/visit/home", &[], "").json()["visits"], 1, "it counts from the beginning");
}

#[test]
fn sensors_settle_on_the_last_value_of_a_burst() {
    let example = Example::start("sensors");
    for value in [20, 21, 22] {
        assert_eq!(example.json("POST", "/readings/kitchen", &json!({"value": value})).0, 202);
    }
    let shown = || example.get("/readings/kitchen").json();
    // The value is set a moment before the burst is counted.
    until("the sensor settles", || shown()["settled"] == 22 && shown()["count"] != 0);
    assert_eq!(shown()["count"], 1, "the burst counts once");
    let timers = || example.appliance.admin("GET", "/apps/sensors/timers", "").json()["items"].clone();
    until("no timer is left", || timers() == json!([]));
}
