//! What keys do to apps.

use super::{Apps, deploy, forms, info, rows};
use crate::app::{Change, Context, Offer, Place, Request, ScreenId};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::widgets::form::Values;
use crate::widgets::picker::{Picker, PickerItem};
use picloud_model::app::App;

/// The form of a new app.
const NEW: &str = "new";
/// The form of what an app sets for itself.
const EDIT: &str = "edit";
/// The picker of what an app holds.
const HOLDS: &str = "holds";
/// What an app holds, and the screen or page of Settings that shows it.
const PARTS: [(&str, ScreenId, Option<&str>); 9] = [
    ("scripts", ScreenId::Scripts, None),
    ("routes", ScreenId::Routes, None),
    ("triggers", ScreenId::Triggers, None),
    ("keys and values", ScreenId::Kv, None),
    ("files", ScreenId::Files, None),
    ("runs", ScreenId::Runs, None),
    ("env", ScreenId::Settings, Some("env")),
    ("secrets", ScreenId::Settings, Some("secrets")),
    ("timers", ScreenId::Settings, Some("timers")),
];

impl Apps {
    /// What can be done with apps now.
    pub(super) fn offered(&self) -> Vec<Offer> {
        let none = self.selected().is_none().then(|| "no app is selected".to_owned());
        let refused = self.may_not_change.clone().or(none.clone());
        let deploy = if self.planned.is_some() { "deploy as planned" } else { "deploy a folder" };
        vec![
            Offer::new(Action::Open, "what it holds").unless(none.clone()),
            Offer::new(Action::New, "new").unless(self.may_not_change.clone()),
            Offer::new(Action::Edit, "hosts, limits").unless(refused.clone()),
            Offer::new(Action::SaveWith, deploy).unless(self.may_not_change.clone()),
            Offer::new(Action::Save, "write as folder").unless(none.clone()),
            Offer::new(Action::Delete, "delete").unless(refused),
            Offer::new(Action::Logs, "runs").unless(none.clone()),
            Offer::new(Action::Info, "info").unless(none.clone()),
            Offer::new(Action::Copy, "copy name").unless(none),
            Offer::new(Action::Sort, "sort"),
        ]
    }

    /// A key that is not a move.
    pub(super) fn acted(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::New => cx.form(NEW, forms::new()),
            Action::SaveWith => self.deploy(cx),
            _ => {
                let Some(app) = self.selected().cloned() else { return false };
                return self.act_on(&app, action, cx);
            }
        }
        true
    }

    fn act_on(&mut self, app: &App, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::Open | Action::Right => self.pick_part(app, cx),
            Action::Info => cx.read(info::reader(app, self.queues.get(&app.name), cx.now.unix_ms, &cx.facts.zone)),
            Action::Edit => {
                self.about = Some(app.name.clone());
                cx.form(EDIT, forms::edit(app));
            }
            Action::Save => {
                self.about = Some(app.name.clone());
                cx.form(deploy::EXPORT, forms::export(&app.name, cx.facts.caps.in_ssh));
            }
            Action::Delete => self.delete(app, cx),
            Action::Logs => cx.go(Place::of(ScreenId::Runs).app(&app.name)),
            Action::Copy => cx.copy("the name", &app.name),
            _ => return false,
        }
        true
    }

    fn pick_part(&mut self, app: &App, cx: &mut Context<'_>) {
        let held = self.held.get(&app.name).cloned().unwrap_or_default();
        let item = |(number, (name, screen, _)): (usize, &(&str, ScreenId, Option<&str>))| {
            let count = match screen {
                ScreenId::Scripts => held.scripts.map(rows::Count::told),
                ScreenId::Routes => held.routes.map(rows::Count::told),
                ScreenId::Triggers => held.triggers.map(rows::Count::told),
                ScreenId::Settings if *name == "env" => Some(app.env.len().to_string()),
                _ => None,
            };
            PickerItem::new(number.to_string(), *name, count.unwrap_or_default())
        };
        self.about = Some(app.name.clone());
        cx.pick(HOLDS, Picker::new(format!("{} holds", app.name), PARTS.iter().enumerate().map(item).collect()));
    }

    /// Goes to what was chosen of what the app holds.
    pub(super) fn jump(&mut self, id: &str, cx: &mut Context<'_>) {
        let part = id.parse::<usize>().ok().and_then(|number| PARTS.get(number));
        let Some(((_, screen, page), app)) = part.zip(self.about.take()) else { return };
        let place = Place::of(*screen).app(app);
        cx.go(match page {
            Some(page) => place.thing(*page),
            None => place,
        });
    }

    fn delete(&self, app: &App, cx: &mut Context<'_>) {
        let held = self.held.get(&app.name).cloned().unwrap_or_default();
        let counts = [("scripts", held.scripts), ("routes", held.routes), ("triggers", held.triggers)];
        let counts = counts.iter().filter_map(|(what, count)| Some(format!(", {} {what}", (*count)?.told())));
        let counts: String = counts.collect();
        let request = Request::delete(ApiPath::of_app(&app.name, &[])).if_match(app.revision);
        let question = format!("all keys, files{counts} go");
        cx.change(Change::new(format!("deleted {}", app.name), request).asks_to_type("delete", question, &app.name));
    }

    /// A form is filled in.
    pub(super) fn filled(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        match form {
            NEW => {
                let new = forms::made(values);
                let request = Request::post(ApiPath::new(&["apps"]), &new);
                cx.change(Change::new(format!("app {} is made: 4 n writes a script in it", new.name), request));
                self.wanted = Some(new.name);
            }
            EDIT => self.save(values, cx),
            _ => self.folder_filled(form, values, cx),
        }
    }

    fn save(&self, values: &Values, cx: &mut Context<'_>) {
        let Some(app) = self.about.as_deref().and_then(|name| self.find(name)) else {
            return cx.refuse("that app is not there any more: Esc leaves");
        };
        match forms::edited(app, values) {
            Ok(Some((patch, back))) => {
                let path = ApiPath::of_app(&app.name, &[]);
                let request = Request::patch(path.clone(), &patch).if_match(app.revision);
                let undo = Request::patch(path, &back);
                let change = Change::new(format!("saved {}", app.name), request);
                cx.change(change.undone_by(format!("{} is as before", app.name), undo));
            }
            Ok(None) => cx.say("unchanged: nothing was saved"),
            Err(why) => cx.refuse(why),
        }
    }
}
