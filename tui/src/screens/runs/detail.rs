//! One run, opened: everything that is known of it, and what can be done with it.

use super::told;
use crate::app::{Answered, Context};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Look;
use crate::widgets::form::{Field, FieldKind, Form};
use crate::widgets::picker::PickerItem;
use crate::widgets::reader::Reader;
use crate::widgets::state::State;
use crate::widgets::text;
use picloud_model::page::Page;
use picloud_model::problem::Code;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::Value;
use std::cell::Cell;

/// The run.
pub(super) const RUN: &str = "run";
/// Runs that began with the same one.
pub(super) const LINEAGE: &str = "lineage";
/// Runs of a lineage that are shown.
const LINEAGE_MAX: u32 = 30;
/// The port of URLs of scripts, where the appliance was not told another one.
const PUBLIC_PORT: u16 = 8080;

/// An opened run.
#[derive(Debug)]
pub(super) struct Detail {
    pub(super) app: String,
    pub(super) id: String,
    pub(super) run: Option<Value>,
    came: Vec<Value>,
    state: State,
    lines: Vec<told::Parts>,
    top: Cell<usize>,
    height: Cell<usize>,
}

impl Detail {
    /// Opens a run and asks for it.
    pub(super) fn open(app: &str, id: &str, cx: &mut Context<'_>) -> Self {
        let mut detail = Self {
            app: app.to_owned(),
            id: id.to_owned(),
            run: None,
            came: Vec::new(),
            state: State::default(),
            lines: Vec::new(),
            top: Cell::new(0),
            height: Cell::new(1),
        };
        detail.load(cx);
        detail
    }

    /// Reads it.
    pub(super) fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(RUN, ApiPath::of_app(&self.app, &["executions", &self.id]));
    }

    /// It came.
    pub(super) fn loaded(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let answered = answered.clone().map_err(|problem| match problem.code {
            Code::NotFound => problem.hint("of runs that went well and logged nothing, only one a minute is kept"),
            _ => problem,
        });
        let Some(run) = self.state.take::<Value>(cx.now, &answered) else { return };
        // Only what began elsewhere, or began something, has relatives worth a list.
        if let Some(root) = run["root_id"].as_str() {
            let path = ApiPath::of_app(&self.app, &["executions"]);
            let path = path.query("root_execution_id", Some(root)).query("limit", Some(LINEAGE_MAX));
            cx.load(LINEAGE, path);
        }
        self.run = Some(run);
        self.tell(cx);
    }

    /// Its relatives came.
    pub(super) fn came(&mut self, answered: &Answered, cx: &Context<'_>) {
        if let Ok(answer) = answered
            && let Ok(page) = answer.json::<Page<Value>>()
        {
            self.came = page.items;
            self.tell(cx);
        }
    }

    fn tell(&mut self, cx: &Context<'_>) {
        if let Some(run) = &self.run {
            self.lines = told::run(run, &self.came, cx.now.unix_ms, &cx.facts.zone);
        }
    }

    /// The place of its error.
    pub(super) fn place(&self) -> Option<(String, usize)> {
        told::place(&self.run.as_ref()?["error"])
    }

    /// A word of it; empty where it is not there yet.
    pub(super) fn word(&self, key: &str) -> &str {
        self.run.as_ref().and_then(|run| run[key].as_str()).unwrap_or_default()
    }

    /// Why it cannot be run again, if so.
    pub(super) fn not_replayable(&self) -> Option<&'static str> {
        let run = self.run.as_ref()?;
        (run["replayable"] == false).then_some("what it saw was not kept: it was too large")
    }

    /// Scrolls; answers whether it was that.
    pub(super) fn act(&self, action: Action) -> bool {
        let page = self.height.get().saturating_sub(1).max(1);
        let top = self.top.get();
        self.top.set(match action {
            Action::Up => top.saturating_sub(1),
            Action::Down => top + 1,
            Action::PageUp => top.saturating_sub(page),
            Action::PageDown => top + page,
            Action::Top => 0,
            Action::Bottom => usize::MAX / 2,
            _ => return false,
        });
        true
    }

    /// The same as JSON.
    pub(super) fn reader(&self) -> Reader {
        let run = self.run.clone().unwrap_or_default();
        Reader::new(format!("run {}", self.id), &crate::widgets::json::set_out(&run.to_string())).json(run)
    }

    /// What is asked before it is run again.
    pub(super) fn replay_form(&self) -> Form {
        let version = self.run.as_ref().map(|run| run["version"].to_string()).unwrap_or_default();
        let script = self.word("script");
        Form::new(format!("Run {script} again with what it saw then"), "run")
            .field(
                Field::line("dry_run", "dry run", "yes: reads and changes nothing, and shows what it would do")
                    .with("yes")
                    .kind(FieldKind::Toggle),
            )
            .field(
                Field::line("version", "version", "the newest where empty")
                    .kind(FieldKind::Choice(vec!["newest".to_owned(), format!("as then: {version}")])),
            )
    }

    /// What can be copied.
    pub(super) fn copies(&self) -> Vec<PickerItem> {
        vec![
            PickerItem::new("curl", "curl", "the same request again"),
            PickerItem::new("cli", "command", "picloud executions get ..."),
            PickerItem::new("id", "id", self.id.as_str()),
            PickerItem::new("json", "JSON", "all that is known of it"),
        ]
    }

    /// What is copied under that name.
    pub(super) fn copied(&self, what: &str, appliance: &str) -> String {
        match what {
            "curl" => self.curl(appliance),
            "cli" => format!("picloud executions get {} --app {}", self.id, self.app),
            "json" => self.run.as_ref().map(Value::to_string).unwrap_or_default(),
            _ => self.id.clone(),
        }
    }

    /// The request once more; what an event started is started again through the command line.
    fn curl(&self, appliance: &str) -> String {
        let Some(run) = &self.run else { return String::new() };
        let request = &run["input"]["request"];
        let cause = run["cause"].as_str().unwrap_or_default();
        let (method, path) = match (request["method"].as_str(), request["path"].as_str()) {
            (Some(method), Some(path)) => (method, path),
            _ => cause.split_once(' ').unwrap_or(("", "")),
        };
        if !path.starts_with('/') {
            return format!("picloud executions replay {} --app {}", self.id, self.app);
        }
        let host = appliance.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        let host = host.filter(|_| appliance.contains("://")).unwrap_or_else(|| "localhost".to_owned());
        let mut line = format!("curl -X {method} {}", quoted(&format!("http://{host}:{PUBLIC_PORT}{path}")));
        for header in request["headers"].as_array().into_iter().flatten() {
            if let (Some(name), Some(value)) = (header[0].as_str(), header[1].as_str())
                && !["host", "content-length", "connection"].contains(&name)
            {
                line += &format!(" -H {}", quoted(&format!("{name}: {value}")));
            }
        }
        if let Some(body) = told::body_of(request) {
            line += &format!(" --data-binary {}", quoted(&body));
        }
        line
    }

    /// Draws it.
    pub(super) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer, wraps: bool) {
        if self.run.is_none() {
            return self.state.view(look, area, buf, "this run is not kept any more");
        }
        let columns = usize::from(area.width.saturating_sub(3));
        let height = usize::from(area.height);
        self.height.set(height.max(1));
        let rows: Vec<told::Parts> = if wraps {
            self.lines.iter().flat_map(|line| wrapped(line, columns)).collect()
        } else {
            self.lines.clone()
        };
        let top = self.top.get().min(rows.len().saturating_sub(height));
        self.top.set(top);
        for (y, line) in (area.y..area.bottom()).zip(rows.iter().skip(top)) {
            let mut x = area.x + 2;
            let mut left = columns;
            for (ink, part) in line {
                let shown = text::cut(&text::clean(part), left, look.signs().more);
                left -= text::width(&shown).min(left);
                x = text::put(buf, area, (x, y), &shown, columns, look.ink(*ink));
            }
        }
    }
}

/// A line in parts over as many lines as it needs.
fn wrapped(line: &told::Parts, columns: usize) -> Vec<told::Parts> {
    let mut rows = vec![Vec::new()];
    let mut used = 0;
    for (ink, part) in line {
        let part = text::clean(part);
        let mut rest = part.as_str();
        loop {
            let room = columns.saturating_sub(used);
            let fits = text::width(rest) <= room;
            let piece = if fits { rest } else { super::ring::wrapped(rest, room).next().unwrap_or_default() };
            used += text::width(piece);
            if let Some(row) = rows.last_mut() {
                row.push((*ink, piece.to_owned()));
            }
            rest = &rest[piece.len()..];
            if rest.is_empty() || columns == 0 {
                break;
            }
            rows.push(Vec::new());
            used = 0;
        }
    }
    rows
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
