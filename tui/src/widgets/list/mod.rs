//! A list in columns, with a selection by id, marks, a filter and an order: what most screens are.

mod keys;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use view::SELECTED_COLUMNS;

use crate::theme::Ink;
use crate::widgets::window::Window;
use std::collections::BTreeSet;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its heading.
    pub(crate) title: &'static str,
    /// Columns of the terminal it takes at most; 0 shares what is left.
    pub(crate) width: u16,
    /// Whether it is left away where there is little room: the highest goes first, 0 never.
    pub(crate) spare: u8,
    /// Whether its text stands at its right end.
    pub(crate) right: bool,
}

impl Column {
    /// That takes so much room at most.
    pub(crate) const fn new(title: &'static str, width: u16) -> Self {
        Self { title, width, spare: 0, right: false }
    }

    /// That shares what is left.
    pub(crate) const fn rest(title: &'static str) -> Self {
        Self::new(title, 0)
    }

    /// That is left away where there is little room; those with the highest number first.
    pub(crate) const fn spare(mut self, order: u8) -> Self {
        self.spare = order;
        self
    }

    /// With its text at the right end.
    pub(crate) const fn right(mut self) -> Self {
        self.right = true;
        self
    }
}

/// Text in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cel {
    /// What it says, as it came.
    pub(crate) text: String,
    /// What it means.
    pub(crate) ink: Ink,
}

/// Plain text.
impl<T: Into<String>> From<T> for Cel {
    fn from(text: T) -> Self {
        Self { text: text.into(), ink: Ink::Plain }
    }
}

/// Text with a meaning.
pub(crate) fn inked(ink: Ink, text: impl Into<String>) -> Cel {
    Cel { text: text.into(), ink }
}

/// A line of the list. The first cell is the name, which the selection shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// What it is selected and marked by; unique in the list.
    pub(crate) id: String,
    /// A cell a column.
    pub(crate) cells: Vec<Cel>,
    /// How deep below a branch it stands.
    pub(crate) depth: u16,
    /// Whether it is a branch, and whether that is open.
    pub(crate) branch: Option<bool>,
}

impl Row {
    /// An ordinary line.
    pub(crate) fn new(id: impl Into<String>, cells: Vec<Cel>) -> Self {
        Self { id: id.into(), cells, depth: 0, branch: None }
    }

    /// Below a branch.
    #[must_use]
    pub(crate) fn depth(mut self, depth: u16) -> Self {
        self.depth = depth;
        self
    }

    /// A branch.
    #[must_use]
    pub(crate) fn branch(mut self, is_open: bool) -> Self {
        self.branch = Some(is_open);
        self
    }

    fn has(&self, needle: &str) -> bool {
        self.cells.iter().any(|cell| cell.text.to_lowercase().contains(needle))
    }
}

/// The list.
#[derive(Debug)]
pub(crate) struct List {
    columns: &'static [Column],
    rows: Vec<Row>,
    /// Indices into `rows`: those that pass the filter, in the order of the sort.
    shown: Vec<usize>,
    /// Index into `shown`.
    cursor: usize,
    marks: BTreeSet<String>,
    filter: String,
    /// The column it is sorted by; as they came where absent.
    sort: Option<usize>,
    /// Whether any row is a branch, so that all names are indented by its sign.
    has_branches: bool,
    window: Window,
    /// Whether somebody chose where the cursor is.
    has_moved: bool,
}

impl List {
    /// An empty list.
    pub(crate) fn new(columns: &'static [Column]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
            shown: Vec::new(),
            cursor: 0,
            marks: BTreeSet::new(),
            filter: String::new(),
            sort: None,
            has_branches: false,
            window: Window::default(),
            has_moved: false,
        }
    }

    /// Other rows; what was selected and marked stays so where it still is.
    pub(crate) fn set(&mut self, rows: Vec<Row>) {
        let selected = self.selected_id().map(str::to_owned);
        self.has_branches = rows.iter().any(|row| row.branch.is_some());
        self.rows = rows;
        if !self.marks.is_empty() {
            let there: BTreeSet<&str> = self.rows.iter().map(|row| row.id.as_str()).collect();
            self.marks.retain(|id| there.contains(id.as_str()));
        }
        self.arrange(selected);
    }

    /// Rows of which more may come before these: until somebody moves, the cursor stays on the first.
    pub(crate) fn grow(&mut self, rows: Vec<Row>) {
        if !self.has_moved {
            self.cursor = 0;
            self.rows.clear();
            self.shown.clear();
        }
        self.set(rows);
    }

    /// Every row, shown or not.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// How many are shown.
    pub(crate) fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether none is shown.
    pub(crate) fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// The line with the cursor.
    pub(crate) fn selected(&self) -> Option<&Row> {
        self.shown.get(self.cursor).map(|index| &self.rows[*index])
    }

    /// Its id.
    pub(crate) fn selected_id(&self) -> Option<&str> {
        self.selected().map(|row| row.id.as_str())
    }

    /// Puts the cursor on a row, where it is shown; answers whether it is.
    pub(crate) fn select(&mut self, id: &str) -> bool {
        let is_shown = self.put_cursor(id);
        self.has_moved |= is_shown;
        is_shown
    }

    fn put_cursor(&mut self, id: &str) -> bool {
        let found = self.shown.iter().position(|index| self.rows[*index].id == id);
        self.cursor = found.unwrap_or(self.cursor);
        found.is_some()
    }

    /// What an action is about: all that are marked, in the order of the list, else what is selected.
    pub(crate) fn chosen(&self) -> Vec<&str> {
        if self.marks.is_empty() {
            return self.selected_id().into_iter().collect();
        }
        self.rows.iter().map(|row| row.id.as_str()).filter(|id| self.marks.contains(*id)).collect()
    }

    /// Ids of what is shown within so many lines of the cursor: for loading what only few rows show.
    pub(crate) fn near(&self, lines: usize) -> impl Iterator<Item = &str> {
        let near = self.shown.iter().skip(self.cursor.saturating_sub(lines)).take(2 * lines + 1);
        near.map(|index| self.rows[*index].id.as_str())
    }

    /// Whether the cursor is within so many lines of the end: for loading more.
    pub(crate) fn is_near_end(&self, lines: usize) -> bool {
        self.cursor + lines >= self.shown.len()
    }

    /// How many are marked, shown or not.
    pub(crate) fn marked(&self) -> usize {
        self.marks.len()
    }

    /// Unmarks all; answers whether any was.
    pub(crate) fn unmark(&mut self) -> bool {
        !std::mem::take(&mut self.marks).is_empty()
    }

    /// Shows only rows that have this text; with a leading `!`, those that have not.
    pub(crate) fn filter(&mut self, text: &str) {
        let selected = self.selected_id().map(str::to_owned);
        text.clone_into(&mut self.filter);
        self.arrange(selected);
    }

    /// The filter in force.
    pub(crate) fn filter_text(&self) -> &str {
        &self.filter
    }

    /// The heading it is sorted by, if any.
    pub(crate) fn sorted_by(&self) -> Option<&'static str> {
        self.sort.map(|column| self.columns[column].title)
    }
}
