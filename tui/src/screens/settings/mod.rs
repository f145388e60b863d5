//! The Settings screen: pages as a list at the left, each a list of its own: keys, tokens, secrets, env, timers, backups,
//! audit, limits, metrics, SDK, theme, and what the appliance is.

mod about;
mod audit;
mod backups;
mod env;
mod join_tokens;
mod keys;
mod limits;
mod metrics;
mod page;
mod sdk;
mod secrets;
#[cfg(test)]
mod tests;
mod theme;
mod timers;

use crate::app::{Answered, Context, Offer, Place, Screen, Slot};
use crate::keymap::Action;
use crate::theme::{Ink, Look};
use crate::widgets::form::Values;
use crate::widgets::list::{Column, List, Row};
use crate::widgets::text;
use page::Page;
use picloud_model::audit::AuditEntry;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Under so many columns only one of the two panes is shown.
const BOTH_COLUMNS_MIN: u16 = 72;
/// Columns of the list of pages.
const PAGES_COLUMNS: u16 = 15;

static COLUMNS: [Column; 1] = [Column::rest("")];

/// The screen.
#[derive(Debug)]
pub(super) struct Settings {
    pages: Vec<Box<dyn Page>>,
    list: List,
    /// Which page is shown.
    at: usize,
    /// Whether moves are the page's and not the list of pages'.
    is_inside: bool,
    zone: jiff::tz::TimeZone,
}

impl Settings {
    /// Without anything loaded.
    pub(super) fn new() -> Self {
        let pages: Vec<Box<dyn Page>> = vec![
            Box::new(keys::Keys::new()),
            Box::new(join_tokens::JoinTokens::new()),
            Box::new(secrets::Secrets::new()),
            Box::new(env::Env::new()),
            Box::new(timers::Timers::new()),
            Box::new(backups::Backups::new()),
            Box::new(audit::Audit::new()),
            Box::new(limits::Limits::new()),
            Box::new(metrics::Metrics::new()),
            Box::new(sdk::Sdk::new()),
            Box::new(theme::Theme::new()),
            Box::new(about::About::new()),
        ];
        let mut list = List::new(&COLUMNS);
        list.set(pages.iter().map(|page| Row::new(page.name(), vec![page.name().into()])).collect());
        Self { pages, list, at: 0, is_inside: false, zone: jiff::tz::TimeZone::UTC }
    }

    fn page(&self) -> &dyn Page {
        self.pages[self.at].as_ref()
    }

    fn page_mut(&mut self) -> &mut dyn Page {
        self.pages[self.at].as_mut()
    }

    /// Shows the page with the cursor.
    fn show(&mut self, cx: &mut Context<'_>) {
        let name = self.list.selected_id();
        self.at = self.pages.iter().position(|page| Some(page.name()) == name).unwrap_or(self.at);
        self.page_mut().note(cx.facts);
        self.page_mut().enter(cx);
    }

    fn act_on_pages(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::Open | Action::Right | Action::NextPane | Action::PreviousPane => self.is_inside = true,
            Action::New => return self.page_mut().act(action, cx),
            Action::Mark | Action::MarkAll | Action::Sort => return false,
            _ if self.list.act(action) => self.show(cx),
            _ => return false,
        }
        true
    }

    fn act_on_page(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::NextPane | Action::PreviousPane | Action::Left => self.is_inside = false,
            Action::Mark | Action::MarkAll => return false,
            Action::Back => {
                // Esc goes up to the list of pages before it leaves the screen.
                return std::mem::replace(&mut self.is_inside, false);
            }
            _ if self.page_mut().list_mut().act(action) => self.page_mut().moved(cx),
            _ => return self.page_mut().act(action, cx),
        }
        true
    }

    fn view_page(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        let page = self.page();
        if !page.list().is_empty() {
            return page.list().view(look, area, buf, self.is_inside);
        }
        page.state().view_filtered(look, area, buf, page.list().filter_text(), page.nothing());
    }
}

impl Screen for Settings {
    fn enter(&mut self, place: &Place, cx: &mut Context<'_>) {
        self.zone = cx.facts.zone.clone();
        if let Some(thing) = &place.thing {
            if self.list.select(thing) {
                self.is_inside = true;
            } else {
                cx.say(format!("there is no page {thing}"));
            }
        }
        self.show(cx);
        if let Some(app) = place.app.as_ref().filter(|_| place.thing.is_some()) {
            self.page_mut().list_mut().filter(&format!("{app}/"));
        }
    }

    fn leave(&mut self) {
        for page in &mut self.pages {
            page.left();
        }
    }

    fn title(&self, look: &Look) -> String {
        let then = look.signs().then;
        let page = self.page();
        let sorted = page.list().sorted_by().map(|column| format!("  by {column}")).unwrap_or_default();
        let count = if page.state().is_read() { format!("[{}]", page.list().len()) } else { String::new() };
        format!(" {then} {}{count}{sorted}{}", page.name(), page.state().note(&self.zone))
    }

    fn offers(&self) -> Vec<Offer> {
        let offers = self.page().offers();
        if self.is_inside {
            let moves = [Offer::new(Action::NextPane, "pages"), Offer::new(Action::Sort, "sort")];
            return offers.into_iter().chain(moves).collect();
        }
        let new = offers.into_iter().filter(|offer| offer.action == Action::New);
        [Offer::new(Action::Open, "open")].into_iter().chain(new).collect()
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        self.page_mut().note(cx.facts);
        if self.is_inside { self.act_on_page(action, cx) } else { self.act_on_pages(action, cx) }
    }

    fn panes(&self) -> u8 {
        2
    }

    fn filter(&mut self, text: &str, cx: &mut Context<'_>) {
        self.is_inside = true;
        self.page_mut().list_mut().filter(text);
        self.page_mut().moved(cx);
    }

    fn filter_text(&self) -> &str {
        self.page().list().filter_text()
    }

    fn loaded(&mut self, slot: &Slot, answered: Answered, cx: &mut Context<'_>) {
        for page in &mut self.pages {
            if page.came(slot, &answered, cx) {
                return page.note(cx.facts);
            }
        }
    }

    fn changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        for page in &mut self.pages {
            page.changed(tag, answered, cx);
        }
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        // Pages that were not read yet are read when they are shown.
        for page in self.pages.iter_mut().filter(|page| page.state().is_read()) {
            page.watched(entry, cx);
        }
    }

    fn reload(&mut self, cx: &mut Context<'_>) {
        self.page_mut().load(cx);
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) {
        let _whose = self.pages.iter_mut().any(|page| page.due(slot, cx));
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        self.page_mut().submitted(form, values, cx);
    }

    fn transferred(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) {
        for page in &mut self.pages {
            page.transferred(slot, answered, cx);
        }
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if area.width < BOTH_COLUMNS_MIN {
            return match self.is_inside {
                true => self.view_page(look, area, buf),
                false => self.list.view(look, area, buf, true),
            };
        }
        let left = Rect { width: PAGES_COLUMNS.min(area.width), ..area };
        self.list.view(look, left, buf, !self.is_inside);
        for y in area.y..area.bottom() {
            text::put(buf, area, (left.right(), y), look.signs().bar, 1, look.ink(Ink::Faint));
        }
        let x = left.right() + 1;
        self.view_page(look, Rect { x, width: area.right().saturating_sub(x), ..area }, buf);
    }

    fn view_zoomed(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        self.view_page(look, area, buf);
    }
}
