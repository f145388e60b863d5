//! The files of a collection, read a page at a time.

use super::Files;
use crate::app::{Answered, Context, Slot};
use crate::path::ApiPath;
use crate::theme::Ink;
use crate::widgets::list::{Column, List, Row, inked};
use crate::widgets::state::State;
use crate::widgets::text;
use picloud_model::file::File;
use picloud_model::ids::FileId;
use picloud_model::page::Page;
use std::collections::BTreeSet;

/// Files in a page.
const PAGE_FILES: u32 = 1000;
/// Rows before the end of what is read at which more is read.
const AHEAD_ROWS: usize = 100;
/// Pages that may be read for one key that was typed.
pub(super) const AHEAD_PAGES: u8 = 10;
/// How long after a beginning of names was typed the appliance is asked for them.
pub(super) const PREFIX_MS: u64 = 200;

static COLUMNS: [Column; 5] = [
    Column::rest("name"),
    Column::new("size", 8).right(),
    Column::new("type", 16).spare(2),
    Column::new("updated", 10).spare(1),
    Column::new("id", 36).spare(3),
];

/// A collection that one is in.
#[derive(Debug)]
pub(super) struct Table {
    /// Its app.
    pub(super) app: String,
    /// Its name.
    pub(super) collection: String,
    /// How its files are.
    pub(super) state: State,
    /// What is shown of them, by their ids.
    pub(super) list: List,
    /// The filter as it was typed; `^` asks the appliance for names that begin so.
    pub(super) filter: String,
    /// Pages that may be read before the next key.
    pub(super) ahead: u8,
    /// The file to go to once it is read.
    pub(super) wanted: Option<String>,
    files: Vec<File>,
    /// Pages that were read since the last reload: they take the place of `files` once they are as many.
    fresh: Vec<File>,
    cursor: Option<String>,
    is_whole: bool,
    prefix: String,
}

impl Table {
    /// Of this collection, not read yet.
    pub(super) fn new(app: &str, collection: &str) -> Self {
        Self {
            app: app.to_owned(),
            collection: collection.to_owned(),
            state: State::default(),
            list: List::new(&COLUMNS),
            filter: String::new(),
            ahead: AHEAD_PAGES,
            wanted: None,
            files: Vec::new(),
            fresh: Vec::new(),
            cursor: None,
            is_whole: false,
            prefix: String::new(),
        }
    }

    /// The file with the cursor.
    pub(super) fn selected(&self) -> Option<&File> {
        let id: FileId = self.list.selected_id()?.parse().ok()?;
        self.files.iter().find(|file| file.id == id)
    }

    /// What an action is about: all that are marked, else what has the cursor.
    pub(super) fn chosen(&self) -> Vec<&File> {
        let chosen: BTreeSet<FileId> = self.list.chosen().into_iter().filter_map(|id| id.parse().ok()).collect();
        self.files.iter().filter(|file| chosen.contains(&file.id)).collect()
    }

    /// How many were read, and whether those are all.
    pub(super) fn read(&self) -> (usize, bool) {
        (self.files.len(), self.is_whole)
    }

    /// Another filter.
    pub(super) fn set_filter(&mut self, text: &str) {
        text.clone_into(&mut self.filter);
        // What the appliance finds needs no other filter.
        self.list.filter(if text.starts_with('^') { "" } else { text });
    }

    fn wanted_prefix(&self) -> &str {
        self.filter.strip_prefix('^').unwrap_or_default()
    }

    fn restart(&mut self) {
        self.cursor = None;
        self.is_whole = false;
        self.fresh.clear();
    }

    fn absorb(&mut self, page: Page<File>, now: i64) {
        self.cursor = page.cursor;
        self.is_whole = self.cursor.is_none();
        self.fresh.extend(page.items);
        if self.is_whole || self.fresh.len() >= self.files.len() {
            self.files.clone_from(&self.fresh);
            self.list.set(self.files.iter().map(|file| row(file, now)).collect());
        }
        if let Some(id) = &self.wanted
            && (self.list.select(id) || self.is_whole)
        {
            self.wanted = None;
        }
    }

    /// Whether the next page is wanted: the end is near, something is looked for, or a reload is not done.
    fn runs_out(&self) -> bool {
        if self.is_whole || self.state.is_loading() || self.cursor.is_none() {
            return false;
        }
        let is_reloading = self.fresh.len() < self.files.len();
        let Some(selected) = self.selected() else { return self.ahead > 0 };
        let near = self.files.iter().rev().take(AHEAD_ROWS).any(|file| file.id == selected.id);
        is_reloading || (self.ahead > 0 && (near || self.wanted.is_some()))
    }
}

fn row(file: &File, now: i64) -> Row {
    let cells = vec![
        file.name.as_str().into(),
        text::bytes(file.size).into(),
        // Its parameters stand in the preview.
        file.content_type.split(';').next().unwrap_or_default().into(),
        text::age(now, file.updated_at).into(),
        inked(Ink::Faint, file.id.to_string()),
    ];
    Row::new(file.id.to_string(), cells)
}

impl Files {
    /// Reads the next page of the collection one is in.
    pub(super) fn load_page(&mut self, cx: &mut Context<'_>) {
        let Some(table) = &mut self.table else { return };
        table.state.begin();
        let path = ApiPath::of_app(&table.app, &["files", &table.collection])
            .query("prefix", Some(&table.prefix).filter(|prefix| !prefix.is_empty()))
            .query("limit", Some(PAGE_FILES))
            .query("cursor", table.cursor.as_ref());
        cx.load(Slot::from("page"), path);
    }

    /// Reads the collection one is in from its beginning; what is there stays on the screen meanwhile.
    pub(super) fn reload_table(&mut self, cx: &mut Context<'_>) {
        if let Some(table) = &mut self.table {
            table.restart();
            self.load_page(cx);
        }
    }

    /// A page of files was read.
    pub(super) fn page_came(&mut self, answered: Answered, cx: &mut Context<'_>) {
        let Some(table) = &mut self.table else { return };
        if let Some(page) = table.state.take::<Page<File>>(cx.now, &answered) {
            table.absorb(page, cx.now.unix_ms);
        } else if let Err(problem) = answered
            && table.state.is_read()
        {
            table.ahead = 0;
            cx.complain(problem);
        }
        self.settle(cx);
    }

    /// Asks for names that begin as was typed.
    pub(super) fn read_prefix(&mut self, cx: &mut Context<'_>) {
        let Some(table) = &mut self.table else { return };
        if table.prefix == table.wanted_prefix() {
            return;
        }
        table.prefix = table.wanted_prefix().to_owned();
        table.files.clear();
        self.reload_table(cx);
    }

    /// More is read where it runs out, and the file where the cursor rests.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        if let Some(table) = &mut self.table
            && table.runs_out()
        {
            table.ahead = table.ahead.saturating_sub(1);
            self.load_page(cx);
        }
        self.follow_cursor(cx);
    }
}
