//! What keys do to routes.

use super::{Routes, forms, rows};
use crate::app::{Answered, Change, Context, Offer, Place, Request, ScreenId};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::screens::elsewhere::quoted;
use crate::theme::Ink;
use crate::widgets::form::Values;
use crate::widgets::picker::{Picker, PickerItem};
use crate::widgets::reader::Reader;
use picloud_model::app::{App, DEFAULT_APP};
use picloud_model::ids::RouteId;
use picloud_model::route::{RouteAuth, RouteSpec, Segment, ServedRoute, parse_path};
use serde_json::json;

/// The form of a route.
const ROUTE: &str = "route";
/// The picker of what is copied.
const COPY: &str = "copy";
/// A route in another's place: beside it, or after it was removed.
const BESIDE: &str = "beside";
const INSTEAD: &str = "instead";
/// The old one again, where the new one was refused.
const BACK: &str = "back";
/// The port of routes where nothing else is known.
const USUAL_PORT: &str = "8080";

/// The route that an open form changes.
#[derive(Clone, Debug)]
pub(super) struct Editing {
    app: String,
    id: RouteId,
    was: RouteSpec,
    /// What was to be instead, and why it was refused after the old one had gone.
    refused: Option<(RouteSpec, String)>,
}

impl Routes {
    /// What can be done with routes now.
    pub(super) fn offered(&self) -> Vec<Offer> {
        let count = self.list.chosen().len();
        let none = self.selected().is_none().then(|| "no route is selected".to_owned());
        let refused = self.may_not_write.clone().or(none.clone());
        let one = refused.clone().or((count > 1).then(|| "one at a time: Esc unmarks".to_owned()));
        vec![
            Offer::new(Action::Open, "script").unless(none.clone()),
            Offer::new(Action::New, "new").unless(self.may_not_write.clone()),
            Offer::new(Action::Edit, "edit").unless(one),
            Offer::new(Action::Test, "test").unless(none.clone()),
            Offer::new(Action::Delete, "delete").unless(refused),
            Offer::new(Action::Copy, "copy URL, curl").unless(none.clone()),
            Offer::new(Action::Logs, "runs").unless(none.clone()),
            Offer::new(Action::Info, "info").unless(none),
            Offer::new(Action::Mark, "mark"),
            Offer::new(Action::Sort, "sort"),
        ]
    }

    /// A key that is neither a move nor a mark.
    pub(super) fn acted(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let selected = self.selected().map(|(app, served)| (app.to_owned(), served.clone()));
        if action == Action::New {
            self.ask_new(selected.map(|(app, _)| app), cx);
            return true;
        }
        let Some((app, served)) = selected else { return false };
        let spec = &served.route.spec;
        let script = Place::of(ScreenId::Scripts).app(&app).thing(&spec.script);
        match action {
            Action::Open | Action::Right => cx.go(script),
            Action::Test => {
                let method = spec.methods.first().map_or("GET", String::as_str);
                cx.go(script.tried_with(method, &spec.path));
            }
            Action::Logs => cx.go(Place::of(ScreenId::Runs).app(&app).thing(format!("script:{}", spec.script))),
            Action::Info => cx.read(self.info(&app, &served, cx)),
            Action::Copy => {
                let curl = self.curl(&app, &served, cx);
                let items = vec![
                    PickerItem::new("url", "URL", self.url(&app, spec, cx)),
                    PickerItem::new("curl", "curl", curl),
                    PickerItem::new("path", "path", &spec.path),
                ];
                cx.pick(COPY, Picker::new("Copy", items));
            }
            Action::Edit => {
                cx.form(ROUTE, forms::route(&[], &app, Some(spec)));
                self.editing = Some(Editing { app, id: served.route.id, was: spec.clone(), refused: None });
            }
            Action::Delete => self.delete(cx),
            _ => return false,
        }
        true
    }

    fn ask_new(&mut self, app: Option<String>, cx: &mut Context<'_>) {
        let apps: Vec<String> = self.routes.apps.iter().map(|app| app.name.clone()).collect();
        let Some(first) = apps.first() else {
            return cx.say("there is no app yet that a route could belong to: 3 n makes one");
        };
        self.editing = None;
        let app = app.unwrap_or_else(|| first.clone());
        cx.form(ROUTE, forms::route(&apps, &app, None));
    }

    fn delete(&self, cx: &mut Context<'_>) {
        let chosen: Vec<(&str, &ServedRoute)> = self.list.chosen().into_iter().filter_map(|id| self.find(id)).collect();
        let count = chosen.len();
        let changes = chosen.into_iter().map(|(app, served)| {
            let spec = &served.route.spec;
            let request = Request::delete(ApiPath::of_app(app, &["routes", &served.route.id.to_string()]));
            let title = spec.title();
            let back = Request::post(ApiPath::of_app(app, &["routes"]), spec);
            let change = Change::new(format!("deleted {title} of {app}"), request);
            let change = change.undone_anyway_by(format!("{title} of {app} is there again"), back);
            match count {
                1 => change.asks("delete", format!("delete {title} of {app}: it is not answered any more")),
                _ => change.asks_to_type(
                    "delete",
                    format!("delete {count} routes: they are not answered any more"),
                    count,
                ),
            }
        });
        cx.changes(changes.collect());
    }

    /// The form is filled in.
    pub(super) fn filled(&mut self, values: &Values, cx: &mut Context<'_>) {
        let spec = match forms::spec(values) {
            Ok(spec) => spec,
            Err(why) => return cx.refuse(why),
        };
        let title = spec.title();
        let Some(Editing { app, id, was, .. }) = self.editing.clone() else {
            let app = values.get("app");
            let request = Request::post(ApiPath::of_app(app, &["routes"]), &spec);
            return cx.change(Change::new(format!("{title} leads to {app}/{}", spec.script), request));
        };
        if spec == was {
            return cx.say("unchanged: nothing was saved");
        }
        let post = Request::post(ApiPath::of_app(&app, &["routes"]), &spec);
        let post = Change::new(format!("{title} leads to {app}/{}", spec.script), post);
        if !meets(&spec, &was) {
            // The old one goes once the new one is there.
            return cx.change(post.tag(BESIDE));
        }
        if let Some(editing) = &mut self.editing {
            editing.refused = Some((spec.clone(), String::new()));
        }
        let delete = Request::delete(ApiPath::of_app(&app, &["routes", &id.to_string()]));
        let delete = Change::new(format!("{} is gone for a moment", was.title()), delete);
        let question = format!("change {}: it is not answered for a moment", was.title());
        cx.changes(vec![delete.asks("change", question), post.tag(INSTEAD)]);
    }

    /// A change was made, or refused.
    pub(super) fn was_changed(&mut self, tag: &'static str, answered: &Answered, cx: &mut Context<'_>) {
        let made = answered.as_ref().ok().and_then(|answer| answer.json::<picloud_model::route::Route>().ok());
        match (tag, made, &mut self.editing) {
            (BESIDE, Some(made), Some(Editing { app, id, .. })) => {
                let done = format!("{} is there, the one before is gone", made.spec.title());
                let path = ApiPath::of_app(app, &["routes", &id.to_string()]);
                cx.change(Change::new(done, Request::delete(path)));
            }
            // The new one was refused after the old one went: that comes back, and the form says why.
            (INSTEAD, None, Some(Editing { app, was, refused, .. })) => {
                if let (Some((_, why)), Err(problem)) = (refused, answered) {
                    why.clone_from(&problem.detail);
                }
                let back = Request::post(ApiPath::of_app(app, &["routes"]), was);
                cx.change(Change::new(format!("{} is as before", was.title()), back).tag(BACK));
            }
            (BACK, Some(made), Some(editing)) => {
                editing.id = made.id;
                if let Some((tried, why)) = editing.refused.take() {
                    let mut form = forms::route(&[], &editing.app, Some(&tried));
                    form.refused = Some(why);
                    cx.form(ROUTE, form);
                }
            }
            _ => {}
        }
    }

    /// What was chosen to be copied.
    pub(super) fn copied(&self, id: &str, cx: &mut Context<'_>) {
        let Some((app, served)) = self.selected() else { return };
        match id {
            "url" => cx.copy("the URL", self.url(app, &served.route.spec, cx)),
            "curl" => cx.copy("the curl line", self.curl(app, served, cx)),
            _ => cx.copy("the path", served.route.spec.path.clone()),
        }
    }

    /// Where a route is reached: at the app's host, else below the app's name.
    fn url(&self, app: &str, spec: &RouteSpec, cx: &Context<'_>) -> String {
        let record = self.routes.apps.iter().find(|record| record.name == app);
        let port = self.ingress.as_deref().and_then(|at| at.rsplit(':').next()).unwrap_or(USUAL_PORT);
        let machine = match cx.facts.appliance.split_once("://") {
            Some((_, rest)) => rest.split([':', '/']).next().unwrap_or_default(),
            None => "localhost",
        };
        format!("http://{}{}", authority(record, machine, port), below(record, app, &spec.path))
    }

    fn curl(&self, app: &str, served: &ServedRoute, cx: &Context<'_>) -> String {
        let spec = &served.route.spec;
        let method = spec.methods.iter().find(|method| *method == "GET").or(spec.methods.first());
        let method = method.filter(|method| *method != "GET").map(|method| format!("-X {method} ")).unwrap_or_default();
        let key = if spec.auth == RouteAuth::Key { "-H \"Authorization: Bearer $PICLOUD_KEY\" " } else { "" };
        format!("curl -sS {method}{key}{}", quoted(&self.url(app, spec, cx)))
    }

    fn info(&self, app: &str, served: &ServedRoute, cx: &Context<'_>) -> Reader {
        let spec = &served.route.spec;
        let lines = [
            ("path", spec.path.clone()),
            ("methods", rows::methods(&spec.methods)),
            ("script", format!("{app}/{}", spec.script)),
            ("auth", rows::auth(spec.auth).to_owned()),
            ("URL", self.url(app, spec, cx)),
            ("served by", served.served_by.join(", ")),
            ("id", served.route.id.to_string()),
        ];
        let lines = lines.into_iter().map(|(name, said)| vec![(Ink::Faint, format!("{name:11}")), (Ink::Plain, said)]);
        Reader::of(format!("Route {}", spec.title()), lines.collect()).json(json!(served))
    }
}

fn authority(record: Option<&App>, machine: &str, port: &str) -> String {
    match record.and_then(|record| record.hosts.first()) {
        Some(host) => host.clone(),
        None => format!("{machine}:{port}"),
    }
}

fn below(record: Option<&App>, app: &str, path: &str) -> String {
    let has_host = record.is_some_and(|record| !record.hosts.is_empty());
    if has_host || app == DEFAULT_APP { path.to_owned() } else { format!("/{app}{path}") }
}

/// Whether two routes of an app could not stand beside each other: a method of both, and paths alike but for names.
fn meets(one: &RouteSpec, other: &RouteSpec) -> bool {
    let shape = |spec: &RouteSpec| {
        let segments = parse_path(&spec.path).ok()?.into_iter().map(|segment| match segment {
            Segment::Literal(text) => format!("={text}"),
            Segment::Param(_) => "{}".to_owned(),
            Segment::Rest(_) => "{*}".to_owned(),
        });
        Some(segments.collect::<Vec<_>>())
    };
    let of_both = one.methods.is_empty()
        || other.methods.is_empty()
        || one.methods.iter().any(|method| other.methods.contains(method));
    of_both && shape(one) == shape(other)
}
