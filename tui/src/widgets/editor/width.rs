//! Where a byte of a line stands on the screen, and the reverse. Lines of plain ASCII, which nearly all are, need no
//! looking at single characters.

use crate::widgets::text;
use std::borrow::Cow;
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// Columns that a tab goes on to a multiple of.
const TAB_COLUMNS: usize = 4;

/// Whether every byte takes one column.
fn is_simple(line: &str) -> bool {
    line.bytes().all(|byte| (b' '..0x7f).contains(&byte))
}

/// A cluster as it is shown in this column, and how wide it is.
pub(super) fn shown(cluster: &str, column: usize) -> (Cow<'_, str>, usize) {
    if cluster == "\t" {
        let blanks = TAB_COLUMNS - column % TAB_COLUMNS;
        return (Cow::Owned(" ".repeat(blanks)), blanks);
    }
    let is_clean = cluster.len() == 1 && (b' '..0x7f).contains(&cluster.as_bytes()[0]);
    if is_clean {
        return (Cow::Borrowed(cluster), 1);
    }
    let clean = text::clean(cluster);
    let wide = text::width(&clean);
    (Cow::Owned(clean), wide)
}

/// The column in which a byte of a line stands.
pub(super) fn column_of(line: &str, byte: usize) -> usize {
    let before = &line[..byte];
    if is_simple(before) {
        return byte;
    }
    before.graphemes(true).fold(0, |column, cluster| column + shown(cluster, column).1)
}

/// The byte that stands in a column, or before it where that is inside a cluster; the line's end behind it.
pub(super) fn byte_at(line: &str, column: usize) -> usize {
    if is_simple(line) {
        return column.min(line.len());
    }
    let mut at = 0;
    for (byte, cluster) in line.grapheme_indices(true) {
        at += shown(cluster, at).1;
        if at > column {
            return byte;
        }
    }
    line.len()
}

/// The beginning of the cluster before a byte.
pub(super) fn before(line: &str, byte: usize) -> usize {
    GraphemeCursor::new(byte, line.len(), true).prev_boundary(line, 0).ok().flatten().unwrap_or(0)
}

/// The end of the cluster that begins at a byte.
pub(super) fn after(line: &str, byte: usize) -> usize {
    GraphemeCursor::new(byte, line.len(), true).next_boundary(line, 0).ok().flatten().unwrap_or(line.len())
}

/// The beginning of the cluster that a byte is in.
pub(super) fn cluster_start(line: &str, byte: usize) -> usize {
    match GraphemeCursor::new(byte, line.len(), true).is_boundary(line, 0) {
        Ok(false) => before(line, byte),
        _ => byte,
    }
}
