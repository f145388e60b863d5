//! Where things stand that are no list of whole lines: so that a click finds them.

use crate::keymap::Point;
use ratatui::layout::{Position, Rect};
use std::cell::{Cell, RefCell};

/// The places of one frame.
#[derive(Debug, Default)]
pub(crate) struct Spots {
    frame: Cell<u64>,
    spots: RefCell<Vec<(Rect, usize)>>,
}

impl Spots {
    /// A frame begins: nothing of it stands anywhere yet.
    pub(crate) fn begin(&self, frame: u64) {
        self.frame.set(frame);
        self.spots.borrow_mut().clear();
    }

    /// This thing stands there.
    pub(crate) fn put(&self, area: Rect, thing: usize) {
        self.spots.borrow_mut().push((area, thing));
    }

    /// The thing that was clicked.
    pub(crate) fn at(&self, Point { at, frame }: Point) -> Option<usize> {
        let spots = self.spots.borrow();
        let mut found = spots.iter().filter(|(area, _)| frame == self.frame.get() && area.contains(Position::from(at)));
        found.next().map(|(_, thing)| *thing)
    }
}
