//! `:`: screens, things and actions, found by typing a part of their names.

mod finds;
#[cfg(test)]
mod tests;

use super::Said;
use crate::app::names::Names;
use crate::app::screen::{Offer, ScreenId};
use crate::app::{Facts, Key};
use crate::keymap::{Action, Point};
use crate::theme::{Ink, Look, ThemeName};
use crate::widgets::input::Input;
use crate::widgets::window::Window;
use crate::widgets::{panel, text};
use finds::{Do, Find};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::VecDeque;

/// Columns of the box.
const COLUMNS_MAX: u16 = 48;
/// Lines of it, with its frame.
const LINES_MAX: u16 = 13;
/// How many typed lines Up recalls.
const HISTORY_MAX: usize = 20;

/// What only the palette does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// What was said on the message line.
    Messages,
    /// What was asked of the appliance, with time and result.
    Log,
    /// Texts that are kept and not saved.
    Drafts,
    /// Other colours.
    Theme(ThemeName),
    /// Clicks, or the terminal's own selection.
    Mouse(bool),
    /// Leave the screen and print what is on it.
    Print,
    /// Quit.
    Quit,
}

/// What was typed before, newest last.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(VecDeque<String>);

impl History {
    /// Keeps what led somewhere.
    pub(crate) fn keep(&mut self, typed: &str) {
        let typed = typed.trim();
        if typed.is_empty() {
            return;
        }
        self.0.retain(|kept| kept != typed);
        if self.0.len() >= HISTORY_MAX {
            self.0.pop_front();
        }
        self.0.push_back(typed.to_owned());
    }
}

/// The palette.
#[derive(Debug)]
pub(crate) struct Palette {
    typed: Input,
    finds: Vec<Find>,
    /// Those of [`Self::finds`] that are of the shell and the screen: the rest are names that may still come.
    fixed: usize,
    /// Indices of those that match, best first.
    shown: Vec<usize>,
    cursor: usize,
    history: History,
    /// Which of the history is shown, counting from the newest.
    recalled: Option<usize>,
    is_reading: bool,
    window: Window,
}

impl Palette {
    /// With what is known already.
    pub(crate) fn open(facts: &Facts, (screen, offers): (ScreenId, &[Offer]), history: History, names: &Names) -> Self {
        let finds = finds::fixed(facts, screen, offers);
        let mut palette = Self {
            typed: Input::default(),
            fixed: finds.len(),
            finds,
            shown: Vec::new(),
            cursor: 0,
            history,
            recalled: None,
            is_reading: false,
            window: Window::default(),
        };
        palette.know(names);
        palette
    }

    /// Names came: they are found from now on. What has the cursor keeps it.
    pub(crate) fn know(&mut self, names: &Names) {
        let selected = self.selected().map(|find| find.label.clone());
        self.finds.truncate(self.fixed);
        self.finds.extend(names.all().map(finds::of_thing));
        self.is_reading = names.is_reading();
        self.find();
        let found = selected.and_then(|label| self.shown.iter().position(|index| self.finds[*index].label == label));
        self.cursor = found.unwrap_or(0);
    }

    /// What was typed, for the history.
    pub(crate) fn typed_text(&self) -> &str {
        self.typed.text()
    }

    fn find(&mut self) {
        self.shown = finds::matching(self.typed.text(), &self.finds, self.fixed);
        self.cursor = 0;
    }

    fn selected(&self) -> Option<&Find> {
        self.shown.get(self.cursor).map(|index| &self.finds[*index])
    }

    /// Takes a key.
    pub(super) fn typed(&mut self, key: Key) -> Said {
        match key {
            Key::Esc | Key::Ctrl('c') => return Said::Close,
            Key::Enter => return self.run(),
            Key::Up if self.cursor == 0 => self.recall(1),
            Key::Down if self.recalled.is_some() && self.cursor == 0 => self.recall(-1),
            Key::Up | Key::BackTab => self.step(Action::Up),
            Key::Down => self.step(Action::Down),
            Key::PageUp => self.step(Action::PageUp),
            Key::PageDown => self.step(Action::PageDown),
            Key::Tab => {
                if let Some(find) = self.selected() {
                    self.typed = Input::new(find.label.clone());
                    self.find();
                }
            }
            other => {
                let had = self.typed.text().to_owned();
                self.typed.typed(other);
                if self.typed.text() != had {
                    self.recalled = None;
                    self.find();
                }
            }
        }
        Said::Stay
    }

    /// Goes to, or does, the line that was clicked.
    pub(super) fn clicked(&mut self, point: Point) -> Said {
        let is_hit = self.window.point(point, &mut self.cursor, self.shown.len());
        if is_hit { self.run() } else { Said::Stay }
    }

    fn step(&mut self, action: Action) {
        self.cursor = self.window.moved(action, self.cursor, self.shown.len()).unwrap_or(self.cursor);
    }

    fn recall(&mut self, older: i8) {
        let count = self.history.0.len();
        self.recalled = match (self.recalled, older > 0) {
            (None, true) if count > 0 => Some(0),
            (Some(at), true) => Some((at + 1).min(count - 1)),
            (Some(at), false) => at.checked_sub(1),
            (None, _) => return,
        };
        let text = self.recalled.and_then(|at| self.history.0.get(count - 1 - at)).cloned();
        self.typed = Input::new(text.unwrap_or_default());
        self.find();
    }

    fn run(&self) -> Said {
        let Some(find) = self.selected() else { return Said::Told("nothing has this name: Esc closes".to_owned()) };
        match &find.does {
            Do::Go(place) => Said::Go(place.clone()),
            Do::Act(action) => Said::Act(*action),
            Do::Command(command) => Said::Command(command.clone()),
            Do::Refuse(why) => Said::Told(format!("{}: {why}", find.label)),
        }
    }

    /// Takes text.
    pub(super) fn pasted(&mut self, pasted: &str) {
        self.typed.insert(pasted);
        self.recalled = None;
        self.find();
    }

    /// Draws it.
    pub(super) fn view(&self, look: &Look, body: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let title = if self.is_reading { "Go or do  (reading names)" } else { "Go or do" };
        let area = panel::side(look, panel::at_the_right(body, COLUMNS_MAX, LINES_MAX), buf, title);
        if area.is_empty() {
            return None;
        }
        let x = text::put(buf, area, (area.x, area.y), ":", 1, look.ink(Ink::Strong));
        let field = Rect { x, width: area.right().saturating_sub(x), height: 1, ..area };
        let cursor = self.typed.view(look, field, buf, false);
        let rest = Rect { y: area.y + 1, height: area.height - 1, ..area };
        if self.shown.is_empty() {
            let told = if self.is_reading { "nothing yet" } else { "nothing has this name" };
            text::put(buf, rest, (rest.x + 2, rest.y), told, usize::from(rest.width), look.ink(Ink::Faint));
        }
        let height = usize::from(rest.height);
        let top = self.window.fit(look.frame, rest, self.cursor, self.shown.len());
        for (line, (number, index)) in self.shown.iter().enumerate().skip(top).take(height).enumerate() {
            let y = rest.y + u16::try_from(line).expect("it is below the height of the area");
            view_find(look, Rect { y, height: 1, ..rest }, buf, &self.finds[*index], number == self.cursor);
        }
        Some(cursor)
    }
}

fn view_find(look: &Look, line: Rect, buf: &mut Buffer, find: &Find, has_cursor: bool) {
    let more = look.signs().more;
    text::put(buf, line, (line.x, line.y), if has_cursor { ">" } else { " " }, 1, look.ink(Ink::Strong));
    let refused = if let Do::Refuse(why) = &find.does { Some(why) } else { None };
    let ink = match (has_cursor, refused) {
        (true, _) => Ink::Selected,
        (false, Some(_)) => Ink::Faint,
        (false, None) => Ink::Plain,
    };
    let room = usize::from(line.width).saturating_sub(2);
    let label = text::cut(&text::clean(&find.label), room, more);
    let x = text::put(buf, line, (line.x.saturating_add(2), line.y), &label, room, look.ink(ink));
    let detail = text::clean(refused.unwrap_or(&find.detail));
    let room = usize::from(line.right().saturating_sub(x)).saturating_sub(2);
    let detail = text::cut(&detail, room, more);
    text::put(buf, line, (x.saturating_add(2), line.y), &detail, room, look.ink(Ink::Faint));
}
