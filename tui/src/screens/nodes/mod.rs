//! The Nodes screen: machines that run scripts, and those that ask to; below the list all that is known of one.

mod acts;
mod detail;
mod forms;
mod load;
mod rows;
#[cfg(test)]
mod tests;

pub(super) use forms::{token_form, token_from, token_reader};

use crate::app::{Answered, Context, Offer, Place, Screen, Slot, StreamEvent};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Look;
use crate::widgets::form::Values;
use crate::widgets::list::List;
use crate::widgets::state::State;
use crate::widgets::text;
use picloud_model::audit::AuditEntry;
use picloud_model::node::Node;
use picloud_model::scope::Scope;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::VecDeque;

/// Under so many columns or lines the detail folds: Enter shows it.
const DETAIL_COLUMNS_MIN: u16 = 72;
const DETAIL_LINES_MIN: u16 = 14;

/// The screen.
#[derive(Debug)]
pub(super) struct Nodes {
    list: List,
    state: State,
    /// As they were read last, in the order they are shown.
    nodes: Vec<Node>,
    /// Pages that were read so far.
    pages: Vec<Node>,
    /// What the stream of activity said last of who is there, and how.
    glance: Option<load::Glance>,
    /// Whether what changed will be read in a moment.
    is_soon: bool,
    /// The node that was gone to, until it is there.
    wanted: Option<String>,
    /// The node that an open form or picker is about.
    about: Option<String>,
    /// Strangers that are shown one after the other, to be let in.
    approving: VecDeque<String>,
    may_not_change: Option<String>,
    zone: jiff::tz::TimeZone,
}

impl Nodes {
    /// Without anything loaded.
    pub(super) fn new() -> Self {
        Self {
            list: List::new(&rows::COLUMNS),
            state: State::default(),
            nodes: Vec::new(),
            pages: Vec::new(),
            glance: None,
            is_soon: false,
            wanted: None,
            about: None,
            approving: VecDeque::new(),
            may_not_change: None,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    fn note(&mut self, cx: &Context<'_>) {
        self.may_not_change = cx.facts.refuses(Scope::NodeAdmin, None);
    }

    /// The node with this id.
    fn find(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id.as_str() == id)
    }

    /// The node with the cursor.
    fn selected(&self) -> Option<&Node> {
        self.list.selected_id().and_then(|id| self.find(id))
    }

    /// All that are marked, else the one with the cursor.
    fn chosen(&self) -> Vec<Node> {
        self.list.chosen().into_iter().filter_map(|id| self.find(id)).cloned().collect()
    }
}

impl Screen for Nodes {
    fn enter(&mut self, place: &Place, cx: &mut Context<'_>) {
        self.zone = cx.facts.zone.clone();
        self.note(cx);
        if let Some(thing) = &place.thing {
            self.list.filter("");
            self.wanted = Some(thing.clone());
        }
        cx.follow(load::ACTIVITY, ApiPath::new(&["activity"]));
        // Nodes come and go without anybody's doing: what was read before may be over.
        self.load(cx);
        self.find_wanted(cx);
    }

    fn leave(&mut self) {
        self.is_soon = false;
        self.glance = None;
    }

    fn title(&self, _look: &Look) -> String {
        let marked = match self.list.marked() {
            0 => String::new(),
            marked => format!("  {marked} marked"),
        };
        let sorted = self.list.sorted_by().map(|column| format!("  by {column}")).unwrap_or_default();
        let count = if self.state.is_read() { format!("[{}]", self.list.len()) } else { String::new() };
        format!("{count}{marked}{sorted}{}", self.state.note(&self.zone))
    }

    fn offers(&self) -> Vec<Offer> {
        self.offered()
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        self.note(cx);
        match action {
            Action::Back => self.list.unmark(),
            _ => self.list.act(action) || self.acted(action, cx),
        }
    }

    fn filter(&mut self, text: &str, _cx: &mut Context<'_>) {
        self.list.filter(text);
    }

    fn filter_text(&self) -> &str {
        self.list.filter_text()
    }

    fn loaded(&mut self, _slot: &Slot, answered: Answered, cx: &mut Context<'_>) {
        self.note(cx);
        self.came(&answered, cx);
    }

    fn changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        self.was_changed(tag, answered, cx);
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        if entry.action.starts_with("node.") {
            self.load_soon(cx);
        }
    }

    fn reload(&mut self, cx: &mut Context<'_>) {
        self.load(cx);
    }

    fn streamed(&mut self, _slot: &Slot, events: &[StreamEvent], cx: &mut Context<'_>) {
        self.activity(events, cx);
    }

    fn due(&mut self, _slot: &Slot, cx: &mut Context<'_>) {
        self.is_soon = false;
        self.load(cx);
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        self.filled(form, values, cx);
    }

    fn picked(&mut self, picker: &'static str, id: &str, cx: &mut Context<'_>) {
        self.was_picked(picker, id, cx);
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        let nothing = "no nodes yet: start picloud-node on another machine and it appears here; n makes a token that lets one in by itself";
        if self.list.is_empty() {
            return self.state.view_filtered(look, area, buf, self.list.filter_text(), nothing);
        }
        let shows_detail = area.width >= DETAIL_COLUMNS_MIN && area.height >= DETAIL_LINES_MIN;
        let lines = match self.selected() {
            Some(node) if shows_detail => detail::lines(node, look.unix_ms, &self.zone),
            _ => Vec::new(),
        };
        let below = u16::try_from(lines.len() + 1).unwrap_or(0).min(area.height / 2);
        let below = if lines.is_empty() { 0 } else { below };
        let top = Rect { height: area.height - below, ..area };
        self.list.view(look, top, buf, true);
        let rest = Rect { y: top.bottom(), height: below, ..area };
        if let Some(node) = self.selected().filter(|_| below > 0) {
            detail::view(look, rest, buf, &node.name, &lines);
        }
    }

    fn view_zoomed(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        let Some(node) = self.selected() else { return self.view(look, area, buf) };
        let lines = detail::lines(node, look.unix_ms, &self.zone);
        for (line, y) in lines.iter().zip(area.y..area.bottom()) {
            let shown = text::clean(&line.1);
            text::put(buf, area, (area.x, y), &shown, usize::from(area.width), look.ink(line.0));
        }
    }
}
