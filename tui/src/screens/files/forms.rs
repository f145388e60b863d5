//! Bringing files, saving them, and what is said of them.

use super::Files;
use super::sharing::own_name;
use crate::app::{Answered, Change, Context, Request, Slot};
use crate::path::ApiPath;
use crate::widgets::form::{Field, FieldKind, Form, Values};
use http::Method;
use picloud_model::file::File;
use serde_json::{Map, Value};

/// The type of what is not known.
const UNKNOWN_TYPE: &str = "application/octet-stream";

impl Files {
    /// Where paths lead, for the help of fields.
    fn where_paths_lead(&self) -> &'static str {
        if self.is_far {
            "a path on the Pi: this program runs there. From your own machine: y copies a line"
        } else {
            "a path on this machine"
        }
    }

    /// `n`: a file is brought.
    pub(super) fn upload_form(&self, cx: &mut Context<'_>) {
        let (app, collection) = self.place().map_or(("", ""), |(app, name)| (app, name.unwrap_or_default()));
        let apps = self.shelf.app_names();
        let form = Form::new("Upload a file", "upload")
            .field(Field::line("path", "File", self.where_paths_lead()).needed())
            .field(Field::line("app", "App", "whose scripts see it").kind(FieldKind::Choice(apps)).with(app))
            .field(Field::line("collection", "Collection", "made where it is not there yet").with(collection).needed())
            .field(Field::line("name", "Name", "empty: as the file is called"))
            .field(Field::line("type", "Type", "a media type; empty: by the name"))
            .field(Field::line("metadata", "Metadata", "a JSON object: {\"album\": \"pets\"}; empty: none"));
        cx.form("upload", form);
    }

    /// The form was filled in.
    pub(super) fn submitted_upload(&mut self, values: &Values, cx: &mut Context<'_>) {
        let path = values.get("path").trim();
        let name = values.filled("name").map_or_else(|| path.rsplit('/').next().unwrap_or_default(), str::trim);
        if name.is_empty() {
            return cx.refuse("the path ends in a /: name a file, not a folder");
        }
        let metadata = match object(values.get("metadata")) {
            Ok(metadata) => metadata,
            Err(why) => return cx.refuse(why),
        };
        let guessed = mime_guess::from_path(name).first_raw().unwrap_or(UNKNOWN_TYPE);
        let content_type = values.filled("type").map_or(guessed, str::trim);
        let to = ApiPath::of_app(values.get("app"), &["files", values.get("collection").trim()]);
        let mut request = Request::new(Method::POST, to.query("name", Some(name))).bytes("", content_type);
        if let Some(metadata) = metadata {
            request = request.header("x-picloud-metadata", metadata);
        }
        cx.upload("upload", request, path.to_owned());
        self.transfer = Some("upload");
    }

    /// `s`: a file is saved.
    pub(super) fn download_form(&self, cx: &mut Context<'_>) {
        let Some(file) = self.selected() else { return };
        let form = Form::new(format!("Save {}", file.name), "save").field(
            Field::line("path", "To", self.where_paths_lead()).with(format!("./{}", own_name(&file.name))).needed(),
        );
        cx.form("download", form);
    }

    /// The form was filled in.
    pub(super) fn submitted_download(&mut self, values: &Values, cx: &mut Context<'_>) {
        let (Some(table), Some(file)) = (&self.table, self.selected()) else { return };
        let path = ApiPath::of_app(&table.app, &["files", &table.collection, &file.id.to_string()]);
        let to = values.get("path").trim().to_owned();
        cx.download("download", path, to.clone());
        (self.transfer, self.saved_to) = (Some("download"), to);
    }

    /// `K`: what is on its way ends; of a file that was being brought nothing is kept.
    pub(super) fn cancel(&mut self, cx: &mut Context<'_>) {
        match self.transfer.take() {
            Some(transfer) => {
                cx.stop(transfer);
                cx.say(format!("the {transfer} is cancelled"));
            }
            None => cx.say("nothing is being sent or saved"),
        }
    }

    /// A file was sent or saved, or was not.
    pub(super) fn was_transferred(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        self.transfer = None;
        let Ok(answer) = answered else { return };
        if slot.name != "upload" {
            return cx.say(format!("saved {}", self.saved_to));
        }
        let said = match answer.json::<File>() {
            Ok(file) => {
                if let Some(table) = &mut self.table {
                    table.wanted = Some(file.id.to_string());
                }
                format!("uploaded {}, sha256 {}", file.name, file.sha256)
            }
            Err(_) => "uploaded".to_owned(),
        };
        cx.say(said);
        self.reload_all(cx);
    }

    /// `M`: another name, type or metadata.
    pub(super) fn change_form(&self, cx: &mut Context<'_>) {
        let Some(file) = self.selected() else { return };
        let form = Form::new(format!("Change {}", file.name), "save")
            .field(Field::line("name", "Name", "what people and scripts see").with(&file.name).needed())
            .field(Field::line("type", "Type", "a media type").with(&file.content_type).needed())
            .field(Field::line("metadata", "Metadata", "a JSON object").with(&file.metadata));
        cx.form("change", form);
    }

    /// The form was filled in.
    pub(super) fn submitted_change(&mut self, values: &Values, cx: &mut Context<'_>) {
        let (Some(table), Some(file)) = (&self.table, self.selected()) else { return };
        let metadata = match object(values.get("metadata")) {
            Ok(metadata) => metadata.unwrap_or_else(|| "{}".to_owned()),
            Err(why) => return cx.refuse(why),
        };
        let path = ApiPath::of_app(&table.app, &["files", &table.collection, &file.id.to_string()]);
        let put = |name: &str, content_type: &str, metadata: &str| {
            let path = path.clone().query("name", Some(name)).flag("keep_bytes", true);
            Request::new(Method::PUT, path).bytes("", content_type).header("x-picloud-metadata", metadata)
        };
        let request = put(values.get("name").trim(), values.get("type").trim(), &metadata).if_match(file.version);
        let before = put(&file.name, &file.content_type, &file.metadata);
        let change = Change::new(format!("changed {}", file.name), request);
        cx.change(change.undone_by(format!("{} is as before", file.name), before).tag("changed"));
    }
}

/// A JSON object on one line, as a header has it; nothing where nothing is said.
fn object(text: &str) -> Result<Option<String>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("the metadata is no JSON object: {error}"))?;
    Ok(Some(Value::Object(object).to_string()))
}
