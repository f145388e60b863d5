//! The value: what is stored under the key with the cursor.

use super::lines::Target;
use super::shelf::{Entry, Listed};
use crate::path::ApiPath;
use crate::theme::{Ink, Look};
use crate::widgets::editor::{Editor, Language};
use crate::widgets::{json, text};
use picloud_model::problem::Problem;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// As much of a value is shown and can be edited here; `$EDITOR` takes all of it.
pub(super) const SHOWN_BYTES_MAX: usize = 256 * 1024;
/// Lines above the value: its key, and what is known of it.
pub(super) const HEAD_LINES: u16 = 2;

/// What is shown of it.
#[derive(Debug, Default)]
pub(super) enum Value {
    /// No key has the cursor.
    #[default]
    None,
    /// It is being read.
    Loading(Target),
    /// It is here.
    Here(Box<Here>),
    /// It is not there any more.
    Gone(Target),
    /// It cannot be read.
    Failed(Target, Box<Problem>),
}

/// A value that was read.
#[derive(Debug)]
pub(super) struct Here {
    /// Its key.
    pub(super) target: Target,
    /// What is known of it.
    pub(super) entry: Entry,
    /// The JSON as it is stored.
    pub(super) raw: String,
    /// The same to be read, as far as it is shown.
    pub(super) reader: Editor,
}

impl Here {
    /// What the appliance listed.
    fn new(target: Target, listed: &Listed, with_numbers: bool) -> Self {
        let raw = listed.value.as_ref().map_or_else(String::new, |value| value.get().to_owned());
        Self { target, entry: listed.into(), reader: reader(&raw, with_numbers), raw }
    }

    /// Whether there is more than is shown.
    pub(super) fn is_cut(&self) -> bool {
        self.raw.len() > SHOWN_BYTES_MAX
    }
}

/// The text to be read. Line numbers, with the cursor's sign among them, stand only where one reads in it.
fn reader(raw: &str, with_numbers: bool) -> Editor {
    let end = (0..=SHOWN_BYTES_MAX.min(raw.len())).rev().find(|at| raw.is_char_boundary(*at));
    let shown = &raw[..end.unwrap_or(0)];
    let editor = Editor::new(json::set_out(shown), Language::Json);
    if with_numbers { editor } else { editor.without_numbers() }
}

/// Where the value of a key is read with all that is known of it: the first of those that begin so.
pub(super) fn path(app: &str, collection: &str, key: &str) -> ApiPath {
    ApiPath::of_app(app, &["kv", collection]).query("prefix", Some(key)).query("limit", Some(1))
}

impl Value {
    /// The key.
    pub(super) fn target(&self) -> Option<&Target> {
        match self {
            Self::None => None,
            Self::Loading(target) | Self::Gone(target) | Self::Failed(target, _) => Some(target),
            Self::Here(here) => Some(&here.target),
        }
    }

    /// The value, if it is here.
    pub(super) fn here(&self) -> Option<&Here> {
        match self {
            Self::Here(here) => Some(here),
            _ => None,
        }
    }

    /// Takes what was answered of it.
    pub(super) fn take(&mut self, target: Target, listed: Result<Option<&Listed>, Problem>, with_numbers: bool) {
        *self = match listed {
            Ok(Some(listed)) => {
                let mut here = Here::new(target, listed, with_numbers);
                // Whoever reads in it stays where they were.
                if let Some(before) = self.here().filter(|before| before.target == here.target) {
                    here.reader.goto(before.reader.place().0, 1);
                }
                Self::Here(Box::new(here))
            }
            Ok(None) => Self::Gone(target),
            Err(problem) => Self::Failed(target, Box::new(problem)),
        };
    }

    /// One reads in it now, or does not any more.
    pub(super) fn focus(&mut self, has_focus: bool) {
        if let Self::Here(here) = self {
            let (line, _) = here.reader.place();
            here.reader = reader(&here.raw, has_focus);
            if has_focus {
                here.reader.goto(line, 1);
            }
        }
    }

    /// Draws it.
    pub(super) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer, has_draft: bool, has_focus: bool) {
        let Some(target) = self.target() else { return };
        head(look, area, buf, target, has_focus);
        let line = |text: &str, ink: Ink, buf: &mut Buffer| {
            let row = Rect { y: area.y.saturating_add(1), height: 1, ..area }.intersection(area);
            let room = usize::from(row.width);
            let shown = text::cut(&text::clean(text), room, look.signs().more);
            text::put(buf, row, (row.x, row.y), &shown, room, look.ink(ink));
        };
        match self {
            Self::None => {}
            Self::Loading(_) => line("reading", Ink::Faint, buf),
            Self::Gone(_) => line("it is not there any more", Ink::Warn, buf),
            Self::Failed(_, problem) => line(&problem.detail, Ink::Bad, buf),
            Self::Here(here) => {
                let known = known(&here.entry, here.raw.len(), look.unix_ms);
                match (has_draft, here.is_cut()) {
                    (true, _) => line(&format!("a draft is kept: e goes on with it   {known}"), Ink::Warn, buf),
                    (_, true) => line(&format!("the first part only, x opens all   {known}"), Ink::Warn, buf),
                    _ => line(&known, Ink::Faint, buf),
                }
                here.reader.view(look, below(area), buf);
            }
        }
    }
}

/// The key, above what is shown of it.
pub(super) fn head(look: &Look, area: Rect, buf: &mut Buffer, target: &Target, has_focus: bool) {
    let Target::Key(_, collection, key) = target else { return };
    let room = usize::from(area.width);
    let sign = if has_focus { "> " } else { "" };
    let title = text::cut(&text::clean(&format!("{sign}{collection}/{key}")), room, look.signs().more);
    text::put(buf, area, (area.x, area.y), &title, room, look.ink(Ink::Strong));
}

/// What is left below the head.
pub(super) fn below(area: Rect) -> Rect {
    let head = HEAD_LINES.min(area.height);
    Rect { y: area.y + head, height: area.height - head, ..area }
}

/// `1.2 KB  v14  set 9 min ago  gone in 3 h`
fn known(entry: &Entry, bytes: usize, now: i64) -> String {
    let size = text::bytes(u64::try_from(bytes).unwrap_or(u64::MAX));
    let age = match text::age(now, entry.updated_at).as_str() {
        "now" => "now".to_owned(),
        age => format!("{age} ago"),
    };
    let ends = entry.expires_at().map(|at| match text::age(now, at).strip_prefix('+') {
        Some(wait) => format!("  gone in {wait}"),
        None => "  gone by now".to_owned(),
    });
    format!("{size}  v{}  set {age}{}", entry.version, ends.unwrap_or_default())
}
