//! Keys and values, from a script and from the admin API.

use crate::hello;
use crate::support::Appliance;
use serde_json::json;
use tempfile::tempdir;

#[test]
fn what_a_script_sets_the_api_reads_and_the_other_way_round() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello(
        "kitchen",
        "let c = kv::collection(\"c\"); c.set(\"a/b\", #{ n: c.incr(\"n\", 2) }); c.get(\"from api\")",
    ));
    let put = appliance.admin("PUT", "/apps/kitchen/kv/c/from%20api", "{\"x\": [1, 2]}");
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(appliance.get("/kitchen").json(), json!({ "x": [1, 2] }));
    for encoded in ["a%2Fb", "a/b"] {
        let read = appliance.admin("GET", &format!("/apps/kitchen/kv/c/{encoded}"), "");
        assert_eq!((read.status, read.json()), (200, json!({ "n": 2 })));
        assert_eq!(read.header("content-type"), "application/json");
    }
    let collections = appliance.admin("GET", "/apps/kitchen/kv", "").json();
    assert_eq!(
        (collections["items"][0]["name"].as_str(), collections["items"][0]["keys"].as_i64()),
        (Some("c"), Some(3))
    );
    let list = appliance.admin("GET", "/apps/kitchen/kv/c?limit=2", "").json();
    let keys = |list: &serde_json::Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&list), ["a/b", "from api"]);
    assert_eq!(list["items"][0]["value"], json!({ "n": 2 }));
    let cursor = list["cursor"].as_str().unwrap();
    let rest = appliance.admin("GET", &format!("/apps/kitchen/kv/c?limit=2&keys_only=true&cursor={cursor}"), "").json();
    assert_eq!((keys(&rest), &rest["cursor"]), (vec!["n".to_owned()], &json!(null)));
    let reverse = appliance.admin("GET", "/apps/kitchen/kv/c?prefix=a&reverse=true", "").json();
    assert_eq!(keys(&reverse), ["a/b"]);
    assert_eq!(appliance.admin("DELETE", "/apps/kitchen/kv/c", "").json(), json!({ "deleted": 3 }));
    assert_eq!(appliance.admin("DELETE", "/apps/kitchen/kv/c", "").status, 404);
}

#[test]
fn writes_honour_their_conditions() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.admin("POST", "/apps", "{\"name\": \"kitchen\"}");
    let url = "/apps/kitchen/kv/c/k";
    let absent = [("if-none-match", "*")];
    assert_eq!(appliance.admin_with("PUT", url, &[("if-match", "*")], "1").status, 412);
    let first = appliance.admin_with("PUT", url, &absent, "1");
    assert_eq!(first.status, 200);
    assert_eq!(appliance.admin_with("PUT", url, &absent, "2").status, 412);
    let tag = first.header("etag").to_owned();
    assert_eq!(appliance.admin("GET", url, "").header("etag"), tag);
    let second = appliance.admin_with("PUT", url, &[("if-match", &tag)], "2");
    assert_eq!(second.status, 200);
    assert_eq!(appliance.admin_with("PUT", url, &[("if-match", &tag)], "3").status, 412);
    assert_eq!(appliance.admin_with("DELETE", url, &[("if-match", &tag)], "").status, 412);
    assert_eq!(appliance.admin("GET", url, "").text(), "2");
    assert_eq!(appliance.admin_with("DELETE", url, &[("if-match", second.header("etag"))], "").status, 204);
    assert_eq!(appliance.admin("DELETE", url, "").status, 404);
}

#[test]
fn what_is_no_value_key_or_collection_is_refused() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.admin("POST", "/apps", "{\"name\": \"kitchen\"}");
    let long = "k".repeat(513);
    let large = format!("\"{}\"", "v".repeat(262_144));
    for (path, body, status, says) in [
        ("c/k", "{oops", 400, "is no JSON"),
        ("c/k", "", 400, "is no JSON"),
        ("c/k", large.as_str(), 413, "kv_value_bytes"),
        (&format!("c/{long}"), "1", 400, "kv_key_bytes"),
        (&format!("{long}/k"), "1", 400, "collection"),
        ("c/k?ttl=5", "1", 400, "ttl"),
        ("c/k?ttl_ms=0", "1", 400, "ttl_ms"),
    ] {
        let reply = appliance.admin("PUT", &format!("/apps/kitchen/kv/{path}"), body);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(reply.json()["detail"].as_str().unwrap().contains(says), "{}", reply.text());
    }
    for query in ["limit=0", "limit=1001", "limit=x", "cursor=mine", "colour=red"] {
        let reply = appliance.admin("GET", &format!("/apps/kitchen/kv/c?{query}"), "");
        assert_eq!((reply.status, reply.json()["code"].as_str()), (400, Some("malformed")), "{query}");
    }
    assert_eq!(appliance.admin("GET", "/apps/nobody/kv", "").status, 404);
}

#[test]
fn one_app_never_sees_the_keys_of_another() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    for app in ["a", "b"] {
        appliance.deploy(&hello(app, "kv::collection(\"c\").get(\"k\")"));
        appliance.admin("PUT", &format!("/apps/{app}/kv/c/k"), &format!("\"of {app}\""));
    }
    assert_eq!((appliance.get("/a").text(), appliance.get("/b").text()), ("of a".to_owned(), "of b".to_owned()));
}
