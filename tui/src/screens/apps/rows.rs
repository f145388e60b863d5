//! How apps stand in the list.

use super::load::Queue;
use crate::theme::Ink;
use crate::widgets::list::{Cel, Column, Row, inked};
use crate::widgets::text;
use picloud_model::app::{App, DEFAULT_APP};

/// The columns.
pub(super) static COLUMNS: [Column; 8] = [
    Column::rest("name"),
    Column::new("reached at", 16).spare(5),
    Column::new("scripts", 7).right().spare(1),
    Column::new("routes", 6).right().spare(2),
    Column::new("triggers", 8).right().spare(3),
    Column::new("queue", 6).right(),
    Column::new("letters", 7).right(),
    Column::new("written", 8).right().spare(4),
];

/// How much an app holds; what is absent was not counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// Scripts and modules.
    pub(super) scripts: Option<Count>,
    /// Routes.
    pub(super) routes: Option<Count>,
    /// Triggers.
    pub(super) triggers: Option<Count>,
}

/// How many, or so many and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// So many.
    pub(super) number: usize,
    /// Or more.
    pub(super) has_more: bool,
}

impl Count {
    /// In few letters.
    pub(super) fn told(self) -> String {
        format!("{}{}", self.number, if self.has_more { "+" } else { "" })
    }
}

/// Where an app's routes are.
pub(super) fn reached_at(app: &App) -> String {
    match (app.hosts.is_empty(), app.name.as_str()) {
        (false, _) => app.hosts.join(", "),
        (true, DEFAULT_APP) => "/".to_owned(),
        (true, name) => format!("/{name}/"),
    }
}

/// An app's row.
pub(super) fn row(app: &App, held: Option<&Held>, queue: Option<&Queue>, letters: Option<u64>) -> Row {
    let count = |count: fn(&Held) -> Option<Count>| -> Cel {
        held.and_then(count).map_or_else(|| "".into(), |count| count.told().into())
    };
    let or_dash = |text: Option<String>| Cel::from(text.unwrap_or_else(|| "-".to_owned()));
    let letters = match letters {
        Some(0) => "0".into(),
        Some(letters) => inked(Ink::Bad, format!("!{letters}")),
        None => "-".into(),
    };
    let cells = vec![
        app.name.clone().into(),
        reached_at(app).into(),
        count(|held| held.scripts),
        count(|held| held.routes),
        count(|held| held.triggers),
        or_dash(queue.map(|queue| queue.deliveries.to_string())),
        letters,
        or_dash(queue.map(|queue| text::bytes(queue.bytes_written))),
    ];
    Row::new(app.name.clone(), cells)
}
