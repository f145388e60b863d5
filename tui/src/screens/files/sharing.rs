//! What is taken elsewhere: copies for the clipboard, lines for another machine, and all that is known of a file.

use super::Files;
use crate::app::{Context, Facts};
use crate::path::ApiPath;
use crate::screens::elsewhere::{curl, quoted};
use crate::widgets::picker::{Picker, PickerItem};
use crate::widgets::reader::Reader;
use picloud_model::clock::rfc3339;
use picloud_model::file::File;

impl Files {
    /// `y`: what of it?
    pub(super) fn copy(&self, cx: &mut Context<'_>) {
        // Who sits at the appliance's own socket reaches it from elsewhere by ssh, else by its URL and a key.
        let by = if has_url(cx.facts) { "curl line" } else { "ssh line" };
        let with = if has_url(cx.facts) { "on another machine, with $PICLOUD_KEY" } else { "on another machine" };
        let mut items = Vec::new();
        let title = match self.selected() {
            Some(file) => {
                items.push(PickerItem::new("get", format!("{by} that fetches it"), with));
                items.push(PickerItem::new("name", "name", &file.name));
                items.push(PickerItem::new("id", "id", file.id.to_string()));
                items.push(PickerItem::new("sha256", "SHA-256", file.sha256.to_string()));
                items.push(PickerItem::new("cli", "picloud line", self.get_line(file)));
                format!("Copy of {}", file.name)
            }
            None => "Copy".to_owned(),
        };
        if self.place().is_some_and(|(_, name)| name.is_some()) {
            items.push(PickerItem::new("put", format!("{by} that brings a file"), with));
        }
        if items.is_empty() {
            return cx.say("copy: put the cursor on a collection, or go into one");
        }
        cx.pick("copy", Picker::new(title, items));
    }

    /// That of it.
    pub(super) fn picked_copy(&self, id: &str, cx: &mut Context<'_>) {
        let Some((app, Some(collection))) = self.place() else { return };
        if id == "put" {
            let line = if has_url(cx.facts) {
                let path = ApiPath::of_app(app, &["files", collection]).query("name", Some("NAME"));
                curl(cx.facts, &path, "-T FILE -X POST ")
            } else {
                let put = format!("picloud files put {} - --name NAME --app {}", quoted(collection), quoted(app));
                format!("ssh {} {} < FILE", host(cx.facts), quoted(&put))
            };
            return cx.copy("the line", line);
        }
        let Some(file) = self.selected() else { return };
        match id {
            "get" => {
                let to = quoted(&own_name(&file.name));
                let line = if has_url(cx.facts) {
                    let path = ApiPath::of_app(app, &["files", collection, &file.id.to_string()]);
                    curl(cx.facts, &path, &format!("-o {to} "))
                } else {
                    let get = format!("picloud files get {} {} --app {}", quoted(collection), file.id, quoted(app));
                    format!("ssh {} {} > {to}", host(cx.facts), quoted(&get))
                };
                cx.copy("the line", line);
            }
            "id" => cx.copy("the id", file.id.to_string()),
            "sha256" => cx.copy("the SHA-256", file.sha256.to_string()),
            "cli" => cx.copy("the picloud line", self.get_line(file)),
            _ => cx.copy("the name", &file.name),
        }
    }

    fn get_line(&self, file: &File) -> String {
        let (app, collection) = self.place().map_or(("", ""), |(app, name)| (app, name.unwrap_or_default()));
        let to = quoted(&own_name(&file.name));
        format!("picloud files get {} {} {to} --app {}", quoted(collection), file.id, quoted(app))
    }

    /// `i`: all that is known of a file.
    pub(super) fn info(&self, cx: &mut Context<'_>) {
        let Some(file) = self.selected() else { return };
        let mut text = String::new();
        for (name, value) in [
            ("id", file.id.to_string()),
            ("name", file.name.clone()),
            ("type", file.content_type.clone()),
            ("size", format!("{} bytes", file.size)),
            ("sha256", file.sha256.to_string()),
            ("version", file.version.to_string()),
            ("created at", rfc3339(file.created_at)),
            ("updated at", rfc3339(file.updated_at)),
            ("metadata", file.metadata.clone()),
        ] {
            text += &format!("{name:<12}{value}\n");
        }
        let value = serde_json::to_value(file).unwrap_or_default();
        cx.read(Reader::new(&file.name, &text).json(value));
    }
}

fn has_url(facts: &Facts) -> bool {
    facts.appliance.starts_with("http")
}

/// The machine one is on, as others reach it; a word in its place where it has no name.
fn host(facts: &Facts) -> &str {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    if is_name(&facts.appliance) { &facts.appliance } else { "HOST" }
}

/// What a file is called on a disk: its name may hold anything, and must lead nowhere else.
pub(super) fn own_name(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    match plain.trim_start_matches(['.', '-']) {
        "" => "file".to_owned(),
        plain => plain.to_owned(),
    }
}
