//! API keys over HTTPS: made, shown once, used, expired, revoked; and what is said to those without one.

use crate::https::{Https, make_key};
use crate::support::{Appliance, PATIENCE, fails, serve_command, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tempfile::tempdir;

/// How soon a revoked key is refused everywhere.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

/// An app with one route that needs a key.
fn guarded() -> Value {
    json!({
        "name": "kitchen",
        "routes": [{ "methods": ["GET"], "path": "/", "script": "hello", "auth": "key" }],
        "scripts": { "hello": "`${ctx.principal.kind} ${ctx.principal.name}`" },
    })
}

#[test]
fn until_there_is_a_key_only_health_answers_over_the_network() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut client = Https::of(&appliance, data.path());
    for url in ["/health", "/ready"] {
        assert_eq!(client.send_with(&[], "GET", url, "").status, 200, "{url}");
    }
    for (method, url) in [
        ("GET", "/version"),
        ("GET", "/apps"),
        ("GET", "/nothing"),
        ("PATCH", "/version"),
        ("GET", "/health/x"),
        ("GET", "/version?x=1"),
    ] {
        let reply = client.send_with(&[], method, url, "");
        let said = reply.json();
        assert_eq!((reply.status, &said["code"]), (401, &json!("unauthenticated")), "{method} {url}: {said}");
        assert!(said["hint"].as_str().unwrap().contains("picloud keys create"), "{said}");
    }
    make_key(&appliance, "laptop", &["script:read"]);
    let said = client.send_with(&[], "GET", "/apps", "").json();
    assert_eq!(said["hint"], "send one: Authorization: Bearer KEY");
}

#[test]
fn a_key_is_seen_once_and_kept_as_a_hash() {
    let data = tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    let body =
        json!({ "name": "laptop", "scopes": ["script:read", "node:read"], "expires_at": "2099-01-01T00:00:00Z" });
    let made = appliance.admin("POST", "/keys", &body.to_string());
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"), "{}", made.text());
    let made = made.json();
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("picloud_"), "{key}");
    let url = format!("/keys/{}", made["id"]);
    let shown = appliance.admin("GET", &url, "").json();
    assert_eq!(shown["scopes"], json!(["script:read", "node:read"]));
    assert_eq!((&shown["name"], &shown["expires_at"]), (&json!("laptop"), &json!("2099-01-01T00:00:00.000Z")));
    assert_eq!((shown.get("key"), shown.get("last_used_at")), (None, None), "{shown}");

    let mut client = Https::of(&appliance, data.path());
    assert_eq!(client.send(&key, "GET", "/apps", "").status, 200);
    for scheme in ["bearer", "BEARER"] {
        let header = format!("{scheme} {key}");
        assert_eq!(client.send_with(&[("authorization", &header)], "GET", "/apps", "").status, 200, "{scheme}");
    }
    let listed = appliance.admin("GET", "/keys", "").json();
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");
    assert!(!listed.to_string().contains(&key));
    // What was used is known after a restart, and the key itself is nowhere on the disk.
    assert!(appliance.end(Signal::SIGTERM).success());
    for file in ["data.db", "data.db-wal", "history.db"] {
        let bytes = std::fs::read(data.path().join("data").join(file)).unwrap_or_default();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "{file}");
    }
    let again = Appliance::serve(data.path());
    let shown = again.admin("GET", &url, "").json();
    assert!(shown["last_used_at"].is_string(), "{shown}");
    assert_eq!(Https::of(&again, data.path()).send(&key, "GET", "/apps", "").status, 200);
}

#[test]
fn a_key_that_is_not_well_formed_is_not_made() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    make_key(&appliance, "taken", &["invoke"]);
    let refusals: Vec<String> = [
        json!({ "name": "", "scopes": ["invoke"] }),
        json!({ "name": "a\nb", "scopes": ["invoke"] }),
        json!({ "name": "x".repeat(65), "scopes": ["invoke"] }),
        json!({ "name": "unknown", "scopes": ["invoke"] }),
        json!({ "name": "a", "scopes": [] }),
        json!({ "name": "a", "scopes": ["script:reed"] }),
        json!({ "name": "a", "scopes": ["node:read@kitchen"] }),
        json!({ "name": "a", "scopes": ["invoke", "instance:admin"], "apps": ["kitchen"] }),
        json!({ "name": "a", "scopes": ["invoke"], "apps": [] }),
        json!({ "name": "a", "scopes": ["invoke"], "apps": ["Kitchen"] }),
        json!({ "name": "a", "scopes": ["invoke"], "expires_at": "2001-01-01T00:00:00Z" }),
        json!({ "name": "a", "scopes": ["invoke"], "expires_at": "tomorrow" }),
        json!({ "name": "a", "scopes": ["invoke"], "colour": "red" }),
        json!({ "name": "taken", "scopes": ["invoke"] }),
    ]
    .iter()
    .map(|body| {
        let reply = appliance.admin("POST", "/keys", &body.to_string());
        let said = reply.json();
        let hint = said["hint"].as_str().unwrap_or("-");
        format!(
            "{body}\n  {} {}: {}\n  {hint}",
            reply.status,
            said["code"].as_str().unwrap(),
            said["detail"].as_str().unwrap()
        )
    })
    .collect();
    insta::assert_snapshot!(refusals.join("\n"));
    assert_eq!(appliance.admin("GET", "/keys", "").json()["items"].as_array().unwrap().len(), 1);
    let narrowed = json!({ "name": "narrow", "scopes": ["invoke", "script:read@garden"], "apps": ["kitchen", "shed"] });
    let made = appliance.admin("POST", "/keys", &narrowed.to_string()).json();
    assert_eq!(made["scopes"], json!(["invoke@kitchen,shed", "script:read@garden"]));
}

#[test]
fn a_revoked_key_is_refused_at_once_at_every_door() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&guarded());
    let (id, key) = make_key(&appliance, "door", &["invoke@kitchen", "script:read"]);
    let mut client = Https::of(&appliance, data.path());
    let bearer = format!("Bearer {key}");
    let ingress = || appliance.send("GET", "/kitchen", &[("authorization", &bearer)], b"");
    assert_eq!(client.send(&key, "GET", "/apps", "").status, 200);
    let reply = ingress();
    assert_eq!((reply.status, reply.text().as_str()), (200, "key door"));
    assert_eq!(appliance.get("/kitchen").status, 401);

    let url = format!("/keys/{id}");
    assert_eq!(appliance.admin_with("DELETE", &url, &[("if-match", "\"7\"")], "").status, 412);
    let began = Instant::now();
    assert_eq!(appliance.admin_with("DELETE", &url, &[("if-match", "\"1\"")], "").status, 204);
    assert_eq!(client.send(&key, "GET", "/apps", "").status, 401, "also on a connection that was open before");
    assert_eq!(ingress().status, 401);
    assert!(began.elapsed() < REVOKED_WITHIN, "{:?}", began.elapsed());
    assert_eq!(appliance.admin("DELETE", &url, "").status, 404);
    assert_eq!(appliance.admin("GET", &url, "").status, 404);
}

#[test]
fn streams_of_a_revoked_key_end() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let client = Https::of(&appliance, data.path());
    for url in ["/watch", "/logs"] {
        let (id, key) = make_key(&appliance, url, &["script:read"]);
        let took = client.follow(&key, url, || {
            assert_eq!(appliance.admin("DELETE", &format!("/keys/{id}"), "").status, 204);
        });
        assert!(took < REVOKED_WITHIN, "{url}: {took:?}");
    }
}

#[test]
fn a_key_is_refused_from_the_moment_it_expires() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&guarded());
    let mut client = Https::of(&appliance, data.path());
    let now = jiff_now_plus(Duration::from_secs(2));
    let body = json!({ "name": "short", "scopes": ["invoke", "script:read"], "expires_at": now });
    let key = appliance.admin("POST", "/keys", &body.to_string()).json()["key"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {key}");
    assert_eq!(client.send(&key, "GET", "/apps", "").status, 200);
    until("the key expires", || client.send(&key, "GET", "/apps", "").status == 401);
    assert_eq!(client.send(&key, "GET", "/apps", "").json()["detail"], "the API key has expired");
    assert_eq!(appliance.send("GET", "/kitchen", &[("authorization", &bearer)], b"").status, 401);
}

fn jiff_now_plus(later: Duration) -> String {
    use picloud_model::clock::{Clock, SystemClock, rfc3339};
    rfc3339(SystemClock.now_ms() + i64::try_from(later.as_millis()).unwrap())
}

#[test]
fn whoever_tries_wrong_keys_has_to_wait_and_whoever_has_one_does_not() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let (_, key) = make_key(&appliance, "laptop", &["script:read"]);
    let mut client = Https::of(&appliance, data.path());
    let statuses: Vec<u16> = (0..8).map(|n| client.send(&format!("picloud_{n}"), "GET", "/apps", "").status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    let reply = client.send("picloud_x", "GET", "/apps", "");
    assert_eq!((reply.status, &reply.json()["code"]), (429, &json!("rate-limited")));
    assert!((1..=2).contains(&reply.header("retry-after").parse::<u32>().unwrap()));
    assert_eq!(client.send_with(&[("authorization", "Basic cGk6cGk=")], "GET", "/apps", "").status, 429);
    assert_eq!(client.send(&key, "GET", "/apps", "").status, 200);
    assert_eq!(client.send("picloud_x", "GET", "/apps", "").status, 401, "a success ends the wait");

    let audit = appliance.admin("GET", "/audit?outcome=refused", "").json();
    let entries = audit["items"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["who"] == json!({ "kind": "key", "name": "unknown" })), "{audit}");
    assert!(entries.iter().all(|entry| entry["from"] == "127.0.0.1"), "{audit}");
    assert!(!entries.is_empty() && entries.len() <= 2, "equal refusals are one entry: {audit}");
    assert!(!audit.to_string().contains("picloud_x"), "{audit}");
}

#[test]
fn whoever_is_refused_at_a_route_is_in_the_audit_log_without_the_key() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&guarded());
    let (_, reader) = make_key(&appliance, "reader", &["script:write@garden"]);
    let ask = |headers: &[(&str, &str)]| appliance.send("GET", "/kitchen", headers, b"").status;
    let (wrong, lacking) = ("Bearer picloud_wrong", format!("Bearer {reader}"));
    assert_eq!(ask(&[("authorization", wrong)]), 401);
    assert_eq!((0..3).map(|_| ask(&[("authorization", &lacking)])).collect::<Vec<_>>(), [403; 3]);
    assert_eq!(ask(&[("authorization", &lacking), ("x-picloud-version", "1")]), 403);
    let refusals = || appliance.admin("GET", "/audit?outcome=refused&app=kitchen", "").json();
    until("the worker tells in time", || refusals()["items"].as_array().is_some_and(|items| items.len() >= 2));
    let audit = refusals();
    let mut entries: Vec<&Value> = audit["items"].as_array().unwrap().iter().collect();
    entries.sort_by_key(|entry| entry["who"]["name"].to_string());
    let told: Vec<Value> = entries
        .iter()
        .map(|entry| {
            json!([
                entry["who"]["name"],
                entry["who"]["kind"],
                entry["from"],
                entry["action"],
                entry["target"],
                entry["after"]["code"]
            ])
        })
        .collect();
    let of = |who: &str, code: &str| json!([who, "key", "127.0.0.1", "invoke", "/", code]);
    assert_eq!(told, [of("reader", "forbidden"), of("unknown", "unauthenticated")], "{audit}");
    assert!(!audit.to_string().contains("picloud_wrong") && !audit.to_string().contains(&reader), "{audit}");
    // Further ones, and those without a key, are counted with them.
    assert!((0..100).all(|_| ask(&[]) == 401));
    assert!((0..20).all(|_| ask(&[("authorization", wrong)]) != 200));
    assert_eq!(refusals()["items"].as_array().unwrap().len(), 2);
    assert_eq!(appliance.admin("GET", "/audit/verify", "").json()["intact"], true);
}

#[test]
fn changes_over_the_network_are_in_the_audit_log_under_the_keys_name_and_address() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let (_, key) = make_key(&appliance, "laptop", &["app:admin", "instance:admin"]);
    let mut client = Https::of(&appliance, data.path());
    assert_eq!(client.send(&key, "POST", "/apps", r#"{"name":"shed"}"#).status, 201);
    let audit = client.send(&key, "GET", "/audit?action=app.create", "").json();
    let entry = &audit["items"][0];
    assert_eq!((&entry["who"], &entry["from"]), (&json!({ "kind": "key", "name": "laptop" }), &json!("127.0.0.1")));
    let made = client.send(&key, "GET", "/audit?action=key.create", "").json();
    assert_eq!(made["items"][0]["from"], "socket");
    assert!(!made.to_string().contains(&key), "{made}");
}

#[test]
fn whoever_is_refused_with_a_large_body_is_told_why() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let (_, key) = make_key(&appliance, "reader", &["script:read"]);
    let mut client = Https::of(&appliance, data.path());
    let body = "x".repeat(20 * 1024 * 1024);
    for _ in 0..3 {
        let reply = client.send(&key, "POST", "/apps/kitchen/deploy", &body);
        assert_eq!((reply.status, &reply.json()["code"]), (403, &json!("forbidden")), "{}", reply.text());
    }
    let reply = client.send("picloud_x", "POST", "/apps/kitchen/deploy", &body[..512 * 1024]);
    assert_eq!(reply.status, 401, "{}", reply.text());
}

#[test]
fn the_certificate_is_for_the_machines_names_and_by_its_own_authority() {
    let data = tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    let client = Https::of(&appliance, data.path());
    for name in ["localhost", "127.0.0.1", "picloud.local"] {
        let chain = client.certificates(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(chain.len(), 2, "the server's and the authority's");
    }
    assert!(client.certificates("example.org").is_err());
    let (_, line) = appliance.output.wait_for(0, "admin API on https://");
    let root = client.certificates("localhost").unwrap().pop().unwrap();
    let fingerprint = picloud_model::hash::ContentHash::of(&root).to_string();
    assert!(line.ends_with(&format!("(CA fingerprint SHA256 {fingerprint})")), "{line}");
    let status = appliance.admin("GET", "/status", "").json();
    assert_eq!(status["admin_url"], format!("https://{}", client.addr));
    assert_eq!((&status["ca_fingerprint"], &status["tls"]), (&json!(fingerprint), &json!("own")));
    let keys = data.path().join("data/keys");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(&keys), mode(&keys.join("ca.key")), mode(&keys.join("ca.crt"))], [0o700, 0o600, 0o600]);

    assert!(appliance.end(Signal::SIGTERM).success());
    let again = Appliance::serve(data.path());
    let (_, line) = again.output.wait_for(0, "admin API on https://");
    assert!(line.contains(&fingerprint), "it is the same authority: {line}");
    drop(again);
    std::fs::write(keys.join("ca.key"), "notes").unwrap();
    let (code, said) = fails(&mut serve_command(data.path()));
    assert_eq!(code, 1);
    assert!(said.contains("ca.key` holds no private key") && said.contains("hint: restore"), "{said}");
}

#[test]
fn peers_that_connect_and_say_nothing_hold_nobody_up() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut client = Https::of(&appliance, data.path());
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(client.addr).unwrap()).collect();
    // These began a handshake and stopped.
    let stuck: Vec<TcpStream> = (0..60)
        .map(|_| {
            let mut stream = TcpStream::connect(client.addr).unwrap();
            stream.write_all(&[0x16, 0x03, 0x01]).unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(client.send_with(&[], "GET", "/health", "").status, 200);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(appliance.admin("GET", "/health", "").status, 200);
    drop((silent, stuck));
}

#[test]
fn http_without_tls_is_told_that_this_port_speaks_https() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let client = Https::of(&appliance, data.path());
    let mut stream = TcpStream::connect(client.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /api/v1/health HTTP/1.1\r\nhost: pi\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("application/problem+json"), "{said}");
    assert!(said.contains("this port speaks HTTPS") && said.contains("https://"), "{said}");
}

#[test]
fn a_taken_admin_address_that_was_asked_for_is_refused_with_another_to_choose() {
    let data = tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut command = serve_command(data.path());
    command.env("PICLOUD_ADMIN_ADDR", &addr);
    // The flag of the command would win over the variable.
    let mut without_flag = crate::support::program();
    let arguments: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    let flag = arguments.iter().position(|argument| argument == "--admin-addr").unwrap();
    without_flag.args(arguments[..flag].iter().chain(&arguments[flag + 2..])).env("PICLOUD_ADMIN_ADDR", &addr);
    let (code, said) = fails(&mut without_flag);
    assert_eq!(code, 1);
    assert!(said.contains(&addr) && said.contains("--admin-addr 127.0.0.1:"), "{said}");
}
