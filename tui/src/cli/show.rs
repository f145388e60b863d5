//! How answers look on a terminal: lists as tables, single things as lines of `name: value`.

use super::{PageArgs, Session};
use crate::failure::Failure;
use crate::path::ApiPath;
use picloud_model::page::Page;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Pages of a list that is read whole; what is read so has names, and nobody names so many things.
const PAGES_MAX: u32 = 1_000;

impl Session<'_> {
    /// GETs one page of a list and prints it: as it was answered, or as a table.
    pub(super) async fn list<T: Serialize + DeserializeOwned>(
        &self,
        path: ApiPath,
        page: &PageArgs,
        headings: &[&str],
        row: impl Fn(&T) -> Vec<String>,
        none: &str,
    ) -> Result<(), Failure> {
        let path = path.query("limit", page.limit).query("cursor", page.cursor.as_ref());
        if self.output.json {
            return self.print(path).await;
        }
        let page: Page<T> = self.client.get(path).await?;
        let rows: Vec<Vec<String>> = page.items.iter().map(row).collect();
        self.output.table(headings, &rows, none);
        self.more(page.cursor.as_deref());
        Ok(())
    }

    /// All items of a list, page after page.
    pub(super) async fn all<T: DeserializeOwned>(&self, path: ApiPath) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        for _page in 0..PAGES_MAX {
            let page: Page<T> = self.client.get(path.clone().query("cursor", cursor.as_ref())).await?;
            all.extend(page.items);
            match page.cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(all),
            }
        }
        Err(Failure::other(format!("the list has more than {PAGES_MAX} pages"), None))
    }

    /// Says how to see the rest of a list.
    pub(super) fn more(&self, cursor: Option<&str>) {
        if let Some(cursor) = cursor {
            self.output.note(&format!("there is more: --cursor '{cursor}'"));
        }
    }

    /// GETs something and prints it: as JSON, or as lines.
    pub(super) async fn print(&self, path: ApiPath) -> Result<(), Failure> {
        let value: Value = self.client.get(path).await?;
        self.show(&value);
        Ok(())
    }

    /// Prints something: as JSON, or as lines.
    pub(super) fn show(&self, value: &Value) {
        if self.output.json {
            self.output.value(value);
        } else {
            self.output.text(&lines(value));
        }
    }

    /// Says that a change is done: the answer as JSON, or a sentence.
    pub(super) fn done(&self, answer: &Value, sentence: &str) {
        if self.output.json {
            self.output.value(answer);
        } else {
            self.output.text(sentence);
        }
    }
}

/// A map as `name: value` lines, with what is in it indented below; empty things are left out.
pub(super) fn lines(value: &Value) -> String {
    let mut out = String::new();
    write_lines(&mut out, value, 0);
    out
}

fn write_lines(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(entries) => {
            for (name, item) in entries.iter().filter(|(_, item)| !is_empty(item)) {
                if is_nested(item) {
                    *out += &format!("{indent}{name}:\n");
                    write_lines(out, item, depth + 1);
                } else {
                    *out += &format!("{indent}{name}: {}\n", plain(item));
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                if is_nested(item) {
                    let mut inner = String::new();
                    write_lines(&mut inner, item, depth + 1);
                    // The first line of an item carries its dash.
                    *out += &format!("{indent}- {}", inner.trim_start());
                } else {
                    *out += &format!("{indent}- {}\n", plain(item));
                }
            }
        }
        _ => *out += &format!("{indent}{}\n", plain(value)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    }
}

/// Whether it needs lines of its own; a list of words does not.
fn is_nested(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(|item| item.is_object() || item.is_array()),
        _ => false,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The first letters of a text for a table.
pub(super) fn cut(text: &str, letters_max: usize) -> String {
    if text.chars().count() <= letters_max {
        return text.to_owned();
    }
    text.chars().take(letters_max - 1).chain(['…']).collect()
}

/// A time without the fractions that nobody reads in a table.
pub(super) fn time(at: picloud_model::clock::UnixMs) -> String {
    picloud_model::clock::rfc3339(at - at.rem_euclid(1000)).replace(".000Z", "Z")
}

/// The same for a time that came as text.
pub(super) fn seconds_of(at: &str) -> String {
    at.split_once('.').map_or_else(|| at.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

/// A size as people read it.
pub(super) fn size(bytes: i64) -> String {
    const STEP: i64 = 1024;
    match bytes {
        ..STEP => format!("{bytes} B"),
        _ if bytes < STEP * STEP => format!("{} KiB", bytes / STEP),
        _ => format!("{} MiB", bytes / STEP / STEP),
    }
}

/// Microseconds as people read them.
pub(super) fn duration(microseconds: u64) -> String {
    match microseconds {
        0..1_000 => format!("{microseconds} µs"),
        1_000..1_000_000 => format!("{}.{} ms", microseconds / 1_000, microseconds % 1_000 / 100),
        _ => format!("{}.{} s", microseconds / 1_000_000, microseconds % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_lines_and_empty_things_are_left_out() {
        let value = serde_json::json!({
            "name": "kitchen", "hosts": [], "limits": {}, "none": null, "list": ["a", "b"],
            "worker": {"pid": 7, "up": true}, "routes": [{"path": "/", "script": "x"}, {"path": "/y"}],
        });
        insta::assert_snapshot!(lines(&value), @r"
        list: a, b
        name: kitchen
        routes:
          - path: /
            script: x
          - path: /y
        worker:
          pid: 7
          up: true
        ");
    }

    #[test]
    fn numbers_are_told_in_units() {
        assert_eq!((size(12), size(2048), size(5 << 20)), ("12 B".to_owned(), "2 KiB".to_owned(), "5 MiB".to_owned()));
        assert_eq!(
            (duration(12), duration(1_250), duration(2_500_000)),
            ("12 µs".into(), "1.2 ms".into(), "2.5 s".into())
        );
        assert_eq!(time(1_700_000_000_123), "2023-11-14T22:13:20Z");
    }
}
