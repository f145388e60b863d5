//! A form over the screen.

use super::Said;
use crate::app::Key;
use crate::widgets::form::{Form, Typed};

/// Takes a key. While its change is under way only Esc does something: it closes the form, and the change goes on.
pub(super) fn typed(form: &mut Form, is_pending: bool, key: Key) -> Said {
    if is_pending {
        return if key == Key::Esc { Said::Close } else { Said::Stay };
    }
    match form.typed(key) {
        Typed::Stay => Said::Stay,
        Typed::Leave => Said::Close,
        Typed::Submit => Said::Submitted(form.values()),
    }
}
