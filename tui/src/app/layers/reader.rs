//! A long text over the screen.

use super::Said;
use crate::app::Key;
use crate::widgets::reader::{Reader, Typed};

/// Takes a key.
pub(super) fn typed(reader: &mut Reader, key: Key) -> Said {
    match reader.typed(key) {
        Typed::Stay => Said::Stay,
        Typed::Close => Said::Close,
        Typed::Copy(what, text) => Said::Copy(what, text),
    }
}
