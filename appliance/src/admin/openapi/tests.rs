//! The document in itself: whole, unambiguous, and without loose ends.

use super::{BASE, document};
use crate::commands::documented;
use picloud_model::scope::Scope;
use serde_json::Value;
use std::collections::BTreeSet;

fn parsed() -> Value {
    serde_json::from_slice(&document()).unwrap()
}

/// Every operation: its method and URL, and what is said of it.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for (url, item) in document["paths"].as_object().unwrap() {
        all.extend(item.as_object().unwrap().iter().map(|(method, said)| (format!("{method} {url}"), said)));
    }
    all
}

#[test]
fn every_operation_says_what_it_does_and_what_it_answers() {
    let document = parsed();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{name} has another's operationId");
        let answers = operation["responses"].as_object().unwrap();
        let good: Vec<_> = answers.iter().filter(|(status, _)| status.starts_with('2')).collect();
        assert!(!good.is_empty(), "{name} has no good answer");
        for (status, answer) in good {
            assert!(answer["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} {status}");
            let has_body = status != "204" && !name.starts_with("head ");
            assert_eq!(answer.get("content").is_some(), has_body, "{name} {status} has a body or none");
        }
    }
}

#[test]
fn the_scopes_are_those_of_the_table_and_only_two_urls_ask_for_no_key() {
    let document = parsed();
    let mut open = Vec::new();
    for (name, operation) in operations(&document) {
        match operation["security"].as_array().unwrap().as_slice() {
            [] => open.push(name),
            [only] => {
                let scopes = only["key"].as_array().unwrap();
                for scope in scopes {
                    assert!(scope.as_str().unwrap().parse::<Scope>().is_ok(), "{name}: {scope}");
                }
                let refused = ["401", "403", "429"].map(|status| operation["responses"].get(status).is_some());
                assert_eq!(refused, [true; 3], "{name} refuses who may not");
            }
            several => panic!("{name}: {several:?}"),
        }
    }
    assert_eq!(open, [format!("get {BASE}/health"), format!("get {BASE}/ready")]);
}

#[test]
fn every_part_of_a_url_is_a_parameter_and_every_reference_leads_somewhere() {
    let document = parsed();
    for (name, operation) in operations(&document) {
        let in_url: BTreeSet<&str> =
            name.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let named: BTreeSet<&str> = parameters
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(in_url, named, "{name}");
    }
    let mut left = vec![&document];
    let mut references = 0;
    while let Some(value) = left.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            references += 1;
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(fields) => left.extend(fields.values()),
            _ => {}
        }
    }
    assert!(references > 100, "the document refers to its own parts");
}

/// Whether a URL is one of a template such as `/api/v1/apps/{app}`.
fn is_of(template: &str, url: &str) -> bool {
    let (template, url): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), url.split('/').collect());
    template.len() == url.len() && template.iter().zip(&url).all(|(is, part)| is == part || is.starts_with('{'))
}

#[test]
fn what_the_documents_ask_with_curl_is_there_with_that_method_and_sends_json() {
    let document = parsed();
    let operations = operations(&document);
    let mut asked = 0;
    for shown in documented::of("curl") {
        let after = |flag: &str| shown.words.iter().skip_while(|word| *word != flag).nth(1);
        if let Some(body) = after("-d") {
            assert!(serde_json::from_str::<Value>(body).is_ok(), "{}: {body} is no JSON", shown.place);
        }
        let Some(at) = shown.words.iter().find_map(|word| word.split_once(BASE)) else { continue };
        let url = format!("{BASE}{}", at.1.split('?').next().unwrap());
        let method = after("-X").map_or("get", String::as_str).to_ascii_lowercase();
        let is_there =
            |name: &str| name.split_once(' ').is_some_and(|(is, template)| is == method && is_of(template, &url));
        assert!(operations.iter().any(|(name, _)| is_there(name)), "{}: there is no {method} {url}", shown.place);
        asked += 1;
    }
    assert!(asked > 5, "the documents ask nothing any more");
}
