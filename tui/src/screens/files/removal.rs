//! What takes files away: one, many, a collection, and bytes that are no file's.

use super::Files;
use crate::app::{Answered, Change, Context, Request};
use crate::path::ApiPath;
use crate::widgets::text;
use picloud_model::file::File;
use picloud_model::page::Page;
use serde_json::Value;

/// Most files that are deleted at once: each is a change of its own.
const FILES_MAX: usize = 1000;

impl Files {
    /// `D`: what is marked, else what has the cursor.
    pub(super) fn delete(&self, cx: &mut Context<'_>) {
        let Some(table) = &self.table else { return };
        let chosen = table.chosen();
        let change = |file: &&File| delete_one(&table.app, &table.collection, file);
        let bytes = text::bytes(chosen.iter().map(|file| file.size).sum());
        match chosen.as_slice() {
            [] => cx.say("there is no file under the cursor"),
            [file] => {
                let question = format!("delete {}, {bytes}: its bytes are gone for good", file.name);
                cx.change(change(file).asks("delete", question));
            }
            files => {
                let count = files.len();
                let question = format!("delete {count} files, {bytes}: gone for good");
                cx.changes(ask_first(files.iter().map(change).collect(), question, count));
            }
        }
    }

    /// `D` on a collection: its files are counted first.
    pub(super) fn count_collection(&mut self, cx: &mut Context<'_>) {
        let Some((app, Some(name))) = self.shelf.selected() else {
            return cx.say("delete: put the cursor on a collection, or go into one");
        };
        let (app, name) = (app.to_owned(), name.to_owned());
        cx.load("empty", ApiPath::of_app(&app, &["files", &name]).query("limit", Some(FILES_MAX)));
        cx.say(format!("counting the files of {name}"));
        self.emptying = Some((app, name));
    }

    /// They are counted.
    pub(super) fn count_came(&mut self, answered: Answered, cx: &mut Context<'_>) {
        let Some((app, name)) = self.emptying.take() else { return };
        let page = match answered.and_then(|answer| answer.json::<Page<File>>()) {
            Ok(page) => page,
            Err(problem) => return cx.complain(problem),
        };
        if page.cursor.is_some() {
            return cx
                .say(format!("{name} has more than {FILES_MAX} files: go in, mark some with *, delete those first"));
        }
        if page.items.is_empty() {
            return cx.say(format!("{name} has no files any more"));
        }
        let bytes = text::bytes(page.items.iter().map(|file| file.size).sum());
        let question = format!("delete {name} with {} files, {bytes}: gone for good", page.items.len());
        let changes = page.items.iter().map(|file| delete_one(&app, &name, file)).collect();
        cx.changes(ask_first(changes, question, name));
    }

    /// `t` on the list of apps: what is on the disk is compared with what files there are; first only told.
    pub(super) fn sweep(&self, cx: &mut Context<'_>) {
        let path = ApiPath::new(&["files", "sweep"]).flag("dry_run", true);
        cx.load_with("sweep", Request::new(http::Method::POST, path));
        cx.say("comparing the files of all apps with the disk");
    }

    /// What the comparison found.
    pub(super) fn sweep_came(&self, answered: Answered, cx: &mut Context<'_>) {
        let report: Value = match answered.and_then(|answer| answer.json()) {
            Ok(report) => report,
            Err(problem) => return cx.complain(problem),
        };
        let count = |name: &str| report[name].as_u64().unwrap_or_default();
        let damaged = match count("damaged") {
            0 => String::new(),
            damaged => format!("; {damaged} files have lost bytes: `picloud files sweep` names them"),
        };
        if count("orphans") == 0 {
            return cx.say(format!("{} files, nothing to remove{damaged}", count("files")));
        }
        let (orphans, bytes) = (count("orphans"), text::bytes(count("orphan_bytes")));
        let question = format!("remove {orphans} blobs that are no file's, {bytes}{damaged}");
        let change = Change::new(
            format!("removed {orphans} blobs, {bytes}"),
            Request::new(http::Method::POST, ApiPath::new(&["files", "sweep"])),
        );
        cx.change(change.asks("remove", question).tag("swept"));
    }

    /// A change of this screen was made, or refused.
    pub(super) fn was_changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        if answered.is_ok() && tag != "swept" {
            if let Some(table) = &mut self.table
                && tag == "deleted"
            {
                table.list.unmark();
            }
            // Many come one after the other: all are read at once.
            let app = self.place().map(|(app, _)| app.to_owned());
            if let Some(app) = app {
                self.load_collections(&app, cx);
            }
            cx.later("touched", AFTER_MS);
        }
    }
}

/// How long after a change the list is read anew.
const AFTER_MS: u64 = 200;

fn delete_one(app: &str, collection: &str, file: &File) -> Change {
    let path = ApiPath::of_app(app, &["files", collection, &file.id.to_string()]);
    Change::new(format!("deleted {}", file.name), Request::delete(path).if_match(file.version)).tag("deleted")
}

/// The question stands before all of them.
fn ask_first(mut changes: Vec<Change>, question: String, word: impl ToString) -> Vec<Change> {
    if let Some(first) = changes.first_mut() {
        *first = first.clone().asks_to_type("delete", question, word);
    }
    changes
}
