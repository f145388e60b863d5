//! What keys do to nodes.

use super::{Nodes, detail, forms, token_form, token_from, token_reader};
use crate::app::{Answered, Change, Context, Offer, Place, Request, ScreenId};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::widgets::form::Values;
use crate::widgets::picker::{Picker, PickerItem};
use crate::words::{fingerprint_groups, fingerprint_text};
use http::Method;
use picloud_model::node::{Node, NodeKind, NodeState};
use serde_json::json;

/// The form before a stranger is let in, and the change.
const APPROVE: &str = "approve";
/// The form of name and labels.
const EDIT: &str = "edit";
/// The form of a join token, and the change.
const TOKEN: &str = "token";
/// The picker of who takes a node's place.
const REPLACE: &str = "replace";
/// The picker of what is copied.
const COPY: &str = "copy";
/// Groups of a fingerprint that a question has room for.
const GROUPS_ASKED: usize = 4;
/// The same where a name is to be typed, too.
const GROUPS_TOLD: usize = 2;

impl Nodes {
    /// What can be done with nodes now.
    pub(super) fn offered(&self) -> Vec<Offer> {
        let selected = self.selected();
        let none = selected.is_none().then(|| "no node is selected".to_owned());
        let refused = self.may_not_change.clone().or(none.clone());
        let state = selected.map(|node| node.state);
        let is_waiting = state == Some(NodeState::Waiting);
        let is_over = state == Some(NodeState::Retired);
        let is_appliance = selected.is_some_and(|node| node.kind == NodeKind::Appliance);
        let only = |is_so: bool, why: &str| (!is_so).then(|| why.to_owned());
        let chosen = self.chosen();
        let any_waits = chosen.iter().any(|node| node.state == NodeState::Waiting);
        let one = refused.clone().or_else(|| only(chosen.len() < 2, "one at a time: Esc unmarks"));
        let joined = only(!is_waiting, "it only asks to join: A lets it in")
            .or_else(|| only(!is_over, "it was removed for good"));
        let drains = if state == Some(NodeState::Draining) { "resume" } else { "drain" };
        let strangers = self.nodes.iter().any(|node| node.state == NodeState::Waiting);
        let own = only(!is_appliance, "it is an appliance: it is removed on the machine itself");
        let delete = if is_waiting { "forget" } else { "retire" };
        let accept = Offer::new(Action::Accept, "let in")
            .unless(refused.clone().or_else(|| only(any_waits, "it does not ask to be let in")));
        let mut offers = vec![
            Offer::new(Action::Open, "info").unless(none.clone()),
            Offer::new(Action::Pause, drains).unless(refused.clone().or(joined.clone())),
            Offer::new(Action::Edit, "name, labels").unless(one.clone().or(joined.clone())),
            Offer::new(Action::Logs, "runs").unless(none.clone()),
            Offer::new(Action::New, "join token").unless(self.may_not_change.clone()),
            Offer::new(Action::Delete, delete)
                .unless(refused.or(own.clone()).or_else(|| only(!is_over, "it was removed already"))),
            Offer::new(Action::RunAgain, "replace").unless(
                one.or(own).or(joined).or_else(|| only(strangers, "no machine waits that could take its place")),
            ),
            Offer::new(Action::Copy, "copy").unless(none),
            Offer::new(Action::Mark, "mark"),
            Offer::new(Action::Sort, "sort"),
        ];
        // What waits for a person goes first.
        offers.insert(if any_waits { 0 } else { 5 }, accept);
        offers
    }

    /// A key that is neither a move nor a mark.
    pub(super) fn acted(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        if action == Action::New {
            cx.form(TOKEN, token_form());
            return true;
        }
        let Some(node) = self.selected().cloned() else { return false };
        match action {
            Action::Open | Action::Info => cx.read(detail::reader(&node, cx.now.unix_ms, &cx.facts.zone)),
            Action::Logs => cx.go(Place::of(ScreenId::Runs).thing(format!("node:{}", node.name))),
            Action::Copy => self.pick_copy(&node, cx),
            Action::Accept => {
                let waiting = self.chosen().into_iter().filter(|node| node.state == NodeState::Waiting);
                self.approving = waiting.map(|node| node.id.to_string()).collect();
                self.approve_next(cx);
            }
            Action::Pause => self.drain(cx),
            Action::Edit => {
                self.about = Some(node.id.to_string());
                cx.form(EDIT, forms::edit(&node));
            }
            Action::Delete => self.remove(cx),
            Action::RunAgain => self.pick_successor(&node, cx),
            _ => return false,
        }
        true
    }

    /// Shows the next stranger of those that were chosen: each by itself, with its fingerprint.
    fn approve_next(&mut self, cx: &mut Context<'_>) {
        while let Some(id) = self.approving.pop_front() {
            if let Some(node) = self.find(&id).cloned().filter(|node| node.state == NodeState::Waiting) {
                let mut form = forms::approve(&node);
                form.focus = 1;
                self.about = Some(id);
                return cx.form(APPROVE, form);
            }
        }
    }

    /// Has all that are chosen take no new work; where none does, work again.
    fn drain(&self, cx: &mut Context<'_>) {
        let is_joined = |node: &Node| !matches!(node.state, NodeState::Waiting | NodeState::Retired);
        let chosen: Vec<Node> = self.chosen().into_iter().filter(is_joined).collect();
        let drains = chosen.iter().any(|node| node.state != NodeState::Draining);
        let changes = chosen.iter().filter(|node| (node.state != NodeState::Draining) == drains).map(|node| {
            let post = |verb| Request::new(Method::POST, path_of(node).below(&[verb]));
            let name = &node.name;
            let has = match node.running {
                0 => String::new(),
                running => format!(", and finishes the {running} that it runs"),
            };
            let drained = format!("{name} takes no new work");
            let resumed = format!("{name} takes work again");
            if drains {
                Change::new(drained + &has, post("drain")).undone_by(resumed, post("resume"))
            } else {
                Change::new(resumed, post("resume")).undone_by(drained, post("drain"))
            }
        });
        cx.changes(changes.collect());
    }

    /// Removes all that are chosen; strangers are forgotten.
    fn remove(&self, cx: &mut Context<'_>) {
        let can_go = |node: &Node| node.kind == NodeKind::Node && node.state != NodeState::Retired;
        let chosen: Vec<Node> = self.chosen().into_iter().filter(can_go).collect();
        let count = chosen.len();
        let changes = chosen.iter().map(|node| {
            let name = &node.name;
            let request = Request::delete(path_of(node));
            if node.state == NodeState::Waiting {
                let change = Change::new(format!("forgot {name}"), request);
                return match count {
                    1 => change.asks("forget", format!("forget {name}: it is turned away now, and may ask again")),
                    _ => change.asks_to_type("remove", format!("{count} machines turned away"), count),
                };
            }
            let lost = match node.spooled {
                Some(waiting @ 1..) => format!(", {waiting} publishes lost"),
                _ if matches!(node.state, NodeState::Away | NodeState::Lost) => ", what waits on it lost".to_owned(),
                _ => " for good".to_owned(),
            };
            let change = Change::new(format!("removed {name}"), request.if_match(node.revision_of_record));
            match count {
                1 => change.asks_to_type("retire", format!("cut off{lost}"), name),
                _ => change.asks_to_type("remove", format!("{count} machines cut off{lost}"), count),
            }
        });
        // The gravest question is the one that is asked.
        let mut changes: Vec<Change> = changes.collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.request.if_match.is_some()));
        cx.changes(changes);
    }

    fn pick_successor(&mut self, node: &Node, cx: &mut Context<'_>) {
        let waiting = self.nodes.iter().filter(|node| node.state == NodeState::Waiting);
        let item = |node: &Node| {
            let shown = fingerprint_text(node.fingerprint.as_deref().unwrap_or_default());
            PickerItem::new(node.id.as_str(), &node.name, shown)
        };
        self.about = Some(node.id.to_string());
        cx.pick(REPLACE, Picker::new(format!("Takes the place of {}", node.name), waiting.map(item).collect()));
    }

    fn pick_copy(&self, node: &Node, cx: &mut Context<'_>) {
        let mut items = vec![PickerItem::new("name", "name", &node.name)];
        items.extend(node.fingerprint.as_ref().map(|digits| PickerItem::new("fingerprint", "fingerprint", digits)));
        items.extend(node.urls.first().map(|url| PickerItem::new("url", "URL", url)));
        items.push(PickerItem::new("id", "id", node.id.as_str()));
        cx.pick(COPY, Picker::new("Copy", items));
    }

    /// Something was chosen.
    pub(super) fn was_picked(&mut self, picker: &'static str, id: &str, cx: &mut Context<'_>) {
        if picker == COPY {
            let Some(node) = self.selected() else { return };
            match id {
                "fingerprint" => cx.copy("the fingerprint", node.fingerprint.clone().unwrap_or_default()),
                "url" => cx.copy("the URL", node.urls.first().cloned().unwrap_or_default()),
                "id" => cx.copy("the id", node.id.as_str()),
                _ => cx.copy("the name", node.name.clone()),
            }
            return;
        }
        let about = self.about.take();
        let old = about.as_deref().and_then(|id| self.find(id));
        let Some((old, new)) = old.zip(self.find(id)) else { return };
        let shown = fingerprint_groups(new.fingerprint.as_deref().unwrap_or_default(), GROUPS_TOLD);
        let body = json!({ "by": new.id, "fingerprint": new.fingerprint });
        let request = Request::post(path_of(old).below(&["replace"]), &body).if_match(old.revision_of_record);
        let question = format!("cut off for {} {shown}", new.name);
        let done = format!("{} took the place of {}", new.id, old.name);
        cx.change(Change::new(done, request).asks_to_type("replace", question, &old.name));
    }

    /// A form is filled in.
    pub(super) fn filled(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        if form == TOKEN {
            return match token_from(values) {
                Ok(new) => {
                    let request = Request::post(ApiPath::new(&["join-tokens"]), &new);
                    cx.change(Change::new("a join token is made", request).tag(TOKEN));
                }
                Err(why) => cx.refuse(why),
            };
        }
        let Some(node) = self.about.as_deref().and_then(|id| self.find(id)) else {
            return cx.refuse("that machine is not there any more: Esc leaves");
        };
        let name = &node.name;
        if form == APPROVE {
            let how = match forms::approved(node, values) {
                Ok(how) => how,
                Err(why) => return cx.refuse(why),
            };
            let shown = fingerprint_groups(node.fingerprint.as_deref().unwrap_or_default(), GROUPS_ASKED);
            let called = how.name.as_deref().unwrap_or(name);
            let change =
                Change::new(format!("{called} is let in"), Request::post(path_of(node).below(&["approve"]), &how));
            return cx.change(change.asks("let in", format!("let {called} in: its key is {shown}")).tag(APPROVE));
        }
        match forms::edited(node, values) {
            Ok(Some((patch, back))) => {
                let request = Request::patch(path_of(node), &patch).if_match(node.revision_of_record);
                let done = format!("{} is saved", values.get("name").trim());
                let undo = Request::patch(path_of(node), &back);
                cx.change(Change::new(done, request).undone_by(format!("{name} is as before"), undo));
            }
            Ok(None) => cx.say("unchanged: nothing was saved"),
            Err(why) => cx.refuse(why),
        }
    }

    /// A change was made, or refused.
    pub(super) fn was_changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        match tag {
            TOKEN => return token_reader(answered, cx),
            APPROVE if answered.is_ok() => self.approve_next(cx),
            _ => {}
        }
        self.load_soon(cx);
    }
}

/// A node is named by its id: names may be those of strangers, too.
fn path_of(node: &Node) -> ApiPath {
    ApiPath::new(&["nodes", node.id.as_str()])
}
