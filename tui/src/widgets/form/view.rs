//! How a form looks.

use super::{Field, FieldKind, Form};
use crate::theme::{Ink, Look};
use crate::widgets::{panel, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Columns of the form in the middle of a wide terminal.
const COLUMNS_MAX: u16 = 60;
/// Columns that labels take at most.
const LABEL_COLUMNS_MAX: usize = 20;
/// Lines of a field that takes several.
const TEXT_LINES: u16 = 6;
/// Lines of what stands below the fields at most: why it was refused, or what the field is for.
const TOLD_LINES_MAX: usize = 4;

impl Form {
    /// Draws it over `body`; answers where the terminal's cursor is.
    pub(crate) fn view(&self, look: &Look, body: Rect, buf: &mut Buffer, is_pending: bool) -> Option<(u16, u16)> {
        let probe = panel::centred(body, COLUMNS_MAX, body.height);
        let told = self.told(usize::from(probe.width.saturating_sub(4)));
        let fields: u16 = self.fields.iter().map(height).sum();
        let foot = u16::try_from(told.len()).unwrap_or(0) + 2;
        let area = panel::centred(body, COLUMNS_MAX, fields.saturating_add(foot + 2));
        let inner = panel::frame(look, area, buf, &self.title);
        let foot = foot.min(inner.height);
        let visible = Rect { height: inner.height - foot, ..inner };
        let cursor = self.view_fields(look, visible, buf);
        self.view_foot(look, Rect { y: visible.bottom(), height: foot, ..inner }, buf, &told, is_pending);
        cursor
    }

    fn view_fields(&self, look: &Look, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let label = self.fields.iter().map(|field| text::width(field.label)).max().unwrap_or(0);
        let label = label.min(LABEL_COLUMNS_MAX).min(usize::from(area.width / 3));
        let starts: Vec<u16> = self
            .fields
            .iter()
            .scan(0_u16, |start, field| {
                let at = *start;
                *start = start.saturating_add(height(field));
                Some(at)
            })
            .collect();
        let top = self.scrolled(&starts, area.height);
        let mut cursor = None;
        for (number, (field, start)) in self.fields.iter().zip(&starts).enumerate() {
            let Some(y) = start.checked_sub(top).filter(|y| *y < area.height) else { continue };
            let lines = height(field).min(area.height - y);
            let line = Rect { y: area.y + y, height: lines, ..area };
            let at = view_field(look, line, buf, field, label, number == self.focus);
            cursor = cursor.or(at);
        }
        cursor
    }

    /// The first line that is shown, so that the field with the focus is.
    fn scrolled(&self, starts: &[u16], lines: u16) -> u16 {
        let focus = self.focus.min(self.fields.len().saturating_sub(1));
        let Some((start, field)) = starts.get(focus).zip(self.fields.get(focus)) else { return 0 };
        let end = start.saturating_add(height(field).min(lines));
        let top = self.top.get().min(*start).max(end.saturating_sub(lines));
        self.top.set(top);
        top
    }

    /// What stands below the fields: why it was refused, else what the field with the focus is for.
    fn told(&self, columns: usize) -> Vec<(Ink, String)> {
        let (ink, told) = match (&self.refused, self.is_leaving, self.fields.get(self.focus)) {
            (_, true, _) => (Ink::Warn, "Esc again throws away what was typed"),
            (Some(refused), ..) => (Ink::Bad, refused.as_str()),
            (None, _, Some(field)) => (Ink::Faint, field.help),
            (None, _, None) => (Ink::Faint, ""),
        };
        text::wrap(&text::clean(told), columns).into_iter().take(TOLD_LINES_MAX).map(|line| (ink, line)).collect()
    }

    fn view_foot(&self, look: &Look, area: Rect, buf: &mut Buffer, told: &[(Ink, String)], is_pending: bool) {
        let columns = usize::from(area.width);
        for (number, (ink, line)) in told.iter().enumerate() {
            let y = area.y.saturating_add(u16::try_from(number).unwrap_or(u16::MAX)).saturating_add(1);
            text::put(buf, area, (area.x, y), line, columns, look.ink(*ink));
        }
        let has_focus = self.focus >= self.fields.len();
        let word = if is_pending { "sent, waiting" } else { self.verb };
        let ink = if has_focus && !is_pending { Ink::Selected } else { Ink::Plain };
        let y = area.bottom().saturating_sub(1);
        let x = text::put(buf, area, (area.x, y), if has_focus { "> " } else { "  " }, columns, look.ink(Ink::Strong));
        text::put(buf, area, (x, y), &format!("[{word}]"), columns, look.ink(ink));
    }
}

/// How many lines a field takes.
fn height(field: &Field) -> u16 {
    if field.kind == FieldKind::Text { TEXT_LINES } else { 1 }
}

fn view_field(
    look: &Look,
    area: Rect,
    buf: &mut Buffer,
    field: &Field,
    label: usize,
    has_focus: bool,
) -> Option<(u16, u16)> {
    let line = Rect { height: 1.min(area.height), ..area };
    text::put(buf, line, (line.x, line.y), if has_focus { ">" } else { " " }, 1, look.ink(Ink::Strong));
    let shown = text::cut(field.label, label, look.signs().more);
    let ink = if has_focus { Ink::Strong } else { Ink::Plain };
    text::put(buf, line, (line.x.saturating_add(2), line.y), &shown, label, look.ink(ink));
    let left = u16::try_from(label + 4).unwrap_or(u16::MAX).min(area.width);
    let value = Rect { x: area.x + left, width: area.width - left, ..area };
    let columns = usize::from(value.width);
    match (&field.kind, &field.text) {
        (FieldKind::Text, Some(lines)) => {
            lines.view(look, value, buf);
            return if has_focus { lines.cursor(value) } else { None };
        }
        (FieldKind::Line | FieldKind::Secret, _) if has_focus => {
            let is_secret = field.kind == FieldKind::Secret;
            return Some(field.input.view(look, Rect { height: line.height, ..value }, buf, is_secret));
        }
        (FieldKind::Line | FieldKind::Secret, _) if field.input.text().is_empty() => {
            let told = if field.is_needed { "(needed)" } else { "-" };
            text::put(buf, line, (value.x, line.y), told, columns, look.ink(Ink::Faint));
        }
        (FieldKind::Secret, _) => {
            text::put(buf, line, (value.x, line.y), "********", columns, look.ink(Ink::Plain));
        }
        (FieldKind::Choice(_), _) if has_focus => {
            let told = format!("< {} >", text::clean(field.input.text()));
            text::put(buf, line, (value.x, line.y), &told, columns, look.ink(Ink::Plain));
        }
        (FieldKind::Toggle, _) => {
            let told = if field.input.text() == "yes" { "[x] yes" } else { "[ ] no" };
            text::put(buf, line, (value.x, line.y), told, columns, look.ink(Ink::Plain));
        }
        _ => {
            let told = text::cut(&text::clean(field.input.text()), columns, look.signs().more);
            text::put(buf, line, (value.x, line.y), &told, columns, look.ink(Ink::Plain));
        }
    }
    None
}
