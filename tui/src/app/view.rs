//! The frame around a screen: line 1 names the screens, line 2 what is shown; the last two are for messages and keys.

use super::layers::Layer;
use super::pointing::Stop;
use super::{App, ScreenId};
use crate::keymap::{Action, binding_of};
use crate::theme::{Ink, Look};
use crate::widgets::{panel, state, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Below this nothing useful fits: only a notice is shown.
const COLUMNS_MIN: u16 = 40;
/// The same, in lines.
const LINES_MIN: u16 = 10;

impl App {
    /// Whether nothing but a notice fits: then keys do nothing but quit.
    pub(super) fn is_too_small(&self) -> bool {
        self.size.0 < COLUMNS_MIN || self.size.1 < LINES_MIN
    }

    /// Draws everything into a buffer; answers where the cursor is.
    pub(crate) fn draw(&self, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let look = self.look();
        if area.width < COLUMNS_MIN || area.height < LINES_MIN {
            let notice = format!("{COLUMNS_MIN}x{LINES_MIN} at least; q quits");
            text::put(buf, area, (area.x, area.y), &notice, usize::from(area.width), look.ink(Ink::Plain));
            return None;
        }
        let line = |y: u16| Rect { y, height: 1, ..area };
        let message_line = line(area.bottom() - 2);
        let body = if self.is_zoomed {
            Rect { height: area.height - 2, ..area }
        } else {
            self.draw_screens(&look, line(area.y), buf);
            self.draw_title(&look, line(area.y + 1), buf);
            Rect { y: area.y + 2, height: area.height - 4, ..area }
        };
        let mut cursor = self.draw_body(&look, body, buf);
        self.draw_message(&look, message_line, buf);
        self.draw_keys(&look, line(area.bottom() - 1), buf);
        for layer in &self.layers {
            if matches!(layer, Layer::Question(_) | Layer::Prompt(_)) {
                panel::clear(message_line, buf);
            }
            cursor = layer.view(&look, body, message_line, buf);
        }
        cursor.filter(|(x, y)| *x < area.right() && *y < area.bottom())
    }

    fn draw_body(&self, look: &Look, body: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let screen = self.screens.get(self.at);
        if let Some(problem) = screen.problem() {
            state::view_problem(look, body, buf, problem);
            return None;
        }
        if self.is_zoomed {
            screen.view_zoomed(look, body, buf);
        } else {
            screen.view(look, body, buf);
        }
        if screen.is_typing() { screen.cursor(body, self.is_zoomed) } else { None }
    }

    /// Everything that is shown, as text.
    pub(super) fn text(&self) -> String {
        let area = Rect::new(0, 0, self.size.0, self.size.1);
        let mut buf = Buffer::empty(area);
        self.draw(area, &mut buf);
        let mut shown = String::new();
        for y in 0..area.height {
            let mut line = String::new();
            let mut x = 0;
            while x < area.width {
                let symbol = buf[(x, y)].symbol();
                line.push_str(symbol);
                // A wide character covers the cell after it.
                x += u16::try_from(text::width(symbol)).unwrap_or(1).max(1);
            }
            shown += line.trim_end();
            shown.push('\n');
        }
        shown
    }

    /// Line 1: where one is and can go.
    fn draw_screens(&self, look: &Look, line: Rect, buf: &mut Buffer) {
        let tabs = self.tabs(line);
        let room = usize::from(tabs[0].1.0.saturating_sub(line.x + 1));
        let title = text::cut(&self.whose(), room, look.signs().more);
        text::put(buf, line, (line.x, line.y), &title, room, look.ink(Ink::Strong));
        for (screen, (x, shown)) in tabs {
            let ink = if screen == self.at { Ink::Selected } else { Ink::Plain };
            text::put(buf, line, (x, line.y), shown, usize::from(line.width), look.ink(ink));
        }
    }

    fn whose(&self) -> String {
        text::clean(&format!("PiCloud {}", self.facts.appliance))
    }

    /// The screens in line 1, and where each begins. Where there is little room, the others are only their numbers.
    pub(super) fn tabs(&self, line: Rect) -> Vec<(ScreenId, (u16, &'static str))> {
        let width = usize::from(line.width);
        let full: usize = ScreenId::ALL.iter().map(|screen| tab(*screen).len() + 1).sum();
        let is_full = full + TITLE_COLUMNS_MIN <= width;
        let shown = |screen: ScreenId| if is_full || screen == self.at { tab(screen) } else { &tab(screen)[..1] };
        let names: usize = ScreenId::ALL.iter().map(|screen| shown(*screen).len() + 1).sum();
        let title = text::width(&self.whose()).min(width.saturating_sub(names + 1));
        let columns = |text: usize| u16::try_from(text).unwrap_or(line.width);
        let mut x = line.x.saturating_add(columns(title + 1));
        let begins = ScreenId::ALL.iter().map(|screen| {
            let at = x;
            x = x.saturating_add(columns(shown(*screen).len() + 1));
            (*screen, (at, shown(*screen)))
        });
        begins.collect()
    }

    /// Line 2: what is shown, and at its right how it is.
    fn draw_title(&self, look: &Look, line: Rect, buf: &mut Buffer) {
        let screen = self.screens.get(self.at);
        let mut left = format!(" {}{}", self.at.name(), screen.title(look));
        if !screen.filter_text().is_empty() {
            left += &format!("  /{}", screen.filter_text());
        }
        let left = text::clean(&left);
        let width = usize::from(line.width);
        // What it is about has at least half of the line; what matters least at the right goes first.
        let room = width.saturating_sub(text::width(&left) + 3).max(width / 2);
        let mut right = self.told_right();
        while right.len() > 1 && text::width(&right.join("  ")) > room {
            right.remove(0);
        }
        let right = text::cut(&text::clean(&right.join("  ")), room, look.signs().more);
        let at = line.right().saturating_sub(u16::try_from(text::width(&right)).unwrap_or(line.width) + 1).max(line.x);
        let ink = if self.link.is_lost() { Ink::Bad } else { Ink::Faint };
        text::put(buf, line, (at, line.y), &right, width, look.ink(ink));
        let room = usize::from(at.saturating_sub(line.x + 2));
        let left = text::cut(&left, room, look.signs().more);
        text::put(buf, line, (line.x, line.y), &left, room, look.ink(Ink::Strong));
    }

    /// What line 2 says at its right, what matters least first.
    fn told_right(&self) -> Vec<String> {
        let mut right = Vec::new();
        right.extend(self.facts.you.as_ref().map(|you| you.name.clone()));
        right.extend(self.link.busy.clone());
        if self.writes.under_way() > 0 {
            right.push(format!("{} under way", self.writes.under_way()));
        }
        if self.facts.only_reads() {
            right.push("READ-ONLY".to_owned());
        }
        right.push(self.link.told(self.now, &self.facts.zone));
        right
    }

    /// What was said last, its first line; else why nobody answers.
    fn draw_message(&self, look: &Look, line: Rect, buf: &mut Buffer) {
        let lost = self.link.why_lost().map(|why| (true, why));
        let said = self.messages.current().map(|message| (message.is_problem, message.text.as_str()));
        let Some((is_problem, message)) = said.or(lost) else { return };
        let ink = if is_problem { Ink::Bad } else { Ink::Plain };
        let room = usize::from(line.width).saturating_sub(2);
        let more = look.signs().more;
        let first = message.lines().next().unwrap_or_default();
        let has_more = first.len() < message.trim_end().len();
        let message = text::clean(first) + if has_more { more } else { "" };
        text::put(buf, line, (line.x + 1, line.y), &text::cut(&message, room, more), room, look.ink(ink));
    }

    /// The last line: what keys do on the layer on top, or here.
    fn draw_keys(&self, look: &Look, line: Rect, buf: &mut Buffer) {
        if let Some(layer) = self.layers.last() {
            let room = usize::from(line.width).saturating_sub(1);
            let told = text::cut(layer.keys(), room, look.signs().more);
            text::put(buf, line, (line.x + 1, line.y), &told, room, look.ink(Ink::Faint));
            return;
        }
        let shown = self.footer(line).0;
        let room = usize::from(line.width).saturating_sub(1);
        text::put(buf, line, (line.x + 1, line.y), &shown, room, look.ink(Ink::Faint));
    }

    /// What the last line says of keys, and where each stands.
    pub(super) fn footer(&self, line: Rect) -> (String, Vec<Stop>) {
        let always = [Action::Offers, Action::Filter, Action::Palette, Action::Help];
        let part = |action: Action, word: &str| (action, text::clean(&format!("{} {word}", binding_of(action).key)));
        let offers = self.offers();
        let mut parts: Vec<(Action, String)> = offers
            .iter()
            .filter(|offer| offer.refused.is_none())
            .map(|offer| part(offer.action, &offer.word))
            .collect();
        let fixed: Vec<(Action, String)> =
            always.iter().map(|action| part(*action, binding_of(*action).word)).collect();
        // Keys are text while an editor has the focus.
        let is_typing = self.screens.get(self.at).is_typing();
        let before = if is_typing { "Esc then  " } else { "" };
        let width_of =
            |parts: &[(Action, String)]| -> usize { parts.iter().map(|part| text::width(&part.1) + 2).sum() };
        // What is the same everywhere is known best: it goes first where there is little room, the help last.
        let mut fixed = &fixed[..];
        let width = usize::from(line.width).saturating_sub(1 + before.len());
        while fixed.len() > 1 && width_of(&parts) + width_of(fixed) > width + 2 {
            fixed = &fixed[1..];
        }
        while !parts.is_empty() && width_of(&parts) + width_of(fixed) > width + 2 {
            parts.pop();
        }
        let (mut shown, mut stops) = (before.to_owned(), Vec::new());
        for (action, told) in parts.iter().chain(fixed) {
            let at = |shown: &str| u16::try_from(1 + text::width(shown)).unwrap_or(u16::MAX);
            let from = at(&shown);
            shown += told;
            if !is_typing {
                stops.push(Stop { from, to: at(&shown), action: *action });
            }
            shown += "  ";
        }
        (shown.trim_end().to_owned(), stops)
    }
}

/// Room for `PiCloud` and a name beside all screens' names; under that they fold to numbers.
const TITLE_COLUMNS_MIN: usize = 12;

/// The screen's name in line 1, with its key.
fn tab(screen: ScreenId) -> &'static str {
    match screen {
        ScreenId::Home => "1Home",
        ScreenId::Nodes => "2Nodes",
        ScreenId::Apps => "3Apps",
        ScreenId::Scripts => "4Scripts",
        ScreenId::Routes => "5Routes",
        ScreenId::Triggers => "6Trig",
        ScreenId::Kv => "7KV",
        ScreenId::Files => "8Files",
        ScreenId::Runs => "9Runs",
        ScreenId::Settings => "0Set",
    }
}
