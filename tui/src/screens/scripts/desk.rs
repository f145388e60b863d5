//! The script that is looked at or written: its live version, and the text as it is now.

use super::id::Id;
use super::related::Related;
use crate::app::Answered;
use crate::app::Context;
use crate::widgets::editor::{Editor, Language};
use crate::widgets::state::State;
use picloud_model::problem::{Code, Problem};
use picloud_model::script::{Diagnostic, Script, ScriptKind};
use serde::Deserialize;

/// How long after the last key a draft is written down.
const KEEP_AFTER_MS: u64 = 2_000;
/// How long somebody may go on typing without that.
const KEEP_LATEST_MS: u64 = 5_000;
/// How long after the last key the text is checked.
const CHECK_AFTER_MS: u64 = 400;
/// The wait before a draft is written down.
pub(super) const KEEP: &str = "keep";
/// The wait before a check, and the check.
pub(super) const CHECK: &str = "check";
/// The live version.
pub(super) const LIVE: &str = "live";

/// A script with its live version.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Live {
    /// Without its source.
    #[serde(flatten)]
    pub(super) script: Script,
    /// Who saved it.
    pub(super) author: String,
    /// Why.
    #[serde(default)]
    pub(super) message: Option<String>,
    /// The SDK it was saved under.
    pub(super) sdk_version: String,
    /// The source.
    #[serde(default)]
    pub(super) source: String,
}

/// A text that is not saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    /// The version that it began with.
    pub(super) base: i64,
    /// The text.
    pub(super) text: String,
    /// Where the cursor was.
    pub(super) place: (usize, usize),
}

/// What a check said of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Checked {
    /// Nothing yet, or the text is as it is live.
    #[default]
    No,
    /// It is being checked.
    Running,
    /// So many errors; none means that it can be saved.
    Errors(usize),
    /// It could not be checked.
    Failed(String),
}

/// The script.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) id: Id,
    pub(super) live: Option<Live>,
    pub(super) state: State,
    pub(super) editor: Editor,
    /// The version that the text began with; 0 where there is none.
    pub(super) base: i64,
    /// The editor's revision at which the text was as it is live.
    clean: Option<u64>,
    pub(super) is_typing: bool,
    pub(super) checked: Checked,
    pub(super) related: Related,
    /// Where the cursor is to be once the source is there.
    pub(super) wanted_line: Option<usize>,
    /// Since when, by the clock that never jumps, something is not written down.
    unkept_since_ms: Option<u64>,
    /// The revision at which the draft was written down last.
    kept: Option<u64>,
}

impl Desk {
    /// Whether it is being read for the first time, and nothing of it can be shown.
    pub(super) fn is_arriving(&self) -> bool {
        let has_problem = self.state.problem().is_some() || self.related.state().problem().is_some();
        let is_there = self.live.is_some() && self.related.is_read();
        !is_there && !has_problem && !self.is_changed()
    }

    /// Of a script, with a draft where there is one; what is live must be read.
    pub(super) fn new(id: Id, draft: Option<Draft>) -> Self {
        let mut desk = Self {
            id,
            live: None,
            state: State::default(),
            editor: Editor::new("", Language::Rhai),
            base: 0,
            clean: Some(0),
            is_typing: false,
            checked: Checked::No,
            related: Related::default(),
            wanted_line: None,
            unkept_since_ms: None,
            kept: None,
        };
        if let Some(draft) = draft {
            desk.editor = Editor::new(&draft.text, Language::Rhai);
            desk.editor.goto(draft.place.0, draft.place.1);
            desk.base = draft.base;
            desk.clean = None;
        }
        desk
    }

    /// Reads the live version, and what it has to do with others.
    pub(super) fn load(&mut self, cx: &mut Context<'_>) {
        self.load_live(cx);
        self.related.load(&self.id, cx);
    }

    /// Reads the live version.
    pub(super) fn load_live(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(LIVE, self.id.path(&[]));
    }

    /// The live version was read, or is gone.
    pub(super) fn take_live(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some(live) = self.state.take::<Live>(cx.now, answered) else {
            if answered.as_ref().is_err_and(|problem| problem.code == Code::NotFound) {
                self.live = None;
            }
            return;
        };
        let is_first = self.live.is_none();
        let old = self.live.take();
        if !self.is_changed() || self.editor.text() == live.source {
            self.forget_draft(cx);
            self.base = live.script.version;
            if is_first && self.clean.is_some() {
                let place = self.editor.place();
                self.editor = Editor::new(&live.source, Language::Rhai);
                self.editor.goto(place.0, place.1);
            } else if old.is_none_or(|old| old.source != live.source) && self.editor.text() != live.source {
                self.editor.set_text(&live.source);
            }
            self.be_clean();
        } else if is_first {
            cx.later(CHECK, 0);
        }
        self.live = Some(live);
        if let Some(line) = self.wanted_line.take() {
            self.editor.goto(line, 1);
        }
    }

    /// Whether the text is another one than what is live.
    pub(super) fn is_changed(&self) -> bool {
        self.clean != Some(self.editor.revision())
    }

    /// Endpoint or module; what is not known yet is taken for an endpoint.
    pub(super) fn kind(&self) -> ScriptKind {
        self.live.as_ref().map_or(ScriptKind::Endpoint, |live| live.script.kind)
    }

    /// The text is what is live.
    pub(super) fn be_clean(&mut self) {
        self.clean = Some(self.editor.revision());
        self.checked = Checked::No;
        self.unkept_since_ms = None;
        self.editor.set_errors(Vec::new());
    }

    /// The text was edited: it is to be checked and written down soon.
    pub(super) fn edited(&mut self, cx: &mut Context<'_>) {
        cx.later(CHECK, CHECK_AFTER_MS);
        let since = *self.unkept_since_ms.get_or_insert(cx.now.mono_ms);
        if cx.now.mono_ms.saturating_sub(since) >= KEEP_LATEST_MS {
            self.keep(cx);
        } else {
            cx.later(KEEP, KEEP_AFTER_MS);
        }
    }

    /// Writes the draft down, or away where the text is as it is live again.
    pub(super) fn keep(&mut self, cx: &mut Context<'_>) {
        self.unkept_since_ms = None;
        if self.live.as_ref().is_some_and(|live| self.editor.text() == live.source) {
            self.forget_draft(cx);
            self.be_clean();
        } else if self.is_changed() && self.kept != Some(self.editor.revision()) {
            self.kept = Some(self.editor.revision());
            cx.keep_draft(self.id.draft_id(self.base), self.editor.text());
        }
    }

    /// There is no draft any more.
    pub(super) fn forget_draft(&mut self, cx: &mut Context<'_>) {
        self.kept = None;
        let id = self.id.draft_id(self.base);
        if cx.facts.drafts.contains_key(&id) {
            cx.keep_draft(id, "");
        }
    }

    /// The draft goes on from another version.
    pub(super) fn rebase(&mut self, base: i64, cx: &mut Context<'_>) {
        self.forget_draft(cx);
        self.base = base;
        self.keep(cx);
    }

    /// The text, where it is not saved.
    pub(super) fn draft(&self) -> Option<Draft> {
        let draft = || Draft { base: self.base, text: self.editor.text(), place: self.editor.place() };
        self.is_changed().then(draft)
    }

    /// A check or a save said this of the text.
    pub(super) fn take_check(&mut self, said: Result<Vec<Diagnostic>, &Problem>) {
        let (diagnostics, is_wrong) = match &said {
            Ok(warnings) => (warnings.as_slice(), false),
            Err(problem) if !problem.errors.is_empty() => (problem.errors.as_slice(), true),
            Err(problem) => {
                self.checked = Checked::Failed(problem.detail.clone());
                return;
            }
        };
        self.checked = Checked::Errors(if is_wrong { diagnostics.len() } else { 0 });
        let own = format!("/{}.rhai", self.id.name);
        let note = |diagnostic: &Diagnostic| {
            let mut message = diagnostic.message.clone();
            if let Some(hint) = &diagnostic.hint {
                message += &format!(" ({hint})");
            }
            if !is_wrong {
                message.insert_str(0, "warning: ");
            }
            match &diagnostic.file {
                Some(file) if !file.ends_with(&own) => (0, 0, format!("{file}:{}: {message}", diagnostic.line)),
                _ => (diagnostic.line, diagnostic.column, message),
            }
        };
        self.editor.set_errors(diagnostics.iter().map(note).collect());
    }
}
