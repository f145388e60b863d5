//! Texts that `$EDITOR` left and that are not accepted yet: tables of triggers, and events of letters. They are kept until
//! they are, also over the end of the program.

use crate::app::{Answered, Context};
use crate::widgets::picker::{Picker, PickerItem};
use picloud_model::problem::{Code, Problem};
use std::collections::BTreeMap;

/// Most texts that are kept.
const DRAFTS_MAX: usize = 100;
/// The picker of what becomes of one.
pub(super) const DRAFT: &str = "draft";
/// What the ids of drafts begin with: of triggers, and of letters.
pub(super) const TRIGGER: &str = "trigger ";
pub(super) const LETTER: &str = "letter ";

/// Asks what becomes of one.
pub(super) fn ask(of: &str, verb: &str, cx: &mut Context<'_>) {
    let items = vec![
        PickerItem::new("open", "open", "go on with it in $EDITOR"),
        PickerItem::new("send", verb, "as it is kept"),
        PickerItem::new("throw", "throw away", "and x begins anew"),
    ];
    cx.pick(DRAFT, Picker::new(format!("The draft {of}"), items));
}

/// The texts, by what they are of: `letter app/17`.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    texts: BTreeMap<String, String>,
    /// The one that was sent last.
    sent: Option<String>,
    has_begun: bool,
}

impl Drafts {
    /// Takes up those that were written down before.
    pub(super) fn begin(&mut self, cx: &Context<'_>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let ours = cx.facts.drafts.iter().filter(|(id, _)| id.starts_with(TRIGGER) || id.starts_with(LETTER));
            self.texts = ours.take(DRAFTS_MAX).map(|(id, text)| (id.clone(), text.clone())).collect();
        }
    }

    /// The text that is kept of something.
    pub(super) fn get(&self, id: &str) -> Option<&str> {
        self.texts.get(id).map(String::as_str)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        self.texts.iter().map(|(id, text)| (id.clone(), text.clone())).collect()
    }

    /// Writes one down.
    pub(super) fn keep(&mut self, id: String, text: &str, cx: &mut Context<'_>) {
        if self.texts.len() >= DRAFTS_MAX && !self.texts.contains_key(&id) {
            let why = format!("{DRAFTS_MAX} drafts are kept already: this one is not; :drafts shows them");
            return cx.complain(Problem::new(Code::LimitExceeded, why));
        }
        cx.keep_draft(id.clone(), text);
        self.texts.insert(id, text.to_owned());
    }

    /// Throws one away.
    pub(super) fn forget(&mut self, id: &str, cx: &mut Context<'_>) {
        if self.texts.remove(id).is_some() {
            cx.keep_draft(id, "");
        }
    }

    /// Keeps one until it is known whether it was accepted.
    pub(super) fn send(&mut self, id: String, text: &str, cx: &mut Context<'_>) {
        self.keep(id.clone(), text, cx);
        self.sent = Some(id);
    }

    /// It was accepted, or not.
    pub(super) fn answered(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        match (self.sent.take(), answered) {
            (Some(id), Ok(_)) => self.forget(&id, cx),
            (Some(_), Err(_)) => cx.say("what you wrote is kept: x opens it again"),
            (None, _) => {}
        }
    }
}
