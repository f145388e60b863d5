//! Keys and values of a branch or a collection as lines of JSON in a file of the machine the program runs on.

use super::Kv;
use super::lines::Target;
use crate::app::{Answered, Context, KeysFrom};
use crate::widgets::form::{Field, Form, Values};
use crate::widgets::text;
use serde::Deserialize;

/// What came of it.
#[derive(Deserialize)]
struct Exported {
    path: String,
    bytes: u64,
    keys: u64,
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
    pub(super) fn submitted_export(&self, values: &Values, cx: &mut Context<'_>) {
        let (app, collection, prefix) = match self.tree.selected() {
            Some(Target::Collection(app, collection)) => (app, collection, ""),
            Some(Target::Prefix(app, collection, prefix)) => (app, collection, prefix.as_str()),
            _ => return,
        };
        cx.say(format!("exporting {collection}/{prefix}"));
        let from = KeysFrom { app: app.clone(), collection: collection.clone(), prefix: prefix.to_owned() };
        cx.export_keys("export", from, values.get("path").trim().to_owned());
    }
}

/// It is written, or not; why not is told by whoever wrote it.
pub(super) fn ended(answered: &Answered, cx: &mut Context<'_>) {
    let Ok(answer) = answered else { return };
    match answer.json::<Exported>() {
        Ok(Exported { path, bytes, keys }) => {
            cx.say(format!("exported {keys} keys to {path}: {}", text::bytes(bytes)));
        }
        Err(problem) => cx.complain(problem),
    }
}
