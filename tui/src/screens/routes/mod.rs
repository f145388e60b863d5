//! The Routes screen: URLs of all apps, and the scripts behind them.

mod acts;
mod forms;
mod rows;
#[cfg(test)]
mod tests;

use super::each_app::EachApp;
use crate::app::{Answered, Context, Offer, Place, Screen, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Look;
use crate::widgets::form::Values;
use crate::widgets::list::List;
use picloud_model::audit::AuditEntry;
use picloud_model::route::ServedRoute;
use picloud_model::scope::Scope;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::Value;

/// Where routes are answered.
const STATUS: &str = "status";

/// The screen.
#[derive(Debug)]
pub(super) struct Routes {
    list: List,
    routes: EachApp<ServedRoute>,
    /// The address at which routes are answered, where that may be known.
    ingress: Option<String>,
    /// The route that was gone to, until it is there.
    wanted: Option<String>,
    editing: Option<acts::Editing>,
    may_not_write: Option<String>,
    zone: jiff::tz::TimeZone,
}

impl Routes {
    /// Without anything loaded.
    pub(super) fn new() -> Self {
        Self {
            list: List::new(&rows::COLUMNS),
            routes: EachApp::new("routes", "apps-of-routes"),
            ingress: None,
            wanted: None,
            editing: None,
            may_not_write: None,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    fn note(&mut self, cx: &Context<'_>) {
        let app = self.selected().map(|(app, _)| app.to_owned());
        self.may_not_write = cx.facts.refuses(Scope::ScriptWrite, app.as_deref());
    }

    /// A route by the id of its row.
    fn find(&self, id: &str) -> Option<(&str, &ServedRoute)> {
        let (app, id) = id.split_once('/')?;
        self.routes.all().find(|(of, route)| *of == app && route.route.id.to_string() == id)
    }

    /// The route with the cursor, and its app.
    fn selected(&self) -> Option<(&str, &ServedRoute)> {
        self.list.selected_id().and_then(|id| self.find(id))
    }

    fn show(&mut self, cx: &mut Context<'_>) {
        self.routes.fill(&mut self.list, |(app, route)| rows::row(app, route));
        let Some(wanted) = &self.wanted else { return };
        let is_there = self.list.select(wanted);
        if !is_there && self.routes.state.is_read() && !self.routes.state.is_loading() {
            cx.say("that route is not there (any more)");
            self.wanted = None;
        } else if is_there {
            self.wanted = None;
        }
    }
}

impl Screen for Routes {
    fn enter(&mut self, place: &Place, cx: &mut Context<'_>) {
        self.zone = cx.facts.zone.clone();
        match (&place.app, &place.thing) {
            (Some(app), Some(id)) => {
                self.list.filter("");
                self.wanted = Some(rows::id(app, id));
            }
            (Some(app), None) => self.list.filter(&format!("{app}/")),
            _ => {}
        }
        if self.ingress.is_none() {
            cx.load(STATUS, ApiPath::new(&["status"]));
        }
        if self.routes.state.is_read() {
            self.show(cx);
        } else {
            self.routes.load(cx);
        }
        self.note(cx);
    }

    fn leave(&mut self) {
        self.routes.left();
    }

    fn title(&self, _look: &Look) -> String {
        let marked = match self.list.marked() {
            0 => String::new(),
            marked => format!("  {marked} marked"),
        };
        let sorted = self.list.sorted_by().map(|column| format!("  by {column}")).unwrap_or_default();
        let state = &self.routes.state;
        let count = if state.is_read() { format!("[{}]", self.list.len()) } else { String::new() };
        format!("{count}{marked}{sorted}{}", state.note(&self.zone))
    }

    fn offers(&self) -> Vec<Offer> {
        self.offered()
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let is_taken = match action {
            Action::Back => self.list.unmark(),
            _ => self.list.act(action) || self.acted(action, cx),
        };
        self.note(cx);
        is_taken
    }

    fn filter(&mut self, text: &str, cx: &mut Context<'_>) {
        self.list.filter(text);
        self.note(cx);
    }

    fn filter_text(&self) -> &str {
        self.list.filter_text()
    }

    fn loaded(&mut self, slot: &Slot, answered: Answered, cx: &mut Context<'_>) {
        if slot.name == STATUS {
            // Without it URLs are told with the usual port.
            let status = answered.ok().and_then(|answer| answer.json::<Value>().ok());
            self.ingress = status.and_then(|status| status["ingress_addr"].as_str().map(str::to_owned));
            return;
        }
        self.routes.came(slot, &answered, cx);
        self.show(cx);
        self.note(cx);
    }

    fn changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        self.was_changed(tag, answered, cx);
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        match (entry.action.split('.').next().unwrap_or_default(), &entry.app) {
            ("route", Some(app)) => self.routes.load_soon(app, cx),
            ("app", Some(app)) if entry.action == "app.deploy" => self.routes.load_soon(app, cx),
            // Which machines answer a route changes with them.
            ("app" | "node", _) => self.routes.load(cx),
            _ => {}
        }
    }

    fn reload(&mut self, cx: &mut Context<'_>) {
        self.routes.load(cx);
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) {
        self.routes.due(slot, cx);
    }

    fn submitted(&mut self, _form: &'static str, values: &Values, cx: &mut Context<'_>) {
        self.filled(values, cx);
    }

    fn picked(&mut self, _picker: &'static str, id: &str, cx: &mut Context<'_>) {
        self.copied(id, cx);
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if !self.list.is_empty() {
            return self.list.view(look, area, buf, true);
        }
        let nothing = "no routes yet: n makes one; without any, nothing is answered";
        self.routes.state.view_filtered(look, area, buf, self.list.filter_text(), nothing);
    }
}
