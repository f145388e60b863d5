//! The colours the person likes.

use super::page::Page;
use crate::app::{Answered, Context, Facts, Offer, Slot};
use crate::keymap::Action;
use crate::theme::ThemeName;
use crate::widgets::list::{Column, List, Row};
use crate::widgets::state::State;

static COLUMNS: [Column; 3] = [Column::new("theme", 9), Column::new("now", 3), Column::rest("")];

/// The page.
#[derive(Debug)]
pub(super) struct Theme {
    list: List,
    state: State,
    now: Option<ThemeName>,
}

impl Theme {
    /// With all of them.
    pub(super) fn new() -> Self {
        Self { list: List::new(&COLUMNS), state: State::default(), now: None }
    }

    fn show(&mut self, now: ThemeName) {
        self.now = Some(now);
        let about = |theme: ThemeName| match theme {
            ThemeName::Terminal => "the terminal's own colours",
            ThemeName::Dark => "for a dark background",
            ThemeName::Light => "for a light background",
            ThemeName::Contrast => "as much contrast as there is",
        };
        let row = |theme: &ThemeName| {
            let sign = if *theme == now { "*" } else { "" };
            Row::new(theme.name(), vec![theme.name().into(), sign.into(), about(*theme).into()])
        };
        self.list.set(ThemeName::ALL.iter().map(row).collect());
    }
}

impl Page for Theme {
    fn name(&self) -> &'static str {
        "theme"
    }

    fn list(&self) -> &List {
        &self.list
    }

    fn list_mut(&mut self) -> &mut List {
        &mut self.list
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn nothing(&self) -> &'static str {
        ""
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.state.ended(cx.now, None);
        self.show(cx.facts.theme);
    }

    fn came(&mut self, _slot: &Slot, _answered: &Answered, _cx: &mut Context<'_>) -> bool {
        false
    }

    fn note(&mut self, facts: &Facts) {
        if self.now != Some(facts.theme) {
            self.show(facts.theme);
        }
    }

    fn offers(&self) -> Vec<Offer> {
        vec![Offer::new(Action::Open, "use")]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let theme = self.list.selected_id().and_then(ThemeName::parse);
        let (Action::Open, Some(theme)) = (action, theme) else { return false };
        cx.keep_setting("theme", theme.name());
        self.show(theme);
        true
    }
}
