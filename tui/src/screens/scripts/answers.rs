//! What the appliance says: answers, changes that were made, and what somebody changed elsewhere.

use super::desk::{self, Desk, Live};
use super::trial::Outcome;
use super::{Below, Focus, Id, Scripts, past, related, save, tree};
use crate::app::{Answered, Context, Slot};
use picloud_model::audit::AuditEntry;
use picloud_model::problem::Code;
use picloud_model::script::{CheckedScript, SavedScript};
use serde_json::Value;

impl Scripts {
    /// A load ended.
    pub(super) fn take_answer(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        match slot.name {
            tree::APPS => return self.tree.take_apps(answered, cx),
            tree::SCRIPTS => return self.take_scripts(slot, answered, cx),
            _ => {}
        }
        let Some(desk) = &mut self.desk else { return };
        match slot.name {
            desk::LIVE => self.take_live(answered, cx),
            desk::CHECK if slot.of == desk.id.to_string() => take_check(desk, answered),
            past::VERSIONS => {
                let live = desk.live.as_ref().map(|live| live.script.version);
                self.past.take(answered, live, cx);
            }
            past::DIFF | past::PLAN => match answered {
                Ok(answer) => self.take_comparison(slot, answer, cx),
                Err(problem) => cx.complain(problem.clone()),
            },
            save::CONFLICT => self.take_conflict(answered, cx),
            RUN => self.take_run(answered, true),
            name if related::SLOTS.contains(&name) => {
                let id = desk.id.clone();
                desk.related.take(&id, slot, answered, cx);
                self.delete_if_known(cx);
            }
            _ => {}
        }
    }

    fn take_scripts(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        let before = self.tree.selected();
        self.tree.take_scripts(slot, answered, cx);
        // Whoever came for a script finds the cursor on it once the list is there.
        if let Some(desk) = self.desk.as_ref().filter(|desk| desk.id.app == slot.of)
            && before.as_ref() != Some(&desk.id)
            && self.focus != Focus::Tree
        {
            self.tree.list.select(&desk.id.to_string());
        }
    }

    fn take_live(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some(desk) = &mut self.desk else { return };
        desk.take_live(answered, cx);
        let is_gone = answered.as_ref().is_err_and(|problem| problem.code == Code::NotFound);
        if is_gone && !desk.is_changed() {
            cx.say(format!("there is no script {} in {}", desk.id.name, desk.id.app));
            drop(self.clear_desk(cx));
            self.focus = Focus::Tree;
            return;
        }
        self.delete_if_known(cx);
        self.try_as_wanted(cx);
    }

    /// A test run ended.
    pub(super) fn take_run(&mut self, answered: &Answered, is_dry: bool) {
        self.outcome_top = 0;
        self.outcome = match answered {
            Ok(answer) => match answer.json::<Value>() {
                Ok(answer) => Outcome::of(&answer, is_dry).unwrap_or_else(|error| {
                    let detail = format!("the answer is not what this version expects: {error}");
                    Outcome::refused(&picloud_model::problem::Problem::new(Code::Internal, detail))
                }),
                Err(problem) => Outcome::refused(&problem),
            },
            Err(problem) => Outcome::refused(problem),
        };
        if self.below != Below::Outcome {
            return;
        }
        if let (Err(problem), Some(desk)) = (answered, &mut self.desk)
            && problem.code == Code::InvalidScript
        {
            desk.take_check(Err(problem));
        }
    }

    /// A change was made or refused.
    pub(super) fn take_change(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        match tag {
            save::SAVE => self.saved(answered, cx),
            save::NEW => self.made(answered, cx),
            RUN => self.take_run(answered, false),
            _ if answered.is_ok() => self.reload_all(cx),
            _ => {}
        }
    }

    fn reload_all(&mut self, cx: &mut Context<'_>) {
        self.tree.reload(cx);
        if let Some(desk) = &mut self.desk {
            desk.load(cx);
            if self.below == Below::Versions {
                self.past.load(&desk.id, cx);
            }
        }
    }

    /// A save was made or refused.
    fn saved(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some((id, text)) = self.saving.pop_front() else { return };
        let saved = match answered {
            Ok(answer) => answer.json::<SavedScript>(),
            Err(problem) => Err(problem.clone()),
        };
        let Some(desk) = self.desk.as_mut().filter(|desk| desk.id == id) else {
            // Somebody moved on meanwhile.
            if saved.is_ok()
                && let Some(draft) = self.parked.get(&id).filter(|draft| draft.text == text)
            {
                cx.keep_draft(id.draft_id(draft.base), "");
                self.parked.remove(&id);
            }
            return;
        };
        match saved {
            Ok(saved) => {
                take_saved(desk, saved, text, cx);
                self.reload_all(cx);
            }
            Err(problem) if problem.code == Code::PreconditionFailed => {
                cx.load(save::CONFLICT, id.path(&[]));
            }
            Err(problem) => {
                desk.take_check(Err(&problem));
                desk.keep(cx);
            }
        }
    }

    /// Somebody changed something, here or elsewhere.
    pub(super) fn take_watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        let verb = entry.action.split('.').next().unwrap_or_default();
        if verb == "app" {
            self.tree.load(cx);
        }
        let Some(app) = entry.app.as_deref().or((verb == "app").then_some(entry.target.as_str())) else { return };
        if matches!(verb, "script" | "app") && self.tree.is_read(app) {
            self.tree.load_app(app, cx);
        }
        let Some(desk) = self.desk.as_mut().filter(|desk| desk.id.app == app) else { return };
        match verb {
            "script" if entry.target == desk.id.name => {
                desk.load_live(cx);
                if self.below == Below::Versions {
                    self.past.load(&desk.id, cx);
                }
            }
            "app" => desk.load_live(cx),
            _ => {}
        }
        if matches!(verb, "script" | "app" | "route" | "trigger") {
            let Desk { related, id, .. } = desk;
            related.load(id, cx);
        }
    }
}

/// A test run.
pub(super) const RUN: &str = "run";

fn take_check(desk: &mut Desk, answered: &Answered) {
    if !desk.is_changed() {
        return;
    }
    let checked = match answered {
        Ok(answer) => answer.json::<CheckedScript>(),
        Err(problem) => Err(problem.clone()),
    };
    match checked {
        Ok(checked) => desk.take_check(Ok(checked.warnings)),
        Err(problem) => desk.take_check(Err(&problem)),
    }
}

/// The text is live now; what was typed since is a draft of it.
fn take_saved(desk: &mut Desk, saved: SavedScript, text: String, cx: &mut Context<'_>) {
    let SavedScript { script, warnings } = saved;
    desk.forget_draft(cx);
    desk.base = script.version;
    let is_same = desk.editor.text() == text;
    let author = desk.live.as_ref().map_or_else(String::new, |live| live.author.clone());
    let sdk_version = desk.live.as_ref().map_or_else(String::new, |live| live.sdk_version.clone());
    desk.live = Some(Live { script, author, message: None, sdk_version, source: text });
    if is_same {
        desk.be_clean();
        desk.take_check(Ok(warnings));
    } else {
        desk.keep(cx);
    }
}

/// Which script a draft or a selection is of, in words.
pub(super) fn told(ids: &[Id]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
