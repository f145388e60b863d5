//! What keys do, and what is offered.

use super::Files;
use crate::app::{Context, Offer};
use crate::keymap::Action;

impl Files {
    /// Does what a key of the table means; answers whether it was for this screen.
    pub(super) fn acted(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::New => self.upload_form(cx),
            Action::Copy => self.copy(cx),
            Action::Kill => self.cancel(cx),
            Action::Delete if self.table.is_some() => self.delete(cx),
            Action::Delete => self.count_collection(cx),
            Action::Test if self.table.is_none() => self.sweep(cx),
            _ if self.table.is_none() => return self.acted_on_shelf(action, cx),
            Action::Save => self.download_form(cx),
            Action::Move | Action::Edit => self.change_form(cx),
            Action::Info => self.info(cx),
            _ => return self.acted_on_table(action),
        }
        true
    }

    fn acted_on_shelf(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let selected = self.shelf.selected().map(|(app, name)| (app.to_owned(), name.map(str::to_owned)));
        match (action, selected) {
            (Action::Open | Action::Right, Some((app, Some(name)))) => self.enter_collection(&app, &name, None, cx),
            (Action::Open | Action::Right, Some((app, None))) => {
                let is_open = self.is_open(&app) && action == Action::Open;
                self.open_app(&app, !is_open, cx);
            }
            (Action::Left, Some((app, _))) => {
                self.open_app(&app, false, cx);
                self.shelf.list.select(&app);
            }
            (Action::Mark | Action::MarkAll, _) => return false,
            _ => return self.shelf.list.act(action),
        }
        true
    }

    fn acted_on_table(&mut self, action: Action) -> bool {
        let Some(table) = &mut self.table else { return false };
        match action {
            Action::Open => self.is_reading = table.list.selected_id().is_some(),
            Action::NextPane | Action::PreviousPane => {
                self.is_reading = !self.is_reading && table.list.selected_id().is_some();
            }
            Action::Back if self.is_reading => self.is_reading = false,
            Action::Back if !table.filter.is_empty() => return false,
            Action::Back if table.list.unmark() => {}
            Action::Back | Action::Left if !self.is_reading => self.table = None,
            other if self.is_reading => return self.preview.reader().is_some_and(|reader| reader.act(other)),
            other => return table.list.act(other),
        }
        true
    }

    /// What can be done now, most used first.
    pub(super) fn offered(&self) -> Vec<Offer> {
        let writes = || self.why_not.clone();
        let mut offers = Vec::new();
        if self.shelf.is_empty() {
            return offers;
        }
        if let Some(transfer) = self.transfer {
            offers.push(Offer::new(Action::Kill, format!("cancel the {transfer}")));
        }
        let busy = || self.transfer.map(|transfer| format!("the {transfer} before is not over: K cancels it"));
        let upload = Offer::new(Action::New, if self.is_far { "bring from the Pi's disk" } else { "upload" });
        let Some(table) = &self.table else {
            offers.push(Offer::new(Action::Open, "open"));
            offers.push(upload.unless(writes().or_else(busy)));
            let on_app = self.shelf.selected().is_none_or(|(_, name)| name.is_none());
            let not_on_app = || "put the cursor on a collection".to_owned();
            offers.push(Offer::new(Action::Copy, "copy"));
            offers.push(Offer::new(Action::Delete, "delete all").unless(on_app.then(not_on_app).or_else(writes)));
            offers.push(Offer::new(Action::Test, "check the disk").unless(self.why_not_sweep.clone()));
            return offers;
        };
        let no_file = || self.selected().is_none().then(|| "there is no file under the cursor".to_owned());
        if !self.is_reading {
            offers.push(Offer::new(Action::Open, "read").unless(no_file()));
        }
        let download = if self.is_far { "save on the Pi's disk" } else { "save to a file" };
        offers.push(Offer::new(Action::Save, download).unless(no_file().or_else(busy)));
        offers.push(upload.unless(writes().or_else(busy)));
        offers.push(Offer::new(Action::Copy, if self.is_far { "copy link" } else { "copy" }));
        offers.push(Offer::new(Action::Move, "rename").unless(no_file().or_else(writes)));
        let word = match table.list.marked() {
            0 => "delete".to_owned(),
            marked => format!("delete {marked} files"),
        };
        offers.push(Offer::new(Action::Delete, word).unless(no_file().or_else(writes)));
        offers.push(Offer::new(Action::Info, "info").unless(no_file()));
        offers.push(Offer::new(Action::Mark, "mark").unless(no_file()));
        offers.push(Offer::new(Action::Filter, "filter, ^ for the beginning"));
        offers
    }
}
