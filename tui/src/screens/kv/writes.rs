//! New keys, and one that is deleted.

use super::Kv;
use super::edit::{store, wrong_with};
use super::lines::Target;
use crate::app::{Answered, Change, Context, Request};
use crate::path::ApiPath;
use crate::widgets::form::{Field, FieldKind, Form, Values};
use crate::widgets::json;

/// How long after a change of many keys all is read anew: they come one after the other.
const AFTER_MS: u64 = 300;

impl Kv {
    /// `n`: a form with what the cursor stands on filled in.
    pub(super) fn new_key(&self, cx: &mut Context<'_>) {
        let selected = self.tree.selected();
        let apps: Vec<String> = self.shelf.apps.iter().flatten().map(|app| app.name.clone()).collect();
        let app = selected.map(|target| target.app().to_owned()).unwrap_or_default();
        let collection = selected.and_then(Target::collection).map_or("", |(_, name)| name);
        let begins = match selected {
            Some(Target::Prefix(_, _, prefix)) => prefix.as_str(),
            Some(Target::Key(_, _, key)) => key.rfind('/').map_or("", |at| &key[..=at]),
            _ => "",
        };
        let form = Form::new("New key", "store")
            .field(Field::line("app", "App", "whose scripts see it").kind(FieldKind::Choice(apps)).with(app))
            .field(Field::line("collection", "Collection", "made where it is not there yet").with(collection).needed())
            .field(Field::line("key", "Key", "a / in it makes a branch of the tree").with(begins).needed())
            .field(Field::line("value", "Value", "JSON: 3, \"text\", {\"a\": [1]}").kind(FieldKind::Text).needed())
            .field(Field::line("ttl", "Lives", "90s, 10m, 2h or 3d; empty: for ever"));
        cx.form("new", form);
    }

    /// The form was filled in.
    pub(super) fn submitted_new(&mut self, values: &Values, cx: &mut Context<'_>) {
        let (app, collection, key) = (values.get("app"), values.get("collection").trim(), values.get("key").trim());
        let text = values.get("value");
        if let Some((line, column, wrong)) = wrong_with(text) {
            return cx.refuse(format!("the value is no JSON at {line}:{column}: {wrong}; text stands in \"quotes\""));
        }
        let lives = match ttl_ms(values.get("ttl").trim()) {
            Ok(lives) => lives,
            Err(why) => return cx.refuse(why),
        };
        let target = Target::Key(app.to_owned(), collection.to_owned(), key.to_owned());
        let now = cx.now.unix_ms;
        let expires_at = lives.map(|lives| now.saturating_add(lives));
        let Some(request) = store(&target, json::squeezed(text), expires_at, now) else { return };
        let path = ApiPath::of_app(app, &["kv", collection, key]);
        let change = Change::new(format!("stored {collection}/{key}"), request.if_absent())
            .undone_by(format!("{collection}/{key} is gone again"), Request::delete(path))
            .tag("new");
        self.stored = Some(target);
        cx.change(change);
    }

    /// `D`: what is marked, else what has the cursor.
    pub(super) fn delete(&mut self, cx: &mut Context<'_>) {
        self.deleting = None;
        if self.tree.marked() > 0 {
            return self.delete_marked(cx);
        }
        match self.tree.selected().cloned() {
            Some(target @ Target::Key(..)) => self.delete_key(&target, cx),
            Some(Target::Prefix(app, collection, prefix)) => self.count_prefix(app, collection, prefix, cx),
            Some(Target::Collection(app, collection)) => self.delete_collection(&app, &collection, cx),
            _ => cx.say("delete: not on this; put the cursor on a key, a branch or a collection"),
        }
    }

    fn delete_key(&mut self, target: &Target, cx: &mut Context<'_>) {
        let Target::Key(app, collection, key) = target else { return };
        let Some(entry) = self.shelf.collection(app, collection).and_then(|known| known.get(key)) else { return };
        let change = delete_one(target, entry.version);
        // With its value here, it can be put back; only where nobody stored another one meanwhile.
        let before =
            self.raw_of(target).and_then(|raw| store(target, raw.to_owned(), entry.expires_at(), cx.now.unix_ms));
        let question = match &before {
            Some(_) => format!("delete {collection}/{key}; u puts it back"),
            None => format!("delete {collection}/{key}: its value is gone for good"),
        };
        let change = change.asks("delete", question).tag("delete");
        self.deleting = Some(target.clone());
        cx.change(match before {
            Some(request) => change.undone_anyway_by(format!("{collection}/{key} is back"), request.if_absent()),
            None => change,
        });
    }

    /// A change of this screen was made, or refused.
    pub(super) fn was_changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        match tag {
            "save" => self.was_saved(answered, cx),
            "new" if answered.is_ok() => {
                if let Some(target @ Target::Key(app, ..)) = &self.stored.clone() {
                    // Its collection may be new, too.
                    self.load_collections(app, cx);
                    self.load_entry(target, cx);
                }
            }
            "delete" if answered.is_ok() => {
                if let Some(target) = self.deleting.take() {
                    self.tree.unmark_one(&target);
                    self.take_listed(&target, None);
                    self.settle(cx);
                }
            }
            "deleted" | "undo" if answered.is_ok() => {
                self.tree.unmark();
                cx.later("after", AFTER_MS);
            }
            _ => {}
        }
    }
}

/// The removal of a key that is at this version.
pub(super) fn delete_one(target: &Target, version: i64) -> Change {
    let Target::Key(app, collection, key) = target else { unreachable!("only keys are deleted one by one") };
    let path = ApiPath::of_app(app, &["kv", collection, key]);
    Change::new(format!("deleted {collection}/{key}"), Request::delete(path).if_match(version))
}

/// How long a value lives: a number with `s`, `m`, `h` or `d`; for ever where nothing is said.
fn ttl_ms(text: &str) -> Result<Option<i64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || format!("`{text}` is no time to live: write 90s, 10m, 2h or 3d");
    let (number, unit) = text.split_at_checked(text.len() - 1).ok_or_else(wrong)?;
    let unit_ms = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: i64 = number.trim().parse().map_err(|_no_number| wrong())?;
    number.checked_mul(unit_ms).filter(|ms| *ms > 0).map(Some).ok_or_else(wrong)
}
