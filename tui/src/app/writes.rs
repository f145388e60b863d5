//! Changes under way, and how the last ones are taken back: those of one key or question together.

use super::calls::CallId;
use super::change::Undo;
use super::layers::Layer;
use super::{Answered, App, Change, Effect, ScreenId};
use picloud_model::problem::Code;
use std::collections::{HashMap, VecDeque};

/// How many keys and questions can be taken back.
const UNDO_STEPS_MAX: usize = 50;
/// What all that can be taken back may weigh; the oldest goes first.
const UNDO_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What is counted of one beside its body.
const UNDO_HEAD_BYTES: usize = 256;
/// The tag of changes that take others back.
const UNDO: &str = "undo";

/// Changes under way and made.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    newest_id: u64,
    newest_step: u64,
    under_way: HashMap<u64, UnderWay>,
    undo: VecDeque<Step>,
    undo_bytes: usize,
    /// The step that was too large to be kept whole: none of it is.
    undo_lost: Option<u64>,
    /// How those of one question went, until all of them are answered.
    done: usize,
    failed: usize,
}

/// A change that was sent.
#[derive(Debug)]
struct UnderWay {
    screen: ScreenId,
    step: u64,
    change: Change,
}

/// What one key or one question led to, and how it is taken back, in the order in which it was done.
#[derive(Debug)]
struct Step {
    screen: ScreenId,
    number: u64,
    undo: Vec<Undo>,
}

impl Step {
    fn bytes(&self) -> usize {
        self.undo.iter().map(bytes_of).sum()
    }
}

fn bytes_of(undo: &Undo) -> usize {
    undo.request.body.len() + UNDO_HEAD_BYTES
}

impl Writes {
    /// Changes that are taken back together follow.
    pub(super) fn begin_step(&mut self) {
        self.newest_step += 1;
    }

    /// A change of the newest step is sent.
    pub(super) fn begin(&mut self, screen: ScreenId, change: Change) -> u64 {
        self.newest_id += 1;
        self.under_way.insert(self.newest_id, UnderWay { screen, step: self.newest_step, change });
        self.newest_id
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Answers whether it can be taken back.
    fn keep_undo(&mut self, (screen, step): (ScreenId, u64), mut undo: Undo, answered: &Answered) -> bool {
        if undo.only_if_unchanged {
            // Without a version to compare, somebody else's change could be overwritten: then it is not offered.
            let Some(version) = answered.as_ref().ok().and_then(|answer| answer.etag.clone()) else { return false };
            undo.request = undo.request.if_match(version);
        }
        self.push_undo((screen, step), undo)
    }

    fn push_undo(&mut self, (screen, number): (ScreenId, u64), undo: Undo) -> bool {
        if self.undo_lost == Some(number) {
            return false;
        }
        self.undo_bytes += bytes_of(&undo);
        match self.undo.iter_mut().rev().find(|step| step.number == number) {
            Some(step) => step.undo.push(undo),
            None => self.undo.push_back(Step { screen, number, undo: vec![undo] }),
        }
        while self.undo.len() > UNDO_STEPS_MAX || self.undo_bytes > UNDO_BYTES_MAX {
            let Some(oldest) = self.undo.pop_front() else { break };
            self.undo_bytes -= oldest.bytes();
            if oldest.number == number {
                self.undo_lost = Some(number);
                return false;
            }
        }
        true
    }

    fn pop_undo(&mut self) -> Option<Step> {
        let step = self.undo.pop_back()?;
        self.undo_bytes -= step.bytes();
        Some(step)
    }
}

impl App {
    /// A change was made, or refused.
    pub(super) fn wrote(&mut self, id: u64, answered: Answered, effects: &mut Vec<Effect>) {
        let Some(UnderWay { screen, step, change }) = self.writes.under_way.remove(&id) else { return };
        self.calls.end(self.now, &CallId::Write(id), &answered);
        self.link.answered(self.now, &answered);
        let form_waits = self.close_form_of(id, &answered);
        match &answered {
            Ok(_) => {
                self.writes.done += 1;
                let undo = change.undo.clone();
                let can_undo = undo.is_some_and(|undo| self.writes.keep_undo((screen, step), undo, &answered));
                let of_many = (self.writes.done > 1).then(|| format!("{} done, last: ", self.writes.done));
                let undo = if can_undo { "   u undo" } else { "" };
                self.say(format!("{}{}{undo}", of_many.unwrap_or_default(), change.done), effects);
            }
            Err(problem) => {
                self.writes.failed += 1;
                if change.tag == UNDO && problem.code == Code::NodeAway {
                    // Nobody was there to take it back: it can be tried again.
                    let undo =
                        Undo { done: change.done.clone(), request: change.request.clone(), only_if_unchanged: false };
                    self.writes.push_undo((screen, step), undo);
                }
                let is_one_of_many = self.writes.done + self.writes.failed + self.writes.under_way.len() > 1;
                if is_one_of_many {
                    let mut problem = problem.clone();
                    problem.detail = format!("not {}: {}", change.done, problem.detail);
                    self.messages.complain(self.now, &problem);
                } else if !form_waits {
                    self.messages.complain(self.now, problem);
                }
            }
        }
        if self.writes.under_way.is_empty() {
            let (done, failed) = (std::mem::take(&mut self.writes.done), std::mem::take(&mut self.writes.failed));
            if failed > 0 && done + failed > 1 {
                self.say(format!("{done} done, {failed} refused: :messages says why"), effects);
            }
        }
        self.tell(Some(screen), effects, |screen, cx| screen.changed(change.tag, &answered, cx));
    }

    /// Closes the form whose change this was; where it was refused, the form says why and stays. Answers whether so.
    fn close_form_of(&mut self, id: u64, answered: &Answered) -> bool {
        let of_form = |layer: &Layer| matches!(layer, Layer::Form { pending: Some(pending), .. } if *pending == id);
        let Some(at) = self.layers.iter().position(of_form) else { return false };
        match answered {
            Ok(_) => {
                self.layers.remove(at);
                false
            }
            Err(problem) => {
                if let Layer::Form { form, pending, .. } = &mut self.layers[at] {
                    *pending = None;
                    let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!("  - {hint}"));
                    form.refused = Some(format!("{}{hint}", problem.detail));
                }
                true
            }
        }
    }

    /// What `u` would send, and the ones below it.
    #[cfg(test)]
    pub(super) fn undo_requests(&self) -> impl Iterator<Item = &super::Request> {
        self.writes.undo.iter().flat_map(|step| &step.undo).map(|undo| &undo.request)
    }

    /// Takes the last change back; of many that were one step, the last one first.
    pub(super) fn undo(&mut self, effects: &mut Vec<Effect>) {
        let Some(step) = self.writes.pop_undo() else {
            return self.say("nothing to undo: no change of yours since the start".to_owned(), effects);
        };
        let back = step.undo.into_iter().rev().map(|undo| Change::new(undo.done, undo.request).tag(UNDO));
        self.make(step.screen, back.collect(), effects);
    }
}
