//! Lines as scripts log them, of all machines: at the end, or paused at a place that stays.

use super::narrow::Narrow;
use super::rate::Rate;
use super::ring::{Line, Ring};
use crate::app::{Context, StreamEvent, StreamState};
use crate::keymap::Action;
use crate::widgets::spots::Spots;
use crate::widgets::text;
use picloud_model::execution::LogLevel;
use serde_json::Value;
use std::cell::Cell;

/// The stream of lines.
pub(super) const LOGS: &str = "logs";
/// Lines of runs before the stream began.
pub(super) const RECENT: &str = "recent";
/// When the rate is looked at again.
pub(super) const RATE: &str = "rate";
/// From how many runs lines are shown that were logged before the stream began.
const RECENT_RUNS: u32 = 30;
/// After so long without a line the rate is nothing.
const SILENCE_MS: u64 = 3_000;

/// Whether lines come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    /// Not connected yet.
    #[default]
    Connecting,
    /// They come.
    Live,
    /// The connection is away; it is tried again.
    Lost,
    /// This key may not.
    Refused(String),
}

/// The lines, and which is looked at.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) ring: Ring,
    /// The line with the cursor, where it does not follow the end.
    cursor: Option<u64>,
    /// The newest line when it was paused.
    paused_at: u64,
    /// The first line that is drawn, and how many are, when it was drawn last.
    pub(super) top: Cell<u64>,
    pub(super) drawn: Cell<usize>,
    /// Where they stand, by position.
    pub(super) spots: Spots,
    pub(super) wraps: bool,
    /// How many lines came faster than they could be sent.
    pub(super) skipped: u64,
    pub(super) flow: Flow,
    rate: Rate,
    /// When it was told of last.
    told_unix_ms: i64,
    /// Since when it is not followed, where lines may be missing.
    left_unix_ms: Option<i64>,
}

impl Live {
    /// Without lines.
    pub(super) fn new() -> Self {
        Self {
            ring: Ring::new(),
            cursor: None,
            paused_at: 0,
            top: Cell::new(0),
            drawn: Cell::new(1),
            spots: Spots::default(),
            wraps: false,
            skipped: 0,
            flow: Flow::default(),
            rate: Rate::default(),
            told_unix_ms: 0,
            left_unix_ms: None,
        }
    }

    /// Begins anew, with other lines.
    pub(super) fn follow(&mut self, narrow: &Narrow, cx: &mut Context<'_>) {
        self.ring.clear();
        self.ring.level(narrow.level);
        (self.cursor, self.skipped, self.flow, self.left_unix_ms) = (None, 0, Flow::Connecting, None);
        self.resume(narrow, cx);
        // Only lines of runs that are kept: of one trigger's or one outcome's there is no stream either.
        let runs = Narrow { trigger: None, outcome: None, root: None, ..narrow.clone() };
        cx.load(RECENT, runs.executions(RECENT_RUNS, None));
    }

    /// Follows again, with the lines that are there.
    pub(super) fn resume(&mut self, narrow: &Narrow, cx: &mut Context<'_>) {
        if let Some(since) = self.left_unix_ms.take() {
            let since = text::time_of_day(since, &cx.facts.zone);
            self.ring.push(Line::note(cx.now.unix_ms, format!("-- not followed since {since} --")));
        }
        cx.follow(LOGS, narrow.logs());
    }

    /// Is not followed from now on: when it was told of last.
    pub(super) fn left(&mut self) {
        self.left_unix_ms = (self.flow == Flow::Live).then_some(self.told_unix_ms);
        self.rate = Rate::default();
    }

    /// Lines of runs before the stream began.
    pub(super) fn recent(&mut self, runs: &[Value], narrow: &Narrow) {
        let mut lines: Vec<Line> = runs.iter().flat_map(|run| lines_of(run, narrow)).collect();
        lines.sort_by_key(|line| line.at_unix_ms);
        self.ring.put_before(lines);
    }

    /// What came since the last frame.
    pub(super) fn streamed(&mut self, events: &[StreamEvent], cx: &mut Context<'_>) {
        let mut lines = 0;
        for event in events {
            match event.name.as_str() {
                "log" => {
                    lines += 1;
                    if let Some(line) = Line::of(&event.data) {
                        self.ring.push(line);
                    }
                }
                "dropped" => {
                    let skipped = event.data["lines"].as_u64().unwrap_or(1);
                    self.skipped += skipped;
                    let note = format!("-- {skipped} lines came faster than they could be sent: skipped --");
                    self.ring.push(Line::note(cx.now.unix_ms, note));
                }
                _ => {}
            }
        }
        self.told_unix_ms = cx.now.unix_ms;
        self.rate.count(cx.now.mono_ms, lines);
        cx.later(RATE, SILENCE_MS);
    }

    /// Nothing came for a while.
    pub(super) fn is_silent(&mut self) {
        self.rate = Rate::default();
    }

    /// How the stream is.
    pub(super) fn stream_state(&mut self, state: &StreamState, now_unix_ms: i64) {
        if *state == StreamState::Live {
            self.told_unix_ms = now_unix_ms;
        }
        self.flow = match state {
            StreamState::Live => Flow::Live,
            StreamState::Lost { .. } => Flow::Lost,
            StreamState::Refused { why } => Flow::Refused(why.clone()),
        };
    }

    /// Whether it stays at the end.
    pub(super) fn is_following(&self) -> bool {
        self.cursor.is_none()
    }

    /// Where the cursor is among the lines that are shown.
    pub(super) fn position(&self) -> usize {
        match self.cursor {
            Some(number) => self.ring.position(number),
            None => self.ring.len().saturating_sub(1),
        }
    }

    /// The line with the cursor.
    pub(super) fn selected(&self) -> Option<&Line> {
        self.ring.at(self.position()).map(|(_, line)| line)
    }

    /// Lines that came since it was paused.
    pub(super) fn new_below(&self) -> usize {
        if self.is_following() { 0 } else { self.ring.newer_than(self.paused_at) }
    }

    /// What the title says.
    pub(super) fn told(&self, narrow: &Narrow) -> String {
        let mut parts = vec!["live".to_owned()];
        parts.push(narrow.told_of_lines());
        match &self.flow {
            Flow::Connecting => parts.push("connecting".to_owned()),
            Flow::Lost => parts.push("connection lost, no newer lines".to_owned()),
            Flow::Refused(_) => parts.push("not with this key".to_owned()),
            Flow::Live => {}
        }
        if !self.is_following() {
            parts.push("paused".to_owned());
        }
        parts.push(self.rate.told());
        if self.skipped > 0 {
            parts.push(format!("{} skipped", self.skipped));
        }
        parts.retain(|part| !part.is_empty());
        format!("  {}", parts.join("  "))
    }

    /// Moves, follows, wraps; answers whether it was one of these.
    pub(super) fn act(&mut self, action: Action) -> bool {
        let page = self.drawn.get().saturating_sub(1).max(1);
        let (at, last) = (self.position(), self.ring.len().saturating_sub(1));
        match action {
            Action::Up => self.go(at.saturating_sub(1)),
            Action::Down => self.go((at + 1).min(last)),
            Action::PageUp => self.go(at.saturating_sub(page)),
            Action::PageDown => self.go((at + page).min(last)),
            Action::Top => self.go(0),
            Action::Bottom => self.cursor = None,
            Action::Point(point) => match self.spots.at(point) {
                Some(position) => self.go(position),
                None => return false,
            },
            Action::Follow | Action::Pause if self.is_following() => self.go(last),
            Action::Follow | Action::Pause => self.cursor = None,
            Action::Wrap => self.wraps = !self.wraps,
            _ => return false,
        }
        true
    }

    /// To the next line that says that something failed; answers whether there is one.
    pub(super) fn seek_failure(&mut self, forward: bool) -> bool {
        let is_failure = |at: &usize| self.ring.at(*at).is_some_and(|(_, line)| line.level == LogLevel::Error);
        let at = self.position();
        let found = if forward { (at + 1..self.ring.len()).find(is_failure) } else { (0..at).rev().find(is_failure) };
        // At the end the cursor may stand on one that was not asked for yet.
        let here = (!forward && self.is_following() && is_failure(&at)).then_some(at);
        here.or(found).map(|at| self.go(at)).is_some()
    }

    /// Pauses, with the cursor there.
    fn go(&mut self, position: usize) {
        let Some((number, _)) = self.ring.at(position) else { return };
        if self.cursor.is_none() {
            self.paused_at = self.ring.newest();
        }
        self.cursor = Some(number);
    }

    /// Another filter: the cursor stays on its line, where that is still shown.
    pub(super) fn filter(&mut self, filter: &str, level: Option<LogLevel>) {
        self.ring.filter(filter, level);
    }

    /// Everything that is shown, as text for a file.
    pub(super) fn text(&self) -> String {
        let mut all = String::new();
        for line in self.ring.shown() {
            all += &as_text(line);
            all.push('\n');
        }
        all
    }
}

/// A line as text: with date and machine, as `grep` likes it.
pub(super) fn as_text(line: &Line) -> String {
    let at = picloud_model::clock::rfc3339(line.at_unix_ms);
    let parts = [at.as_str(), line.word(), &line.node, &line.whose(), &line.message, &line.execution_id];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What a run logged, and why it failed, as the stream would have told it.
fn lines_of(run: &Value, narrow: &Narrow) -> Vec<Line> {
    let mut told: Vec<Value> = run["logs"].as_array().cloned().unwrap_or_default();
    let ended = run["started_at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    if let Some(started) = ended
        && run["error"].is_object()
    {
        let took_ms = i64::try_from(run["duration_us"].as_u64().unwrap_or(0) / 1000).unwrap_or(0);
        let error = &run["error"];
        let place = &error["at"];
        let place_told = match (place["script"].as_str(), place["line"].as_u64()) {
            (Some(script), Some(line)) => format!(" ({script}:{line}:{})", place["column"]),
            _ => String::new(),
        };
        let detail = error["detail"].as_str().unwrap_or_default();
        told.push(serde_json::json!({
            "at": picloud_model::clock::rfc3339(started.as_millisecond() + took_ms), "level": "error",
            "message": format!("{detail}{place_told}"), "fields": { "cause": run["cause"], "at": place },
        }));
    }
    let of_run = |mut line: Value| {
        for (name, value) in [("app", "app"), ("script", "script"), ("node", "node"), ("execution_id", "id")] {
            line[name] = run[value].clone();
        }
        Line::of(&line)
    };
    let wanted = |line: &Line| {
        narrow.level.is_none_or(|level| line.level >= level)
            && narrow.node.as_ref().is_none_or(|node| text::clean(node) == line.node)
    };
    told.into_iter().filter_map(of_run).filter(wanted).collect()
}
