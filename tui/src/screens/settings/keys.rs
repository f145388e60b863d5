//! API keys: made, shown once, revoked.

use super::page::{Page, none_selected};
use crate::app::{Answered, Change, Context, Facts, Offer, Request, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Ink;
use crate::widgets::form::{Field, FieldKind, Form, Values};
use crate::widgets::list::{Column, List, Row};
use crate::widgets::reader::Reader;
use crate::widgets::state::State;
use crate::widgets::text;
use crate::words::{scope_text, span_ms};
use picloud_model::audit::AuditEntry;
use picloud_model::clock::UnixMs;
use picloud_model::key::{ApiKey, CreatedKey, NewKey};
use picloud_model::page::Page as Items;
use picloud_model::scope::{Grant, Scope};

/// The keys, the form of a new one, and the change that makes it.
const KEYS: &str = "keys";
/// Keys of a page.
const PAGE: u32 = 1_000;

static COLUMNS: [Column; 5] = [
    Column::new("name", 16),
    Column::rest("may"),
    Column::new("until", 10),
    Column::new("used", 10).spare(1),
    Column::new("made by", 12).spare(2),
];

/// The page.
#[derive(Debug)]
pub(super) struct Keys {
    list: List,
    state: State,
    keys: Vec<ApiKey>,
    refused: Option<String>,
}

impl Keys {
    /// Without anything read.
    pub(super) fn new() -> Self {
        Self { list: List::new(&COLUMNS), state: State::default(), keys: Vec::new(), refused: None }
    }

    fn selected(&self) -> Option<&ApiKey> {
        let id = self.list.selected_id()?;
        self.keys.iter().find(|key| key.id.to_string() == id)
    }

    fn info(key: &ApiKey, cx: &Context<'_>) -> Reader {
        let mut lines = vec![
            format!("made      {} by {}", day(Some(key.created_at), cx), key.created_by),
            format!("ends      {}", day(key.expires_at, cx)),
            format!("used      {} (within an hour)", day(key.last_used_at, cx)),
        ];
        lines.extend(key.scopes.iter().map(|grant| format!("may       {grant}")));
        Reader::new(format!("Key {}", key.name), &lines.join("\n")).json(serde_json::json!(key))
    }
}

/// The day, or that there is none.
fn day(at: Option<UnixMs>, cx: &Context<'_>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| text::day(at, &cx.facts.zone))
}

fn scopes(key: &ApiKey) -> String {
    key.scopes.iter().map(Grant::to_string).collect::<Vec<_>>().join(" ")
}

fn form() -> Form {
    let toggle =
        |scope: &Scope| Field::line(scope.as_str(), scope.as_str(), scope_text(*scope)).kind(FieldKind::Toggle);
    let form = Form::new("New key", "make").field(Field::line("name", "name", "who or what uses it").needed());
    let form = Scope::ALL.iter().fold(form, |form, scope| form.field(toggle(scope)));
    form.field(Field::line("apps", "only in apps", "with blanks between; empty for all; not for node: and instance:"))
        .field(Field::line("expires", "for", "90d, 12h or 4w; empty: until it is revoked").with("90d"))
}

/// What the form says.
fn made(values: &Values, now: UnixMs) -> Result<NewKey, String> {
    let scopes: Vec<Grant> =
        Scope::ALL.iter().filter(|scope| values.is_on(scope.as_str())).map(|scope| Grant::everywhere(*scope)).collect();
    if scopes.is_empty() {
        return Err("it may do nothing yet: Space turns a scope on".to_owned());
    }
    let apps: Vec<String> =
        values.get("apps").split([' ', ',']).filter(|app| !app.is_empty()).map(str::to_owned).collect();
    if let Some(grant) = scopes.iter().find(|grant| !apps.is_empty() && !grant.scope.is_of_apps()) {
        return Err(format!("{} cannot be given for single apps: take it or the apps out", grant.scope));
    }
    let expires_at = match values.get("expires").trim() {
        "" => None,
        span => Some(now + span_ms(span).filter(|ms| *ms > 0).ok_or("for: write 90d, 12h or 4w")?),
    };
    let apps = (!apps.is_empty()).then_some(apps);
    Ok(NewKey { name: values.get("name").trim().to_owned(), scopes, apps, expires_at })
}

impl Page for Keys {
    fn name(&self) -> &'static str {
        KEYS
    }

    fn list(&self) -> &List {
        &self.list
    }

    fn list_mut(&mut self) -> &mut List {
        &mut self.list
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn nothing(&self) -> &'static str {
        "no keys yet: n makes one; without one only this machine's own people may ask"
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(KEYS, ApiPath::new(&["keys"]).query("limit", Some(PAGE)));
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        if slot.name != KEYS {
            return false;
        }
        let Some(page) = self.state.take::<Items<ApiKey>>(cx.now, answered) else { return true };
        self.keys = page.items;
        let row = |key: &ApiKey| {
            let cells = vec![
                key.name.clone().into(),
                scopes(key).into(),
                day(key.expires_at, cx).into(),
                day(key.last_used_at, cx).into(),
                key.created_by.clone().into(),
            ];
            Row::new(key.id.to_string(), cells)
        };
        self.list.set(self.keys.iter().map(row).collect());
        true
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        if entry.action.starts_with("key.") {
            self.load(cx);
        }
    }

    fn note(&mut self, facts: &Facts) {
        self.refused = facts.refuses(Scope::InstanceAdmin, None);
    }

    fn offers(&self) -> Vec<Offer> {
        let none = none_selected(&self.list);
        vec![
            Offer::new(Action::New, "new").unless(self.refused.clone()),
            Offer::new(Action::Open, "info").unless(none.clone()),
            Offer::new(Action::Delete, "revoke").unless(self.refused.clone().or(none)),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        if action == Action::New {
            cx.form(KEYS, form());
            return true;
        }
        let Some(key) = self.selected() else { return false };
        match action {
            Action::Open | Action::Info => cx.read(Self::info(key, cx)),
            Action::Delete => {
                let request = Request::delete(ApiPath::new(&["keys", &key.id.to_string()]));
                let question = format!("revoke {}: whatever uses it stops working", key.name);
                cx.change(Change::new(format!("revoked {}", key.name), request).asks("revoke", question).tag("key"));
            }
            _ => return false,
        }
        true
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        if form != KEYS {
            return;
        }
        match made(values, cx.now.unix_ms) {
            Ok(new) => {
                let request = Request::post(ApiPath::new(&["keys"]), &new);
                cx.change(Change::new(format!("key {} is made", new.name), request).tag(KEYS));
            }
            Err(why) => cx.refuse(why),
        }
    }

    fn changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        if tag != KEYS && tag != "key" {
            return;
        }
        self.load(cx);
        let Some(answer) = answered.as_ref().ok().filter(|_| tag == KEYS) else { return };
        match answer.json::<CreatedKey>() {
            Ok(made) => {
                cx.read(Reader::of("Key, shown this once: y copies it", vec![vec![(Ink::Strong, made.key)]]));
                cx.say(format!("key {} may {}", made.kept.name, scopes(&made.kept)));
            }
            Err(problem) => cx.complain(problem),
        }
    }
}
