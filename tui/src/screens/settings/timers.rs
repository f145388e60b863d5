//! Timers of all apps: what scripts asked to be run later.

use super::page::{Page, none_selected};
use crate::app::{Answered, Change, Context, Facts, Offer, Place, Request, ScreenId, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::screens::each_app::EachApp;
use crate::widgets::list::{Column, List, Row};
use crate::widgets::state::State;
use crate::widgets::text;
use picloud_model::audit::AuditEntry;
use picloud_model::scope::Scope;
use picloud_model::timer::Timer;

/// Where each app's are.
const TIMERS: &str = "timers";

static COLUMNS: [Column; 4] =
    [Column::rest("script"), Column::new("due", 11), Column::new("tries", 5).right(), Column::new("id", 36).spare(1)];

/// The page.
#[derive(Debug)]
pub(super) struct Timers {
    list: List,
    timers: EachApp<Timer>,
    refused: Option<String>,
}

impl Timers {
    /// Without anything read.
    pub(super) fn new() -> Self {
        Self { list: List::new(&COLUMNS), timers: EachApp::new(TIMERS, "apps-of-timers"), refused: None }
    }

    fn selected(&self) -> Option<(&str, &Timer)> {
        let (app, id) = self.list.selected_id()?.split_once('/')?;
        self.timers.all().find(|(of, timer)| *of == app && timer.id.to_string() == id)
    }
}

impl Page for Timers {
    fn name(&self) -> &'static str {
        TIMERS
    }

    fn list(&self) -> &List {
        &self.list
    }

    fn list_mut(&mut self) -> &mut List {
        &mut self.list
    }

    fn state(&self) -> &State {
        &self.timers.state
    }

    fn nothing(&self) -> &'static str {
        "no timer waits: a script sets one with timers::after"
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.timers.load(cx);
    }

    /// Scripts set timers, and they come due, without anybody's doing: they are read each time.
    fn enter(&mut self, cx: &mut Context<'_>) {
        self.load(cx);
    }

    fn left(&mut self) {
        self.timers.left();
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        if !self.timers.came(slot, answered, cx) {
            return false;
        }
        let row = |(app, timer): (&str, &Timer)| {
            let cells = vec![
                format!("{app}/{}", timer.script).into(),
                text::moment(cx.now.unix_ms, timer.due_at, &cx.facts.zone).into(),
                timer.attempts.to_string().into(),
                timer.id.to_string().into(),
            ];
            Row::new(format!("{app}/{}", timer.id), cells)
        };
        self.timers.fill(&mut self.list, row);
        true
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) -> bool {
        self.timers.due(slot, cx)
    }

    fn watched(&mut self, entry: &AuditEntry, cx: &mut Context<'_>) {
        if let (true, Some(app)) = (entry.action.starts_with("timer."), &entry.app) {
            self.timers.load_soon(app, cx);
        }
    }

    fn note(&mut self, facts: &Facts) {
        let app = self.selected().map(|(app, _)| app.to_owned());
        self.refused = facts.refuses(Scope::ScriptWrite, app.as_deref());
    }

    fn offers(&self) -> Vec<Offer> {
        let none = none_selected(&self.list);
        vec![
            Offer::new(Action::Delete, "cancel").unless(self.refused.clone().or(none.clone())),
            Offer::new(Action::Open, "script").unless(none.clone()),
            Offer::new(Action::Copy, "copy id").unless(none),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let Some((app, timer)) = self.selected() else { return false };
        match action {
            Action::Open => cx.go(Place::of(ScreenId::Scripts).app(app).thing(&timer.script)),
            Action::Copy => cx.copy("the id", timer.id.to_string()),
            Action::Delete => {
                let due = text::moment(cx.now.unix_ms, timer.due_at, &cx.facts.zone);
                let request = Request::delete(ApiPath::of_app(app, &["timers", &timer.id.to_string()]));
                let question = format!("cancel {app}/{} of {due}: it is never run", timer.script);
                cx.change(Change::new(format!("cancelled {app}/{}", timer.script), request).asks("cancel", question));
            }
            _ => return false,
        }
        true
    }
}
