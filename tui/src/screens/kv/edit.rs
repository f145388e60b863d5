//! A value that is being edited, and what is kept of it where the line drops.

use super::lines::Target;
use super::value::{below, head};
use crate::app::{Key, Request};
use crate::path::ApiPath;
use crate::theme::{Ink, Look};
use crate::widgets::editor::{Editor, Language};
use crate::widgets::{json, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// Longer text is looked at for errors only when it is left, not at every key.
const CHECKED_BYTES_MAX: usize = 64 * 1024;

/// What is written down of it.
#[derive(Debug, Serialize, Deserialize)]
struct Draft {
    /// The version it was made of; absent where the key was not there.
    version: Option<i64>,
    /// When the value was to cease to be there.
    expires_at: Option<i64>,
    /// The text.
    text: String,
}

/// A value that is being edited.
#[derive(Debug)]
pub(super) struct Edit {
    /// Its key.
    pub(super) target: Target,
    /// The version it is made of; absent where the key was not there.
    pub(super) version: Option<i64>,
    /// When the value ceases to be there; kept over the change.
    pub(super) expires_at: Option<i64>,
    /// The text.
    pub(super) editor: Editor,
    /// Whether keys are text.
    pub(super) is_typing: bool,
    /// What is stored, squeezed.
    before: String,
    /// The edit that was written down last.
    kept: u64,
    /// Whether the text differs from what is stored, and at which edit that was found out.
    changed: Cell<(u64, bool)>,
}

/// What its draft is kept by.
pub(super) fn draft_id(target: &Target) -> Option<String> {
    match target {
        Target::Key(app, collection, key) => Some(format!("kv:{app}/{collection}/{key}")),
        _ => None,
    }
}

impl Edit {
    /// Of a value as it is stored.
    pub(super) fn new(target: Target, version: Option<i64>, expires_at: Option<i64>, raw: &str) -> Self {
        let editor = Editor::new(json::set_out(raw), Language::Json);
        let kept = editor.revision();
        Self {
            target,
            version,
            expires_at,
            editor,
            is_typing: true,
            before: json::squeezed(raw),
            kept,
            changed: Cell::new((kept, false)),
        }
    }

    /// Goes on with a draft that was kept, if it can be read.
    pub(super) fn resume(&mut self, kept: &str) -> bool {
        let Ok(draft) = serde_json::from_str::<Draft>(kept) else { return false };
        self.version = draft.version;
        self.expires_at = draft.expires_at;
        self.editor.set_text(&draft.text);
        self.kept = self.editor.revision();
        self.check();
        true
    }

    /// Whether it says something else than what is stored.
    pub(super) fn is_changed(&self) -> bool {
        let revision = self.editor.revision();
        if self.changed.get().0 != revision {
            self.changed.set((revision, json::squeezed(&self.editor.text()) != self.before));
        }
        self.changed.get().1
    }

    /// The id and the text to be written down; empty where nothing is changed.
    pub(super) fn draft(&self) -> Option<(String, String)> {
        let id = draft_id(&self.target)?;
        if !self.is_changed() {
            return Some((id, String::new()));
        }
        let draft = Draft { version: self.version, expires_at: self.expires_at, text: self.editor.text() };
        Some((id, serde_json::to_string(&draft).expect("it has names as keys")))
    }

    /// Whether there is something new to write down; once for each edit.
    pub(super) fn is_to_be_kept(&mut self) -> bool {
        std::mem::replace(&mut self.kept, self.editor.revision()) != self.editor.revision()
    }

    /// Takes a key; answers whether it was one for a text.
    pub(super) fn typed(&mut self, key: Key) -> bool {
        let before = self.editor.revision();
        let is_taken = self.editor.typed(key);
        self.after(before);
        is_taken
    }

    /// Takes text that was pasted.
    pub(super) fn pasted(&mut self, pasted: &str) {
        let before = self.editor.revision();
        self.editor.insert(pasted);
        self.after(before);
    }

    fn after(&mut self, before: u64) {
        if self.editor.revision() != before {
            let text = self.editor.text();
            if text.len() <= CHECKED_BYTES_MAX {
                self.mark(&text);
            }
        }
    }

    /// Says what is wrong under its line; answers the text to store, squeezed, where nothing is.
    pub(super) fn check(&mut self) -> Option<String> {
        let text = self.editor.text();
        self.mark(&text).then(|| json::squeezed(&text))
    }

    fn mark(&mut self, text: &str) -> bool {
        match wrong_with(text) {
            None => self.editor.set_errors(Vec::new()),
            Some(wrong) => self.editor.set_errors(vec![wrong]),
        }
        self.editor.error_count() == 0
    }

    /// Draws it.
    pub(super) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        head(look, area, buf, &self.target, true);
        let of = self.version.map_or_else(|| "a new key".to_owned(), |version| format!("v{version}"));
        let changed = if self.is_changed() { "changed" } else { "not changed" };
        let typing = if self.is_typing { "  -- EDIT --" } else { "" };
        let errors = match self.editor.error_count() {
            0 => String::new(),
            _ => "  1 error".to_owned(),
        };
        let line = format!("draft of {of}, {changed}{typing}{errors}");
        let room = usize::from(area.width);
        let ink = if errors.is_empty() { Ink::Warn } else { Ink::Bad };
        let shown = text::cut(&line, room, look.signs().more);
        text::put(buf, area, (area.x, area.y.saturating_add(1)), &shown, room, look.ink(ink));
        self.editor.view(look, below(area), buf);
    }

    /// Where the terminal's cursor is.
    pub(super) fn cursor(&self, area: Rect) -> Option<(u16, u16)> {
        self.editor.cursor(below(area))
    }
}

/// What is wrong with JSON: line and column counting from 1, and what.
pub(super) fn wrong_with(text: &str) -> Option<(usize, usize, String)> {
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    // What is missing at the end is shown there; serde_json counts bytes, which no line of ours has many more of.
    let (line, column) = (error.line().max(1), error.column().max(1));
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
    Some((line, column, message))
}

/// The request that stores a value, which keeps what is left of its time.
pub(super) fn store(target: &Target, json: String, expires_at: Option<i64>, now: i64) -> Option<Request> {
    let Target::Key(app, collection, key) = target else { return None };
    let path = ApiPath::of_app(app, &["kv", collection, key]);
    let path = path.query("ttl_ms", expires_at.map(|at| at.saturating_sub(now).max(1)));
    Some(Request::new(http::Method::PUT, path).bytes(json, "application/json"))
}

/// The same, only where it is at this version; absent: only where it is not there.
pub(super) fn only_at(request: Request, version: Option<i64>) -> Request {
    match version {
        Some(version) => request.if_match(version),
        None => request.if_absent(),
    }
}
