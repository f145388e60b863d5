//! Secrets of all apps: set, granted, deleted. No value is ever shown.

use super::page::{Page, none_selected};
use crate::app::{Answered, Change, Context, Facts, Offer, Request, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::screens::each_app::EachApp;
use crate::widgets::form::{Field, FieldKind, Form, Values};
use crate::widgets::list::{Column, List, Row};
use crate::widgets::state::State;
use crate::widgets::text;
use picloud_model::audit::AuditEntry;
use picloud_model::scope::Scope;
use picloud_model::secret::{EVERY_SCRIPT, SECRET_VALUE_BYTES_MAX, Secret, SecretInput};

/// Where each app's are, and the form of a new one.
const SECRETS: &str = "secrets";
/// The form of one that is there.
const CHANGE: &str = "secret-change";

static COLUMNS: [Column; 4] = [
    Column::rest("name"),
    Column::rest("read by"),
    Column::new("version", 7).right().spare(1),
    Column::new("changed", 11),
];

/// The page.
#[derive(Debug)]
pub(super) struct Secrets {
    list: List,
    secrets: EachApp<Secret>,
    /// The secret that an open form is about: app, name, version.
    about: Option<(String, String, i64)>,
    refused: Option<String>,
}

impl Secrets {
    /// Without anything read.
    pub(super) fn new() -> Self {
        let secrets = EachApp::new(SECRETS, "apps-of-secrets");
        Self { list: List::new(&COLUMNS), secrets, about: None, refused: None }
    }

    fn selected(&self) -> Option<(&str, &Secret)> {
        let (app, name) = self.list.selected_id()?.split_once('/')?;
        self.secrets.all().find(|(of, secret)| *of == app && secret.name == name)
    }

    fn ask_new(&self, cx: &mut Context<'_>) {
        let apps: Vec<String> = self.secrets.apps.iter().map(|app| app.name.clone()).collect();
        if apps.is_empty() {
            return cx.say("there is no app yet that a secret could belong to: 3 n makes one");
        }
        let app = self.selected().map(|(app, _)| app.to_owned()).unwrap_or_else(|| apps[0].clone());
        let form = Form::new("New secret", "set")
            .field(Field::line("app", "app", "whose scripts may read it").with(app).kind(FieldKind::Choice(apps)))
            .field(Field::line("name", "name", "as scripts ask for it: API_TOKEN").needed())
            .field(
                Field::line("value", "value", "sealed at once, and never shown again").kind(FieldKind::Secret).needed(),
            )
            .field(Field::line(
                "scripts",
                "read by",
                "scripts, with blanks between; empty for every script of the app",
            ));
        cx.form(SECRETS, form);
    }

    fn ask_change(&mut self, cx: &mut Context<'_>) {
        let Some((app, secret)) = self.selected() else { return };
        let form = Form::new(format!("Secret {app}/{}", secret.name), "set")
            .field(Field::line("value", "value", "empty: it stays as it is").kind(FieldKind::Secret))
            .field(
                Field::line("scripts", "read by", "scripts, with blanks between; * for every script of the app")
                    .with(secret.scripts.join(" ")),
            );
        self.about = Some((app.to_owned(), secret.name.clone(), secret.version));
        cx.form(CHANGE, form);
    }
}

/// Whom it is granted to, in words.
fn whom(scripts: &[String]) -> String {
    match scripts {
        [] => "no script".to_owned(),
        some if some.iter().any(|script| script == EVERY_SCRIPT) => "every script".to_owned(),
        some => some.join(", "),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

impl Page for Secrets {
    fn name(&self) -> &'static str {
        SECRETS
    }

    fn list(&self) -> &List {
        &self.list
    }

    fn list_mut(&mut self) -> &mut List {
        &mut self.list
    }

    fn state(&self) -> &State {
        &self.secrets.state
    }

    fn nothing(&self) -> &'static str {
        "no secrets yet: n sets one; a script reads it with secrets::get(name)"
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.secrets.load(cx);
    }

    fn left(&mut self) {
        self.secrets.left();
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        if !self.secrets.came(slot, answered, cx) {
            return false;
        }
        let row = |(app, secret): (&str, &Secret)| {
            let name = format!("{app}/{}", secret.name);
            let cells = vec![
                name.clone().into(),
                whom(&secret.scripts).into(),
                secret.version.to_string().into(),
                text::moment(cx.now.unix_ms, secret.updated_at, &cx.facts.zone).into(),
            ];
            Row::new(name, cells)
        };
        self.secrets.fill(&mut self.list, row);
        true
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) -> bool {
        self.secrets.due(slot, cx)
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        match (entry.action.as_str(), &entry.app) {
            (action, Some(app)) if action.starts_with("secret.") => self.secrets.load_soon(app, cx),
            ("app.create" | "app.delete", _) => self.secrets.load(cx),
            _ => {}
        }
    }

    fn note(&mut self, facts: &Facts) {
        let app = self.selected().map(|(app, _)| app.to_owned());
        self.refused = facts.refuses(Scope::AppAdmin, app.as_deref());
    }

    fn offers(&self) -> Vec<Offer> {
        let refused = self.refused.clone().or(none_selected(&self.list));
        vec![
            Offer::new(Action::New, "new").unless(self.refused.clone()),
            Offer::new(Action::Edit, "value, grants").unless(refused.clone()),
            Offer::new(Action::Delete, "delete").unless(refused),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match (action, self.selected()) {
            (Action::New, _) => self.ask_new(cx),
            (Action::Edit | Action::Open, Some(_)) => self.ask_change(cx),
            (Action::Delete, Some((app, secret))) => {
                let path = ApiPath::of_app(app, &["secrets", &secret.name]);
                let request = Request::delete(path).if_match(secret.version);
                let question = format!("delete {app}/{}: its value is gone for good", secret.name);
                cx.change(Change::new(format!("deleted {app}/{}", secret.name), request).asks("delete", question));
            }
            _ => return false,
        }
        true
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        if values.get("value").len() > SECRET_VALUE_BYTES_MAX {
            return cx.refuse(format!("the value has more than {SECRET_VALUE_BYTES_MAX} bytes"));
        }
        let value = values.filled("value").map(str::to_owned);
        let scripts = words(values.get("scripts"));
        match (form, &self.about) {
            (SECRETS, _) => {
                let (app, name) = (values.get("app"), values.get("name").trim());
                let input = SecretInput { value, scripts: (!scripts.is_empty()).then_some(scripts) };
                // One that is there is changed with e, where its version is known.
                let request = Request::put(ApiPath::of_app(app, &["secrets", name]), &input).if_absent();
                cx.change(Change::new(format!("{app}/{name} is set"), request));
            }
            (CHANGE, Some((app, name, version))) => {
                let done = if value.is_some() { "is set" } else { "keeps its value" };
                let done = format!("{app}/{name} {done}; it is read by {}", whom(&scripts));
                let input = SecretInput { value, scripts: Some(scripts) };
                let request = Request::put(ApiPath::of_app(app, &["secrets", name]), &input).if_match(version);
                cx.change(Change::new(done, request));
            }
            _ => {}
        }
    }
}
