//! The lines of Home: its things in sections, with the last hour beside the machines or below them.

use super::hour::{self, CHART_COLUMNS};
use super::items::{Item, Section, What, about, said};
use crate::theme::{Ink, Look};
use crate::widgets::spots::Spots;
use crate::widgets::text::{self, put};
use picloud_model::activity::{Activity, NeedKind, NodeGlance, RunGlance};
use picloud_model::execution::Outcome;
use picloud_model::node::NodeState;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// From this width on, the last hour stands beside the machines.
const BESIDE_COLUMNS_MIN: u16 = 76;
/// Where it stands there.
const BESIDE_X: u16 = 38;
/// Left of every thing: the cursor's `>`, a sign, a blank.
const GUTTER: u16 = 3;

/// A line that is drawn.
enum Line {
    Blank,
    Heading(String, &'static str),
    /// A thing, by its place among all.
    Thing(usize),
    Words(&'static str),
    /// The last hour, where it does not stand beside.
    Hour(usize),
}

/// What is drawn.
pub(super) struct Page<'a> {
    pub(super) look: &'a Look,
    pub(super) zone: &'a jiff::tz::TimeZone,
    pub(super) activity: &'a Activity,
    pub(super) items: &'a [Item],
    /// The place of the cursor among them.
    pub(super) at: usize,
    /// Where they are put.
    pub(super) spots: &'a Spots,
}

impl Page<'_> {
    /// Draws it from about line `top`; answers from which it did.
    pub(super) fn view(&self, area: Rect, buf: &mut Buffer, top: usize) -> usize {
        let is_beside = area.width >= BESIDE_COLUMNS_MIN;
        let lines = self.lines(is_beside);
        let height = usize::from(area.height);
        let cursor = lines.iter().position(|line| matches!(line, Line::Thing(at) if *at == self.at)).unwrap_or(0);
        // The heading above the first thing is shown with it.
        let wanted = if self.at == 0 { 0 } else { cursor };
        let top = top.min(lines.len().saturating_sub(height)).min(wanted).max((cursor + 1).saturating_sub(height));
        let nodes = lines.iter().position(|line| matches!(line, Line::Heading(_, "cluster")));
        for (offset, line) in lines.iter().skip(top).take(height).enumerate() {
            let y = area.y + u16::try_from(offset).expect("it is below the height of the area");
            let row = Rect { y, height: 1, ..area };
            let beside = nodes.filter(|_| is_beside).and_then(|nodes| (top + offset).checked_sub(nodes));
            // What stands beside takes its columns from what is there.
            let own = match beside {
                Some(0..=4) => Rect { width: BESIDE_X.min(row.width) - 2, ..row },
                _ => row,
            };
            self.view_line(line, own, buf);
            if let Some(number @ 0..=4) = beside {
                self.view_hour(number, Rect { x: row.x + BESIDE_X, width: row.width - BESIDE_X, ..row }, buf);
            }
        }
        top
    }

    fn lines(&self, is_beside: bool) -> Vec<Line> {
        let things = |section| {
            let of = self.items.iter().enumerate().filter(move |(_at, item)| item.section == section);
            of.map(|(at, _item)| Line::Thing(at)).collect::<Vec<Line>>()
        };
        let (needs, nodes, runs) = (things(Section::Needs), things(Section::Nodes), things(Section::Runs));
        let mut lines = vec![Line::Heading("NEEDS YOU".to_owned(), "")];
        if needs.is_empty() {
            lines.push(Line::Words("nothing: all is well"));
        }
        lines.extend(needs);
        lines.extend([Line::Blank, Line::Heading(self.cluster(), "cluster")]);
        let own = nodes.len();
        lines.extend(nodes);
        if is_beside {
            // The last hour is four lines high.
            lines.extend((own..4).map(|_| Line::Blank));
        } else {
            lines.push(Line::Blank);
            lines.extend((0..=4).map(Line::Hour));
        }
        lines.extend([Line::Blank, Line::Heading("RECENT RUNS".to_owned(), "")]);
        if runs.is_empty() {
            lines.push(Line::Words("nothing ran yet"));
        }
        lines.extend(runs);
        lines
    }

    fn cluster(&self) -> String {
        let states = &self.activity.nodes_by_state;
        let all: u64 = states.values().sum();
        let up: u64 =
            [NodeState::Up, NodeState::Slow, NodeState::Draining].iter().filter_map(|state| states.get(state)).sum();
        let word = if all == 1 { "machine" } else { "machines" };
        format!("CLUSTER  {up} of {all} {word} up")
    }

    fn view_line(&self, line: &Line, row: Rect, buf: &mut Buffer) {
        let strong = self.look.ink(Ink::Strong);
        match line {
            Line::Blank => {}
            Line::Heading(heading, _what) => {
                put(buf, row, (row.x + 1, row.y), heading, usize::from(row.width), strong);
            }
            Line::Words(words) => {
                let plain = self.look.ink(Ink::Plain);
                put(buf, row, (row.x + GUTTER, row.y), words, usize::from(row.width), plain);
            }
            Line::Hour(number) => {
                let area = Rect { x: row.x + 1, width: row.width.saturating_sub(1), ..row };
                self.view_hour(*number, area, buf);
            }
            Line::Thing(at) => {
                self.spots.put(row, *at);
                self.view_thing(&self.items[*at], *at == self.at, row, buf);
            }
        }
    }

    fn view_thing(&self, item: &Item, is_selected: bool, row: Rect, buf: &mut Buffer) {
        if is_selected {
            put(buf, row, (row.x, row.y), ">", 1, self.look.ink(Ink::Strong));
        }
        let mut pen = Pen { page: self, row, buf, x: row.x + GUTTER };
        let name = if is_selected { Ink::Selected } else { Ink::Plain };
        match &item.what {
            What::Need(need) => {
                let ink = if need.kind <= NeedKind::NodeLost { Ink::Bad } else { Ink::Warn };
                pen.sign("!", ink);
                pen.cell(&about(need), 22, name);
                let at = need.at.map(|at| text::moment(self.activity.at, at, self.zone)).unwrap_or_default();
                let right = if row.width >= BESIDE_COLUMNS_MIN { 12 } else { 0 };
                pen.cell(said(need), pen.left().saturating_sub(right), Ink::Plain);
                if right > 0 {
                    pen.cell(&at, 11, Ink::Faint);
                }
            }
            What::Node(node) => node_line(&mut pen, node, name),
            What::Run(run) => self.run_line(&mut pen, run, name),
            What::Words(word, how) => {
                pen.cell(word, 22, name);
                pen.cell(how, pen.left(), Ink::Plain);
            }
        }
    }

    fn run_line(&self, pen: &mut Pen<'_, '_>, run: &RunGlance, name: Ink) {
        let is_wide = pen.row.width >= BESIDE_COLUMNS_MIN;
        let failed = run.outcome != Outcome::Ok;
        if failed {
            pen.sign("!", Ink::Bad);
        }
        pen.cell(&text::moment(self.activity.at, run.started_at, self.zone), 8, Ink::Faint);
        pen.cell(if failed { "FAIL" } else { "ok" }, 4, if failed { Ink::Bad } else { Ink::Good });
        let is_request = run.cause.starts_with(|letter: char| letter.is_ascii_uppercase());
        let what = if is_request { run.cause.clone() } else { format!("{}/{} {}", run.app, run.script, run.cause) };
        pen.cell(&what, if is_wide { 28 } else { 20 }, name);
        if is_wide {
            pen.cell(&run.node, 10, Ink::Plain);
        }
        pen.cell(&text::duration(run.duration_us), 6, Ink::Plain);
        let status = if run.status == 0 { String::new() } else { run.status.to_string() };
        pen.cell(run.error.as_deref().unwrap_or(&status), pen.left(), if failed { Ink::Bad } else { Ink::Plain });
    }

    fn view_hour(&self, number: usize, area: Rect, buf: &mut Buffer) {
        let mut pen = Pen { page: self, row: area, buf, x: area.x };
        match number {
            0 => pen.cell("LAST HOUR", area.width, Ink::Strong),
            4 => pen.cell(&hour::causes(self.activity), area.width, Ink::Faint),
            _ => {
                let [runs, failed, p95] = hour::told(self.activity, &self.look.signs());
                let told = [runs, failed, p95].into_iter().nth(number - 1).expect("there are three");
                pen.cell(told.what, 7, Ink::Plain);
                pen.right(&told.value, 9, Ink::Strong);
                pen.cell(&told.chart, u16::try_from(CHART_COLUMNS).unwrap_or(20), Ink::Faint);
            }
        }
    }
}

fn node_line(pen: &mut Pen<'_, '_>, node: &NodeGlance, name: Ink) {
    let is_well = node.state == NodeState::Up && node.in_step != Some(false);
    if !is_well {
        pen.sign("!", Ink::Warn);
    }
    pen.cell(&node.name, 12, name);
    let (word, ink) = match node.state {
        NodeState::Up if is_well => ("up", Ink::Good),
        NodeState::Up => ("behind", Ink::Warn),
        NodeState::Lost => ("LOST", Ink::Bad),
        other => (other.as_str(), Ink::Warn),
    };
    pen.cell(word, 8, ink);
    let told = match (node.state, node.since) {
        (NodeState::Away | NodeState::Lost, Some(since)) => text::moment(pen.page.activity.at, since, pen.page.zone),
        _ if node.running == 0 => String::new(),
        _ => node.places.map_or_else(|| node.running.to_string(), |places| format!("{}/{places}", node.running)),
    };
    pen.cell(&told, pen.left(), Ink::Plain);
}

/// Writes cells one after the other.
struct Pen<'p, 'b> {
    page: &'p Page<'p>,
    row: Rect,
    buf: &'b mut Buffer,
    x: u16,
}

impl Pen<'_, '_> {
    fn sign(&mut self, sign: &str, ink: Ink) {
        put(self.buf, self.row, (self.row.x + 1, self.row.y), sign, 1, self.page.look.ink(ink));
    }

    /// Columns that are left in the row.
    fn left(&self) -> u16 {
        self.row.right().saturating_sub(self.x)
    }

    fn cell(&mut self, said: &str, width: u16, ink: Ink) {
        let room = usize::from(width.min(self.left()));
        let shown = text::cut(&text::clean(said), room, self.page.look.signs().more);
        put(self.buf, self.row, (self.x, self.row.y), &shown, room, self.page.look.ink(ink));
        self.x = self.x.saturating_add(width + 1);
    }

    fn right(&mut self, said: &str, width: u16, ink: Ink) {
        let shown = text::cut(said, usize::from(width), self.page.look.signs().more);
        let indent = width.saturating_sub(u16::try_from(text::width(&shown)).unwrap_or(width));
        self.x = self.x.saturating_add(indent);
        self.cell(&shown, width - indent, ink);
    }
}
