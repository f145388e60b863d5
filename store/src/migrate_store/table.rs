//! What a store's tables are, as the copier needs it.

use super::value::{Kind, Row, Value};

/// Of which database of SQLite's; in Postgres they are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything that must not be lost.
    Data,
    /// What is kept of runs.
    History,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) part: Part,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// Which of the columns tell the rows apart, in their order.
    pub(crate) key: Vec<usize>,
    /// Whether its ids count on and none is given out twice.
    pub(crate) counts_ids: bool,
    /// The rows that it has in a new store.
    pub(crate) first_rows: Vec<Row>,
}

impl Table {
    /// `a, b, c`
    pub(crate) fn column_names(&self) -> String {
        names(self.columns.iter())
    }

    /// The columns of the key.
    pub(crate) fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|&at| &self.columns[at])
    }

    /// `a, b`
    pub(crate) fn key_names(&self) -> String {
        names(self.key_columns())
    }

    /// What tells a row apart.
    pub(crate) fn key_of(&self, row: &[Value]) -> Vec<Value> {
        self.key.iter().map(|&at| row[at].clone()).collect()
    }

    /// `DO UPDATE SET b = excluded.b`: what becomes of a row that a new store has already.
    pub(crate) fn replace_clause(&self) -> String {
        let others = self.columns.iter().enumerate().filter(|(at, _column)| !self.key.contains(at));
        let set: Vec<String> =
            others.map(|(_at, Column { name, .. })| format!("\"{name}\" = excluded.\"{name}\"")).collect();
        format!("ON CONFLICT ({}) DO UPDATE SET {}", self.key_names(), set.join(", "))
    }
}

fn names<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ")
}
