//! The form of a route, and what it says.

use super::rows;
use crate::widgets::form::{Field, FieldKind, Form, Values};
use picloud_model::route::{RouteAuth, RouteSpec, parse_path};

/// The form: of a new one the app is chosen, too.
pub(super) fn route(apps: &[String], app: &str, was: Option<&RouteSpec>) -> Form {
    let title = was.map_or_else(|| "New route".to_owned(), |was| format!("Route {} of {app}", was.title()));
    let mut form = Form::new(title, if was.is_some() { "save" } else { "create" });
    if was.is_none() {
        let kind = FieldKind::Choice(apps.to_vec());
        form = form.field(Field::line("app", "app", "whose script answers").with(app).kind(kind).needed());
    }
    let text = |of: fn(&RouteSpec) -> String| was.map(of).unwrap_or_default();
    let auth = was.map_or("public", |was| rows::auth(was.auth));
    let choices = FieldKind::Choice(vec!["public".to_owned(), "key".to_owned()]);
    form.field(
        Field::line("path", "path", "/rooms/{room}/{*rest}: {name} is one segment, {*name} the rest")
            .with(text(|was| was.path.clone()))
            .needed(),
    )
    .field(
        Field::line("methods", "methods", "GET POST, with blanks between; empty for every method")
            .with(text(|was| was.methods.join(" "))),
    )
    .field(Field::line("script", "script", "the endpoint that answers").with(text(|was| was.script.clone())).needed())
    .field(Field::line("auth", "auth", "key: only with an API key that has the scope invoke").with(auth).kind(choices))
}

/// What it says.
pub(super) fn spec(values: &Values) -> Result<RouteSpec, String> {
    let path = values.get("path").trim().to_owned();
    parse_path(&path).map_err(|fault| match fault.hint {
        Some(hint) => format!("{}: {hint}", fault.message),
        None => fault.message,
    })?;
    let words = values.get("methods").split([' ', ',']).filter(|word| !word.is_empty());
    let mut methods: Vec<String> = words.map(str::to_ascii_uppercase).collect();
    methods.sort();
    methods.dedup();
    let auth = if values.get("auth") == "key" { RouteAuth::Key } else { RouteAuth::Public };
    Ok(RouteSpec { methods, path, script: values.get("script").trim().to_owned(), auth })
}
