//! A list to choose from over the screen.

use super::Said;
use crate::app::Key;
use crate::keymap::Point;
use crate::widgets::picker::Picker;

/// Takes a key.
pub(super) fn typed(picker: &mut Picker, key: Key) -> Said {
    match key {
        Key::Esc | Key::Ctrl('c') => Said::Close,
        Key::Enter => chosen(picker),
        other => {
            picker.typed(other);
            Said::Stay
        }
    }
}

/// The line that was clicked is chosen.
pub(super) fn clicked(picker: &mut Picker, point: Point) -> Said {
    if picker.point(point) { chosen(picker) } else { Said::Stay }
}

/// What has the cursor is chosen, or says why it cannot be.
fn chosen(picker: &Picker) -> Said {
    match picker.selected() {
        Some(item) => match &item.refused {
            Some(why) => Said::Told(format!("{}: {why}", item.label)),
            None => Said::Picked(item.id.clone()),
        },
        None => Said::Stay,
    }
}
