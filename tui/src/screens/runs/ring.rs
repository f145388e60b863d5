//! Log lines as they come: the newest few thousand, of which those that pass the filter are shown. What a line needs to
//! be drawn is made once, when it comes.

use crate::widgets::text;
use picloud_model::execution::LogLevel;
use serde_json::Value;
use std::cell::Cell;
use std::collections::VecDeque;
use unicode_segmentation::UnicodeSegmentation;

/// Lines that are kept.
pub(super) const LINES_MAX: usize = 5_000;
/// Bytes of their text that are kept.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one line that are kept; its run has all of it.
const LINE_BYTES_MAX: usize = 2 * 1024;

/// A line that a script wrote, or that says that a run failed.
#[derive(Debug)]
pub(super) struct Line {
    /// When, in milliseconds since 1970.
    pub(super) at_unix_ms: i64,
    /// How much it matters.
    pub(super) level: LogLevel,
    /// Whether it says that a run failed.
    pub(super) is_failure: bool,
    /// The app; empty where it is about the stream itself.
    pub(super) app: String,
    /// The script.
    pub(super) script: String,
    /// The machine.
    pub(super) node: String,
    /// What it says, with its fields, as it may be shown.
    pub(super) message: String,
    /// The run.
    pub(super) execution_id: String,
    /// Where in which script, where the line says it.
    pub(super) at: Option<(String, usize)>,
    /// How many lines of the terminal it takes at a width: asked again only when the width changes.
    rows: Cell<(usize, usize)>,
}

impl Line {
    /// An event `log` of the stream, or a line of a run with the run's names added.
    pub(super) fn of(data: &Value) -> Option<Self> {
        let word = |name: &str| data[name].as_str().unwrap_or_default();
        let at_unix_ms = word("at").parse::<jiff::Timestamp>().ok()?.as_millisecond();
        let fields = &data["fields"];
        let is_failure = data["level"] == "error" && fields["cause"].is_string();
        let mut message = word("message").to_owned();
        match fields {
            Value::Object(_) if is_failure => {
                message = format!("{}: {message}", fields["cause"].as_str().unwrap_or(""))
            }
            Value::Object(_) => message = format!("{message} {fields}"),
            _ => {}
        }
        let end = message.char_indices().map(|(at, _)| at).find(|at| *at >= LINE_BYTES_MAX);
        message.truncate(end.unwrap_or(message.len()));
        let place = &fields["at"];
        let line_of = |place: &Value| place["line"].as_u64().and_then(|line| usize::try_from(line).ok());
        Some(Self {
            at_unix_ms,
            level: serde_json::from_value(data["level"].clone()).unwrap_or(LogLevel::Info),
            is_failure,
            app: text::clean(word("app")),
            script: text::clean(word("script")),
            node: text::clean(word("node")),
            message: text::clean(message.trim_end()),
            execution_id: word("execution_id").to_owned(),
            at: place["script"].as_str().map(str::to_owned).zip(line_of(place)),
            rows: Cell::default(),
        })
    }

    /// Something about the stream itself: that lines were skipped, that nobody followed for a while.
    pub(super) fn note(at_unix_ms: i64, message: impl Into<String>) -> Self {
        let none = String::new;
        Self {
            at_unix_ms,
            level: LogLevel::Warn,
            is_failure: false,
            app: none(),
            script: none(),
            node: none(),
            message: message.into(),
            execution_id: none(),
            at: None,
            rows: Cell::default(),
        }
    }

    /// `app/script`
    pub(super) fn whose(&self) -> String {
        if self.app.is_empty() { String::new() } else { format!("{}/{}", self.app, self.script) }
    }

    /// The word for how much it matters.
    pub(super) fn word(&self) -> &'static str {
        match self.level {
            LogLevel::Error if self.is_failure => "FAIL",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "WARN",
            LogLevel::Error => "ERROR",
        }
    }

    /// How many lines of the terminal its message takes at this width, one at least.
    pub(super) fn rows(&self, columns: usize) -> usize {
        let (known, rows) = self.rows.get();
        if known == columns && rows > 0 {
            return rows;
        }
        let rows = wrapped(&self.message, columns).count().max(1);
        self.rows.set((columns, rows));
        rows
    }

    fn bytes(&self) -> usize {
        self.message.len() + self.app.len() + self.script.len() + self.node.len() + self.execution_id.len()
    }

    fn has(&self, needle: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(needle);
        has(&self.message) || has(&self.whose()) || has(&self.node) || has(self.word())
    }
}

/// A text in pieces that fit into so many columns.
pub(super) fn wrapped(message: &str, columns: usize) -> impl Iterator<Item = &str> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() || columns == 0 {
            return None;
        }
        let mut used = 0;
        let mut end = 0;
        for (at, cluster) in rest.grapheme_indices(true) {
            let wide = text::width(cluster);
            // A piece has one cluster at least, or it would never end.
            if used + wide > columns && end > 0 {
                break;
            }
            used += wide;
            end = at + cluster.len();
        }
        let (piece, left) = rest.split_at(end);
        rest = left;
        Some(piece)
    })
}

/// The number of the first line that comes: far enough from 0 that earlier ones can be put before it.
const FIRST: u64 = 1 << 32;

/// The lines that are kept. Each has a number that stays when older ones go.
#[derive(Debug)]
pub(super) struct Ring {
    lines: VecDeque<Line>,
    /// The number of the first.
    first: u64,
    bytes: usize,
    /// Numbers of those that pass the filter.
    shown: VecDeque<u64>,
    filter: String,
    needle: String,
    wants: bool,
    level: Option<LogLevel>,
}

impl Ring {
    /// Without lines.
    pub(super) fn new() -> Self {
        Self {
            lines: VecDeque::new(),
            first: FIRST,
            bytes: 0,
            shown: VecDeque::new(),
            filter: String::new(),
            needle: String::new(),
            wants: true,
            level: None,
        }
    }

    /// One more; the oldest go where there are too many.
    pub(super) fn push(&mut self, line: Line) {
        self.bytes += line.bytes();
        if self.passes(&line) {
            self.shown.push_back(self.first + self.lines.len() as u64);
        }
        self.lines.push_back(line);
        while self.lines.len() > LINES_MAX || self.bytes > TEXT_BYTES_MAX {
            let Some(gone) = self.lines.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(gone.bytes());
            if self.shown.front() == Some(&self.first) {
                self.shown.pop_front();
            }
            self.first += 1;
        }
    }

    /// Lines of earlier runs, before those that are there; those of runs that are there already are left out.
    pub(super) fn put_before(&mut self, earlier: Vec<Line>) {
        let there = std::mem::take(&mut self.lines);
        let is_new = |line: &Line| !there.iter().any(|known| known.execution_id == line.execution_id);
        let earlier: Vec<Line> = earlier.into_iter().filter(is_new).collect();
        self.shown.clear();
        self.bytes = 0;
        // Those that are there keep their numbers.
        self.first = self.first.saturating_sub(earlier.len() as u64);
        earlier.into_iter().chain(there).for_each(|line| self.push(line));
    }

    /// Nothing is kept any more; the filter stays.
    pub(super) fn clear(&mut self) {
        self.first += self.lines.len() as u64;
        self.lines.clear();
        self.shown.clear();
        self.bytes = 0;
    }

    /// Shows only lines with this text, with a leading `!` those without, and those that matter at least so much.
    pub(super) fn filter(&mut self, text: &str, level: Option<LogLevel>) {
        text.clone_into(&mut self.filter);
        (self.needle, self.wants) = match text.strip_prefix('!') {
            Some(rest) => (rest.to_lowercase(), false),
            None => (text.to_lowercase(), true),
        };
        self.level = level;
        let numbered = (self.first..).zip(&self.lines);
        self.shown = numbered.filter(|(_, line)| self.passes(line)).map(|(number, _)| number).collect();
    }

    /// The same filter, and another level.
    pub(super) fn level(&mut self, level: Option<LogLevel>) {
        let text = std::mem::take(&mut self.filter);
        self.filter(&text, level);
    }

    /// The filter in force.
    pub(super) fn filter_text(&self) -> &str {
        &self.filter
    }

    fn passes(&self, line: &Line) -> bool {
        let matters = self.level.is_none_or(|level| line.level >= level);
        matters && (self.needle.is_empty() || line.has(&self.needle) == self.wants)
    }

    /// How many are shown.
    pub(super) fn len(&self) -> usize {
        self.shown.len()
    }

    /// How many are kept.
    pub(super) fn kept(&self) -> usize {
        self.lines.len()
    }

    /// The number of the newest that was ever kept.
    pub(super) fn newest(&self) -> u64 {
        (self.first + self.lines.len() as u64).saturating_sub(1)
    }

    /// The line at a position of those that are shown.
    pub(super) fn at(&self, position: usize) -> Option<(u64, &Line)> {
        let number = *self.shown.get(position)?;
        Some((number, self.lines.get(usize::try_from(number - self.first).ok()?)?))
    }

    /// Where a line stands among those that are shown; where it is not, the next one's place.
    pub(super) fn position(&self, number: u64) -> usize {
        self.shown.partition_point(|shown| *shown < number).min(self.shown.len().saturating_sub(1))
    }

    /// How many of those that are shown are newer than this one.
    pub(super) fn newer_than(&self, number: u64) -> usize {
        self.shown.len() - self.shown.partition_point(|shown| *shown <= number)
    }

    /// All that are shown, oldest first.
    pub(super) fn shown(&self) -> impl DoubleEndedIterator<Item = &Line> {
        (0..self.len()).filter_map(|position| self.at(position).map(|(_, line)| line))
    }

    /// Names of apps, scripts or machines in it.
    pub(super) fn names(&self, name: impl Fn(&Line) -> String) -> std::collections::BTreeSet<String> {
        self.lines.iter().map(name).filter(|name| !name.is_empty()).collect()
    }
}
