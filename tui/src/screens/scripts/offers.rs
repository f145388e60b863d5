//! What can be done now.

use super::{Below, Focus, Scripts};
use crate::app::Offer;
use crate::keymap::Action;
use picloud_model::script::ScriptKind;

impl Scripts {
    /// Most used first; the footer shows as many as there is room for.
    pub(super) fn offers_now(&self) -> Vec<Offer> {
        let Some(id) = self.chosen_id() else {
            return vec![Offer::new(Action::Open, "open"), self.writing(Action::New, "new")];
        };
        let mut offers = match self.focus {
            Focus::Tree => vec![Offer::new(Action::Open, "open")],
            Focus::Source => Vec::new(),
            Focus::Below => self.offers_below(),
        };
        let changed = self.desk.as_ref().filter(|desk| desk.id == id && desk.is_changed());
        if let Some(desk) = changed {
            offers.push(self.writing(Action::Save, "save"));
            if desk.editor.can_undo() && self.focus == Focus::Source {
                offers.push(Offer::new(Action::Undo, "undo typing"));
            }
        }
        let is_typing = self.desk.as_ref().is_some_and(|desk| desk.is_typing);
        if self.focus == Focus::Source && self.desk.as_ref().is_some_and(|desk| desk.editor.error_count() > 0) {
            offers.push(Offer::new(Action::NextHit, "next error"));
        }
        if !is_typing {
            offers.push(self.writing(Action::Edit, "edit"));
        }
        offers.push(self.writing(Action::Test, "test").unless(self.not_run()));
        if self.below != Below::Versions || self.focus != Focus::Below {
            offers.push(Offer::new(Action::Versions, "versions"));
        }
        if self.quarantine(&id).is_some() && (self.focus, self.below) != (Focus::Below, Below::Versions) {
            offers.push(self.writing(Action::RunAgain, "release"));
        }
        offers.push(self.writing(Action::New, "new"));
        offers.push(self.writing(Action::EditOutside, "$EDITOR"));
        if changed.is_some() {
            offers.push(self.writing(Action::SaveWith, "save with a message"));
        }
        offers.push(self.writing(Action::Delete, self.delete_word().as_str()));
        offers.push(Offer::new(Action::Info, "info"));
        offers.push(Offer::new(Action::Logs, "logs"));
        offers.push(Offer::new(Action::Copy, "copy"));
        if self.focus == Focus::Tree {
            offers.push(Offer::new(Action::Mark, "mark"));
        }
        offers
    }

    fn offers_below(&self) -> Vec<Offer> {
        match self.below {
            Below::Related => vec![Offer::new(Action::Open, "go there")],
            Below::Versions => vec![
                Offer::new(Action::Open, if self.past.list.marked() == 2 { "compare" } else { "what it changed" }),
                Offer::new(Action::Versions, "against live"),
                self.writing(Action::RunAgain, "roll back"),
                Offer::new(Action::Mark, "mark two to compare"),
            ],
            Below::Outcome if self.outcome.at.is_some() => vec![Offer::new(Action::Open, "failing line")],
            Below::Outcome => Vec::new(),
        }
    }

    fn delete_word(&self) -> String {
        match self.tree.list.marked() {
            count if count > 0 && self.focus == Focus::Tree => format!("delete {count}"),
            _ => "delete".to_owned(),
        }
    }

    /// Something that a key without the scope cannot do.
    fn writing(&self, action: Action, word: &str) -> Offer {
        Offer::new(action, word).unless(self.refused.clone())
    }

    /// Why what is chosen is not run by hand.
    fn not_run(&self) -> Option<String> {
        let id = self.chosen_id()?;
        let kind = self.tree.script(&id).map(|script| script.kind).or_else(|| {
            let desk = self.desk.as_ref().filter(|desk| desk.id == id)?;
            Some(desk.kind())
        });
        let is_module = kind == Some(ScriptKind::Module);
        self.refused.clone().or(is_module.then(|| "a module is not run; try a script that imports it".to_owned()))
    }
}
