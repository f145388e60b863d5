//! The tree: which line has the cursor, what is marked, and how it looks.

use super::lines::{self, Filter, Line, Target};
use super::shelf::Shelf;
use super::tree_line::{draw, shown};
use crate::keymap::Action;
use crate::theme::{Ink, Look};
use crate::widgets::text;
use crate::widgets::window::Window;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::{BTreeMap, BTreeSet};

/// Most keys that can be marked: each is a change of its own.
pub(super) const MARKS_MAX: usize = 1000;
/// Lines before the end of what is read at which more is read.
const AHEAD_LINES: usize = 100;

/// The tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    lines: Vec<Line>,
    cursor: usize,
    /// What the line with the cursor is about.
    selected: Option<Target>,
    /// Keys that are marked, with the version each was seen at.
    marks: BTreeMap<Target, i64>,
    filter: Filter,
    filter_text: String,
    /// What the lines were made of.
    made_of: Option<(u64, Filter)>,
    window: Window,
}

impl Tree {
    /// What has the cursor.
    pub(super) fn selected(&self) -> Option<&Target> {
        self.selected.as_ref()
    }

    /// How many keys are marked.
    pub(super) fn marked(&self) -> usize {
        self.marks.len()
    }

    /// Keys that are marked, with the version each was seen at.
    pub(super) fn marks(&self) -> impl Iterator<Item = (&Target, i64)> {
        self.marks.iter().map(|(target, version)| (target, *version))
    }

    /// Unmarks all; answers whether any was.
    pub(super) fn unmark(&mut self) -> bool {
        !std::mem::take(&mut self.marks).is_empty()
    }

    /// Unmarks one that is gone.
    pub(super) fn unmark_one(&mut self, target: &Target) {
        self.marks.remove(target);
    }

    /// The filter as it was typed.
    pub(super) fn filter_text(&self) -> &str {
        &self.filter_text
    }

    /// What the filter means.
    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Another filter.
    pub(super) fn set_filter(&mut self, text: &str, shelf: &Shelf) {
        text.clone_into(&mut self.filter_text);
        self.filter = Filter::of(text);
        self.arrange(shelf);
    }

    /// Other lines; the cursor stays on what it was on, where that is still shown.
    pub(super) fn arrange(&mut self, shelf: &Shelf) {
        let of = (shelf.revision, self.filter.clone());
        if self.made_of.as_ref() == Some(&of) {
            return;
        }
        self.lines = lines::of(shelf, &self.filter, std::mem::take(&mut self.lines));
        self.made_of = Some(of);
        // What stands for keys to come gives its place to the first of them.
        let stays = self.selected.as_ref().filter(|selected| !matches!(selected, Target::Rest(..) | Target::Empty(_)));
        let found = stays.and_then(|selected| self.lines.iter().position(|line| line.is(selected, shelf)));
        self.put_cursor(found.unwrap_or(self.cursor), shelf);
    }

    /// Puts the cursor on something, where it is shown; answers whether it is.
    pub(super) fn select(&mut self, target: &Target, shelf: &Shelf) -> bool {
        let found = self.lines.iter().position(|line| line.is(target, shelf));
        if let Some(at) = found {
            self.put_cursor(at, shelf);
        }
        found.is_some()
    }

    /// The branch around the line with the cursor.
    pub(super) fn select_parent(&mut self, shelf: &Shelf) -> bool {
        let Some(here) = self.lines.get(self.cursor).map(|line| line.depth()) else { return false };
        let parent = self.lines[..self.cursor].iter().rposition(|line| line.depth() < here);
        if let Some(at) = parent {
            self.put_cursor(at, shelf);
        }
        parent.is_some()
    }

    fn put_cursor(&mut self, at: usize, shelf: &Shelf) {
        self.cursor = at.min(self.lines.len().saturating_sub(1));
        self.selected = self.lines.get(self.cursor).and_then(|line| line.target(shelf));
    }

    /// Moves or marks; answers whether it was one of these.
    pub(super) fn act(&mut self, action: Action, shelf: &Shelf) -> bool {
        if let Some(to) = self.window.moved(action, self.cursor, self.lines.len()) {
            self.put_cursor(to, shelf);
            return true;
        }
        let to = match action {
            Action::NextHit | Action::PreviousHit => self.next_mark(action == Action::NextHit, shelf),
            Action::Mark => {
                self.mark(shelf);
                self.cursor + 1
            }
            Action::MarkAll => {
                self.mark_all(shelf);
                self.cursor
            }
            _ => return false,
        };
        self.put_cursor(to, shelf);
        true
    }

    fn mark(&mut self, shelf: &Shelf) {
        let Some(target @ Target::Key(..)) = self.selected.clone() else { return };
        if self.marks.remove(&target).is_none() && self.marks.len() < MARKS_MAX {
            self.marks.extend(seen(target, shelf));
        }
    }

    fn mark_all(&mut self, shelf: &Shelf) {
        let keys = self.lines.iter().filter(|line| matches!(line, Line::Key { .. }));
        let shown: Vec<Target> = keys.take(MARKS_MAX).filter_map(|line| line.target(shelf)).collect();
        if shown.iter().all(|target| self.marks.contains_key(target)) {
            self.marks.clear();
            return;
        }
        for target in shown {
            if self.marks.len() < MARKS_MAX {
                self.marks.extend(seen(target, shelf));
            }
        }
    }

    fn next_mark(&self, forward: bool, shelf: &Shelf) -> usize {
        let is_marked = |line: &Line| line.target(shelf).is_some_and(|target| self.marks.contains_key(&target));
        let found = if forward {
            let after = self.lines.iter().skip(self.cursor + 1).position(is_marked);
            after.map(|at| self.cursor + 1 + at)
        } else {
            self.lines[..self.cursor.min(self.lines.len())].iter().rposition(is_marked)
        };
        found.unwrap_or(self.cursor)
    }

    /// The collection of which more should be read: its end is visible, or nearly.
    pub(super) fn runs_out(&self, shelf: &Shelf) -> Option<(String, String)> {
        let from = self.window.top().min(self.cursor);
        let ahead = AHEAD_LINES.max(self.window.height() * 2);
        let near = self.lines.iter().skip(from).take(self.cursor - from + ahead);
        near.filter_map(|line| match line {
            Line::Rest { .. } => line.target(shelf),
            _ => None,
        })
        .find_map(|target| {
            let (app, name) = target.collection()?;
            let known = shelf.collection(app, name)?;
            let wants = !known.is_whole && !known.is_loading && known.problem.is_none();
            wants.then(|| (app.to_owned(), name.to_owned()))
        })
    }

    /// How many of the next lines belong to the one with the cursor.
    fn below_cursor(&self, most: usize) -> usize {
        let mut lines = self.lines.iter().skip(self.cursor).map(|line| line.depth());
        let Some(depth) = lines.next() else { return 0 };
        lines.take(most).take_while(|below| *below > depth).count()
    }

    /// Draws it. `drafts` are those that are kept, by the key's path.
    pub(super) fn view(
        &self,
        look: &Look,
        area: Rect,
        buf: &mut Buffer,
        shelf: &Shelf,
        drafts: &BTreeSet<String>,
        has_focus: bool,
    ) {
        if area.is_empty() {
            return;
        }
        let height = usize::from(area.height);
        let top = self.window.fit_branch(look.frame, area, self.cursor, self.lines.len(), self.below_cursor(height));
        let visible = self.lines.iter().enumerate().skip(top).take(height);
        for ((at, line), y) in visible.zip(area.y..) {
            let row = Rect { y, height: 1, ..area };
            let shown = shown(*line, look, shelf, drafts);
            let is_selected = at == self.cursor;
            if is_selected {
                text::put(buf, row, (row.x, y), ">", 1, look.ink(Ink::Strong));
            }
            if !self.marks.is_empty() && line.target(shelf).is_some_and(|target| self.marks.contains_key(&target)) {
                text::put(buf, row, (row.x + 1, y), "*", 1, look.ink(Ink::Warn));
            }
            draw(look, row, buf, &shown, is_selected && has_focus);
        }
    }
}

/// A key with the version it is at, as far as is known.
fn seen(target: Target, shelf: &Shelf) -> Option<(Target, i64)> {
    let Target::Key(app, name, key) = &target else { return None };
    let version = shelf.collection(app, name)?.get(key)?.version;
    Some((target, version))
}
