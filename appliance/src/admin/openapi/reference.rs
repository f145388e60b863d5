//! The document as a page for people, `docs/api-reference.md`, which a test compares with the code.
//!
//! `cargo xtask docs` writes the page.

use super::{BASE, document};
use serde_json::Value;
use std::fmt::Write as _;

/// What stands before the operations.
const INTRODUCTION: &str = "\
# The admin API, operation by operation

Made from the code by `cargo xtask docs`; [api.md](api.md) tells how it is used. The same for programs is the document at
`/api/v1/openapi.json`. Every URL is below `/api/v1`; a key needs the scope that stands at the operation. A name in
brackets may be left out. What else can go wrong is said there by its status and `code`.
";

/// The page.
fn page(document: &Value) -> String {
    let mut text = INTRODUCTION.to_owned();
    for (url, item) in document["paths"].as_object().expect("the document has paths") {
        let url = url.strip_prefix(BASE).unwrap_or(url);
        let _infallible = write!(text, "\n## {url}\n");
        for (method, operation) in item.as_object().expect("a path has operations") {
            describe(&mut text, url, method, operation);
        }
    }
    text.push_str("\n# Bodies\n");
    for (name, schema) in document["components"]["schemas"].as_object().expect("the document has schemas") {
        let _infallible = write!(text, "\n## {name}\n\n{}\n", one_line(&schema["description"]));
        let choices = schema["enum"].as_array().map(|all| all.iter().map(code).collect::<Vec<_>>().join(", "));
        if let Some(choices) = choices {
            let _infallible = write!(text, "\nOne of {choices}.\n");
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (place, (field, said)) in schema["properties"].as_object().into_iter().flatten().enumerate() {
            let gap = if place == 0 { "\n" } else { "" };
            let shown = if required.contains(&field.as_str()) { format!("`{field}`") } else { format!("[`{field}`]") };
            let _infallible = writeln!(text, "{gap}- {shown} {}", join(&kind(said), &one_line(&said["description"])));
        }
    }
    text
}

fn describe(text: &mut String, url: &str, method: &str, operation: &Value) {
    let _infallible = write!(text, "\n**{} {url}**: {}\n", method.to_uppercase(), one_line(&operation["summary"]));
    if let Some(said) = operation["description"].as_str() {
        let _infallible = write!(text, "\n{}\n", said.trim());
    }
    text.push('\n');
    let scopes = operation["security"].as_array().into_iter().flatten().flat_map(|needs| needs["key"].as_array());
    let scopes: Vec<String> = scopes.flatten().map(code).collect();
    let _infallible = match scopes.as_slice() {
        [] if operation["security"].as_array().is_some_and(Vec::is_empty) => writeln!(text, "- needs no key"),
        [] => writeln!(text, "- needs any key"),
        scopes => writeln!(text, "- scope: {}", scopes.join(", ")),
    };
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (one_line(&parameter["name"]), one_line(&parameter["in"]));
        let shown = if parameter["required"] == true { format!("`{name}`") } else { format!("[`{name}`]") };
        let said = join(&kind(&parameter["schema"]), &one_line(&parameter["description"]));
        let _infallible = writeln!(text, "- {place} {shown} {said}");
    }
    for (of_type, body) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        let _infallible = writeln!(text, "- body {}", body_of(of_type, body));
    }
    let mut refusals = Vec::new();
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        if !status.starts_with('2') {
            refusals.push(status.as_str());
            continue;
        }
        let bodies = answer["content"].as_object().into_iter().flatten();
        let bodies: Vec<String> = bodies.map(|(of_type, body)| body_of(of_type, body)).collect();
        let bodies = if bodies.is_empty() { String::new() } else { format!(" with {}", bodies.join(" or ")) };
        let _infallible = writeln!(text, "- answers {status}{bodies}: {}", one_line(&answer["description"]));
    }
    if !refusals.is_empty() {
        let _infallible = writeln!(text, "- or {}", refusals.join(", "));
    }
}

fn body_of(of_type: &str, body: &Value) -> String {
    let kind = kind(&body["schema"]);
    if of_type == "application/json" && !kind.is_empty() { kind } else { format!("`{of_type}`") }
}

/// What a schema takes, in a word or two.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|to| to.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(choices) = schema["enum"].as_array() {
        return choices.iter().map(code).collect::<Vec<_>>().join("\\|");
    }
    let either = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    if let Some(either) = either {
        let kinds: Vec<String> = either.iter().map(kind).filter(|kind| !kind.is_empty() && kind != "null").collect();
        return kinds.join(" or ");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        one => one.as_str().into_iter().collect(),
    };
    match types.as_slice() {
        ["array"] => format!("list of {}", kind(&schema["items"])),
        types => types.join(" or "),
    }
}

fn join(kind: &str, said: &str) -> String {
    match (kind, said) {
        ("", said) => said.to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, said) => format!("{kind}: {said}"),
    }
}

fn code(value: &Value) -> String {
    format!("`{}`", one_line(value))
}

fn one_line(value: &Value) -> String {
    let text =
        value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn made() -> String {
    page(&serde_json::from_slice(&document()).expect("the document is JSON"))
}

fn place() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api-reference.md")
}

#[test]
fn the_page_in_the_docs_is_what_the_code_says() {
    let (there, made) = (std::fs::read_to_string(place()).unwrap_or_default(), made());
    if there != made {
        std::fs::write(place().with_extension("md.new"), made).unwrap();
        panic!("docs/api-reference.md is not what the code says; `cargo xtask docs` puts the new page in its place");
    }
}
