//! Backups: one is taken here into a file of the machine the program runs on; those that were taken are listed.

use super::page::Page;
use crate::app::{Answered, Context, Facts, Offer, Request, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Ink;
use crate::widgets::form::{Field, Form, Values};
use crate::widgets::list::{Cel, Column, List, Row, inked};
use crate::widgets::state::State;
use crate::widgets::text;
use http::Method;
use picloud_model::audit::AuditEntry;
use picloud_model::page::Page as Items;
use picloud_model::scope::Scope;
use serde_json::Value;

/// The list, and the form.
const BACKUPS: &str = "backups";
/// What is told of: archives that were taken, backups into the repository that were verified or failed, and restores.
const ACTIONS: &str = "backup.";
/// The archive on its way.
const ARCHIVE: &str = "backup";
/// Backups that are told of.
const TOLD_MAX: u32 = 50;

static COLUMNS: [Column; 3] = [Column::new("when", 11), Column::new("outcome", 30), Column::rest("to")];

/// The page.
#[derive(Debug)]
pub(super) struct Backups {
    list: List,
    state: State,
    refused: Option<String>,
    is_under_way: bool,
}

impl Backups {
    /// Without anything read.
    pub(super) fn new() -> Self {
        Self { list: List::new(&COLUMNS), state: State::default(), refused: None, is_under_way: false }
    }
}

impl Page for Backups {
    fn name(&self) -> &'static str {
        BACKUPS
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
        "no backup was taken yet: n takes one now, while everything goes on working"
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(BACKUPS, ApiPath::new(&["audit"]).query("action", Some(ACTIONS)).query("limit", Some(TOLD_MAX)));
    }

    fn left(&mut self) {
        self.is_under_way = false;
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        if slot.name != BACKUPS {
            return false;
        }
        let Some(page) = self.state.take::<Items<AuditEntry>>(cx.now, answered) else { return true };
        let row = |entry: &AuditEntry| {
            let (to, outcome) = told(entry);
            let when = text::moment(cx.now.unix_ms, entry.at, &cx.facts.zone);
            Row::new(entry.seq.to_string(), vec![when.into(), outcome, to.into()])
        };
        self.list.set(page.items.iter().map(row).collect());
        true
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        if entry.action.starts_with(ACTIONS) {
            self.load(cx);
        }
    }

    fn note(&mut self, facts: &Facts) {
        self.refused = facts.refuses(Scope::InstanceAdmin, None);
    }

    fn offers(&self) -> Vec<Offer> {
        let busy = self.is_under_way.then(|| "one is being taken".to_owned());
        let cancel = (!self.is_under_way).then(|| "none is being taken".to_owned());
        vec![
            Offer::new(Action::New, "take one now").unless(self.refused.clone().or(busy)),
            Offer::new(Action::Kill, "cancel").unless(cancel),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::New => {
                let day = text::day(cx.now.unix_ms, &cx.facts.zone);
                let whose = if cx.facts.caps.in_ssh { "on the machine you are logged in to; " } else { "" };
                let title = format!("Backup of everything: {whose}whoever has it has all secrets");
                let help = "a file that is not there yet; it is there once it is whole";
                let file = Field::line("file", "file", help).with(format!("~/picloud-{day}.tar")).needed();
                cx.form(BACKUPS, Form::new(title, "take").field(file));
            }
            Action::Kill if self.is_under_way => {
                self.is_under_way = false;
                cx.stop(ARCHIVE);
                cx.say("cancelled: no file was written");
            }
            _ => return false,
        }
        true
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        if form == BACKUPS {
            let request = Request::new(Method::POST, ApiPath::new(&["backup"]));
            cx.receive(ARCHIVE, request, values.get("file").trim().to_owned());
            self.is_under_way = true;
            cx.say("the backup is being taken: stay on this screen until it is there");
        }
    }

    fn transferred(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        if slot.name != ARCHIVE {
            return;
        }
        self.is_under_way = false;
        if let Ok(answer) = answered {
            let told = answer.json::<Value>().unwrap_or_default();
            let size = text::bytes(told["bytes"].as_u64().unwrap_or(0));
            cx.say(format!("the backup is in {}: {size}", told["path"].as_str().unwrap_or_default()));
            self.load(cx);
        }
    }
}

/// Where a backup went, and what came of it.
fn told(entry: &AuditEntry) -> (String, Cel) {
    let after = |name: &str| entry.after.as_ref().map_or(&Value::Null, |after| &after[name]);
    let word = |name: &str| after(name).as_str().unwrap_or_default();
    match entry.action.as_str() {
        "backup.verified" => {
            let size = text::bytes(after("size_bytes").as_u64().unwrap_or(0));
            (word("repository").to_owned(), inked(Ink::Good, format!("verified, {size}")))
        }
        "backup.failed" => (word("repository").to_owned(), inked(Ink::Bad, word("error"))),
        "backup.restore" => ("from a backup".to_owned(), inked(Ink::Plain, "restored")),
        _ => ("a file".to_owned(), inked(Ink::Plain, entry.outcome.as_str())),
    }
}
