//! Keys over real HTTPS: whom the appliance lets in, what it refuses, and what is written down of it.

use crate::program::{picloud, run};
use crate::world::World;
use picloud_model::ContentHash;

#[test]
fn without_a_key_nobody_gets_in_and_the_appliance_is_pinned() {
    let world = World::with_https();
    let home = tempfile::tempdir().unwrap();
    let (url, fingerprint) = world.https();
    let first = world.afar(home.path(), "", &["apps", "list"]);
    let place = url.trim_start_matches("https://");
    assert!(
        first
            .err
            .starts_with(&format!("first contact with {place}: its CA has the fingerprint SHA256 {fingerprint}; ")),
        "{first:?}"
    );
    assert_eq!((first.code, first.out.as_str()), (4, ""), "{first:?}");
    assert!(first.err.contains("picloud keys create"), "{first:?}");
    let again = world.afar(home.path(), "picloud_made-up", &["apps", "list"]);
    assert!(again.code == 4 && !again.err.contains("first contact"), "{again:?}");

    let wrong = ContentHash::of(b"another").to_string();
    let refused = world.afar(home.path(), "", &["apps", "list", "--fingerprint", &wrong]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.err.contains(fingerprint) && refused.err.contains(&wrong), "{refused:?}");
}

#[test]
fn a_key_does_what_its_scopes_say_until_it_is_revoked() {
    let world = World::with_https();
    let home = tempfile::tempdir().unwrap();
    let made = world.picloud(&[
        "keys",
        "create",
        "laptop",
        "--scope",
        "script:read",
        "--scope",
        "script:write",
        "--app-only",
        "quickstart",
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    let key = made.out.trim_end();
    assert!(key.starts_with("picloud_") && !key.contains(char::is_whitespace), "{made:?}");

    let laptop = |arguments: &[&str]| world.afar(home.path(), key, arguments);
    assert!(laptop(&["scripts", "list"]).out.contains("hello"));
    assert_eq!(laptop(&["kv", "set", "c", "k", "1"]).code, 0);
    for (arguments, scope) in [
        (&["apps", "create", "other"][..], "`app:admin`"),
        (&["secrets", "list"], "`app:admin`"),
        (&["keys", "list"], "`instance:admin`"),
        (&["status"], "`node:read`"),
        (&["scripts", "list", "--app", "other"], "`script:read` in app `other`"),
    ] {
        let ran = laptop(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (4, ""), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(&format!("key `laptop` lacks the scope {scope}")), "{arguments:?}: {ran:?}");
    }
    let listed = world.ok(&["keys", "list"]);
    assert!(listed.contains("script:read@quickstart script:write@quickstart") && !listed.contains(key), "{listed}");

    world.ok(&["keys", "delete", "laptop"]);
    let ran = laptop(&["scripts", "list"]);
    assert!(ran.code == 4 && ran.err.starts_with("error: "), "{ran:?}");

    // All of it is written down, and whole.
    let refused = world.ok(&["audit", "list", "--outcome", "refused", "--who", "laptop"]);
    assert!(refused.contains("apps.create") && refused.contains("127.0.0.1"), "{refused}");
    let done = world.json(&["audit", "list", "--action", "key."]);
    let actions: Vec<&str> =
        done["items"].as_array().unwrap().iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["key.delete", "key.create"]);
    assert!(!done.to_string().contains(key));
    assert!(world.ok(&["audit", "verify"]).starts_with("the audit log is whole: "));
}

#[test]
fn a_key_cannot_be_made_with_what_no_key_can_have() {
    let world = World::quickstart();
    let create = |more: &[&str]| world.picloud(&[&["keys", "create", "k"], more].concat());
    assert_eq!(create(&["--scope", "node:read@quickstart"]).code, 2);
    assert_eq!(create(&["--scope", "invoke", "--expires", "1d"]).code, 0);
    assert_eq!(create(&["--scope", "invoke"]).code, 4, "the name is taken");
    assert_eq!(world.fails(3, &["keys", "delete", "nobody"]).lines().count(), 2);
}

#[test]
fn somebody_logs_in_once_and_works_from_there() {
    let world = World::with_https();
    let home = tempfile::tempdir().unwrap();
    let key = world.ok(&["keys", "create", "laptop", "--scope", "script:read"]);
    let (url, fingerprint) = world.https();
    let as_person = |arguments: &[&str], input: &str| {
        let mut command = picloud(home.path());
        command.env("HOME", home.path()).args(arguments);
        run(command, input)
    };
    let login = ["login", "--url", url, "--fingerprint", fingerprint];
    assert_eq!(as_person(&login, "picloud_wrong\n").code, 4);
    let ran = as_person(&login, &key);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(as_person(&["scripts", "list", "--app", "quickstart"], "").out.contains("hello"));
    assert_eq!(as_person(&["logout"], "").code, 0);
    assert_eq!(as_person(&["apps", "list"], "").code, 5);
}
