//! Changes under way, and how the last ones are taken back.

use super::calls::CallId;
use super::change::Undo;
use super::layers::Layer;
use super::{Answered, App, Change, Effect, ScreenId};
use picloud_model::problem::Code;
use std::collections::{HashMap, VecDeque};

/// How many changes can be taken back.
const UNDO_MAX: usize = 50;
/// The tag of changes that take others back.
const UNDO: &str = "undo";

/// Changes under way and made.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    newest_id: u64,
    under_way: HashMap<u64, (ScreenId, Change)>,
    undo: VecDeque<(ScreenId, Undo)>,
    /// How those of one question went, until all of them are answered.
    done: usize,
    failed: usize,
}

impl Writes {
    /// A change is sent.
    pub(super) fn begin(&mut self, screen: ScreenId, change: Change) -> u64 {
        self.newest_id += 1;
        self.under_way.insert(self.newest_id, (screen, change));
        self.newest_id
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Answers whether it can be taken back.
    fn keep_undo(&mut self, screen: ScreenId, mut undo: Undo, answered: &Answered) -> bool {
        if undo.only_if_unchanged {
            // Without a version to compare, somebody else's change could be overwritten: then it is not offered.
            let Some(version) = answered.as_ref().ok().and_then(|answer| answer.etag.clone()) else { return false };
            undo.request = undo.request.if_match(version);
        }
        if self.undo.len() >= UNDO_MAX {
            self.undo.pop_front();
        }
        self.undo.push_back((screen, undo));
        true
    }
}

impl App {
    /// A change was made, or refused.
    pub(super) fn wrote(&mut self, id: u64, answered: Answered, effects: &mut Vec<Effect>) {
        let Some((screen, change)) = self.writes.under_way.remove(&id) else { return };
        self.calls.end(self.now, &CallId::Write(id), &answered);
        self.link.answered(self.now, &answered);
        let form_waits = self.close_form_of(id, &answered);
        match &answered {
            Ok(_) => {
                self.writes.done += 1;
                let can_undo = change.undo.clone().is_some_and(|undo| self.writes.keep_undo(screen, undo, &answered));
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
                    self.writes.undo.push_back((screen, undo));
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
        self.writes.undo.iter().map(|(_, undo)| &undo.request)
    }

    /// Takes the last change back.
    pub(super) fn undo(&mut self, effects: &mut Vec<Effect>) {
        let Some((screen, undo)) = self.writes.undo.pop_back() else {
            return self.say("nothing to undo: no change of yours since the start".to_owned(), effects);
        };
        self.make(screen, vec![Change::new(undo.done, undo.request).tag(UNDO)], effects);
    }
}
