//! `?` and `a`: what keys do here, and what can be done with this thing; both run what is chosen.

use super::Said;
use crate::app::Key;
use crate::app::screen::Offer;
use crate::keymap::{Action, KEYS, Point, action_of, binding_of};
use crate::theme::{Ink, Look};
use crate::widgets::input::Input;
use crate::widgets::window::Window;
use crate::widgets::{panel, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Columns of the box: what is covered has to be sent anew when it closes.
const COLUMNS_MAX: u16 = 36;
/// Lines of it, with its frame.
const LINES_MAX: u16 = 13;

/// The menu.
#[derive(Debug)]
pub(crate) struct Menu {
    title: String,
    items: Vec<Item>,
    /// Indices of those that have what was typed after `/`.
    shown: Vec<usize>,
    cursor: usize,
    filter: Input,
    is_filtering: bool,
    window: Window,
}

/// A line of it.
#[derive(Debug)]
struct Item {
    action: Action,
    /// All keys of the action.
    keys: String,
    word: String,
    help: &'static str,
    refused: Option<String>,
}

impl Item {
    fn of_offer(offer: Offer) -> Self {
        let binding = binding_of(offer.action);
        let keys = keys_of(offer.action);
        Self { action: offer.action, keys, word: offer.word, help: binding.help, refused: offer.refused }
    }

    fn of_action(action: Action) -> Self {
        let binding = binding_of(action);
        Self { action, keys: keys_of(action), word: binding.word.to_owned(), help: binding.help, refused: None }
    }
}

/// All keys of an action: `Up k`.
fn keys_of(action: Action) -> String {
    let keys: Vec<String> =
        KEYS.iter().filter(|binding| binding.action == action).map(|binding| binding.key.to_string()).collect();
    keys.join(" ")
}

impl Menu {
    /// What a screen offers (`a`).
    pub(crate) fn of_offers(title: &str, offers: Vec<Offer>) -> Self {
        Self::new(format!("{title}: actions"), offers.into_iter().map(Item::of_offer).collect())
    }

    /// Every key that does something on this screen (`?`): what it offers, how to move, what is the same everywhere.
    pub(crate) fn of_keys(title: &str, offers: Vec<Offer>) -> Self {
        let mut items: Vec<Item> = offers.into_iter().map(Item::of_offer).collect();
        for binding in KEYS {
            let is_there = items.iter().any(|item| item.action == binding.action);
            if !is_there && is_everywhere(binding.action) {
                items.push(Item::of_action(binding.action));
            }
        }
        Self::new(format!("{title}: keys"), items)
    }

    fn new(title: String, items: Vec<Item>) -> Self {
        Self {
            title,
            shown: (0..items.len()).collect(),
            items,
            cursor: 0,
            filter: Input::default(),
            is_filtering: false,
            window: Window::default(),
        }
    }

    /// Takes a key: moves, runs what has the cursor, or what has this key.
    pub(super) fn typed(&mut self, key: Key) -> Said {
        if self.is_filtering {
            return self.filter_typed(key);
        }
        let action = action_of(key);
        if let Some(at) = action.and_then(|action| self.window.moved(action, self.cursor, self.shown.len())) {
            self.cursor = at;
            return Said::Stay;
        }
        match action {
            Some(Action::Back) if !self.filter.text().is_empty() => {
                self.filter = Input::default();
                self.find();
            }
            Some(Action::Back | Action::Quit | Action::Cancel) => return Said::Close,
            Some(Action::Filter) => self.is_filtering = true,
            Some(Action::Open) => return self.run_selected(),
            Some(Action::Help | Action::Offers) => return Said::Close,
            Some(action) => {
                self.go_to(action);
                return self.run(action);
            }
            None => {}
        }
        Said::Stay
    }

    /// Runs the line that was clicked.
    pub(super) fn clicked(&mut self, point: Point) -> Said {
        let is_hit = self.window.point(point, &mut self.cursor, self.shown.len());
        if is_hit { self.run_selected() } else { Said::Stay }
    }

    fn filter_typed(&mut self, key: Key) -> Said {
        match key {
            Key::Enter => return self.run_selected(),
            Key::Esc | Key::Ctrl('c') => {
                self.is_filtering = false;
                self.filter = Input::default();
            }
            Key::Up => self.cursor = self.cursor.saturating_sub(1),
            Key::Down => self.cursor = (self.cursor + 1).min(self.shown.len().saturating_sub(1)),
            other => {
                self.filter.typed(other);
            }
        }
        self.find();
        Said::Stay
    }

    /// Takes text, where it is filtered.
    pub(super) fn pasted(&mut self, pasted: &str) {
        if self.is_filtering {
            self.filter.insert(pasted);
            self.find();
        }
    }

    fn find(&mut self) {
        let needle = self.filter.text().to_lowercase();
        let has = |item: &Item| format!("{} {} {}", item.keys, item.word, item.help).to_lowercase().contains(&needle);
        self.shown = (0..self.items.len()).filter(|index| has(&self.items[*index])).collect();
        self.cursor = self.cursor.min(self.shown.len().saturating_sub(1));
    }

    fn selected(&self) -> Option<&Item> {
        self.shown.get(self.cursor).map(|index| &self.items[*index])
    }

    fn go_to(&mut self, action: Action) {
        let found = self.shown.iter().position(|index| self.items[*index].action == action);
        self.cursor = found.unwrap_or(self.cursor);
    }

    fn run_selected(&self) -> Said {
        self.selected().map_or(Said::Stay, |item| self.run(item.action))
    }

    fn run(&self, action: Action) -> Said {
        match self.items.iter().find(|item| item.action == action) {
            // Why not stands on the message line while the cursor is on it.
            Some(Item { refused: Some(_), .. }) | None => Said::Stay,
            Some(_) => Said::Act(action),
        }
    }

    /// Draws it over the right half; what the selected line means stands on the message line.
    pub(super) fn view(&self, look: &Look, body: Rect, message_line: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let lines = u16::try_from(self.items.len()).unwrap_or(u16::MAX).saturating_add(1).clamp(3, LINES_MAX);
        let area = panel::side(look, panel::at_the_right(body, COLUMNS_MAX, lines), buf, &self.title);
        let height = usize::from(area.height).max(1);
        let top = self.window.fit(look.frame, area, self.cursor, self.shown.len());
        let keys = self.items.iter().map(|item| text::width(&item.keys)).max().unwrap_or(0).min(11);
        for (line, (number, index)) in self.shown.iter().enumerate().skip(top).take(height).enumerate() {
            let y = area.y.saturating_add(u16::try_from(line).unwrap_or(u16::MAX));
            let line = Rect { y, height: 1.min(area.height), ..area };
            view_item(look, line, buf, &self.items[*index], keys, number == self.cursor);
        }
        if self.shown.is_empty() {
            let told = if self.items.is_empty() { "nothing can be done here" } else { "no key has this" };
            text::put(buf, area, (area.x, area.y), told, usize::from(area.width), look.ink(Ink::Faint));
        }
        self.view_told(look, message_line, buf)
    }

    fn view_told(&self, look: &Look, line: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        panel::clear(line, buf);
        if self.is_filtering {
            let x = text::put(buf, line, (line.x + 1, line.y), "/", 1, look.ink(Ink::Strong));
            let field = Rect { x, width: line.right().saturating_sub(x), ..line };
            return Some(self.filter.view(look, field, buf, false));
        }
        let item = self.selected()?;
        let told = item.refused.as_ref().map_or_else(|| item.help.to_owned(), |why| format!("not now: {why}"));
        let room = usize::from(line.width).saturating_sub(2);
        let told = text::cut(&text::clean(&told), room, look.signs().more);
        text::put(buf, line, (line.x + 1, line.y), &told, room, look.ink(Ink::Plain));
        None
    }
}

/// What does something on every screen, whether it is offered there or not.
fn is_everywhere(action: Action) -> bool {
    use Action as A;
    let moves = matches!(
        action,
        A::Up
            | A::Down
            | A::PageUp
            | A::PageDown
            | A::Top
            | A::Bottom
            | A::Left
            | A::Right
            | A::NextHit
            | A::PreviousHit
            | A::NextPane
            | A::PreviousPane
            | A::Open
            | A::Mark
            | A::MarkAll
            | A::Sort
    );
    let shell = matches!(
        action,
        A::Back
            | A::Go(_)
            | A::LastScreen
            | A::Quit
            | A::Palette
            | A::Filter
            | A::Help
            | A::Offers
            | A::Zoom
            | A::Reload
            | A::Undo
            | A::Cancel
            | A::Suspend
            | A::Repaint
    );
    moves || shell
}

fn view_item(look: &Look, line: Rect, buf: &mut Buffer, item: &Item, keys: usize, has_cursor: bool) {
    let width = usize::from(line.width);
    // The cursor's sign takes the place of the bar: no cell more to send.
    if has_cursor && line.x > 0 {
        buf[(line.x - 1, line.y)].set_symbol(">");
    }
    let shown = text::cut(&item.keys, keys, look.signs().more);
    text::put(buf, line, (line.x, line.y), &shown, keys, look.ink(Ink::Plain));
    let x = line.x.saturating_add(u16::try_from(keys + 1).unwrap_or(u16::MAX));
    let word = match &item.refused {
        Some(_) => format!("({})", item.word),
        None => item.word.clone(),
    };
    let ink = match (has_cursor, &item.refused) {
        (true, _) => Ink::Selected,
        (false, Some(_)) => Ink::Faint,
        (false, None) => Ink::Plain,
    };
    let room = width.saturating_sub(keys + 1);
    text::put(buf, line, (x, line.y), &text::cut(&text::clean(&word), room, look.signs().more), room, look.ink(ink));
}
