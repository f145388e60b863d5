//! What no script has to do with: methods, static files, and the manners of the admin API.

use crate::hello;
use crate::support::Appliance;
use serde_json::json;
use tempfile::tempdir;

#[test]
fn head_options_and_405_come_from_the_table() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&hello("kitchen", "\"hello\""));
    let head = appliance.send("HEAD", "/kitchen", &[], b"");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "5", 0));
    let options = appliance.send("OPTIONS", "/kitchen", &[], b"");
    assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD, OPTIONS"));
    let refused = appliance.send("POST", "/kitchen", &[], b"x");
    assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD, OPTIONS"));
    assert_eq!(refused.json()["code"], "method-not-allowed");
    assert_eq!(appliance.get("/kitchen/..%2f").status, 400);
}

#[test]
fn static_files_are_served_with_tags_and_ranges() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut bundle = hello("kitchen", "\"from the script\"");
    bundle["static"] = json!({ "style.css": "Ym9keSB7fQ==", "docs/index.html": "PGgxPg==" });
    appliance.deploy(&bundle);
    let css = appliance.get("/kitchen/style.css");
    assert_eq!((css.status, css.text().as_str()), (200, "body {}"));
    assert!(css.header("content-type").starts_with("text/css"));
    let tag = css.header("etag").to_owned();
    assert_eq!(appliance.send("GET", "/kitchen/static/style.css", &[("if-none-match", &tag)], b"").status, 304);
    let part = appliance.send("GET", "/kitchen/style.css", &[("range", "bytes=1-3")], b"");
    assert_eq!((part.status, part.text().as_str(), part.header("content-range")), (206, "ody", "bytes 1-3/7"));
    assert_eq!(appliance.get("/kitchen/docs/").text(), "<h1>");
    assert_eq!(appliance.get("/kitchen/missing.css").status, 404);
}

#[test]
fn the_admin_api_answers_every_mistake_with_a_problem() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    for (method, path, status, code) in [
        ("GET", "/nothing", 404, "not-found"),
        ("PUT", "/apps", 405, "method-not-allowed"),
        ("GET", "/apps?colour=red", 400, "malformed"),
        ("GET", "/apps?limit=1001", 400, "malformed"),
        ("GET", "/apps?cursor=mine", 400, "malformed"),
        ("POST", "/apps", 400, "malformed"),
        ("GET", "/apps/nobody", 404, "not-found"),
        ("GET", "/apps/nobody/export", 404, "not-found"),
    ] {
        let reply = appliance.admin(method, path, "");
        assert_eq!(reply.header("content-type"), "application/problem+json", "{method} {path}");
        assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{method} {path}");
    }
    assert_eq!(appliance.admin("PUT", "/apps", "").header("allow"), "GET,HEAD,POST");
    let list = appliance.admin("POST", "/apps", "[\"kitchen\"]");
    assert_eq!(list.status, 400, "a list is no object: {}", list.text());
    let bad_name = appliance.admin("POST", "/apps", "{\"name\": \"Kitchen\"}");
    assert_eq!(bad_name.status, 400, "{}", bad_name.text());
    let huge = format!("{{\"name\": \"{}\"}}", "x".repeat(9 << 20));
    assert_eq!(appliance.admin("POST", "/apps", &huge).status, 413);
    let limits = appliance.admin("GET", "/limits", "").json();
    let timeout = limits["items"].as_array().unwrap().iter().find(|row| row["name"] == "timeout_ms").unwrap();
    assert_eq!((timeout["default"].as_i64(), timeout["ceiling"].as_i64()), (Some(10_000), Some(300_000)));
}

#[test]
fn the_admin_socket_is_for_its_user_and_group_alone() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mode = std::fs::metadata(&appliance.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}
