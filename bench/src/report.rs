//! The table of results: what was measured, the limit, ours, the goal, and whether it was met.

use std::fmt::Write as _;
use std::fs;

/// One line of the table.
pub(crate) struct Row {
    /// What was measured, with its unit.
    pub(crate) what: String,
    /// What it is compared with; empty where the goal is absolute.
    pub(crate) limit: String,
    /// What PiCloud took.
    pub(crate) ours: String,
    /// Ours over the limit, where there is one.
    pub(crate) ratio: String,
    /// What was asked for; empty for a figure that is only shown.
    pub(crate) goal: String,
    /// Whether the goal was met; `None` where there is none.
    pub(crate) holds: Option<bool>,
}

impl Row {
    /// `ours` compared with `limit`, which may be at most `goal` times as much.
    pub(crate) fn ratio(what: &str, limit: f64, ours: f64, goal: f64) -> Self {
        let ratio = ours / limit;
        Self {
            what: what.to_owned(),
            limit: number(limit),
            ours: number(ours),
            ratio: format!("{ratio:.2}"),
            goal: format!("≤ {goal} ×"),
            holds: Some(ratio <= goal),
        }
    }

    /// `ours`, which may be at most `goal`.
    pub(crate) fn at_most(what: &str, ours: f64, goal: f64) -> Self {
        let goal_text = format!("≤ {goal}");
        Self {
            what: what.to_owned(),
            limit: String::new(),
            ours: number(ours),
            ratio: String::new(),
            goal: goal_text,
            holds: Some(ours <= goal),
        }
    }

    /// `ours` compared with `limit`, of which it is to be at least `goal`.
    pub(crate) fn share(what: &str, limit: f64, ours: f64, goal: f64) -> Self {
        let share = ours / limit;
        let goal_text = format!("≥ {goal} ×");
        Self { goal: goal_text, holds: Some(share >= goal), ..Self::shown(what, Some(limit), ours) }
    }

    /// A figure without a goal.
    pub(crate) fn shown(what: &str, limit: Option<f64>, ours: f64) -> Self {
        let ratio = limit.map(|limit| format!("{:.2}", ours / limit)).unwrap_or_default();
        let limit = limit.map(number).unwrap_or_default();
        Self { what: what.to_owned(), limit, ours: number(ours), ratio, goal: String::new(), holds: None }
    }
}

/// Three significant digits, more for large numbers.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// The rows as a Markdown table with even columns.
pub(crate) fn table(rows: &[Row]) -> String {
    let verdict = |row: &Row| match row.holds {
        Some(true) => "PASS",
        Some(false) => "FAIL",
        None => "",
    };
    let head = ["what", "limit", "PiCloud", "ratio", "goal", ""].map(str::to_owned);
    let mut cells = vec![head];
    for row in rows {
        let [what, limit, ours, ratio, goal] =
            [&row.what, &row.limit, &row.ours, &row.ratio, &row.goal].map(Clone::clone);
        cells.push([what, limit, ours, ratio, goal, verdict(row).to_owned()]);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut table = String::new();
    for (index, row) in cells.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            write!(table, "| {cell:<width$} ").expect("a string takes everything");
        }
        table.push_str("|\n");
        if index == 0 {
            for width in &widths {
                write!(table, "|{}", "-".repeat(width + 2)).expect("a string takes everything");
            }
            table.push_str("|\n");
        }
    }
    table
}

/// The machine in one line.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cores} cores, Linux {} on {}, load before: {load}\n", kernel.trim(), std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_its_goal_fails_and_the_table_says_so() {
        let rows = [Row::ratio("hello, CPU µs", 6.0, 9.3, 1.5), Row::at_most("RSS, MB", 38.0, 40.0)];
        assert_eq!(rows[0].holds, Some(false));
        assert_eq!(rows[1].holds, Some(true));
        assert_eq!(
            table(&rows),
            "\
| what          | limit | PiCloud | ratio | goal    |      |
|---------------|-------|---------|-------|---------|------|
| hello, CPU µs | 6.00  | 9.30    | 1.55  | ≤ 1.5 × | FAIL |
| RSS, MB       |       | 38.0    |       | ≤ 40    | PASS |
"
        );
    }
}
