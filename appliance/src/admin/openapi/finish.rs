//! The document as a whole: its frame, and what its parts have in common.

use super::{BASE, problems};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `/apps/{app}/kv/{collection}/{*key}` as OpenAPI writes it: it knows no "rest of the URL".
pub(super) fn template_of(url: &str) -> String {
    format!("{BASE}{}", url.replace("{*", "{"))
}

/// The document.
pub(super) fn document(paths: BTreeMap<String, Map<String, Value>>, schemas: BTreeMap<String, Value>) -> Value {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "PiCloud admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every URL is below `/api/v1`. Lists take `limit` and `cursor` and answer `{items, cursor}`. \
                Errors are problem details (RFC 9457). Writes honour `If-Match`. A body is read as JSON, whatever its \
                `Content-Type` says.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": problems::all(),
            "securitySchemes": { "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key (`picloud keys create`). The scopes it needs stand at each operation; a key \
                    has each of them for all apps or for named ones. Callers of the admin socket need none.",
            } },
        },
    });
    merge_flattened(&mut document);
    name_items(&mut document);
    name_answers(&mut document);
    document
}

/// A type that is flattened into another is one object to callers, and is checked as one: `allOf` with a part that
/// takes no further fields would refuse the fields of the other part.
fn merge_flattened(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object().cloned() else { return };
    walk(document, &mut |value| {
        if value.get("allOf").is_some() {
            *value = merged(value, &schemas);
        }
    });
}

/// The items of a page are written out where they could be named.
fn name_items(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object().cloned() else { return };
    walk(document, &mut |value| {
        let Some(items) = value.get_mut("items").filter(|items| items.get("$ref").is_none()) else { return };
        if let Some((name, _schema)) = schemas.iter().find(|(_name, schema)| *schema == items) {
            *items = json!({ "$ref": format!("#/components/schemas/{name}") });
        }
    });
}

/// Does `change` to everything, the innermost first.
fn walk(value: &mut Value, change: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| walk(field, change)),
        _ => {}
    }
    change(value);
}

/// A schema with the properties of all its parts.
fn merged(schema: &Value, schemas: &Map<String, Value>) -> Value {
    let resolved = match schema.get("$ref").and_then(Value::as_str).and_then(|to| to.rsplit('/').next()) {
        Some(name) => schemas.get(name).unwrap_or(schema),
        None => schema,
    };
    let Some(parts) = resolved.get("allOf").and_then(Value::as_array) else { return resolved.clone() };
    let mut whole = json!({ "type": "object", "properties": {}, "required": [] });
    if let Some(description) = resolved.get("description") {
        whole["description"] = description.clone();
    }
    for part in parts {
        let part = merged(part, schemas);
        if let (Some(all), Some(some)) = (whole["properties"].as_object_mut(), part["properties"].as_object()) {
            all.extend(some.clone());
        }
        if let (Some(all), Some(some)) = (whole["required"].as_array_mut(), part["required"].as_array()) {
            all.extend(some.iter().cloned());
        }
    }
    whole
}

/// Every answer has a description, and what has an `ETag` says what that is.
fn name_answers(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    let answers = operations.filter_map(|operation| operation["responses"].as_object_mut()).flatten();
    for (status, answer) in answers {
        if let Some(tag) = answer.pointer_mut("/headers/ETag") {
            tag["description"] = "The version of the thing, for `If-Match`.".into();
        }
        if answer.get("$ref").is_some() || answer["description"].as_str().is_some_and(|text| !text.is_empty()) {
            continue;
        }
        answer["description"] = match status.as_str() {
            "200" => "It is so.",
            "201" => "It was made.",
            "204" => "It is done.",
            _ => "See the status.",
        }
        .into();
    }
}
