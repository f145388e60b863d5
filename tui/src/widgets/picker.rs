//! A list to choose one thing from, found by typing.

use super::input::Input;
use super::window::Window;
use super::{fuzzy, panel, text};
use crate::app::key::Key;
use crate::keymap::{Action, Point};
use crate::theme::{Ink, Look};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Columns of the list in the middle of a wide terminal.
const COLUMNS_MAX: u16 = 56;
/// Lines of it, with its frame.
const LINES_MAX: u16 = 16;

/// The list.
#[derive(Clone, Debug)]
pub(crate) struct Picker {
    /// What is chosen.
    pub(crate) title: String,
    /// What there is.
    pub(crate) items: Vec<PickerItem>,
    /// What was typed to find it.
    pub(crate) typed: Input,
    /// Which of those that match has the cursor.
    pub(crate) cursor: usize,
    /// Indices of those that match, best first.
    shown: Vec<usize>,
    window: Window,
}

/// A thing to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PickerItem {
    /// What is told back.
    pub(crate) id: String,
    /// What it is called.
    pub(crate) label: String,
    /// What stands beside it.
    pub(crate) detail: String,
    /// Why it cannot be chosen, if it cannot.
    pub(crate) refused: Option<String>,
}

impl Picker {
    /// Of these.
    pub(crate) fn new(title: impl Into<String>, items: Vec<PickerItem>) -> Self {
        Self {
            title: title.into(),
            shown: (0..items.len()).collect(),
            items,
            typed: Input::default(),
            cursor: 0,
            window: Window::default(),
        }
    }

    /// The one with the cursor.
    pub(crate) fn selected(&self) -> Option<&PickerItem> {
        self.shown.get(self.cursor).and_then(|index| self.items.get(*index))
    }

    /// Takes a key: arrows move, the rest is what is looked for.
    pub(crate) fn typed(&mut self, key: Key) {
        match key {
            Key::Up | Key::BackTab => self.step(Action::Up),
            Key::Down | Key::Tab => self.step(Action::Down),
            Key::PageUp => self.step(Action::PageUp),
            Key::PageDown => self.step(Action::PageDown),
            other => {
                let had = self.typed.text().len();
                self.typed.typed(other);
                if self.typed.text().len() != had {
                    self.find();
                }
            }
        }
    }

    /// Goes to the line that was clicked; answers whether one was.
    pub(crate) fn point(&mut self, point: Point) -> bool {
        self.window.point(point, &mut self.cursor, self.shown.len())
    }

    fn step(&mut self, action: Action) {
        self.cursor = self.window.moved(action, self.cursor, self.shown.len()).unwrap_or(self.cursor);
    }

    /// Takes text.
    pub(crate) fn pasted(&mut self, pasted: &str) {
        self.typed.insert(pasted);
        self.find();
    }

    fn find(&mut self) {
        self.shown = fuzzy::find(self.typed.text(), self.items.iter().map(|item| item.label.as_str()));
        self.cursor = 0;
    }

    /// Draws it over `body`; answers where the terminal's cursor is.
    pub(crate) fn view(&self, look: &Look, body: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let lines = u16::try_from(self.items.len()).unwrap_or(u16::MAX).saturating_add(4).min(LINES_MAX);
        let area = panel::frame(look, panel::centred(body, COLUMNS_MAX, lines), buf, &self.title);
        if area.is_empty() {
            return None;
        }
        let x = text::put(buf, area, (area.x, area.y), "find: ", 6, look.ink(Ink::Faint));
        let field = Rect { x, width: area.right().saturating_sub(x), height: 1, y: area.y };
        let cursor = self.typed.view(look, field, buf, false);
        let rest = Rect { y: area.y + 1, height: area.height - 1, ..area };
        if self.shown.is_empty() {
            let told = if self.items.is_empty() { "there is nothing to choose" } else { "nothing has this" };
            text::put(buf, rest, (rest.x + 2, rest.y), told, usize::from(rest.width), look.ink(Ink::Faint));
        }
        let height = usize::from(rest.height);
        let top = self.window.fit(look.frame, rest, self.cursor, self.shown.len());
        for (line, (number, index)) in self.shown.iter().enumerate().skip(top).take(height).enumerate() {
            let y = rest.y + u16::try_from(line).expect("it is below the height of the area");
            view_item(look, Rect { y, height: 1, ..rest }, buf, &self.items[*index], number == self.cursor);
        }
        Some(cursor)
    }
}

fn view_item(look: &Look, line: Rect, buf: &mut Buffer, item: &PickerItem, has_cursor: bool) {
    let more = look.signs().more;
    let width = usize::from(line.width);
    text::put(buf, line, (line.x, line.y), if has_cursor { ">" } else { " " }, 1, look.ink(Ink::Strong));
    let ink = match (has_cursor, &item.refused) {
        (true, _) => Ink::Selected,
        (false, Some(_)) => Ink::Faint,
        (false, None) => Ink::Plain,
    };
    let room = width.saturating_sub(2);
    let label = text::cut(&text::clean(&item.label), room, more);
    let x = text::put(buf, line, (line.x.saturating_add(2), line.y), &label, room, look.ink(ink));
    let detail = item.refused.as_ref().map_or_else(|| item.detail.clone(), |why| format!("not now: {why}"));
    let room = usize::from(line.right().saturating_sub(x)).saturating_sub(2);
    let detail = text::cut(&text::clean(&detail), room, more);
    text::put(buf, line, (x.saturating_add(2), line.y), &detail, room, look.ink(Ink::Faint));
}

impl PickerItem {
    /// That can be chosen.
    pub(crate) fn new(id: impl Into<String>, label: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { id: id.into(), label: label.into(), detail: detail.into(), refused: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::CAPS;
    use crate::theme::ThemeName;

    fn picker() -> Picker {
        let items = vec![
            PickerItem::new("cron", "cron", "a schedule"),
            PickerItem::new("kv", "kv", "keys that change"),
            PickerItem {
                refused: Some("no collection has files yet".to_owned()),
                ..PickerItem::new("files", "files", "")
            },
        ];
        Picker::new("Kind of trigger", items)
    }

    fn shown(picker: &Picker, width: u16, height: u16) -> String {
        let look = Look { caps: CAPS, theme: ThemeName::Terminal, unix_ms: 0, frame: 0 };
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        picker.view(&look, area, &mut buf);
        let line = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn typing_finds_and_arrows_choose() {
        let mut picker = picker();
        picker.typed(Key::Down);
        assert_eq!(picker.selected().map(|item| item.id.as_str()), Some("kv"));
        picker.typed(Key::Char('f'));
        assert_eq!(picker.selected().map(|item| item.id.as_str()), Some("files"));
        picker.typed(Key::Char('x'));
        assert_eq!(picker.selected(), None);
        picker.typed(Key::Backspace);
        picker.typed(Key::Backspace);
        assert_eq!(picker.selected().map(|item| item.id.as_str()), Some("cron"));
        picker.pasted("kv");
        assert_eq!(picker.selected().map(|item| item.id.as_str()), Some("kv"));
    }

    #[test]
    fn what_cannot_be_chosen_says_why() {
        insta::assert_snapshot!(shown(&picker(), 60, 9));
    }

    #[test]
    fn every_size_is_drawn() {
        for width in 1..=60 {
            for height in 1..=30 {
                shown(&picker(), width, height);
            }
        }
    }
}
