//! How routes stand in the list.

use crate::theme::Ink;
use crate::widgets::list::{Column, Row, inked};
use picloud_model::route::{RouteAuth, ServedRoute};

/// The columns.
pub(super) static COLUMNS: [Column; 5] = [
    Column::rest("path"),
    Column::new("methods", 12).spare(1),
    Column::rest("script"),
    Column::new("auth", 6).spare(2),
    Column::new("served by", 18).spare(3),
];

/// The id of a route's row: ids are of an app.
pub(super) fn id(app: &str, id: &str) -> String {
    format!("{app}/{id}")
}

/// The methods a route answers.
pub(super) fn methods(methods: &[String]) -> String {
    if methods.is_empty() { "every".to_owned() } else { methods.join(",") }
}

/// Who may call it.
pub(super) fn auth(auth: RouteAuth) -> &'static str {
    match auth {
        RouteAuth::Public => "public",
        RouteAuth::Key => "key",
    }
}

/// A route's row.
pub(super) fn row(app: &str, served: &ServedRoute) -> Row {
    let spec = &served.route.spec;
    let by = if served.served_by.is_empty() { inked(Ink::Bad, "! nobody") } else { served.served_by.join(", ").into() };
    let cells = vec![
        spec.path.clone().into(),
        methods(&spec.methods).into(),
        format!("{app}/{}", spec.script).into(),
        auth(spec.auth).into(),
        by,
    ];
    Row::new(id(app, &served.route.id.to_string()), cells)
}
