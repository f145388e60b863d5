//! What was done, so that it can be taken back and done again.

use super::lines::Pos;
use std::collections::VecDeque;

/// How many steps can be taken back.
const STEPS_MAX: usize = 1000;
/// How much text all steps hold together at most, in bytes; the oldest go first.
const STEPS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Text in place of other text.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Where.
    pub(super) at: Pos,
    /// What stood there.
    pub(super) removed: String,
    /// What stands there now.
    pub(super) inserted: String,
    /// Where the cursor was.
    pub(super) before: Pos,
    /// Where it was then.
    pub(super) after: Pos,
}

impl Step {
    fn bytes(&self) -> usize {
        self.removed.len() + self.inserted.len()
    }
}

/// All steps.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    done: VecDeque<Step>,
    undone: Vec<Step>,
    bytes: usize,
    /// Whether the last step is over: a key then begins another.
    is_sealed: bool,
}

impl History {
    /// Something was done; keys that go on with a word are one step.
    pub(super) fn push(&mut self, step: Step) {
        self.undone.clear();
        self.bytes += step.bytes();
        if !self.is_sealed
            && let Some(last) = self.done.back_mut()
            && goes_on(last, &step)
        {
            join(last, step);
        } else {
            self.done.push_back(step);
        }
        self.is_sealed = false;
        while self.done.len() > STEPS_MAX || (self.bytes > STEPS_BYTES_MAX && self.done.len() > 1) {
            self.bytes -= self.done.pop_front().map_or(0, |oldest| oldest.bytes());
        }
    }

    /// What is done next is another step.
    pub(super) fn seal(&mut self) {
        self.is_sealed = true;
    }

    /// The last step, which is being taken back.
    pub(super) fn undo(&mut self) -> Option<Step> {
        let step = self.done.pop_back()?;
        self.bytes -= step.bytes();
        self.is_sealed = true;
        self.undone.push(step.clone());
        Some(step)
    }

    /// The last step that was taken back, which is being done again.
    pub(super) fn redo(&mut self) -> Option<Step> {
        let step = self.undone.pop()?;
        self.bytes += step.bytes();
        self.is_sealed = true;
        self.done.push_back(step.clone());
        Some(step)
    }

    /// Whether anything can be taken back.
    pub(super) fn can_undo(&self) -> bool {
        !self.done.is_empty()
    }
}

/// Whether a key goes on with what the keys before it did: typing on in a word, or deleting on.
fn goes_on(last: &Step, next: &Step) -> bool {
    let types = |step: &Step| step.removed.is_empty() && !step.inserted.contains('\n');
    let deletes = |step: &Step| step.inserted.is_empty() && !step.removed.contains('\n');
    if types(last) && types(next) && last.after == next.at {
        let begins_word = last.inserted.ends_with(' ') && !next.inserted.starts_with(' ');
        return !begins_word;
    }
    deletes(last) && deletes(next) && (next.after == next.at && last.at.line == next.at.line) && {
        let to_the_left = next.at.byte + next.removed.len() == last.at.byte;
        to_the_left || next.at == last.at
    }
}

fn join(last: &mut Step, next: Step) {
    if next.removed.is_empty() {
        last.inserted += &next.inserted;
    } else if next.at < last.at {
        last.removed.insert_str(0, &next.removed);
        last.at = next.at;
    } else {
        last.removed += &next.removed;
    }
    last.after = next.after;
}
