//! Runs that are kept, newest first, read a page at a time; new ones come with the stream of activity.

use super::narrow::Narrow;
use crate::app::{Answered, Context};
use crate::theme::{Ink, Look};
use crate::widgets::list::{Cel, Column, List, Row, inked};
use crate::widgets::state::{State, no_match};
use crate::widgets::text;
use picloud_model::activity::{Activity, RunGlance};
use picloud_model::clock::UnixMs;
use picloud_model::execution::Outcome;
use picloud_model::page::Page;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::Deserialize;
use std::collections::{BTreeSet, HashSet};

/// The first page.
pub(super) const FIRST: &str = "runs";
/// A further one.
pub(super) const MORE: &str = "more-runs";
/// The stream that tells of new runs.
pub(super) const ACTIVITY: &str = "activity";
/// Runs of a page: each comes with all that it logged.
const PAGE: u32 = 50;
/// The next page is read when the cursor is within so many lines of the end.
const AHEAD_LINES: usize = 20;
/// Runs that are held.
const RUNS_MAX: usize = 5_000;

/// When, how ended, why started, of what, where, how long, with which status.
static COLUMNS: [Column; 7] = [
    Column::new("when", 11),
    Column::new("outcome", 7),
    Column::rest("cause"),
    Column::rest("script"),
    Column::new("node", 8).spare(1),
    Column::new("time", 7).right().spare(2),
    Column::new("status", 6).right().spare(3),
];

/// A run, as much as the list shows; the rest of what the page says of it is let go.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) app: String,
    pub(super) script: String,
    #[serde(default)]
    pub(super) cause: String,
    #[serde(default)]
    pub(super) node: String,
    pub(super) outcome: Outcome,
    #[serde(default)]
    pub(super) status: u16,
    #[serde(default)]
    pub(super) duration_us: u64,
    #[serde(with = "picloud_model::clock::as_rfc3339")]
    pub(super) started_at: UnixMs,
    #[serde(default)]
    pub(super) trigger: Option<String>,
    /// Why it failed.
    #[serde(default)]
    error: Option<Why>,
}

/// The sentence of a problem.
#[derive(Clone, Debug, Deserialize)]
struct Why {
    detail: String,
}

/// The list.
#[derive(Debug)]
pub(super) struct History {
    pub(super) list: List,
    runs: Vec<Run>,
    cursor: Option<String>,
    pub(super) state: State,
    is_loading_more: bool,
    /// Whether runs came faster than they were told of.
    has_gap: bool,
}

impl History {
    /// Without runs.
    pub(super) fn new() -> Self {
        Self {
            list: List::new(&COLUMNS),
            runs: Vec::new(),
            cursor: None,
            state: State::default(),
            is_loading_more: false,
            has_gap: false,
        }
    }

    /// Reads the first page; what is shown stays meanwhile.
    pub(super) fn load(&mut self, narrow: &Narrow, cx: &mut Context<'_>) {
        self.state.begin();
        (self.is_loading_more, self.has_gap) = (false, false);
        cx.stop(MORE);
        cx.load(FIRST, narrow.executions(PAGE, None));
    }

    /// Other runs are wanted: what is shown is of no use.
    pub(super) fn begin_anew(&mut self, narrow: &Narrow, cx: &mut Context<'_>) {
        self.runs.clear();
        self.list.set(Vec::new());
        self.state = State::default();
        self.load(narrow, cx);
    }

    /// Loads that were under way have ended without an answer.
    pub(super) fn left(&mut self) {
        self.is_loading_more = false;
    }

    /// Reads the next page where the end is near.
    pub(super) fn more(&mut self, narrow: &Narrow, cx: &mut Context<'_>) {
        let is_enough = self.is_loading_more || self.runs.len() >= RUNS_MAX || !self.list.is_near_end(AHEAD_LINES);
        if let (false, Some(cursor)) = (is_enough, &self.cursor) {
            self.is_loading_more = true;
            cx.load(MORE, narrow.executions(PAGE, Some(cursor)));
        }
    }

    /// A page came.
    pub(super) fn loaded(&mut self, is_first: bool, answered: &Answered, cx: &mut Context<'_>) {
        self.is_loading_more = false;
        if is_first {
            let Some(page) = self.state.take::<Page<Run>>(cx.now, answered) else { return };
            self.runs.clear();
            self.add(page, cx);
            return;
        }
        match answered.as_ref().map_err(Clone::clone).and_then(|answer| answer.json::<Page<Run>>()) {
            Ok(page) => self.add(page, cx),
            Err(problem) => cx.complain(problem),
        }
    }

    fn add(&mut self, page: Page<Run>, cx: &Context<'_>) {
        let known: HashSet<&str> = self.runs.iter().map(|run| run.id.as_str()).collect();
        let new: Vec<Run> = page.items.into_iter().filter(|run| !known.contains(run.id.as_str())).collect();
        self.runs.extend(new);
        self.cursor = page.cursor;
        self.show(cx);
    }

    /// New runs, as the stream of activity tells of them: those that belong here come on top.
    pub(super) fn activity(&mut self, activity: &Activity, narrow: &Narrow, cx: &mut Context<'_>) {
        if !self.state.is_read() || narrow.root.is_some() {
            return;
        }
        let newest = self.runs.first().map(|run| run.started_at).unwrap_or_default();
        let known: HashSet<&str> = self.runs.iter().map(|run| run.id.as_str()).collect();
        let is_known = |run: &RunGlance| known.contains(run.id.to_string().as_str());
        let new: Vec<&RunGlance> =
            activity.recent.iter().filter(|run| !is_known(run) && run.started_at >= newest).collect();
        // All that are told of are new: there may have been more.
        self.has_gap |= !new.is_empty() && new.len() == activity.recent.len() && !self.runs.is_empty();
        let new: Vec<Run> = new.into_iter().filter(|run| wants(narrow, run)).map(run_of).collect();
        if new.is_empty() {
            return;
        }
        self.runs.splice(0..0, new);
        self.runs.truncate(RUNS_MAX);
        self.show(cx);
    }

    /// Rows of all runs.
    fn show(&mut self, cx: &Context<'_>) {
        let (now, zone) = (cx.now.unix_ms, &cx.facts.zone);
        self.list.set(self.runs.iter().map(|run| row(run, now, zone)).collect());
    }

    /// The run with the cursor.
    pub(super) fn selected(&self) -> Option<&Run> {
        let id = self.list.selected_id()?;
        self.runs.iter().find(|run| run.id == id)
    }

    /// Names of scripts (`app/script`) that ran.
    pub(super) fn scripts(&self) -> BTreeSet<String> {
        self.runs.iter().map(|run| format!("{}/{}", run.app, run.script)).collect()
    }

    /// Names of triggers (`app/trigger`) that started runs.
    pub(super) fn triggers(&self) -> BTreeSet<String> {
        self.runs.iter().filter_map(|run| Some(format!("{}/{}", run.app, run.trigger.as_ref()?))).collect()
    }

    /// What the title says.
    pub(super) fn told(&self, narrow: &Narrow, zone: &jiff::tz::TimeZone) -> String {
        let of = narrow.told_of_runs();
        let count = self.state.is_read().then(|| {
            let more = if self.cursor.is_some() { "+" } else { "" };
            format!("[{}{more}]", self.list.len())
        });
        let gap = self.has_gap.then_some("some left out, r reads them");
        let parts = [Some("kept"), Some(of.as_str()).filter(|of| !of.is_empty()), gap];
        let words = parts.into_iter().flatten().collect::<Vec<_>>().join("  ");
        format!("{}  {words}{}", count.unwrap_or_default(), self.state.note(zone))
    }

    /// Draws it.
    pub(super) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if !self.list.is_empty() {
            self.list.view(look, area, buf, true);
        } else if !self.runs.is_empty() {
            no_match(look, area, buf, self.list.filter_text());
        } else {
            self.state.view(look, area, buf, "nothing ran yet that is kept: failures and runs that logged are");
        }
    }
}

/// Whether a run belongs to what is shown.
fn wants(narrow: &Narrow, run: &RunGlance) -> bool {
    let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
    is(&narrow.app, &run.app)
        && is(&narrow.script, &run.script)
        && narrow.outcome.is_none_or(|outcome| outcome == run.outcome)
        && narrow.trigger.as_ref().is_none_or(|trigger| run.cause == format!("trigger {trigger}"))
}

fn run_of(glance: &RunGlance) -> Run {
    Run {
        id: glance.id.to_string(),
        app: glance.app.clone(),
        script: glance.script.clone(),
        cause: glance.cause.clone(),
        node: glance.node.clone(),
        outcome: glance.outcome,
        status: glance.status,
        duration_us: glance.duration_us,
        started_at: glance.started_at,
        trigger: glance.cause.strip_prefix("trigger ").map(str::to_owned),
        error: glance.error.clone().map(|detail| Why { detail }),
    }
}

/// `ok`, `FAILED`, `LOST`.
pub(super) fn outcome(outcome: Outcome) -> Cel {
    match outcome {
        Outcome::Ok => inked(Ink::Good, "ok"),
        Outcome::Failed => inked(Ink::Bad, "FAILED"),
        Outcome::WorkerLost => inked(Ink::Bad, "LOST"),
    }
}

fn row(run: &Run, now: i64, zone: &jiff::tz::TimeZone) -> Row {
    let why = run.error.as_ref().and_then(|why| why.detail.lines().next());
    let cause = why.map_or_else(|| run.cause.clone(), |why| format!("{}: {why}", run.cause));
    // 0 where nothing was answered.
    let status = Some(run.status).filter(|status| *status != 0).map(|status| status.to_string());
    let cells = vec![
        text::moment(now, run.started_at, zone).into(),
        outcome(run.outcome),
        cause.into(),
        format!("{}/{}", run.app, run.script).into(),
        run.node.clone().into(),
        text::duration(run.duration_us).into(),
        status.unwrap_or_default().into(),
    ];
    Row::new(run.id.clone(), cells)
}
