//! What is taken elsewhere: copies for the clipboard, and all that is known of a thing.

use super::Kv;
use super::lines::Target;
use crate::app::Context;
use crate::path::ApiPath;
use crate::screens::elsewhere::{curl, quoted};
use crate::widgets::json;
use crate::widgets::picker::{Picker, PickerItem};
use crate::widgets::reader::Reader;
use picloud_model::clock::rfc3339;
use serde_json::json;

impl Kv {
    /// `y`: what of it?
    pub(super) fn copy(&self, cx: &mut Context<'_>) {
        let Some(target) = self.tree.selected() else { return };
        let mut items = Vec::new();
        if let Target::Key(..) = target {
            let value = PickerItem::new("value", "value", "the JSON, set out over lines");
            items.push(match self.raw_of(target) {
                Some(_) => value,
                None => PickerItem { refused: Some("it is being read".to_owned()), ..value },
            });
        }
        items.push(PickerItem::new("name", "name", target.name()));
        if self.path_of(target).is_some() {
            items.push(PickerItem::new("curl", "curl line", "asks the admin API, with $PICLOUD_KEY"));
            items.push(PickerItem::new("cli", "picloud line", self.cli_of(target)));
        }
        cx.pick("copy", Picker::new("Copy", items));
    }

    /// That of it.
    pub(super) fn picked_copy(&self, id: &str, cx: &mut Context<'_>) {
        let Some(target) = self.tree.selected() else { return };
        match id {
            "value" => {
                if let Some(raw) = self.raw_of(target) {
                    cx.copy("the value", json::set_out(raw));
                }
            }
            "curl" => {
                if let Some(path) = self.path_of(target) {
                    cx.copy("the curl line", curl(cx.facts, &path, ""));
                }
            }
            "cli" => cx.copy("the picloud line", self.cli_of(target)),
            _ => cx.copy("the name", target.name()),
        }
    }

    fn path_of(&self, target: &Target) -> Option<ApiPath> {
        Some(match target {
            Target::Key(app, collection, key) => ApiPath::of_app(app, &["kv", collection, key]),
            Target::Prefix(app, collection, prefix) => {
                ApiPath::of_app(app, &["kv", collection]).query("prefix", Some(prefix))
            }
            Target::Collection(app, collection) => ApiPath::of_app(app, &["kv", collection]),
            Target::App(app) => ApiPath::of_app(app, &["kv"]),
            Target::Rest(..) | Target::Empty(_) => return None,
        })
    }

    fn cli_of(&self, target: &Target) -> String {
        let app = quoted(target.app());
        match target {
            Target::Key(_, collection, key) => {
                format!("picloud kv get {} {} --app {app}", quoted(collection), quoted(key))
            }
            Target::Prefix(_, collection, prefix) => {
                format!("picloud kv list {} --prefix {} --app {app}", quoted(collection), quoted(prefix))
            }
            Target::Collection(_, collection) => format!("picloud kv list {} --app {app}", quoted(collection)),
            _ => format!("picloud kv collections --app {app}"),
        }
    }

    /// `i`: all that is known of a key.
    pub(super) fn info(&self, cx: &mut Context<'_>) {
        let Some(target @ Target::Key(app, collection, key)) = self.tree.selected() else {
            return cx.say("info: on a key");
        };
        let Some(entry) = self.shelf.collection(app, collection).and_then(|known| known.get(key)) else { return };
        let bytes = self.raw_of(target).map(str::len);
        let value = json!({
            "app": app,
            "collection": collection,
            "key": key,
            "version": entry.version,
            "updated_at": rfc3339(entry.updated_at),
            "expires_at": entry.expires_at().map(rfc3339),
            "bytes": bytes,
        });
        let mut text = String::new();
        for (name, value) in [
            ("app", app.clone()),
            ("collection", collection.clone()),
            ("key", key.clone()),
            ("version", entry.version.to_string()),
            ("updated at", rfc3339(entry.updated_at)),
            ("expires at", entry.expires_at().map_or_else(|| "never".to_owned(), rfc3339)),
            ("size", bytes.map_or_else(|| "not read yet".to_owned(), |bytes| format!("{bytes} bytes as stored"))),
        ] {
            text += &format!("{name:<12}{value}\n");
        }
        cx.read(Reader::new(format!("{collection}/{key}"), &text).json(value));
    }
}
