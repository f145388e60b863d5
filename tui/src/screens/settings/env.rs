//! Plain values of all apps, which scripts read with `env::get`.

use super::page::{Page, none_selected};
use crate::app::{Answered, Change, Context, Facts, Offer, Request, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::screens::each_app::EachApp;
use crate::widgets::form::{Field, FieldKind, Form, Values};
use crate::widgets::list::{Column, List, Row};
use crate::widgets::state::State;
use picloud_model::audit::AuditEntry;
use picloud_model::scope::Scope;
use serde::Deserialize;
use serde_json::json;

/// Where each app's are, and the form of a new one.
const ENV: &str = "env";
/// The form of one that is there.
const CHANGE: &str = "env-change";

static COLUMNS: [Column; 2] = [Column::new("name", 28), Column::rest("value")];

/// A value.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Value {
    name: String,
    value: String,
}

/// The page.
#[derive(Debug)]
pub(super) struct Env {
    list: List,
    env: EachApp<Value>,
    /// The value that an open form is about: app, name, value.
    about: Option<(String, Value)>,
    refused: Option<String>,
}

impl Env {
    /// Without anything read.
    pub(super) fn new() -> Self {
        Self { list: List::new(&COLUMNS), env: EachApp::new(ENV, "apps-of-env"), about: None, refused: None }
    }

    fn selected(&self) -> Option<(String, Value)> {
        let (app, name) = self.list.selected_id()?.split_once('/')?;
        let found = self.env.all().find(|(of, value)| *of == app && value.name == name);
        found.map(|(app, value)| (app.to_owned(), value.clone()))
    }

    fn ask_new(&self, cx: &mut Context<'_>) {
        let apps: Vec<String> = self.env.apps.iter().map(|app| app.name.clone()).collect();
        if apps.is_empty() {
            return cx.say("there is no app yet that a value could belong to: 3 n makes one");
        }
        let app = self.selected().map_or_else(|| apps[0].clone(), |(app, _)| app);
        let form = Form::new("New env value", "set")
            .field(Field::line("app", "app", "whose scripts read it").with(app).kind(FieldKind::Choice(apps)))
            .field(Field::line("name", "name", "as scripts ask for it: city").needed())
            .field(Field::line("value", "value", "everybody who may see the app sees it; secrets are for the rest"));
        cx.form(ENV, form);
    }
}

fn path(app: &str, name: &str) -> ApiPath {
    ApiPath::of_app(app, &["env", name])
}

fn put(app: &str, name: &str, value: &str) -> Request {
    Request::put(path(app, name), &json!({ "value": value }))
}

impl Page for Env {
    fn name(&self) -> &'static str {
        ENV
    }

    fn list(&self) -> &List {
        &self.list
    }

    fn list_mut(&mut self) -> &mut List {
        &mut self.list
    }

    fn state(&self) -> &State {
        &self.env.state
    }

    fn nothing(&self) -> &'static str {
        "no env values yet: n sets one; a deploy sets them to what app.toml says"
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.env.load(cx);
    }

    fn left(&mut self) {
        self.env.left();
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        if !self.env.came(slot, answered, cx) {
            return false;
        }
        let row = |(app, value): (&str, &Value)| {
            let name = format!("{app}/{}", value.name);
            Row::new(name.clone(), vec![name.into(), value.value.clone().into()])
        };
        self.env.fill(&mut self.list, row);
        true
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) -> bool {
        self.env.due(slot, cx)
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        match (entry.action.as_str(), &entry.app) {
            ("app.create" | "app.delete", _) => self.env.load(cx),
            (action, Some(app)) if action.starts_with("app.") || action.starts_with("env.") => {
                self.env.load_soon(app, cx)
            }
            _ => {}
        }
    }

    fn note(&mut self, facts: &Facts) {
        let app = self.selected().map(|(app, _)| app);
        self.refused = facts.refuses(Scope::AppAdmin, app.as_deref());
    }

    fn offers(&self) -> Vec<Offer> {
        let none = none_selected(&self.list);
        let refused = self.refused.clone().or(none.clone());
        vec![
            Offer::new(Action::New, "new").unless(self.refused.clone()),
            Offer::new(Action::Edit, "edit").unless(refused.clone()),
            Offer::new(Action::Delete, "delete").unless(refused),
            Offer::new(Action::Copy, "copy value").unless(none),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        if action == Action::New {
            self.ask_new(cx);
            return true;
        }
        let Some((app, Value { name, value })) = self.selected() else { return false };
        match action {
            Action::Edit | Action::Open => {
                let field = Field::line("value", "value", "what env::get gives from the next request on").with(&value);
                cx.form(CHANGE, Form::new(format!("Env value {app}/{name}"), "set").field(field));
                self.about = Some((app, Value { name, value }));
            }
            Action::Delete => {
                let change = Change::new(format!("deleted {app}/{name}"), Request::delete(path(&app, &name)))
                    .undone_anyway_by(format!("{app}/{name} is there again"), put(&app, &name, &value).if_absent());
                cx.change(change.asks("delete", format!("delete {app}/{name}: scripts that read it get nothing")));
            }
            Action::Copy => cx.copy("the value", value),
            _ => return false,
        }
        true
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        match (form, &self.about) {
            (ENV, _) => {
                let (app, name) = (values.get("app"), values.get("name").trim());
                let request = put(app, name, values.get("value")).if_absent();
                cx.change(Change::new(format!("{app}/{name} is set"), request));
            }
            (CHANGE, Some((app, was))) if values.get("value") != was.value => {
                let change =
                    Change::new(format!("{app}/{} is set", was.name), put(app, &was.name, values.get("value")));
                let back = put(app, &was.name, &was.value);
                cx.change(change.undone_by(format!("{app}/{} is as before", was.name), back));
            }
            _ => {}
        }
    }
}
