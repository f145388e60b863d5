//! The mouse, where `:mouse on` asked for it: a click is the key that would have led there, and nothing that a key could
//! not do. Questions and forms take none: what loses something is never one slip of the hand away.

use super::{App, Effect, ScreenId};
use crate::keymap::{Action, Point};
use crate::widgets::text;
use ratatui::layout::Rect;

/// Within this time a second click at the same place opens what the first one went to.
const TWICE_MS: u64 = 500;

/// What stands in one line and does something when it is clicked: where it begins and ends, and what it does.
pub(super) struct Stop {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) action: Action,
}

impl App {
    /// The mouse was pressed on this cell.
    pub(super) fn clicked(&mut self, at: (u16, u16), effects: &mut Vec<Effect>) {
        if self.is_too_small() {
            return;
        }
        self.messages.seen();
        (self.was_ending, self.is_ending) = (false, false);
        let point = Point { at, frame: self.frame.saturating_sub(1) };
        let before = self.last_click.take();
        if let Some(layer) = self.layers.last_mut() {
            let said = layer.clicked(point);
            return self.said(said, effects);
        }
        if let Some(stop) = self.stops(at.1).into_iter().find(|stop| (stop.from..stop.to).contains(&at.0)) {
            return self.act(stop.action, effects);
        }
        // What is being typed stays where it is.
        if self.screens.get(self.at).is_typing() {
            return;
        }
        if before.is_some_and(|(before, ms)| before == at && self.now.mono_ms < ms + TWICE_MS) {
            return self.act(Action::Open, effects);
        }
        if self.point(Action::Point(point), effects) {
            self.last_click = Some((at, self.now.mono_ms));
        }
    }

    /// The pane that has it takes it, and the focus.
    fn point(&mut self, action: Action, effects: &mut Vec<Effect>) -> bool {
        // Of a zoomed screen only the pane with the focus is drawn.
        let others = if self.is_zoomed { 0 } else { self.screens.get(self.at).panes().saturating_sub(1) };
        for number in 0..=others {
            if number > 0 {
                self.ask_screen(Action::NextPane, effects);
            }
            if self.ask_screen(action, effects) {
                return true;
            }
        }
        for _ in 0..others {
            self.ask_screen(Action::PreviousPane, effects);
        }
        false
    }

    fn ask_screen(&mut self, action: Action, effects: &mut Vec<Effect>) -> bool {
        let mut is_taken = false;
        self.tell(Some(self.at), effects, |screen, cx| is_taken = screen.act(action, cx));
        is_taken
    }

    /// What can be clicked in a line of the frame around the screen.
    fn stops(&self, line: u16) -> Vec<Stop> {
        let row = |y: u16| Rect::new(0, y, self.size.0, 1);
        match line {
            0 if !self.is_zoomed => self.tabs(row(0)).into_iter().map(|(screen, stop)| stop_at(stop, screen)).collect(),
            last if last + 1 == self.size.1 => self.footer(row(last)).1,
            _ => Vec::new(),
        }
    }
}

fn stop_at((from, shown): (u16, &str), screen: ScreenId) -> Stop {
    let width = u16::try_from(text::width(shown)).unwrap_or(u16::MAX);
    Stop { from, to: from.saturating_add(width), action: Action::Go(screen) }
}
