//! The table as text: Markdown for people, definition files for editors.

use super::table::{Function, Namespace};
use picloud_model::script::SDK_VERSION;
use std::fmt::Write as _;

/// What stands before the namespaces.
const INTRODUCTION: &str = "\
No function takes an app: what a script can reach comes from where it runs. What a function cannot do it throws as a
map `#{kind, code, message}` that `try { … } catch (error) { … }` catches and whose message names the argument at fault;
uncaught it answers 500 `script-error`. Limits and the deadline cannot be caught.

`ctx` is there in every script and every function of one: `app`, `script`, `version`, `node`, `execution_id`,
`root_execution_id`, `trigger_depth`, `principal` (`()` or `#{kind, name}`), and `request` with `method`, `path`, `route`,
`params`, `query` (first values), `query_all` (arrays), `headers` (names in lower case), `cookies`, `remote_addr`, `body`
(a blob), `text()`, `json()`, `form()` (first values) and `form_all()` (arrays). It cannot be changed. A name it does not
have is `()`; `\"event\" in ctx` tells whether it has one. A body that is not JSON can be answered with 400:
`try { order = ctx.request.json(); } catch (error) { throw http_error(400, error.message); }`

A run that a trigger or a timer started has `event` in the place of `request`: `id` (the same at every attempt), `kind`,
`trigger` (`()` for a timer), `attempt` (from 1), `at`, and by kind: `kv`: `op`, `collection`, `key`, `value`, `old_version`,
`version`; `files`: `op`, `collection`, `file` (metadata); `cron`: `scheduled_at`, `missed`; `pubsub`: `topic`, `value`;
`dead_letter`: `letter`; `timer`: `timer_id`, `value`. Its value is kept with the execution. A throw, the deadline, a full
disk or a service that is away fail the attempt, and it is made again later; `throw retry_after(seconds, message)` says when;
`throw terminal(message)`, `http_error` of 4xx, a limit and a source that does not compile make a dead letter at once.
";

/// The section of the SDK.
pub(super) fn markdown(namespaces: &[Namespace]) -> String {
    let mut text = format!("# The SDK, version {SDK_VERSION}\n\n{INTRODUCTION}");
    for namespace in namespaces {
        let title = if namespace.name.is_empty() { "Answers and errors" } else { namespace.name };
        line(&mut text, format_args!("\n## {title}\n\n{}\n", namespace.doc));
        for function in &namespace.functions {
            line(&mut text, format_args!("- `{}`: {}", qualified(namespace, function), function.doc));
        }
        if !namespace.example.is_empty() {
            line(&mut text, format_args!("\n```rhai\n{}\n```", namespace.example.trim()));
        }
    }
    text
}

/// One `.d.rhai` file a namespace, and one for what has none.
pub(super) fn definitions(namespaces: &[Namespace]) -> Vec<(String, String)> {
    let mut global = "module static;\n\n/// What a script can know about its run.\nlet ctx: ctx;\n".to_owned();
    let mut files = Vec::new();
    for namespace in namespaces {
        let mut own = format!("module {};\n", namespace.name);
        for function in &namespace.functions {
            let without_namespace = namespace.name.is_empty() || function.receiver().is_some();
            define(if without_namespace { &mut global } else { &mut own }, function);
        }
        if !namespace.name.is_empty() {
            files.push((format!("{}.d.rhai", namespace.name), own));
        }
    }
    files.insert(0, ("__static__.d.rhai".to_owned(), global));
    files
}

fn qualified(namespace: &Namespace, function: &Function) -> String {
    if namespace.name.is_empty() || function.receiver().is_some() {
        function.signature.to_owned()
    } else {
        format!("{}::{}", namespace.name, function.signature)
    }
}

fn define(text: &mut String, function: &Function) {
    let receiver = function.receiver().map(|receiver| format!("this: {}", definition_type(receiver)));
    let arguments = function.arguments().map(|argument| match argument.split_once(": ") {
        Some((name, of_type)) => format!("{name}: {}", definition_type(of_type)),
        None => format!("{argument}: ?"),
    });
    let arguments = receiver.into_iter().chain(arguments).collect::<Vec<_>>().join(", ");
    let returns = match function.returns() {
        "" => "()",
        of_type => definition_type(of_type),
    };
    line(text, format_args!("\n/// {}\nfn {}({arguments}) -> {returns};", function.doc, function.name()));
}

/// A type of the documentation as definition files call it; `?` is any.
fn definition_type(of_type: &str) -> &str {
    match of_type {
        "string" => "String",
        "blob" => "Blob",
        "map" => "Map",
        "array" => "Array",
        "any" => "?",
        several if several.contains('|') => "?",
        same => same,
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes all that is written");
}
