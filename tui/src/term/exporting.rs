//! Keys and values of the appliance in a file, as lines of JSON: written page by page, so there may be any number.

use super::transfer::{Half, Transfer, cannot, in_the_way};
use crate::app::{Answer, Answered, KeysFrom};
use crate::path::ApiPath;
use crate::widgets::json::squeezed;
use picloud_model::clock::rfc3339;
use picloud_model::page::Page;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;

/// Values in the first page: each may have a megabyte.
const PAGE_VALUES: usize = 100;
/// Values in a further one at most.
const PAGE_VALUES_MAX: usize = 1000;
/// What a further page should have, in bytes, going by those before.
const PAGE_BYTES: usize = 512 * 1024;

/// A key with its value, as the appliance lists them.
#[derive(Deserialize)]
struct Listed {
    key: String,
    /// JSON, digit for digit.
    value: Box<RawValue>,
    #[serde(default, with = "picloud_model::clock::as_rfc3339_option")]
    expires_at: Option<i64>,
}

impl Transfer {
    /// Saves them in a file that is not there yet. The answer says `path`, `bytes` and `keys`.
    pub(super) async fn export(self, from: KeysFrom, to: String) {
        let answered = self.exported(&from, &to).await;
        self.tell(answered).await;
    }

    async fn exported(&self, from: &KeysFrom, to: &str) -> Answered {
        let to = self.path_of(to)?;
        if fs::symlink_metadata(&to).is_ok() {
            return Err(in_the_way(&to));
        }
        let mut half = Half::new(&to).map_err(|error| cannot("write", &to, &error))?;
        let mut progress = self.progress(None);
        let (mut keys, mut cursor) = (0, None);
        loop {
            let path = page(from, next_values(progress.bytes, keys), cursor.as_deref());
            let page: Page<Listed> = self.line.client().get(path).await.map_err(|failure| failure.problem())?;
            let lines: String = page.items.iter().map(line).collect();
            half.file.write_all(lines.as_bytes()).map_err(|error| cannot("write", &to, &error))?;
            progress.moved(lines.len());
            keys += page.items.len();
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        half.finish(&to)?;
        let body = json!({ "path": to.display().to_string(), "bytes": progress.bytes, "keys": keys }).to_string();
        Ok(Answer { status: 200, etag: None, body: body.into() })
    }
}

/// How many values to ask for after `keys` of them took `bytes`.
fn next_values(bytes: u64, keys: usize) -> usize {
    let Some(each) = usize::try_from(bytes).unwrap_or(usize::MAX).checked_div(keys) else { return PAGE_VALUES };
    PAGE_BYTES.checked_div(each).unwrap_or(PAGE_VALUES_MAX).clamp(1, PAGE_VALUES_MAX)
}

fn page(from: &KeysFrom, values: usize, cursor: Option<&str>) -> ApiPath {
    ApiPath::of_app(&from.app, &["kv", &from.collection])
        .query("prefix", Some(&from.prefix).filter(|prefix| !prefix.is_empty()))
        .query("limit", Some(values))
        .query("cursor", cursor)
}

/// `{"key":"a","value":1}`, and when it ceases to be there where it does.
fn line(listed: &Listed) -> String {
    let ends = listed.expires_at.map_or_else(String::new, |at| format!(",\"expires_at\":\"{}\"", rfc3339(at)));
    // A value as it is stored may hold line ends between its parts.
    let value = squeezed(listed.value.get());
    format!("{{\"key\":{},\"value\":{value}{ends}}}\n", Value::from(listed.key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_line_with_its_value_digit_for_digit() {
        let of = |text: &str| line(&serde_json::from_str::<Listed>(text).unwrap());
        assert_eq!(
            of("{\"key\": \"by-tag/1\", \"value\": [1.50,\n \"a\\nb\"], \"version\": 4}"),
            "{\"key\":\"by-tag/1\",\"value\":[1.50,\"a\\nb\"]}\n"
        );
        assert_eq!(
            of(r#"{"key": "a\"b", "value": null, "expires_at": "2026-01-02T15:04:31Z"}"#),
            "{\"key\":\"a\\\"b\",\"value\":null,\"expires_at\":\"2026-01-02T15:04:31.000Z\"}\n"
        );
    }

    #[test]
    fn pages_of_large_values_have_few_of_them() {
        for (bytes, keys, values) in [
            (0, 0, PAGE_VALUES),
            (50 * 100, 100, PAGE_VALUES_MAX),
            (100 * 1024 * 100, 100, 5),
            (100 * 1_000_000, 100, 1),
            (0, 100, PAGE_VALUES_MAX),
        ] {
            assert_eq!(next_values(bytes, keys), values, "{keys} keys of {bytes} bytes");
        }
    }
}
