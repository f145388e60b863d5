//! `match` and `ordering_key` of triggers: what they say of an event's fields.

use picloud_model::hash::ContentHash;
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Longest ordering key that is kept as it is; of a longer one, its hash.
const ORDERING_KEY_BYTES_MAX: usize = 256;

/// Whether an event with these fields is one that `wanted` (path → value, or table of conditions) takes.
pub(crate) fn matches(wanted: &BTreeMap<String, Value>, fields: &Value) -> bool {
    wanted.iter().all(|(path, condition)| holds(condition, at_path(fields, path)))
}

/// The text of the scalar at `path`; the empty text, which is one key as well, where there is none.
pub(crate) fn ordering_text(path: &str, fields: &Value) -> String {
    let text = match at_path(fields, path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(yes)) => yes.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    };
    if text.len() > ORDERING_KEY_BYTES_MAX { format!("sha256:{}", ContentHash::of(text.as_bytes())) } else { text }
}

/// `value.rooms.0.name`: fields of objects by name, items of arrays by number.
fn at_path<'a>(fields: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(fields, |value, part| match value {
        Value::Object(fields) => fields.get(part),
        Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    })
}

fn holds(condition: &Value, found: Option<&Value>) -> bool {
    match (condition, found) {
        (Value::Object(conditions), _) => all_hold(conditions, found),
        (wanted, Some(found)) => same(wanted, found),
        (_, None) => false,
    }
}

fn all_hold(conditions: &Map<String, Value>, found: Option<&Value>) -> bool {
    let Some(found) = found else {
        // Of what is not there nothing else can be said.
        return conditions.len() == 1 && conditions.get("exists") == Some(&Value::Bool(false));
    };
    conditions.iter().all(|(word, wanted)| match word.as_str() {
        "exists" => *wanted == Value::Bool(true),
        "eq" => same(wanted, found),
        "ne" => !same(wanted, found),
        "prefix" => matches!((wanted, found), (Value::String(prefix), Value::String(text)) if text.starts_with(prefix)),
        "any" => wanted.as_array().is_some_and(|any| any.iter().any(|wanted| same(wanted, found))),
        "gt" => compare(found, wanted).is_some_and(Ordering::is_gt),
        "gte" => compare(found, wanted).is_some_and(Ordering::is_ge),
        "lt" => compare(found, wanted).is_some_and(Ordering::is_lt),
        "lte" => compare(found, wanted).is_some_and(Ordering::is_le),
        _ => false,
    })
}

/// Equality as JSON has it: `1` and `1.0` are the same number, wherever they stand.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare_numbers(one, other) == Some(Ordering::Equal),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

/// Numbers by value, texts by their bytes; nothing else has an order.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare_numbers(one, other),
        (Value::String(one), Value::String(other)) => Some(one.as_bytes().cmp(other.as_bytes())),
        _ => None,
    }
}

fn compare_numbers(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn takes(path: &str, condition: Value, fields: &Value) -> bool {
        matches(&BTreeMap::from([(path.to_owned(), condition)]), fields)
    }

    #[test]
    fn a_condition_holds_or_not() {
        let fields = json!({
            "op": "insert", "key": "a/1",
            "value": {"room": "attic", "t": 21.0, "on": true, "gone": null, "tags": ["x", {"n": 1}], "o": {"a": 1}},
        });
        for (path, condition, holds) in [
            ("op", json!("insert"), true),
            ("op", json!("delete"), false),
            ("value.t", json!(21), true),
            ("value.t", json!("21"), false),
            ("value.tags.0", json!("x"), true),
            ("value.tags.1.n", json!(1), true),
            ("value.tags.2", json!("x"), false),
            ("value.tags.x", json!("x"), false),
            ("value.gone", json!(null), true),
            ("value.none", json!(null), false),
            ("value.room.deeper", json!("attic"), false),
            ("value.o", json!({"eq": {"a": 1.0}}), true),
            ("value.o", json!({"eq": {"a": 1, "b": 2}}), false),
            ("value.tags", json!(["x", {"n": 1}]), true),
            ("key", json!({"prefix": "a/"}), true),
            ("key", json!({"prefix": "b/"}), false),
            ("value.t", json!({"prefix": "2"}), false),
            ("value.t", json!({"gt": 20, "lt": 22}), true),
            ("value.t", json!({"gt": 21}), false),
            ("value.t", json!({"gte": 21, "lte": 21}), true),
            ("value.t", json!({"gt": "20"}), false),
            ("value.room", json!({"gt": "aa", "lt": "b"}), true),
            ("value.on", json!({"gt": false}), false),
            ("value.room", json!({"ne": "cellar"}), true),
            ("value.none", json!({"ne": "cellar"}), false),
            ("value.room", json!({"any": ["cellar", "attic"]}), true),
            ("value.room", json!({"any": "attic"}), false),
            ("value.room", json!({"exists": true}), true),
            ("value.gone", json!({"exists": true}), true),
            ("value.room", json!({"exists": false}), false),
            ("value.none", json!({"exists": false}), true),
            ("value.none", json!({"exists": false, "eq": 1}), false),
            ("value.none", json!({"exists": true}), false),
            ("value.room", json!({"like": "attic"}), false),
        ] {
            assert_eq!(takes(path, condition.clone(), &fields), holds, "{path} {condition}");
        }
        let two = BTreeMap::from([("op".to_owned(), json!("insert")), ("key".to_owned(), json!("b"))]);
        assert!(!matches(&two, &fields), "every condition counts");
    }

    #[test]
    fn an_ordering_key_is_the_text_of_a_scalar() {
        let long = "x".repeat(ORDERING_KEY_BYTES_MAX + 1);
        let fields = json!({"key": "a", "value": {"n": 7, "f": 1.5, "on": false, "o": {}, "gone": null, "long": long}});
        for (path, text) in [
            ("key", "a"),
            ("value.n", "7"),
            ("value.f", "1.5"),
            ("value.on", "false"),
            ("value.o", ""),
            ("value.gone", ""),
            ("x", ""),
        ] {
            assert_eq!(ordering_text(path, &fields), text, "{path}");
        }
        assert!(ordering_text("value.long", &fields).len() < ORDERING_KEY_BYTES_MAX);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3..3_i64).prop_map(Value::from),
            (-2.0..2.0_f64).prop_map(Value::from),
            "[a-b]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[a-b]", inner, 0..3)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn opposites_never_hold_together_and_one_of_them_does_where_there_is_a_value(
            fields in value(), wanted in value(), path in "[a-b](\\.[a-b0])?",
        ) {
            let holds = |word: &str| takes(&path, json!({ word: wanted }), &fields);
            let there = takes(&path, json!({"exists": true}), &fields);
            prop_assert_eq!(takes(&path, json!({"exists": false}), &fields), !there);
            prop_assert_eq!(u8::from(holds("eq")) + u8::from(holds("ne")), u8::from(there));
            prop_assert_eq!(takes(&path, json!({"any": [wanted]}), &fields), holds("eq"));
            for (one, opposite) in [("gt", "lte"), ("lt", "gte")] {
                prop_assert!(!(holds(one) && holds(opposite)), "{} and {}", one, opposite);
            }
            if holds("gt") || holds("lt") {
                prop_assert!(holds("ne"));
            }
            if holds("gte") && holds("lte") {
                prop_assert!(holds("eq"));
            }
        }
    }
}
