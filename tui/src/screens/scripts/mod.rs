//! The Scripts screen: apps with their scripts and modules; the source of the one with the cursor, which is written here
//! too; below it what uses it, its versions, or what came of trying it.

mod acts;
mod answers;
mod desk;
mod id;
mod offers;
mod past;
mod related;
mod save;
mod told;
mod tree;
mod trial;
mod typing;
mod view;

#[cfg(test)]
mod tests;

use crate::app::{Answered, Context, Key, Offer, Place, Screen, Slot};
use crate::keymap::Action;
use crate::theme::Look;
use crate::widgets::form::Values;
use desk::{Desk, Draft, Live};
use id::Id;
use past::Past;
use picloud_model::audit::AuditEntry;
use picloud_model::problem::Problem;
use picloud_model::scope::Scope;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tree::Tree;
use trial::{Inputs, Outcome};

/// How long the cursor rests on a script before that is read.
const REST_MS: u64 = 80;
/// The wait for that.
const REST: &str = "rest";
/// How long what was on the desk before stays in the place of what is being read.
const SHADOW_MS: u64 = 400;
/// The wait for that.
const SHADOW: &str = "shadow";
/// Most drafts there are at a time; each may be as long as a source.
const DRAFTS_MAX: usize = 100;

/// Where keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    Tree,
    Source,
    Below,
}

/// What stands below the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Below {
    Related,
    Versions,
    Outcome,
}

/// The screen.
#[derive(Debug)]
pub(super) struct Scripts {
    tree: Tree,
    desk: Option<Desk>,
    /// What was on the desk before, shown until what is there now was read: a pane that is emptied and filled again for each
    /// step of the cursor costs a slow line twice.
    shadow: Option<Desk>,
    focus: Focus,
    below: Below,
    past: Past,
    /// Drafts of scripts that are not on the desk.
    parked: BTreeMap<Id, Draft>,
    /// Whether the drafts of earlier times were taken up.
    has_drafts: bool,
    /// Texts that are being saved, in the order they were sent.
    saving: VecDeque<(Id, String)>,
    /// The app of the script that is being made.
    making: Option<String>,
    /// What is live now, where somebody else saved meanwhile and it has to be decided what to do.
    theirs: Option<Live>,
    /// What was filled in last for a test run.
    inputs: BTreeMap<Id, Inputs>,
    /// The request that what is on the desk is to be tried with as soon as it is there.
    wanted_trial: Option<(String, String)>,
    /// What was tried last, in short.
    tried: String,
    outcome: Outcome,
    outcome_top: usize,
    outcome_height: Cell<usize>,
    /// Whether the script goes as soon as it is known what uses it.
    is_deleting: bool,
    /// Why nothing can be changed here, if so.
    refused: Option<String>,
    zone: jiff::tz::TimeZone,
}

impl Scripts {
    /// Without anything loaded.
    pub(super) fn new() -> Self {
        Self {
            tree: Tree::new(),
            desk: None,
            shadow: None,
            focus: Focus::Tree,
            below: Below::Related,
            past: Past::default(),
            parked: BTreeMap::new(),
            has_drafts: false,
            saving: VecDeque::new(),
            making: None,
            theirs: None,
            inputs: BTreeMap::new(),
            wanted_trial: None,
            tried: String::new(),
            outcome: Outcome::default(),
            outcome_top: 0,
            outcome_height: Cell::new(1),
            is_deleting: false,
            refused: None,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    /// Notes what is known of person and terminal, which drawing and offers need.
    fn note_facts(&mut self, cx: &Context<'_>) {
        let app = self.desk.as_ref().map(|desk| desk.id.app.as_str()).or(self.tree.app());
        self.refused = cx.facts.refuses(Scope::ScriptWrite, app);
        if !self.has_drafts {
            self.has_drafts = true;
            self.zone = cx.facts.zone.clone();
            let kept = cx.facts.drafts.iter().filter_map(|(id, text)| Some((Id::of_draft(id)?, text)));
            self.parked = kept
                .take(DRAFTS_MAX)
                .map(|((id, base), text)| (id, Draft { base, text: text.clone(), place: (1, 1) }))
                .collect();
        }
    }

    /// Signs of drafts and errors in the tree.
    fn sign_tree(&mut self) {
        let mut drafts: BTreeSet<Id> = self.parked.keys().cloned().collect();
        let mut wrong = BTreeSet::new();
        if let Some(desk) = &self.desk {
            if desk.is_changed() {
                drafts.insert(desk.id.clone());
            }
            if matches!(desk.checked, desk::Checked::Errors(1..)) {
                wrong.insert(desk.id.clone());
            }
        }
        self.tree.sign(drafts, wrong);
    }

    /// Puts a script on the desk; what was written of the one before stays a draft.
    fn open(&mut self, id: Id, cx: &mut Context<'_>) {
        if self.desk.as_ref().is_some_and(|desk| desk.id == id) {
            return;
        }
        let before = self.clear_desk(cx);
        let mut desk = Desk::new(id.clone(), self.parked.remove(&id));
        desk.load(cx);
        self.desk = Some(desk);
        self.shadow = before.filter(|_| self.focus == Focus::Tree);
        if self.shadow.is_some() {
            cx.later(SHADOW, SHADOW_MS);
        }
        self.note_facts(cx);
    }

    /// What the panes show: what is on the desk, or what was there until that is read.
    fn shown_desk(&self) -> Option<&Desk> {
        let desk = self.desk.as_ref()?;
        Some(self.shadow.as_ref().filter(|_| desk.is_arriving()).unwrap_or(desk))
    }

    /// Takes the script off the desk; answers what it was, where that was read.
    fn clear_desk(&mut self, cx: &mut Context<'_>) -> Option<Desk> {
        let mut before = self.desk.take();
        if let Some(desk) = &mut before {
            desk.keep(cx);
            desk.is_typing = false;
            if let Some(draft) = desk.draft() {
                self.parked.insert(desk.id.clone(), draft);
            }
        }
        let shadow = self.shadow.take();
        self.wanted_trial = None;
        self.past = Past::default();
        self.below = Below::Related;
        self.outcome = Outcome::default();
        self.is_deleting = false;
        if self.focus == Focus::Below {
            self.focus = Focus::Source;
        }
        before.filter(|desk| !desk.is_arriving()).or(shadow)
    }

    /// Opens what has the cursor in the tree at once, where that is a script.
    fn open_selected(&mut self, cx: &mut Context<'_>) {
        if self.focus == Focus::Tree
            && let Some(id) = self.tree.selected()
        {
            self.open(id, cx);
        }
    }
}

impl Screen for Scripts {
    fn enter(&mut self, place: &Place, cx: &mut Context<'_>) {
        self.note_facts(cx);
        self.tree.resume(cx);
        if let Some(app) = &place.app {
            self.tree.show(app, place.thing.as_deref(), cx);
            if let Some(name) = &place.thing {
                self.open(Id { app: app.clone(), name: name.clone() }, cx);
                self.focus = Focus::Source;
            }
        }
        if let Some(desk) = &mut self.desk {
            desk.wanted_line = place.line;
            self.wanted_trial.clone_from(&place.request);
            if desk.live.is_some()
                && let Some(line) = desk.wanted_line.take()
            {
                desk.editor.goto(line, 1);
            }
            // What was under way when the screen was left did not come.
            if desk.state.is_loading() || !desk.related.is_read() {
                desk.load(cx);
            }
        }
        self.try_as_wanted(cx);
        self.sign_tree();
    }

    fn leave(&mut self) {
        self.wanted_trial = None;
        if let Some(desk) = &mut self.desk {
            desk.is_typing = false;
        }
    }

    fn title(&self, look: &Look) -> String {
        self.title_text(look)
    }

    fn offers(&self) -> Vec<Offer> {
        self.offers_now()
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        self.note_facts(cx);
        let is_taken = self.act_now(action, cx);
        self.sign_tree();
        is_taken
    }

    fn panes(&self) -> u8 {
        3
    }

    fn is_typing(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| desk.is_typing)
    }

    fn typed(&mut self, key: Key, cx: &mut Context<'_>) {
        self.typed_now(key, cx);
        self.sign_tree();
    }

    fn pasted(&mut self, text: &str, cx: &mut Context<'_>) {
        self.pasted_now(text, cx);
        self.sign_tree();
    }

    fn filter(&mut self, text: &str, cx: &mut Context<'_>) {
        match (&mut self.desk, self.focus) {
            (Some(desk), Focus::Source) => {
                desk.editor.find(text);
            }
            _ => {
                self.tree.filter(text, cx);
                cx.later(REST, REST_MS);
            }
        }
    }

    fn filter_text(&self) -> &str {
        match (&self.desk, self.focus) {
            (Some(desk), Focus::Source) => desk.editor.needle(),
            _ => self.tree.list.filter_text(),
        }
    }

    fn loaded(&mut self, slot: &Slot, answered: Answered, cx: &mut Context<'_>) {
        self.note_facts(cx);
        self.take_answer(slot, &answered, cx);
        self.sign_tree();
    }

    fn changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        self.take_change(tag, answered, cx);
        self.sign_tree();
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        self.take_watched(entry, cx);
    }

    fn reload(&mut self, cx: &mut Context<'_>) {
        self.tree.reload(cx);
        if let Some(desk) = &mut self.desk {
            desk.load(cx);
            if self.below == Below::Versions {
                self.past.load(&desk.id, cx);
            }
        }
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        self.take_form(form, values, cx);
        self.sign_tree();
    }

    fn picked(&mut self, picker: &'static str, id: &str, cx: &mut Context<'_>) {
        self.take_pick(picker, id, cx);
        self.sign_tree();
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) {
        match (slot.name, &mut self.desk) {
            (REST, _) => match self.tree.selected() {
                Some(id) if self.focus == Focus::Tree => self.open(id, cx),
                _ => {}
            },
            (SHADOW, _) => self.shadow = None,
            (desk::KEEP, Some(desk)) => desk.keep(cx),
            (desk::CHECK, Some(_)) => self.check(cx),
            _ => {}
        }
        self.sign_tree();
    }

    fn edited(&mut self, slot: &Slot, text: &str, cx: &mut Context<'_>) {
        self.edited_outside(slot, text, cx);
        self.sign_tree();
    }

    fn drafts(&self) -> Vec<(String, String)> {
        let of_desk = self.desk.iter().filter_map(|desk| Some((desk.id.draft_id(desk.base), desk.draft()?.text)));
        let parked = self.parked.iter().map(|(id, draft)| (id.draft_id(draft.base), draft.text.clone()));
        of_desk.chain(parked).collect()
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        self.view_panes(look, area, buf);
    }

    fn view_zoomed(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        self.view_pane(look, area, buf);
    }

    fn cursor(&self, area: Rect, is_zoomed: bool) -> Option<(u16, u16)> {
        let desk = self.desk.as_ref().filter(|desk| desk.is_typing)?;
        desk.editor.cursor(if is_zoomed { area } else { self.panes(area).source })
    }

    fn problem(&self) -> Option<&Problem> {
        if self.desk.is_some() { None } else { self.tree.state.problem() }
    }
}
