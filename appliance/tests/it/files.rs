//! Files: brought and fetched through the admin API, by scripts, and by signed URL.

use crate::support::{Appliance, Reply, until};
use nix::sys::signal::Signal;
use picloud_model::hash::ContentHash;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use tempfile::tempdir;

/// Signs what its query says.
const SIGN: &str = r#"
    let q = ctx.request.query;
    let o = #{ method: q.method, ttl_ms: parse_int(q.ttl ?? "60000") };
    if "once" in q { o.once = true; }
    if "max" in q { o.max_bytes = parse_int(q.max); }
    if "type" in q { o.content_type = q.type; }
    files::collection("photos").sign(q.id, o)
"#;

fn bundle() -> Value {
    json!({
        "name": "kitchen",
        "limits": { "file_bytes": 5_000_000, "files_app_bytes": 9_000_000 },
        "routes": [{ "path": "/sign", "script": "sign" }],
        "scripts": { "sign": SIGN },
    })
}

fn begin(data: &Path) -> Appliance {
    let appliance = Appliance::serve(data);
    appliance.deploy(&bundle());
    appliance
}

const URL: &str = "/apps/kitchen/files/photos";

fn create(appliance: &Appliance, name: &str, body: &str) -> Value {
    let made = appliance.admin_with("POST", &format!("{URL}?name={name}"), &[("content-type", "text/plain")], body);
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

fn id_of(file: &Value) -> &str {
    file["id"].as_str().unwrap()
}

/// Blobs that are there, whole or not.
fn blobs(data: &Path) -> usize {
    fn count(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
    // Beside the lock and the id of the database.
    count(&data.join("data/files")) - 2
}

/// Text of more than one piece, no two parts of which are the same.
fn large() -> String {
    (0..400_000).map(|number| format!("{number:08}")).collect()
}

#[test]
fn a_file_goes_in_and_comes_out_whole_in_part_and_not_again() {
    let data = tempdir().unwrap();
    let appliance = begin(data.path());
    let text = large();
    let hash = ContentHash::of(text.as_bytes());
    let file = create(&appliance, "a.txt", &text);
    assert_eq!((&file["size"], &file["sha256"]), (&json!(text.len()), &json!(hash.to_string())));
    let url = format!("{URL}/{}", id_of(&file));
    let whole = appliance.admin("GET", &url, "");
    let tag = format!("\"{hash}\"");
    assert_eq!((whole.status, whole.header("etag"), whole.text() == text), (200, tag.as_str(), true));
    assert_eq!(whole.header("content-disposition"), "inline; filename=\"a.txt\"");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    let ask = |method: &str, headers: &[(&str, &str)]| appliance.admin_with(method, &url, headers, "");
    let head = ask("HEAD", &[]);
    assert_eq!((head.status, head.header("content-length"), head.text()), (200, "3200000", String::new()));
    // Over the end of a piece, and the last bytes.
    for (range, from, to) in [("bytes=1048570-1048585", 1_048_570, 1_048_586), ("bytes=-5", 3_199_995, 3_200_000)] {
        let part = ask("GET", &[("range", range)]);
        assert_eq!((part.status, part.text().as_str()), (206, &text[from..to]));
        assert_eq!(part.header("content-range"), format!("bytes {from}-{}/3200000", to - 1));
    }
    let beyond = ask("GET", &[("range", "bytes=3200000-")]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */3200000"));
    assert_eq!(ask("GET", &[("range", "bytes=0-1"), ("if-range", "\"other\"")]).status, 200);
    assert_eq!(ask("GET", &[("range", "bytes=0-1"), ("if-range", &tag)]).status, 206);
    assert_eq!(ask("GET", &[("if-none-match", &tag)]).status, 304);
    let list = appliance.admin("GET", URL, "").json();
    assert_eq!(list["items"], json!([file]));
    let collections = appliance.admin("GET", "/apps/kitchen/files", "").json();
    assert_eq!(collections["items"], json!([{ "name": "photos", "files": 1, "size_bytes": text.len() }]));
    assert_eq!(ask("DELETE", &[]).status, 204);
    assert_eq!((ask("GET", &[]).status, ask("DELETE", &[]).status), (404, 404));
    let audit = appliance.admin("GET", "/audit?app=kitchen", "").json().to_string();
    assert!(audit.contains("file.create") && audit.contains("file.delete"), "{audit}");
}

#[test]
fn a_change_needs_what_was_seen_and_may_leave_the_bytes() {
    let data = tempdir().unwrap();
    let appliance = begin(data.path());
    let first = create(&appliance, "a.txt", "one");
    let url = format!("{URL}/{}", id_of(&first));
    let put = |query: &str, headers: &[(&str, &str)], body: &str| {
        appliance.admin_with("PUT", &format!("{url}{query}"), headers, body)
    };
    let tag = |file: &Value| format!("\"{}\"", file["sha256"].as_str().unwrap());
    assert_eq!(put("", &[("if-match", "\"other\"")], "two").status, 412);
    let second = put("", &[("if-match", &tag(&first))], "two");
    assert_eq!((second.status, second.header("etag")), (200, tag(&second.json()).as_str()));
    assert_eq!(second.json()["content_type"], "text/plain", "what is not said stays");
    assert_eq!(put("", &[("if-match", &tag(&first))], "three").status, 412);
    assert_eq!(put("", &[("if-none-match", "*")], "three").status, 412);
    assert_eq!(appliance.admin("GET", &url, "").text(), "two");
    let renamed = put("?keep_bytes=true&name=b.txt&metadata=%7B%22n%22%3A1%7D", &[], "").json();
    assert_eq!(
        (&renamed["name"], &renamed["metadata"], &renamed["size"]),
        (&json!("b.txt"), &json!({ "n": 1 }), &json!(3))
    );
    assert_eq!(put("?keep_bytes=true", &[], "body").status, 400);
    let version = format!("\"{}\"", renamed["version"]);
    assert_eq!(put("", &[("if-match", &version)], "").json()["size"], 0, "no bytes are bytes, too");
    assert_eq!(appliance.admin_with("DELETE", &url, &[("if-match", &version)], "").status, 412);
}

#[test]
fn what_cannot_be_a_file_is_refused_and_leaves_nothing() {
    let data = tempdir().unwrap();
    let appliance = begin(data.path());
    let good = picloud_digest("hello");
    let too_large = "x".repeat(5_000_001);
    let long = format!("?name=x&metadata=%7B%22a%22%3A%22{}%22%7D", "x".repeat(2_048));
    for (query, headers, body, status, says) in [
        ("?name=x", &[("content-digest", good.as_str())][..], "hellx", 400, "was announced"),
        ("?name=x", &[("repr-digest", "sha-256=nonsense")], "hello", 400, "SHA-256"),
        ("", &[], "hello", 400, "name"),
        ("?name=", &[], "hello", 400, "name"),
        ("?name=x", &[("content-type", "nonsense")], "hello", 400, "content_type"),
        ("?name=x&metadata=%5B%5D", &[], "hello", 400, "metadata"),
        ("?name=x", &[("x-picloud-metadata", "1")], "hello", 400, "metadata"),
        (long.as_str(), &[], "hello", 413, "X-PiCloud-Metadata"),
        ("?nam=x", &[], "hello", 400, "nam"),
        ("?name=x", &[], too_large.as_str(), 413, "file_bytes"),
    ] {
        let refused = appliance.admin_with("POST", &format!("{URL}{query}"), headers, body);
        assert_eq!(refused.status, status, "{query} {headers:?}: {}", refused.text());
        assert!(refused.text().contains(says), "{query} {headers:?}: {}", refused.text());
    }
    let named = appliance.admin_with(
        "POST",
        URL,
        &[("content-disposition", "attachment; filename=\"cat.jpg\""), ("content-digest", &good)],
        "hello",
    );
    assert_eq!((named.status, &named.json()["name"]), (201, &json!("cat.jpg")));
    // What all files of the app may have.
    let most = "x".repeat(4_999_990);
    create(&appliance, "most", &most);
    let over = appliance.admin("POST", &format!("{URL}?name=over"), &most);
    assert_eq!(over.status, 507, "{}", over.text());
    assert!(over.text().contains("files_app_bytes"), "{}", over.text());
    assert_eq!(blobs(data.path()), 2, "what was refused is gone at once");
    for nothing in ["no-uuid", "01a1fecb-c8b1-7185-a4a4-25df0cfb0e20"] {
        assert_eq!(appliance.admin("GET", &format!("{URL}/{nothing}"), "").status, 404);
    }
}

/// `Content-Digest` of a text.
fn picloud_digest(text: &str) -> String {
    picloud_appliance::files::digest::text_of(&ContentHash::of(text.as_bytes()))
}

#[test]
fn an_upload_that_the_machine_does_not_survive_leaves_nothing() {
    let data = tempdir().unwrap();
    let mut appliance = begin(data.path());
    let kept = create(&appliance, "kept", "kept");
    let mut upload = UnixStream::connect(&appliance.socket).unwrap();
    let head = format!("POST /api/v1{URL}?name=half HTTP/1.1\r\nhost: pi\r\ncontent-length: 4000000\r\n\r\n");
    upload.write_all(head.as_bytes()).unwrap();
    upload.write_all(&vec![7; 3_000_000]).unwrap();
    let temp = data.path().join("data/files/tmp");
    let bytes = || {
        let entries = std::fs::read_dir(&temp).unwrap();
        entries.map(|entry| entry.unwrap().metadata().map_or(0, |metadata| metadata.len())).sum::<u64>()
    };
    until("much of it is on the disk", || bytes() > 1_000_000);
    appliance.end(Signal::SIGKILL);
    drop(upload);
    let appliance = Appliance::serve(data.path());
    assert_eq!((bytes(), blobs(data.path())), (0, 1));
    let list = appliance.admin("GET", URL, "").json();
    assert_eq!(list["items"], json!([kept]));
    assert_eq!(appliance.admin("GET", &format!("{URL}/{}", id_of(&kept)), "").text(), "kept");
}

#[test]
fn a_client_that_goes_away_in_the_middle_leaves_nothing() {
    let data = tempdir().unwrap();
    let appliance = begin(data.path());
    let file = create(&appliance, "a", "old");
    let put = sign(&appliance, &file, "method=PUT");
    let temp = data.path().join("data/files/tmp");
    let under_way = || std::fs::read_dir(&temp).unwrap().count();
    let heads = [format!("PUT {put}"), format!("POST /api/v1{URL}?name=half")];
    for (head, is_ingress) in heads.iter().zip([true, false]) {
        let mut upload: Box<dyn Write> = if is_ingress {
            Box::new(TcpStream::connect(appliance.ingress).unwrap())
        } else {
            Box::new(UnixStream::connect(&appliance.socket).unwrap())
        };
        let head = format!("{head} HTTP/1.1\r\nhost: pi\r\ncontent-length: 4000000\r\n\r\n");
        upload.write_all(head.as_bytes()).unwrap();
        upload.write_all(&vec![7; 1_000_000]).unwrap();
        until("it is under way", || under_way() == 1);
        drop(upload);
        until("it is gone", || under_way() == 0);
    }
    assert_eq!(appliance.admin("GET", &format!("{URL}/{}", id_of(&file)), "").text(), "old");
}

fn sign(appliance: &Appliance, file: &Value, query: &str) -> String {
    let signed = appliance.get(&format!("/kitchen/sign?id={}&{query}", id_of(file)));
    assert_eq!(signed.status, 200, "{}", signed.text());
    signed.text()
}

#[test]
fn a_signed_url_does_what_it_was_signed_for_and_nothing_else() {
    let data = tempdir().unwrap();
    let appliance = begin(data.path());
    let text = large();
    let file = create(&appliance, "a.txt", &text);
    let code = |reply: &Reply| (reply.status, reply.json()["code"].as_str().unwrap().to_owned());
    let get = sign(&appliance, &file, "method=GET");
    assert!(get.starts_with("/.picloud/files/"), "{get}");
    let whole = appliance.get(&get);
    assert_eq!((whole.status, whole.text() == text), (200, true));
    let part = appliance.send("GET", &get, &[("range", "bytes=1048570-1048585")], b"");
    assert_eq!((part.status, part.text().as_str()), (206, &text[1_048_570..1_048_586]));
    let head = appliance.send("HEAD", &get, &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, "3200000"));
    assert_eq!(appliance.send("GET", &get, &[("if-none-match", head.header("etag"))], b"").status, 304);
    assert_eq!(code(&appliance.send("PUT", &get, &[], b"x")), (403, "forbidden".to_owned()));
    assert_eq!(code(&appliance.get(&format!("{get}A"))), (403, "forbidden".to_owned()));
    assert_eq!(appliance.send("POST", &get, &[], b"x").status, 405);
    let late = sign(&appliance, &file, "method=GET&ttl=1");
    until("its time is over", || appliance.get(&late).status == 410);
    let once = sign(&appliance, &file, "method=GET&once=1");
    // Who looks at it has not used it.
    assert_eq!(appliance.send("HEAD", &once, &[], b"").status, 200);
    assert_eq!(appliance.get(&once).text(), text);
    assert_eq!(code(&appliance.get(&once)), (410, "gone".to_owned()));

    let put = sign(&appliance, &file, "method=PUT&max=10&type=image/png&once=1");
    let png = [("content-type", "image/png")];
    assert_eq!(code(&appliance.send("PUT", &put, &png, b"12345678901")), (413, "too-large".to_owned()));
    assert_eq!(code(&appliance.send("PUT", &put, &[], b"1")), (403, "forbidden".to_owned()));
    let wrong = picloud_digest("hello");
    let digest = [("content-type", "image/png"), ("content-digest", wrong.as_str())];
    assert_eq!(code(&appliance.send("PUT", &put, &digest, b"hellx")), (400, "malformed".to_owned()));
    let kept = appliance.send("PUT", &put, &digest, b"hello");
    assert_eq!((kept.status, &kept.json()["content_type"]), (200, &json!("image/png")), "{}", kept.text());
    assert_eq!(code(&appliance.send("PUT", &put, &png, b"again")), (410, "gone".to_owned()));
    let url = format!("{URL}/{}", id_of(&file));
    assert_eq!(appliance.admin("GET", &url, "").text(), "hello");
    let big = sign(&appliance, &file, "method=PUT");
    assert_eq!(appliance.send("PUT", &big, &[], text.as_bytes()).status, 200);
    assert_eq!(appliance.admin("GET", &url, "").text(), text);

    let delete = sign(&appliance, &file, "method=DELETE");
    assert_eq!(appliance.send("DELETE", &delete, &[], b"").status, 204);
    assert_eq!(appliance.send("DELETE", &delete, &[], b"").status, 404);
    assert_eq!(appliance.get(&get).status, 404);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(data.path().join("data/keys/files.key")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_signed_url_holds_after_a_restart() {
    let data = tempdir().unwrap();
    let mut appliance = begin(data.path());
    let file = create(&appliance, "a.txt", "hello");
    let (get, once) = (sign(&appliance, &file, "method=GET"), sign(&appliance, &file, "method=GET&once=1"));
    assert_eq!(appliance.get(&once).text(), "hello");
    appliance.end(Signal::SIGKILL);
    let appliance = Appliance::serve(data.path());
    assert_eq!(appliance.get(&get).text(), "hello");
    assert_eq!(appliance.get(&once).status, 410);
}

#[test]
fn damaged_bytes_are_an_error_and_never_an_answer() {
    let data = tempdir().unwrap();
    let appliance = begin(data.path());
    let file = create(&appliance, "a.txt", "hello");
    let mut path = data.path().join("data/files");
    for _ in 0..3 {
        let entries = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap());
        let ours = ["tmp", "lock", "database"];
        let mut entries = entries.filter(|entry| !ours.iter().any(|name| entry.file_name() == *name));
        path = entries.next().unwrap().path();
    }
    std::fs::write(&path, "hellx").unwrap();
    let damaged = appliance.admin("GET", &format!("{URL}/{}", id_of(&file)), "");
    assert_eq!((damaged.status, &damaged.json()["code"]), (500, &json!("corrupted")));
    let get = sign(&appliance, &file, "method=GET");
    assert_eq!(appliance.admin("GET", URL, "").status, 200, "all else goes on");
    let signed = appliance.get(&get);
    assert_eq!((signed.status, &signed.json()["code"]), (500, &json!("corrupted")));
}

#[test]
fn a_sweep_tells_of_bytes_without_a_file_and_of_files_without_bytes_and_removes_the_first() {
    let data = tempdir().unwrap();
    let appliance = begin(data.path());
    create(&appliance, "kept.txt", "hello");
    let orphan = data.path().join("data/files/0a/0b/00000000-0000-4000-8000-000000000a0b");
    std::fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    let file = std::fs::File::create(&orphan).unwrap();
    file.set_len(1_000).unwrap();
    let two_hours_ago = file.metadata().unwrap().modified().unwrap() - std::time::Duration::from_secs(7_200);
    file.set_modified(two_hours_ago).unwrap();
    let sweep = |query: &str| appliance.admin("POST", &format!("/files/sweep{query}"), "").json();
    let mut expected = json!({
        "files": 1, "blobs": 2, "orphans": 1, "orphan_bytes": 1_000, "removed": false,
        "damaged": 0, "damaged_files": [],
    });
    assert_eq!(sweep("?dry_run=true"), expected);
    assert!(orphan.exists());
    expected["removed"] = json!(true);
    assert_eq!(sweep(""), expected);
    assert!(!orphan.exists());
    let noted = appliance.admin("GET", "/audit?limit=1", "").json();
    assert_eq!(noted["items"][0]["action"], "files.sweep");
}

#[test]
fn a_file_that_comes_starts_the_script_of_its_trigger() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    appliance.deploy(&json!({
        "name": "kitchen",
        "triggers": [{ "name": "on-photo", "kind": "files", "collection": "photos", "script": "seen" }],
        "scripts": { "seen": "kv::collection(\"seen\").set(ctx.event.op, ctx.event)" },
    }));
    let file = create(&appliance, "a.txt", "hello");
    let event = || appliance.admin("GET", "/apps/kitchen/kv/seen/create", "");
    until("the trigger's script ran", || event().status == 200);
    let event = event().json();
    assert_eq!((&event["kind"], &event["collection"]), (&json!("files"), &json!("photos")));
    assert_eq!(event["file"], file, "what it is, never its bytes");
    assert_eq!(appliance.admin("DELETE", &format!("{URL}/{}", id_of(&file)), "").status, 204);
    until("it runs for that, too", || appliance.admin("GET", "/apps/kitchen/kv/seen/delete", "").status == 200);
}
