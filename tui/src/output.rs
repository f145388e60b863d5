//! Everything that is printed: answers on standard output, all else on standard error.
//!
//! Colours and progress only where a person looks at a terminal and did not set `NO_COLOR`.

use crate::failure::Failure;
use crate::settings::no_color;
use picloud_model::problem::Problem;
use picloud_model::script::Diagnostic;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

/// Prints for one command.
pub(crate) struct Output {
    /// Whether answers are printed as JSON.
    pub(crate) json: bool,
    color_out: bool,
    color_err: bool,
    /// What would have been said, where nothing may be printed because the screen is drawn on.
    kept: Option<Mutex<Vec<String>>>,
}

/// Colours, by what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// What is added.
    Added,
    /// What is removed, and errors.
    Removed,
    /// What changes, and places.
    Changed,
    /// What matters less.
    Faint,
    /// What stands out.
    Strong,
}

impl Output {
    /// For people, or as JSON.
    pub(crate) fn new(json: bool) -> Self {
        let wanted = !no_color();
        let (color_out, color_err) = (wanted && io::stdout().is_terminal(), wanted && io::stderr().is_terminal());
        Self { json, color_out, color_err, kept: None }
    }

    /// Prints nothing: what a person must see is kept until [`Self::take_kept`].
    pub(crate) fn keeping() -> Self {
        Self { json: false, color_out: false, color_err: false, kept: Some(Mutex::default()) }
    }

    /// What had to be said since the last time.
    pub(crate) fn take_kept(&self) -> Vec<String> {
        let kept = self.kept.as_ref().and_then(|kept| kept.lock().ok());
        kept.map(|mut kept| std::mem::take(&mut *kept)).unwrap_or_default()
    }

    /// Text on standard output, with a line end where it has none.
    pub(crate) fn text(&self, text: &str) {
        self.bytes(text.as_bytes());
        if !text.ends_with('\n') {
            self.bytes(b"\n");
        }
    }

    /// Bytes on standard output as they are.
    #[expect(clippy::unused_self, reason = "whoever prints holds the output")]
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
            // `picloud … | head` is done when head is; anything else that cannot be written is a failure.
            std::process::exit(i32::from(error.kind() != io::ErrorKind::BrokenPipe));
        }
    }

    /// An answer as JSON, indented.
    pub(crate) fn value(&self, value: &Value) {
        self.text(&serde_json::to_string_pretty(value).expect("a value is JSON"));
    }

    /// A line on standard error; silent for `--json`.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            self.complain(text);
        }
    }

    /// A line on standard error that also whoever reads JSON must see, such as whom one came to trust.
    pub(crate) fn aside(&self, text: &str) {
        self.complain(text);
    }

    /// Paints text for standard output.
    pub(crate) fn paint(&self, ink: Ink, text: &str) -> String {
        paint(self.color_out, ink, text)
    }

    /// Rows below their headings, in columns. Without rows, `none` is said instead.
    pub(crate) fn table(&self, headings: &[&str], rows: &[Vec<String>], none: &str) {
        if rows.is_empty() {
            return self.note(none);
        }
        self.text(&columns(headings, rows));
    }

    /// Says that something takes long, to a person only.
    pub(crate) fn waiting(&self, what: &str) {
        if self.kept.is_none() && io::stderr().is_terminal() {
            let _closed = write!(io::stderr(), "{what}");
        }
    }

    /// Takes back what [`Self::waiting`] said.
    pub(crate) fn waiting_over(&self) {
        if self.kept.is_none() && io::stderr().is_terminal() {
            let _closed = write!(io::stderr(), "\r\x1b[2K");
        }
    }

    /// Asks a person at a terminal; whoever is no person has decided already.
    pub(crate) fn confirm(&self, question: &str) -> Result<(), Failure> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(());
        }
        let _closed = write!(io::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
            Ok(())
        } else {
            Err(Failure::other("nothing was done", Some("answer y, or give --yes")))
        }
    }

    /// Why the command failed, on standard error.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let problem = serde_json::to_string_pretty(&failure.problem()).expect("a problem has names as keys");
            return self.complain(&problem);
        }
        self.complain(&self.failure_text(&failure.problem()));
    }

    /// A problem as people read it.
    pub(crate) fn failure_text(&self, problem: &Problem) -> String {
        let mut text = format!("{}: {}", paint(self.color_err, Ink::Removed, "error"), problem.detail);
        if let Some(at) = &problem.at {
            text += &format!(" ({}:{}:{})", at.script, at.line, at.column);
        }
        for diagnostic in &problem.errors {
            text += &format!("\n{}", self.diagnostic(diagnostic));
        }
        for conflict in &problem.conflicts {
            text += &format!("\n  in the way: {conflict}");
        }
        if let Some(id) = &problem.execution_id {
            text += &format!("\n  execution: {id}");
        }
        if let Some(hint) = &problem.hint {
            text += &format!("\n{}: {hint}", paint(self.color_err, Ink::Changed, "hint"));
        }
        text
    }

    /// `file:line:column: message` and a hint below it, each on a line of its own.
    pub(crate) fn diagnostic(&self, diagnostic: &Diagnostic) -> String {
        let file = diagnostic.file.as_deref().unwrap_or("source");
        let place = match (diagnostic.line, diagnostic.column) {
            (0, _) => file.to_owned(),
            (line, 0) => format!("{file}:{line}"),
            (line, column) => format!("{file}:{line}:{column}"),
        };
        let mut text = match (&diagnostic.file, diagnostic.line) {
            (None, 0) => diagnostic.message.clone(),
            _ => format!("{}: {}", paint(self.color_err, Ink::Strong, &place), diagnostic.message),
        };
        if let Some(hint) = &diagnostic.hint {
            text += &format!("\n  {}: {hint}", paint(self.color_err, Ink::Changed, "hint"));
        }
        text
    }

    fn complain(&self, text: &str) {
        if let Some(kept) = self.kept.as_ref().and_then(|kept| kept.lock().ok()) {
            return keep(kept, text);
        }
        // Nobody is left to be told where standard error is closed.
        let _closed = writeln!(io::stderr(), "{text}");
    }
}

/// What was not taken is bounded: only the newest counts.
fn keep(mut kept: std::sync::MutexGuard<'_, Vec<String>>, text: &str) {
    const KEPT_MAX: usize = 16;
    if kept.len() >= KEPT_MAX {
        kept.remove(0);
    }
    kept.push(text.to_owned());
}

fn paint(color: bool, ink: Ink, text: &str) -> String {
    let code = match ink {
        Ink::Added => "32",
        Ink::Removed => "31",
        Ink::Changed => "36",
        Ink::Faint => "2",
        Ink::Strong => "1",
    };
    if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Rows below their headings, in columns.
pub(crate) fn columns(headings: &[&str], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = headings.iter().map(|heading| heading.to_uppercase()).collect();
    let width_of = |column: usize| {
        let cells = rows.iter().chain([&heading]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width_of).collect();
    let mut text = String::new();
    for row in [&heading].into_iter().chain(rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_no_line_ends_in_blanks() {
        let rows = vec![vec!["hello".to_owned(), "1".to_owned()], vec!["ü".to_owned(), "2".to_owned()]];
        insta::assert_snapshot!(columns(&["name", "version"], &rows), @r"
        NAME   VERSION
        hello  1
        ü      2
        ");
        assert!(columns(&["a", "b"], &rows).lines().all(|line| !line.ends_with(' ')));
    }
}
