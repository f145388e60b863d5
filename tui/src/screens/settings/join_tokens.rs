//! Join tokens: with which machines join without anybody there to let them in.

use super::page::{Page, none_selected};
use crate::app::{Answered, Change, Context, Facts, Offer, Request, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::screens::nodes;
use crate::widgets::form::Values;
use crate::widgets::list::{Column, List, Row};
use crate::widgets::state::State;
use crate::widgets::text;
use crate::words::labels_text;
use picloud_model::audit::AuditEntry;
use picloud_model::join_token::JoinToken;
use picloud_model::page::Page as Items;
use picloud_model::scope::Scope;

/// The tokens, the form of a new one, and the change that makes it.
const TOKENS: &str = "join-tokens";
/// A token that goes.
const GONE: &str = "join-token-gone";
/// Tokens of a page.
const PAGE: u32 = 1_000;

static COLUMNS: [Column; 5] = [
    Column::new("token", 6),
    Column::rest("labels"),
    Column::new("nodes", 5).right(),
    Column::new("until", 11),
    Column::new("made by", 12).spare(1),
];

/// The page.
#[derive(Debug)]
pub(super) struct JoinTokens {
    list: List,
    state: State,
    refused: Option<String>,
}

impl JoinTokens {
    /// Without anything read.
    pub(super) fn new() -> Self {
        Self { list: List::new(&COLUMNS), state: State::default(), refused: None }
    }
}

impl Page for JoinTokens {
    fn name(&self) -> &'static str {
        TOKENS
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
        "no join tokens: n makes one; a machine that has it joins by itself"
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(TOKENS, ApiPath::new(&["join-tokens"]).query("limit", Some(PAGE)));
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        if slot.name != TOKENS {
            return false;
        }
        let Some(page) = self.state.take::<Items<JoinToken>>(cx.now, answered) else { return true };
        let row = |token: &JoinToken| {
            let cells = vec![
                token.id.to_string().into(),
                labels_text(&token.labels).into(),
                token.uses_left.to_string().into(),
                text::moment(cx.now.unix_ms, token.expires_at, &cx.facts.zone).into(),
                token.created_by.clone().into(),
            ];
            Row::new(token.id.to_string(), cells)
        };
        self.list.set(page.items.iter().map(row).collect());
        true
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        // A machine that joins uses one up.
        if entry.action.starts_with("join_token.") || entry.action == "node.join" {
            self.load(cx);
        }
    }

    fn note(&mut self, facts: &Facts) {
        self.refused = facts.refuses(Scope::NodeAdmin, None);
    }

    fn offers(&self) -> Vec<Offer> {
        vec![
            Offer::new(Action::New, "new").unless(self.refused.clone()),
            Offer::new(Action::Delete, "revoke").unless(self.refused.clone().or(none_selected(&self.list))),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match (action, self.list.selected_id()) {
            (Action::New, _) => cx.form(TOKENS, nodes::token_form()),
            (Action::Delete, Some(id)) => {
                let request = Request::delete(ApiPath::new(&["join-tokens", id]));
                let question = format!("revoke token {id}: it lets nobody in any more, those that joined stay");
                cx.change(Change::new(format!("revoked token {id}"), request).asks("revoke", question).tag(GONE));
            }
            _ => return false,
        }
        true
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        if form != TOKENS {
            return;
        }
        match nodes::token_from(values) {
            Ok(new) => {
                let request = Request::post(ApiPath::new(&["join-tokens"]), &new);
                cx.change(Change::new("a join token is made", request).tag(TOKENS));
            }
            Err(why) => cx.refuse(why),
        }
    }

    fn changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        if tag == TOKENS {
            nodes::token_reader(answered, cx);
        }
        if tag == TOKENS || tag == GONE {
            self.load(cx);
        }
    }
}
