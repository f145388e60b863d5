//! The message line, and what was said there before.

use super::Now;
use picloud_model::problem::Problem;
use std::collections::VecDeque;

/// How many messages are kept for `:messages`.
const MESSAGES_MAX: usize = 200;
/// How long a word stays. Problems stay until the next key.
const SAID_MS: u64 = 10_000;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// When, by [`Now::unix_ms`].
    pub(crate) at_unix_ms: i64,
    /// Whether something was refused or failed.
    pub(crate) is_problem: bool,
    /// What.
    pub(crate) text: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    kept: VecDeque<Message>,
    /// Whether the newest is shown, and until when.
    shown_until_ms: Option<u64>,
}

impl Messages {
    /// Says a word; answers for how long it stays, so that the shell can take it away.
    pub(super) fn say(&mut self, now: Now, text: String) -> u64 {
        self.push(now, false, text);
        SAID_MS
    }

    /// Says what was refused or failed, with what to do about it.
    pub(super) fn complain(&mut self, now: Now, problem: &Problem) {
        let mut text = problem.detail.clone();
        if let Some(first) = problem.errors.first() {
            text += &format!(" ({}:{} {})", first.line, first.column, first.message);
        }
        if !problem.conflicts.is_empty() {
            text += &format!(": {}", problem.conflicts.join(", "));
        }
        if let Some(hint) = &problem.hint {
            text += &format!("  - {hint}");
        }
        self.push(now, true, text);
    }

    fn push(&mut self, now: Now, is_problem: bool, text: String) {
        if self.kept.len() >= MESSAGES_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Message { at_unix_ms: now.unix_ms, is_problem, text });
        self.shown_until_ms = Some(now.mono_ms + SAID_MS);
    }

    /// The one to show.
    pub(crate) fn current(&self) -> Option<&Message> {
        self.shown_until_ms.and(self.kept.back())
    }

    /// Takes it away where its time is over; a problem stays.
    pub(super) fn pass(&mut self, now: Now) -> bool {
        let is_over = self.shown_until_ms.is_some_and(|until| now.mono_ms >= until);
        let goes = is_over && self.kept.back().is_some_and(|message| !message.is_problem);
        if goes {
            self.shown_until_ms = None;
        }
        goes
    }

    /// A key was typed: a problem that was seen goes.
    pub(super) fn seen(&mut self) {
        if self.kept.back().is_some_and(|message| message.is_problem) {
            self.shown_until_ms = None;
        }
    }

    /// All that are kept, newest last.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Message> {
        self.kept.iter()
    }
}
