//! Secrets from the command line into a script, and nowhere else; and a backup, which holds all of it.

use crate::world::World;
use std::fs;

const VALUE: &str = "correct-horse-battery";

#[test]
fn a_secret_reaches_the_scripts_it_is_granted_to_and_is_shown_nowhere() {
    let world = World::quickstart();
    let ran = world.picloud_with_input(&["secrets", "set", "TOKEN", "--script", "hello"], &format!("{VALUE}\n"));
    assert_eq!((ran.code, ran.out.as_str()), (0, "TOKEN is set; it is read by hello\n"), "{ran:?}");
    let reads =
        format!("let token = secrets::get(\"TOKEN\");\nlog::info(`it is ${{token}}`);\n`${{token == \"{VALUE}\"}}`\n");
    world.write("reads.rhai", &reads);
    world.ok(&["scripts", "put", "hello", "reads.rhai"]);
    assert_eq!(world.answer("/quickstart/hello"), "true");
    // Another script may not.
    let ran = world.picloud(&["scripts", "run", "echo", "--source", "reads.rhai"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("TOKEN") && !ran.out.contains(VALUE), "{ran:?}");
    world.ok(&["secrets", "grant", "TOKEN", "--every-script"]);
    let ran = world.picloud(&["scripts", "run", "echo", "--source", "reads.rhai"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "true\n"), "{ran:?}");
    assert!(ran.err.contains("it is ") && !ran.err.contains(VALUE), "a log never has it: {ran:?}");

    world.until(&["logs", "--script", "hello"], |logs| logs["items"].get(0).is_some());
    for arguments in [
        &["secrets", "list"][..],
        &["audit", "list"],
        &["executions", "list"],
        &["logs"],
        &["apps", "get", "quickstart"],
    ] {
        let shown = world.json(arguments).to_string();
        assert!(!shown.contains(VALUE), "{arguments:?}: {shown}");
    }
    world.ok(&["secrets", "delete", "TOKEN"]);
    world.fails(3, &["secrets", "delete", "TOKEN"]);
    assert_eq!(world.picloud(&["scripts", "run", "echo", "--source", "reads.rhai"]).code, 1);
}

#[test]
fn a_backup_is_taken_while_the_appliance_works() {
    let world = World::quickstart();
    world.ok(&["kv", "set", "c", "k", "1"]);
    let said = world.ok(&["backup", "b.tar"]);
    assert!(said.starts_with("the backup is in b.tar: "), "{said}");
    let archive = fs::read(world.work().join("b.tar")).unwrap();
    assert_eq!(&archive[257..262], b"ustar");
    assert!(archive.len().is_multiple_of(512) && archive.ends_with(&[0; 1024]), "it has its end");
    assert!(world.ok(&["audit", "list"]).contains("backup.take"));
}
