//! How the screen looks: the tree, the source, and below it one of three panes; fewer of them where there is little room.

use super::desk::Checked;
use super::{Below, Focus, Scripts};
use crate::theme::{Ink, Look};
use crate::widgets::split::Split;
use crate::widgets::{state, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Lower than this, one pane at a time.
const HIGH_LINES: u16 = 14;
/// Lines from which what uses a script is shown below it without being asked for.
const RELATED_LINES: u16 = 18;
/// Where the panes are; those that are not shown are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Panes {
    pub(super) split: Split,
    pub(super) source: Rect,
    pub(super) rule: Rect,
    pub(super) below: Rect,
}

impl Scripts {
    /// Where everything is.
    pub(super) fn panes(&self, area: Rect) -> Panes {
        let split = Split::of(area, self.focus != Focus::Tree);
        let thing = split.thing;
        if thing.height >= HIGH_LINES || self.focus == Focus::Tree {
            let lines = self.below_lines(thing.height).min(thing.height / 2);
            let source = Rect { height: thing.height - lines, ..thing };
            let rule = Rect { y: source.bottom(), height: lines.min(1), ..thing };
            let below = Rect { y: source.bottom() + rule.height, height: lines.saturating_sub(1), ..thing };
            return Panes { split, source, rule, below };
        }
        if self.focus == Focus::Source {
            return Panes { split, source: thing, ..Panes::default() };
        }
        let rule = Rect { height: thing.height.min(1), ..thing };
        let below = Rect { y: thing.y + rule.height, height: thing.height - rule.height, ..thing };
        Panes { split, rule, below, ..Panes::default() }
    }

    /// Lines of what stands below the source, with the rule above it.
    fn below_lines(&self, height: u16) -> u16 {
        let Some(desk) = self.shown_desk() else { return 0 };
        let few = |count: usize| u16::try_from(count).unwrap_or(height).max(1) + 1;
        match self.below {
            Below::Related if self.focus == Focus::Below => few(desk.related.list.len()).max(6),
            Below::Related if height < RELATED_LINES || (desk.is_typing && height < 2 * RELATED_LINES) => 0,
            Below::Related => few(desk.related.list.len().min(4)),
            Below::Versions | Below::Outcome => height / 2,
        }
    }

    /// Draws everything.
    pub(super) fn view_panes(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        let panes = self.panes(area);
        self.view_tree(look, panes.split.list, buf);
        panes.split.view_edge(look, buf);
        self.view_source(look, panes.source, buf, false);
        self.view_rule(look, panes.rule, buf);
        self.view_below(look, panes.below, buf);
    }

    /// Draws the pane with the focus alone.
    pub(super) fn view_pane(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        match self.focus {
            Focus::Tree => self.view_tree(look, area, buf),
            Focus::Source => self.view_source(look, area, buf, true),
            Focus::Below => self.view_below(look, area, buf),
        }
    }

    fn view_tree(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let list = &self.tree.list;
        if list.rows().is_empty() {
            self.tree.state.view(look, area, buf, "no apps yet: 3, then n makes one");
        } else if list.is_empty() {
            state::no_match(look, area, buf, list.filter_text());
        } else {
            list.view(look, area, buf, self.focus == Focus::Tree);
        }
    }

    fn view_source(&self, look: &Look, area: Rect, buf: &mut Buffer, is_bare: bool) {
        if area.is_empty() {
            return;
        }
        let Some(desk) = self.shown_desk() else {
            return state::say(look, area, buf, &self.nothing_open());
        };
        if desk.live.is_some() || desk.is_changed() {
            if is_bare {
                desk.editor.view_bare(look, area, buf);
            } else {
                desk.editor.view(look, area, buf);
            }
        } else {
            desk.state.view(look, area, buf, "it is gone");
        }
    }

    fn nothing_open(&self) -> String {
        let Some(app) = self.tree.app() else { return String::new() };
        match self.tree.of_app(app) {
            Some((state, 0)) if state.is_read() => format!("{app} has no scripts yet: n makes one"),
            Some((state, count)) if state.is_read() => format!("{app}: {count} scripts and modules"),
            Some((state, _)) if state.problem().is_some() => {
                state.problem().map_or_else(String::new, |problem| problem.detail.clone())
            }
            _ => format!("Enter opens {app}"),
        }
    }

    fn view_rule(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let title = match self.below {
            Below::Related => "Uses / used by".to_owned(),
            Below::Versions => format!("Versions [{}]", self.past.count()),
            Below::Outcome => format!("Test run  {}", self.tried),
        };
        let sign = look.signs().rule;
        let width = usize::from(area.width);
        let title = text::cut(&text::clean(&title), width.saturating_sub(4), look.signs().more);
        let rest = width.saturating_sub(text::width(&title) + 4);
        let x = text::put(buf, area, (area.x, area.y), &format!("{sign}{sign} "), 3, look.ink(Ink::Faint));
        let ink = if self.focus == Focus::Below { Ink::Strong } else { Ink::Plain };
        let x = text::put(buf, area, (x, area.y), &title, width, look.ink(ink));
        text::put(buf, area, (x + 1, area.y), &sign.repeat(rest), rest, look.ink(Ink::Faint));
    }

    fn view_below(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        let Some(desk) = self.shown_desk() else { return };
        if area.is_empty() {
            return;
        }
        let has_focus = self.focus == Focus::Below;
        match self.below {
            Below::Related if desk.related.list.is_empty() => {
                let line = Rect { y: area.y.saturating_sub(1), height: area.height + 1, ..area };
                desk.related.state().view(look, line, buf, "uses nothing, and nothing uses it");
            }
            Below::Related => desk.related.list.view(look, area, buf, has_focus),
            Below::Versions if self.past.list.is_empty() => self.past.state.view(look, area, buf, "no versions"),
            Below::Versions => self.past.list.view(look, area, buf, has_focus),
            Below::Outcome => self.view_outcome(look, area, buf),
        }
    }

    fn view_outcome(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        let height = usize::from(area.height);
        self.outcome_height.set(height);
        let top = self.outcome_top.min(self.outcome.lines.len().saturating_sub(height));
        for (line, y) in self.outcome.lines.iter().skip(top).zip(area.top()..area.bottom()) {
            let mut x = area.x + 1;
            for (ink, part) in line {
                let room = usize::from(area.right().saturating_sub(x));
                let shown = text::cut(&text::clean(part), room, look.signs().more);
                x = text::put(buf, area, (x, y), &shown, room, look.ink(*ink));
            }
        }
        if self.outcome.lines.is_empty() {
            text::put(buf, area, (area.x + 1, area.y), "running", 20, look.ink(Ink::Plain));
        }
    }

    /// What stands in line 2.
    pub(super) fn title_text(&self, look: &Look) -> String {
        let then = look.signs().then;
        let Some(desk) = self.shown_desk() else {
            let app = self.tree.app().map_or_else(String::new, |app| format!(" {then} {app}"));
            return format!("{app}{}", self.tree.state.note(&self.zone));
        };
        let mut title = format!(" {then} {} {then} {}", desk.id.app, desk.id.name);
        let live = desk.live.as_ref().map(|live| &live.script);
        match &desk.checked {
            Checked::Errors(0) if desk.is_changed() => title += "  no errors",
            Checked::Errors(1) => title += "  1 error",
            Checked::Errors(count) if *count > 0 => title += &format!("  {count} errors"),
            Checked::Failed(_) => title += "  not checked",
            _ => {}
        }
        match live {
            _ if desk.is_changed() && desk.base == 0 => title += "  not saved yet",
            _ if desk.is_changed() => title += &format!("  draft of v{}", desk.base),
            Some(live) => title += &format!("  v{}", live.version),
            None => {}
        }
        if desk.is_typing {
            title += "  -- EDIT --";
        }
        if let Some(live) = live {
            if desk.is_changed() && live.version != desk.base {
                title += &format!("  v{} is live", live.version);
            }
            if live.quarantine.is_some() {
                title += "  QUARANTINED";
            }
        }
        title + &desk.state.note(&self.zone)
    }
}
