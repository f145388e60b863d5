//! Many keys at once: those that are marked, all that begin alike, a whole collection.

use super::Kv;
use super::lines::Target;
use super::shelf::Listed;
use super::tree::MARKS_MAX;
use super::writes::delete_one;
use crate::app::{Answered, Change, Context, Request};
use crate::path::ApiPath;
use picloud_model::page::Page;

/// Keys that begin alike, while they are counted: all of them have to be known before one is deleted.
#[derive(Debug)]
pub(super) struct Counting {
    app: String,
    collection: String,
    prefix: String,
}

impl Kv {
    /// Deletes what is marked, each only where it is as it was seen.
    pub(super) fn delete_marked(&self, cx: &mut Context<'_>) {
        let changes: Vec<Change> =
            self.tree.marks().map(|(target, version)| delete_one(target, version).tag("deleted")).collect();
        let count = changes.len();
        let question = format!("delete {count} keys: their values are gone for good");
        cx.changes(ask_first(changes, question, count));
    }

    /// Counts keys that begin alike before it asks whether they are to go.
    pub(super) fn count_prefix(&mut self, app: String, collection: String, prefix: String, cx: &mut Context<'_>) {
        let path = ApiPath::of_app(&app, &["kv", &collection])
            .query("prefix", Some(&prefix))
            .flag("keys_only", true)
            .query("limit", Some(MARKS_MAX));
        cx.load("count", path);
        cx.say(format!("counting keys that begin with {prefix}"));
        self.counting = Some(Counting { app, collection, prefix });
    }

    /// They are counted.
    pub(super) fn count_came(&mut self, answered: Answered, cx: &mut Context<'_>) {
        let Some(Counting { app, collection, prefix }) = self.counting.take() else { return };
        let page = match answered.and_then(|answer| answer.json::<Page<Listed>>()) {
            Ok(page) => page,
            Err(problem) => return cx.complain(problem),
        };
        if page.cursor.is_some() {
            return cx.say(format!(
                "{prefix} has more than {MARKS_MAX} keys: delete deeper branches one by one, or the whole collection"
            ));
        }
        let change = |listed: &Listed| {
            let target = Target::Key(app.clone(), collection.clone(), listed.key.clone());
            delete_one(&target, listed.version).tag("deleted")
        };
        let changes: Vec<Change> = page.items.iter().map(change).collect();
        let count = changes.len();
        if count == 0 {
            return cx.say(format!("no key begins with {prefix} any more"));
        }
        let question = format!("delete all {count} keys that begin with {prefix}: gone for good");
        cx.changes(ask_first(changes, question, prefix));
    }

    /// Deletes a collection.
    pub(super) fn delete_collection(&self, app: &str, name: &str, cx: &mut Context<'_>) {
        let Some(known) = self.shelf.collection(app, name) else { return };
        let keys = known.counted.keys;
        let size = crate::widgets::text::bytes(u64::try_from(known.counted.size_bytes).unwrap_or(0));
        let question = format!("delete collection {name}, {keys} keys, {size}: gone for good");
        let request = Request::delete(ApiPath::of_app(app, &["kv", name]));
        let change = Change::new(format!("deleted collection {name} with {keys} keys"), request);
        cx.change(change.asks_to_type("delete", question, name).tag("deleted"));
    }
}

/// The question stands before all of them.
fn ask_first(mut changes: Vec<Change>, question: String, word: impl ToString) -> Vec<Change> {
    if let Some(first) = changes.first_mut() {
        *first = first.clone().asks_to_type("delete", question, word);
    }
    changes
}
