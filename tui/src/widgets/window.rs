//! The part of a long list that is visible: it follows the cursor, and is no further than that takes.

use crate::keymap::{Action, Point};
use ratatui::layout::{Position, Rect};
use std::cell::Cell;

/// Which lines are visible, as they were drawn last.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    top: Cell<usize>,
    height: Cell<usize>,
    /// The line with the cursor, and how many belonged to it.
    branch: Cell<(usize, usize)>,
    /// Where on the screen they are, since which frame.
    drawn: Cell<(Rect, u64)>,
}

impl Default for Window {
    fn default() -> Self {
        Self { top: Cell::new(0), height: Cell::new(1), branch: Cell::default(), drawn: Cell::default() }
    }
}

impl Window {
    /// Its first line.
    pub(crate) fn top(&self) -> usize {
        self.top.get()
    }

    /// How many lines it has.
    pub(crate) fn height(&self) -> usize {
        self.height.get()
    }

    /// As many lines as `area` has are drawn of `count`, and the cursor is among them; answers the first.
    pub(crate) fn fit(&self, frame: u64, area: Rect, cursor: usize, count: usize) -> usize {
        self.drawn.set((area, frame));
        let height = usize::from(area.height);
        self.height.set(height.max(1));
        let top = self.top.get().min(count.saturating_sub(height));
        let top = top.min(cursor).max((cursor + 1).saturating_sub(height));
        self.top.set(top);
        top
    }

    /// The same where the line with the cursor has so many below it: when it opened, or got more of them, as many are
    /// shown as there is room for.
    pub(crate) fn fit_branch(&self, frame: u64, area: Rect, cursor: usize, count: usize, below: usize) -> usize {
        let height = usize::from(area.height);
        let (was_at, had) = self.branch.replace((cursor, below));
        if was_at == cursor && below > had {
            let top = (cursor + below + 1).saturating_sub(height).min(cursor);
            self.top.set(self.top.get().max(top));
        }
        self.fit(frame, area, cursor, count)
    }

    /// Where an action moves the cursor in a list of so many lines; none where it is no move.
    pub(crate) fn moved(&self, action: Action, cursor: usize, count: usize) -> Option<usize> {
        // A line of the page before stays visible.
        let page = self.height.get().saturating_sub(1).max(1);
        let last = count.saturating_sub(1);
        Some(match action {
            Action::Up => cursor.saturating_sub(1),
            Action::Down => (cursor + 1).min(last),
            Action::PageUp => cursor.saturating_sub(page),
            Action::PageDown => (cursor + page).min(last),
            Action::Top => 0,
            Action::Bottom => last,
            Action::Point(point) => return self.line_at(point).filter(|line| *line < count),
            _ => return None,
        })
    }

    /// Puts the cursor on the line that was clicked; answers whether one was.
    pub(crate) fn point(&self, point: Point, cursor: &mut usize, count: usize) -> bool {
        let found = self.moved(Action::Point(point), *cursor, count);
        *cursor = found.unwrap_or(*cursor);
        found.is_some()
    }

    fn line_at(&self, Point { at, frame }: Point) -> Option<usize> {
        let (area, since) = self.drawn.get();
        let is_here = since == frame && area.contains(Position::from(at));
        is_here.then(|| self.top.get() + usize::from(at.1 - area.y))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(height: u16) -> Rect {
        Rect::new(4, 2, 20, height)
    }

    #[test]
    fn the_cursor_is_always_visible_and_the_window_moves_no_further_than_that_takes() {
        let window = Window::default();
        for (cursor, count, top) in
            [(0, 20, 0), (4, 20, 0), (5, 20, 1), (19, 20, 15), (17, 20, 15), (3, 20, 3), (1, 4, 0)]
        {
            assert_eq!(window.fit(7, lines(5), cursor, count), top, "cursor {cursor} of {count}");
        }
        assert_eq!(window.fit(7, lines(0), 3, 4), 4, "nothing is visible where there is no room");
    }

    #[test]
    fn a_branch_that_opens_at_the_edge_shows_what_is_below_it_and_one_that_is_passed_stays() {
        let window = Window::default();
        assert_eq!(window.fit_branch(7, lines(5), 4, 10, 0), 0, "closed, on the last line");
        assert_eq!(window.fit_branch(7, lines(5), 4, 12, 2), 2, "open: both are visible");
        assert_eq!(window.fit_branch(7, lines(5), 4, 30, 20), 4, "more came: itself and four of them");
        assert_eq!(window.fit_branch(7, lines(5), 3, 30, 0), 3);
        assert_eq!(
            window.fit_branch(7, lines(5), 8, 30, 9),
            4,
            "going past an open one moves no further than that takes"
        );
        assert_eq!(window.fit_branch(7, lines(5), 8, 21, 0), 4, "it closed");
    }

    #[test]
    fn moves_end_at_the_first_and_the_last_line() {
        let window = Window::default();
        window.fit(7, lines(5), 0, 20);
        for (action, from, to) in [
            (Action::Up, 0, 0),
            (Action::Down, 19, 19),
            (Action::PageDown, 3, 7),
            (Action::PageDown, 18, 19),
            (Action::PageUp, 3, 0),
            (Action::Top, 9, 0),
            (Action::Bottom, 9, 19),
        ] {
            assert_eq!(window.moved(action, from, 20), Some(to), "{action:?} from {from}");
            assert_eq!(window.moved(action, 0, 0), Some(0), "{action:?} of nothing");
        }
        assert_eq!(window.moved(Action::Open, 3, 20), None);
    }

    #[test]
    fn a_click_leads_to_the_line_that_stands_there_in_the_frame_that_was_shown() {
        let window = Window::default();
        assert_eq!(window.fit(7, lines(5), 8, 20), 4);
        let to = |at, frame| window.moved(Action::Point(Point { at, frame }), 8, 20);
        assert_eq!((to((4, 2), 7), to((23, 6), 7)), (Some(4), Some(8)));
        assert_eq!((to((3, 2), 7), to((24, 2), 7), to((4, 1), 7), to((4, 7), 7)), (None, None, None, None));
        assert_eq!(to((4, 2), 8), None, "something else is shown there by now");
        window.fit(8, lines(5), 0, 2);
        assert_eq!(window.moved(Action::Point(Point { at: (4, 4), frame: 8 }), 0, 2), None, "below the last line");
    }
}
