//! What is in the file with the cursor: its text, or what it is and its first bytes. Never more than a part of it.

use super::Files;
use crate::app::{Answered, Context, Request};
use crate::path::ApiPath;
use crate::theme::{Ink, Look};
use crate::widgets::editor::{Editor, Language};
use crate::widgets::{json, text};
use picloud_model::file::File;
use picloud_model::problem::Problem;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// As much of a text is shown.
const TEXT_BYTES: u64 = 64 * 1024;
/// As much of anything else.
const HEX_BYTES: u64 = 128;
/// Bytes in a line of those.
const HEX_LINE_BYTES: usize = 16;
/// How long the cursor rests before a file is read.
const REST_MS: u64 = 80;

/// What is shown of a file.
#[derive(Debug, Default)]
pub(super) struct Preview {
    file: Option<File>,
    shown: Shown,
}

#[derive(Debug, Default)]
enum Shown {
    /// The cursor has not rested yet, or it is on its way.
    #[default]
    Unread,
    Asked,
    Text(Box<Editor>),
    Bytes(Vec<String>),
    Failed(Problem),
}

impl Preview {
    /// What was on its way when the screen was left is read again.
    pub(super) fn forget_unread(&mut self) {
        if matches!(self.shown, Shown::Asked) {
            self.file = None;
        }
    }

    /// Whether there is text one can move in.
    pub(super) fn reader(&mut self) -> Option<&mut Editor> {
        match &mut self.shown {
            Shown::Text(editor) => Some(editor),
            _ => None,
        }
    }

    /// Another file, or the same one as it is now; answers whether it has to be read.
    fn turn_to(&mut self, file: Option<&File>) -> bool {
        let is_same = match (file, &self.file) {
            (Some(file), Some(shown)) => file.id == shown.id && file.version == shown.version,
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            self.file = file.cloned();
            self.shown = match file {
                Some(file) if file.size == 0 => Shown::Bytes(vec!["it is empty".to_owned()]),
                _ => Shown::Unread,
            };
        }
        !is_same && file.is_some_and(|file| file.size > 0)
    }

    fn take(&mut self, answered: Answered) {
        let Some(file) = &self.file else { return };
        self.shown = match answered {
            Err(problem) => Shown::Failed(problem),
            Ok(answer) if is_text(&file.content_type) => {
                let part = String::from_utf8_lossy(&answer.body);
                let is_json = file.content_type.contains("json");
                let (part, language) =
                    if is_json { (json::set_out(&part), Language::Json) } else { (part.into_owned(), Language::Plain) };
                Shown::Text(Box::new(Editor::new(part, language).without_numbers()))
            }
            Ok(answer) => Shown::Bytes(hex(&answer.body)),
        };
    }

    /// Draws it: what it is in two lines, and as much of it as there is room for.
    pub(super) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer, has_focus: bool) {
        let Some(file) = &self.file else { return };
        let mut y = area.y;
        let mut line = |ink: Ink, told: &str, buf: &mut Buffer| {
            let room = usize::from(area.width.saturating_sub(1));
            let told = text::cut(&text::clean(told), room, look.signs().more);
            text::put(buf, area, (area.x + 1, y), &told, room, look.ink(ink));
            y = y.saturating_add(1);
        };
        let sign = if has_focus { "> " } else { "" };
        line(Ink::Strong, &format!("{sign}{}", file.name), buf);
        let part = if is_text(&file.content_type) && file.size > TEXT_BYTES { ", its first 64 KB" } else { "" };
        line(Ink::Faint, &format!("{}, {} bytes{part}, version {}", file.content_type, file.size, file.version), buf);
        if file.metadata != "{}" {
            line(Ink::Faint, &file.metadata, buf);
        }
        match &self.shown {
            Shown::Unread | Shown::Asked => line(Ink::Faint, "reading", buf),
            Shown::Failed(problem) => line(Ink::Bad, &problem.detail, buf),
            Shown::Bytes(lines) => {
                line(Ink::Faint, &format!("sha256 {}", file.sha256), buf);
                for told in lines {
                    line(Ink::Plain, told, buf);
                }
            }
            Shown::Text(editor) => {
                let rest = Rect {
                    x: area.x + 1,
                    y,
                    width: area.width.saturating_sub(1),
                    height: area.bottom().saturating_sub(y),
                };
                editor.view(look, rest, buf);
            }
        }
    }
}

/// Whether a media type is one of text.
fn is_text(content_type: &str) -> bool {
    const TEXTS: [&str; 7] = ["json", "xml", "javascript", "yaml", "toml", "x-sh", "x-www-form-urlencoded"];
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/") || (kind.starts_with("application/") && TEXTS.iter().any(|text| kind.contains(text)))
}

/// `0000  89 50 4e 47 …  .PNG`
fn hex(bytes: &[u8]) -> Vec<String> {
    let line = |(number, part): (usize, &[u8])| {
        let digits: Vec<String> = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let letters: String =
            part.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        format!("{:04x}  {:<47}  {letters}", number * HEX_LINE_BYTES, digits.join(" "))
    };
    bytes.chunks(HEX_LINE_BYTES).enumerate().map(line).collect()
}

impl Files {
    /// The preview is of the file with the cursor, once it rests there.
    pub(super) fn follow_cursor(&mut self, cx: &mut Context<'_>) {
        let file = self.table.as_ref().and_then(super::table::Table::selected).cloned();
        if self.preview.turn_to(file.as_ref()) {
            cx.later("rest", REST_MS);
        }
        if file.is_none() {
            self.is_reading = false;
        }
    }

    /// The cursor has rested: as much as is shown is asked for.
    pub(super) fn rested(&mut self, cx: &mut Context<'_>) {
        let (Some(table), Some(file)) = (&self.table, &self.preview.file) else { return };
        if !matches!(self.preview.shown, Shown::Unread) {
            return;
        }
        let bytes = if is_text(&file.content_type) { TEXT_BYTES } else { HEX_BYTES };
        let path = ApiPath::of_app(&table.app, &["files", &table.collection, &file.id.to_string()]);
        cx.load_with("preview", Request::get(path).header("range", format!("bytes=0-{}", bytes - 1)));
        self.preview.shown = Shown::Asked;
    }

    /// It is here.
    pub(super) fn preview_came(&mut self, answered: Answered) {
        if matches!(self.preview.shown, Shown::Asked) {
            self.preview.take(answered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_with_where_they_are() {
        assert_eq!(
            hex(b"\x89PNG\r\n\x1a\n12345678X"),
            [
                "0000  89 50 4e 47 0d 0a 1a 0a 31 32 33 34 35 36 37 38  .PNG....12345678",
                "0010  58                                               X"
            ]
        );
    }

    #[test]
    fn texts_are_known_by_their_type() {
        for text in ["text/plain; charset=utf-8", "application/json", "application/ld+json", "application/xml"] {
            assert!(is_text(text), "{text}");
        }
        for other in ["image/png", "application/octet-stream", "application/zip", "image/svg+xml", ""] {
            assert!(!is_text(other), "{other}");
        }
    }
}
