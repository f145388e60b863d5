//! Keys and values of a branch or a collection as lines of JSON in a file of the machine the program runs on.

use super::Kv;
use super::lines::Target;
use super::shelf::Listed;
use crate::app::{Answered, Context};
use crate::path::ApiPath;
use crate::widgets::form::{Field, Form, Values};
use crate::widgets::text;
use picloud_model::clock::rfc3339;
use picloud_model::page::Page;
use serde_json::Value;

/// Values in the first page: each may have a megabyte.
const PAGE_VALUES: u32 = 100;
/// Values in a further one at most.
const PAGE_VALUES_MAX: usize = 1000;
/// What a further page should have, in bytes, going by those before.
const PAGE_BYTES: usize = 512 * 1024;
/// Most that is gathered before it is written, in bytes: some 300 000 small values. What is more belongs to the command.
const EXPORT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What has been gathered.
#[derive(Debug)]
pub(super) struct Export {
    app: String,
    collection: String,
    prefix: String,
    to: String,
    lines: String,
    keys: usize,
}

impl Export {
    /// How many values to ask for next.
    fn page_values(&self) -> u32 {
        let Some(bytes) = self.lines.len().checked_div(self.keys) else { return PAGE_VALUES };
        let values = PAGE_BYTES.checked_div(bytes).unwrap_or(PAGE_VALUES_MAX);
        u32::try_from(values.clamp(1, PAGE_VALUES_MAX)).unwrap_or(PAGE_VALUES)
    }
}

impl Kv {
    /// `s`: where to?
    pub(super) fn export_form(&self, cx: &mut Context<'_>) {
        let Some(target) = self.tree.selected() else { return };
        let (Target::Collection(_, collection) | Target::Prefix(_, collection, _)) = target else {
            return cx.say("export: put the cursor on a collection or a branch");
        };
        let help =
            if cx.facts.caps.in_ssh { "a path on the Pi: this program runs there" } else { "a path on this machine" };
        let form = Form::new(format!("Export {}", target.name()), "export")
            .field(Field::line("path", "To", help).with(format!("./{}.ndjson", text::clean(collection))).needed());
        cx.form("export", form);
    }

    /// The form was filled in.
    pub(super) fn submitted_export(&mut self, values: &Values, cx: &mut Context<'_>) {
        let (app, collection, prefix) = match self.tree.selected() {
            Some(Target::Collection(app, collection)) => (app, collection, ""),
            Some(Target::Prefix(app, collection, prefix)) => (app, collection, prefix.as_str()),
            _ => return,
        };
        let export = Export {
            app: app.clone(),
            collection: collection.clone(),
            prefix: prefix.to_owned(),
            to: values.get("path").trim().to_owned(),
            lines: String::new(),
            keys: 0,
        };
        load(&export, None, cx);
        cx.say(format!("reading {collection}/{prefix}"));
        self.export = Some(export);
    }

    /// The next keys and values are here.
    pub(super) fn export_came(&mut self, answered: Answered, cx: &mut Context<'_>) {
        let Some(mut export) = self.export.take() else { return };
        let page = match answered.and_then(|answer| answer.json::<Page<Listed>>()) {
            Ok(page) => page,
            Err(problem) => return cx.complain(problem),
        };
        export.lines.extend(page.items.iter().map(line));
        export.keys += page.items.len();
        if export.lines.len() > EXPORT_BYTES_MAX {
            let most = text::bytes(u64::try_from(EXPORT_BYTES_MAX).unwrap_or(0));
            return cx
                .say(format!("not exported: it is more than {most}; export branches, or `picloud kv list --json`"));
        }
        match page.cursor {
            Some(cursor) => {
                load(&export, Some(&cursor), cx);
                cx.say(format!("reading {}/{}: {} keys so far", export.collection, export.prefix, export.keys));
                self.export = Some(export);
            }
            None => {
                cx.say(format!("writing {} keys to {}", export.keys, export.to));
                cx.save_text("export", export.lines, export.to);
            }
        }
    }
}

fn load(export: &Export, cursor: Option<&str>, cx: &mut Context<'_>) {
    let path = ApiPath::of_app(&export.app, &["kv", &export.collection])
        .query("prefix", Some(&export.prefix).filter(|prefix| !prefix.is_empty()))
        .query("limit", Some(export.page_values()))
        .query("cursor", cursor);
    cx.load("export", path);
}

/// `{"key":"a","value":1}`, and when it ceases to be there where it does.
fn line(listed: &Listed) -> String {
    let value = listed.value.as_ref().map_or("null", |value| value.get());
    let ends = listed.expires_at.map_or_else(String::new, |at| format!(",\"expires_at\":\"{}\"", rfc3339(at)));
    // A value as it is stored may hold line ends between its parts.
    let value = crate::widgets::json::squeezed(value);
    format!("{{\"key\":{},\"value\":{value}{ends}}}\n", Value::from(listed.key.as_str()))
}
