//! The help of every command, as a person reads it.

use crate::support::{picloud, run};
use insta::assert_snapshot;

/// What `picloud scripts` has.
const SCRIPTS: &[&str] = &[
    "list",
    "get",
    "put",
    "check",
    "delete",
    "versions",
    "diff",
    "rollback",
    "run",
    "imports",
    "importers",
    "release",
];

#[test]
fn the_help_of_every_command_teaches() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = String::new();
    let verbs: &[(&str, &[&str])] = &[
        ("apps", &["list", "get", "create", "delete"]),
        ("deploy", &[]),
        ("export", &[]),
        ("init", &[]),
        ("scripts", SCRIPTS),
        ("modules", &["list", "get", "put", "delete", "importers"]),
        ("routes", &["list", "get", "create", "delete"]),
        ("kv", &["collections", "list", "get", "put", "delete"]),
        ("files", &["collections", "list", "get", "head", "put", "set", "delete", "sweep"]),
        ("env", &["list", "get", "set", "delete"]),
        ("secrets", &["list", "set", "grant", "delete"]),
        ("triggers", &["list", "get", "create", "put", "delete", "fire", "pause", "resume", "next"]),
        ("publish", &[]),
        ("timers", &["list", "cancel"]),
        ("dead-letters", &["list", "get", "retry", "discard"]),
        ("executions", &["list", "get", "replay"]),
        ("logs", &[]),
        ("watch", &[]),
        ("nodes", &["list", "get", "approve", "label", "rename", "drain", "resume", "upgrade", "replace", "delete"]),
        ("join-tokens", &["list", "create", "delete"]),
        ("cluster", &["status"]),
        ("flash", &[]),
        ("keys", &["list", "create", "delete"]),
        ("audit", &["list", "verify"]),
        ("backup", &[]),
        ("doctor", &[]),
        ("support-bundle", &[]),
        ("activity", &[]),
        ("status", &[]),
        ("metrics", &[]),
        ("limits", &[]),
        ("sdk", &["docs", "definitions"]),
        ("login", &[]),
        ("logout", &[]),
        ("whoami", &[]),
        ("version", &[]),
        ("completions", &[]),
        ("man", &[]),
    ];
    let help = |arguments: &[&str]| {
        let mut command = picloud(folder.path());
        command.args(arguments).arg("--help");
        let ran = run(command, "");
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        ran.out
    };
    all += &format!("$ picloud --help\n{}\n", help(&[]));
    for (command, verbs) in verbs {
        // A command is told without the flags that every command has.
        let mut tell = |arguments: &[&str]| {
            let text = help(arguments);
            let (own, rest) = text.split_once("\nGlobal options:").unwrap();
            // Global options end with this one; what follows is the command's own again.
            let more = rest.split_once("Print what the appliance answered, as JSON\n").unwrap().1.trim_start();
            let has_example = more.starts_with("Example") || more.contains("\n\nExample");
            assert!(has_example || !verbs.is_empty() && arguments.len() == 1, "{arguments:?} has no example");
            all += &format!("$ picloud {} --help\n{own}\n{more}\n", arguments.join(" "));
        };
        tell(&[command]);
        verbs.iter().for_each(|verb| tell(&[command, verb]));
    }
    assert_snapshot!(all);
}
