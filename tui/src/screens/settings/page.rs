//! What a page of the Settings screen is: a list with what can be done about it.

use crate::app::{Answered, Context, Facts, Offer, Slot};
use crate::keymap::Action;
use crate::widgets::form::Values;
use crate::widgets::list::List;
use crate::widgets::state::State;
use picloud_model::audit::AuditEntry;
use std::fmt::Debug;

/// A page. What is loaded and changed has slots and tags of its own, so that all pages can be asked whose it is.
pub(super) trait Page: Debug {
    /// What it is called, in the list of pages and in places.
    fn name(&self) -> &'static str;

    /// Its rows.
    fn list(&self) -> &List;

    /// Its rows, to move in.
    fn list_mut(&mut self) -> &mut List;

    /// How what it shows is.
    fn state(&self) -> &State;

    /// What stands where rows would be.
    fn nothing(&self) -> &'static str;

    /// Reads it all anew; what is shown stays meanwhile.
    fn load(&mut self, cx: &mut Context<'_>);

    /// It is shown from now on.
    fn enter(&mut self, cx: &mut Context<'_>) {
        if !self.state().is_read() {
            self.load(cx);
        }
    }

    /// The screen is left.
    fn left(&mut self) {}

    /// Something was loaded; answers whether it was its.
    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool;

    /// A wait is over; answers whether it was its.
    fn due(&mut self, _slot: &Slot, _cx: &mut Context<'_>) -> bool {
        false
    }

    /// Somebody changed something.
    fn watched(&mut self, _entry: &AuditEntry, _cx: &mut Context<'_>) {}

    /// What may be done, as far as is known of who asks.
    fn note(&mut self, _facts: &Facts) {}

    /// What can be done on it.
    fn offers(&self) -> Vec<Offer> {
        Vec::new()
    }

    /// A key that is not a move.
    fn act(&mut self, _action: Action, _cx: &mut Context<'_>) -> bool {
        false
    }

    /// The cursor moved: more is read where it nears the end.
    fn moved(&mut self, _cx: &mut Context<'_>) {}

    /// A form of it is filled in.
    fn submitted(&mut self, _form: &'static str, _values: &Values, _cx: &mut Context<'_>) {}

    /// A change was made or refused.
    fn changed(&mut self, _tag: &'static str, _answered: &Answered, _cx: &mut Context<'_>) {}

    /// A file was saved, or not.
    fn transferred(&mut self, _slot: &Slot, _answered: &Answered, _cx: &mut Context<'_>) {}
}

/// Why nothing can be done with a row where none is selected.
pub(super) fn none_selected(list: &List) -> Option<String> {
    list.selected().is_none().then(|| "nothing is selected".to_owned())
}
