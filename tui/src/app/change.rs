//! Changes: requests that write, with what has to be asked before and how they are undone.

use super::request::Request;

/// A write that somebody asked for.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// What it does, as the toast says it afterwards: `saved posts/1`, `drained pi-02`.
    pub(crate) done: String,
    /// What is sent.
    pub(crate) request: Request,
    /// What it takes away, and so what must be asked first.
    pub(crate) danger: Danger,
    /// What `u` sends to take it back; only for changes that lose nothing.
    pub(crate) undo: Option<Undo>,
    /// Told back to the screen with the answer ([`super::Screen::changed`]): which of its changes this was.
    pub(crate) tag: &'static str,
}

/// How much asking a change needs (three levels).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Danger {
    /// Can be undone, or loses nothing: done at once.
    None,
    /// One thing is lost or happens for good: `y` after a question that names the consequence.
    One {
        /// The verb on the confirming key: `delete`, `replay`.
        verb: &'static str,
        /// The question, naming thing and consequence: `delete posts/1: its value is gone for good`.
        question: String,
    },
    /// Many things, or data that cannot be had again: a word or count has to be typed.
    Many {
        /// The verb: `delete`.
        verb: &'static str,
        /// The question.
        question: String,
        /// What has to be typed: the name, or how many.
        word: String,
    },
}

/// How a change is taken back.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    /// What it does, as the toast says it: `posts/1 is as before`.
    pub(crate) done: String,
    /// What is sent.
    pub(crate) request: Request,
    /// Whether it is sent with the version that the change's own answer had, so that it is refused where somebody else
    /// changed the thing since.
    pub(crate) only_if_unchanged: bool,
}

impl Change {
    /// A change that loses nothing.
    pub(crate) fn new(done: impl Into<String>, request: Request) -> Self {
        Self { done: done.into(), request, danger: Danger::None, undo: None, tag: "" }
    }

    /// With a question of the first level: one thing is lost or happens for good.
    #[must_use]
    pub(crate) fn asks(mut self, verb: &'static str, question: impl Into<String>) -> Self {
        self.danger = Danger::One { verb, question: question.into() };
        self
    }

    /// With a question of the second level: `word` has to be typed.
    #[must_use]
    pub(crate) fn asks_to_type(mut self, verb: &'static str, question: impl Into<String>, word: impl ToString) -> Self {
        self.danger = Danger::Many { verb, question: question.into(), word: word.to_string() };
        self
    }

    /// That `u` takes back, unless somebody changed the thing since.
    #[must_use]
    pub(crate) fn undone_by(mut self, done: impl Into<String>, request: Request) -> Self {
        self.undo = Some(Undo { done: done.into(), request, only_if_unchanged: true });
        self
    }

    /// The same for things without versions.
    #[must_use]
    pub(crate) fn undone_anyway_by(mut self, done: impl Into<String>, request: Request) -> Self {
        self.undo = Some(Undo { done: done.into(), request, only_if_unchanged: false });
        self
    }

    /// Whose answer is told back under this name.
    #[must_use]
    pub(crate) fn tag(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }
}
