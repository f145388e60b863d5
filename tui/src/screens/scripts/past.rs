//! Versions: the list, what differs between two of them, and going back to one.

use super::id::Id;
use super::tree::PAGE;
use crate::app::{Answered, Change, Context, Request};
use crate::theme::Ink;
use crate::widgets::list::{Column, List, Row, inked};
use crate::widgets::reader::Reader;
use crate::widgets::state::State;
use crate::widgets::text;
use picloud_model::bundle::{Change as Difference, ChangeAction};
use picloud_model::page::Page;
use picloud_model::script::{RollbackInput, ScriptVersion};
use picloud_model::version::{RollbackReport, VersionDiff};

/// The list.
pub(super) const VERSIONS: &str = "versions";
/// What differs.
pub(super) const DIFF: &str = "diff";
/// What going back would change.
pub(super) const PLAN: &str = "plan";

const COLUMNS: &[Column] =
    &[Column::new("VERSION", 8), Column::new("SAVED", 9).right(), Column::rest("WHY"), Column::new("BY", 14).spare(1)];

/// Versions of the script on the desk.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) list: List,
    pub(super) state: State,
    versions: Vec<ScriptVersion>,
    /// Whether there are more than were read.
    has_more: bool,
}

impl Default for Past {
    fn default() -> Self {
        Self { list: List::new(COLUMNS), state: State::default(), versions: Vec::new(), has_more: false }
    }
}

impl Past {
    /// Reads the list.
    pub(super) fn load(&mut self, id: &Id, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(VERSIONS, id.path(&["versions"]).query("limit", Some(PAGE)));
    }

    /// It was read.
    pub(super) fn take(&mut self, answered: &Answered, live: Option<i64>, cx: &mut Context<'_>) {
        let Some(page) = self.state.take::<Page<ScriptVersion>>(cx.now, answered) else { return };
        self.has_more = page.cursor.is_some();
        self.versions = page.items;
        let row = |version: &ScriptVersion| {
            let is_live = live == Some(version.version);
            let name = format!("v{}{}", version.version, if is_live { " live" } else { "" });
            let age = text::age(cx.now.unix_ms, version.created_at);
            let why = version.message.clone().unwrap_or_default();
            let cells =
                vec![name.into(), inked(Ink::Faint, age), why.into(), inked(Ink::Faint, version.author.clone())];
            Row::new(version.version.to_string(), cells)
        };
        self.list.set(self.versions.iter().map(row).collect());
    }

    /// The version with the cursor.
    pub(super) fn selected(&self) -> Option<i64> {
        self.list.selected_id()?.parse().ok()
    }

    /// What Enter compares: the two that are marked, or the one with the cursor and the one before it.
    pub(super) fn pair(&self) -> Option<(i64, i64)> {
        if self.list.marked() == 2 {
            let mut marked: Vec<i64> = self.list.chosen().iter().filter_map(|id| id.parse().ok()).collect();
            marked.sort_unstable();
            return Some((*marked.first()?, *marked.last()?));
        }
        let to = self.selected()?;
        let before = self.versions.iter().map(|version| version.version).filter(|version| *version < to).max();
        before.map(|from| (from, to))
    }

    /// How many there are, for the rule above them.
    pub(super) fn count(&self) -> String {
        format!("{}{}", self.versions.len(), if self.has_more { "+" } else { "" })
    }
}

/// Asks for what differs between two versions.
pub(super) fn load_diff(id: &Id, (from, to): (i64, i64), cx: &mut Context<'_>) {
    cx.load(DIFF, id.path(&["versions", &from.to_string(), "diff"]).query("to", Some(to)));
}

/// What differs, to read.
pub(super) fn diff_reader(id: &Id, diff: &VersionDiff) -> Reader {
    let mut lines: Vec<Vec<(Ink, String)>> =
        diff.diff.lines().map(|line| vec![(ink_of(line), line.to_owned())]).collect();
    if lines.is_empty() {
        lines.push(vec![(Ink::Plain, "both have the same source".to_owned())]);
    }
    let around = [&diff.modules, &diff.routes, &diff.triggers, &diff.env, &diff.secrets];
    let around: Vec<String> = around.iter().flat_map(|changes| changes.iter().map(told)).collect();
    if !around.is_empty() {
        lines.push(Vec::new());
        lines.push(vec![(Ink::Strong, "what it was live with:".to_owned())]);
        lines.extend(around.into_iter().map(|line| vec![(Ink::Plain, format!("  {line}"))]));
    }
    let title = format!("{id}: v{} and v{}", diff.from, diff.to);
    Reader::of(title, lines).json(serde_json::json!(diff))
}

/// How a line of a unified difference looks.
fn ink_of(line: &str) -> Ink {
    match line.as_bytes().first() {
        Some(b'+') => Ink::Added,
        Some(b'-') => Ink::Removed,
        Some(b'@') => Ink::Faint,
        _ => Ink::Plain,
    }
}

fn told(change: &Difference) -> String {
    let action = match change.action {
        ChangeAction::Create => "new",
        ChangeAction::Update => "changed",
        ChangeAction::Delete => "gone",
    };
    let diff = change.diff.as_deref().filter(|diff| !diff.contains('\n'));
    let diff = diff.map_or_else(String::new, |diff| format!(" ({diff})"));
    format!("{action} {} {}{diff}", change.what, change.name)
}

/// Asks what going back would change.
pub(super) fn load_plan(id: &Id, version: i64, cx: &mut Context<'_>) {
    cx.load_with(crate::app::Slot::of(PLAN, version.to_string()), rollback(id, version, true));
}

fn rollback(id: &Id, version: i64, plan: bool) -> Request {
    Request::post(
        id.path(&["rollback"]),
        &RollbackInput { version, message: None, plan, only_script: false, force: false },
    )
}

/// Only the source: what takes a save back.
pub(super) fn back_to_source(id: &Id, version: i64) -> Request {
    let input = RollbackInput { version, message: None, plan: false, only_script: true, force: false };
    Request::post(id.path(&["rollback"]), &input)
}

/// Going back to a version, with a question that names all it changes; `u` goes to the former one again.
pub(super) fn roll_back(id: &Id, version: i64, plan: &RollbackReport) -> Change {
    let former = plan.script.version;
    let is_itself =
        |change: &&Difference| change.name == id.name && matches!(change.what.as_str(), "script" | "module");
    let around: Vec<String> =
        plan.changes.iter().filter(|change| !is_itself(change)).map(|change| change.name.clone()).collect();
    let also = if around.is_empty() { "alone".to_owned() } else { format!("with {}", around.join(", ")) };
    let question = format!("{} to v{version} {also}", id.name);
    Change::new(format!("{} is as it was at v{version}", id.name), rollback(id, version, false).if_match(former))
        .asks("roll back", question)
        .undone_by(format!("{} is as it was at v{former}", id.name), rollback(id, former, false))
        .tag("rollback")
}
