//! What keys do to a list: moving, marking, filtering and sorting.

use super::{List, Row};
use crate::keymap::Action;
use std::cmp::Ordering;

impl List {
    /// Moves, marks or sorts; `Back` takes all marks away, where there are any. Answers whether it was one of these.
    pub(crate) fn act(&mut self, action: Action) -> bool {
        if let Some(at) = self.window.moved(action, self.cursor, self.shown.len()) {
            self.cursor = at;
            self.has_moved = true;
            return true;
        }
        match action {
            Action::NextHit | Action::PreviousHit => self.go_to_mark(action == Action::NextHit),
            Action::Mark => self.mark(),
            Action::MarkAll => self.mark_all(),
            Action::Sort => self.sort_by_next(),
            Action::Back => return self.unmark(),
            _ => return false,
        }
        true
    }

    fn mark(&mut self) {
        self.has_moved = true;
        let Some(id) = self.selected_id().map(str::to_owned) else { return };
        if !self.marks.remove(&id) {
            self.marks.insert(id);
        }
        self.cursor = (self.cursor + 1).min(self.shown.len().saturating_sub(1));
    }

    fn mark_all(&mut self) {
        let ids: Vec<String> = self.shown.iter().map(|index| self.rows[*index].id.clone()).collect();
        if ids.iter().all(|id| self.marks.contains(id)) {
            self.marks.clear();
        } else {
            self.marks.extend(ids);
        }
    }

    fn go_to_mark(&mut self, forward: bool) {
        let is_marked = |position: &usize| self.marks.contains(&self.rows[self.shown[*position]].id);
        let found = if forward {
            (self.cursor + 1..self.shown.len()).find(is_marked)
        } else {
            (0..self.cursor).rev().find(is_marked)
        };
        self.cursor = found.unwrap_or(self.cursor);
    }

    fn sort_by_next(&mut self) {
        let selected = self.selected_id().map(str::to_owned);
        self.sort = match self.sort {
            None => Some(0),
            Some(column) if column + 1 < self.columns.len() => Some(column + 1),
            Some(_) => None,
        };
        self.arrange(selected);
    }

    /// Filters and sorts anew; the cursor goes to `selected`, or stays where it was.
    pub(super) fn arrange(&mut self, selected: Option<String>) {
        let (needle, wanted) = match self.filter.strip_prefix('!') {
            Some(rest) => (rest.to_lowercase(), false),
            None => (self.filter.to_lowercase(), true),
        };
        let passes = |row: &Row| needle.is_empty() || row.has(&needle) == wanted;
        self.shown = (0..self.rows.len()).filter(|index| passes(&self.rows[*index])).collect();
        if let Some(column) = self.sort {
            let rows = &self.rows;
            self.shown.sort_by_cached_key(|index| SortKey::of(cell(&rows[*index], column)));
        }
        self.cursor = self.cursor.min(self.shown.len().saturating_sub(1));
        if let Some(id) = selected {
            self.put_cursor(&id);
        }
    }
}

fn cell(row: &Row, column: usize) -> &str {
    row.cells.get(column).map_or("", |cell| cell.text.as_str())
}

/// What a cell is sorted by: numbers before words, by their value; words without regard to case.
#[derive(Debug, PartialEq)]
struct SortKey {
    number: Option<f64>,
    text: String,
}

impl SortKey {
    fn of(text: &str) -> Self {
        let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        Self { number: digits.parse().ok(), text: text.to_lowercase() }
    }
}

impl Eq for SortKey {}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_number = match (self.number, other.number) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        by_number.then_with(|| self.text.cmp(&other.text))
    }
}
