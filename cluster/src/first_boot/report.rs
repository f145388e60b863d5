//! What came of it, told where people look: the boot partition, the console, the login, and the network's one line.

use super::disk::{Disk, PUBLIC};
use super::{BOOT_FILE, FirstBootError, Machine, STATE_FOLDER, later, setup};
use picloud_model::boot_file::REPORT_FILE;
use picloud_model::script::Diagnostic;
use std::io::Write;
use std::path::Path;

/// Where a screen or a serial line shows it while the machine starts.
const CONSOLES: [&str; 2] = ["/dev/console", "/dev/tty1"];
/// What is shown above a login, and after one.
const LOGIN_FILES: [&str; 2] = ["/etc/issue.d/picloud.issue", "/etc/motd.d/picloud"];

/// What stands at the head where something is wrong and something was done.
const NOT_ALL: &str = "NOT ALL that this card says was applied.";
/// The file with what was told of the card that was applied, and the one with what was told last.
const APPLIED_FILE: &str = "report";
const TOLD_FILE: &str = "told";

/// It, as it grows.
pub(super) struct Report {
    program: &'static str,
    /// What was done: the step, and what it says.
    did: Vec<(String, String)>,
    /// What is wrong with the file, each fault with its place.
    wrong: Vec<String>,
    /// The first of it, in one line.
    first: Option<String>,
    /// What was told before is told again: its text.
    saved: Option<String>,
}

impl Report {
    pub(super) fn new(program: &'static str) -> Self {
        Self { program, did: Vec::new(), wrong: Vec::new(), first: None, saved: None }
    }

    pub(super) fn did(&mut self, step: &str, line: String) {
        self.did.push((step.to_owned(), line));
    }

    /// Keeps it, for a start that finds nothing new, or goes on after a power cut.
    pub(super) fn save(&self, disk: &Disk) -> std::io::Result<()> {
        self.save_as(disk, APPLIED_FILE)
    }

    fn save_as(&self, disk: &Disk, file: &str) -> std::io::Result<()> {
        let text = format!("{}\n{}", self.first.as_deref().unwrap_or_default(), self.text());
        disk.write(state_file(file), text.as_bytes(), PUBLIC, None)
    }

    /// What was kept is still true.
    pub(super) fn restore(&mut self, disk: &Disk) {
        self.restore_from(disk, APPLIED_FILE);
    }

    /// What was told last, of a file that was applied or refused.
    pub(super) fn restore_told(&mut self, disk: &Disk) {
        self.restore_from(disk, TOLD_FILE);
    }

    fn restore_from(&mut self, disk: &Disk, file: &str) {
        let text = disk.text(state_file(file)).unwrap_or_default();
        if let Some((first, text)) = text.split_once('\n') {
            self.first = Some(first.to_owned()).filter(|first| !first.is_empty());
            self.saved = Some(text.to_owned());
        }
    }

    pub(super) fn faults(&mut self, faults: &[Diagnostic]) {
        self.wrong.push(told(faults));
        let more = faults.len().saturating_sub(1);
        let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        if let Some(first) = faults.first() {
            self.first = Some(format!("{}{more}", line_of(first)));
        }
    }

    pub(super) fn app_refused(&mut self, app: &str, why: &str) {
        self.wrong.push(format!("the app `{app}` is not deployed:\n{why}"));
        self.first.get_or_insert_with(|| format!("app {app}: {}", why.lines().next().unwrap_or_default()));
    }

    pub(super) fn failed(&mut self, error: &FirstBootError) {
        if let FirstBootError::Step { .. } = error {
            let text = error.to_string();
            self.saved = None;
            self.first.get_or_insert_with(|| text.lines().next().unwrap_or_default().to_owned());
            self.wrong.push(text);
        }
    }

    /// As people read it.
    pub(super) fn text(&self) -> String {
        if let Some(saved) = &self.saved {
            return saved.clone();
        }
        let head = match (self.wrong.is_empty(), self.did.is_empty()) {
            (true, _) => format!("{}: {}", self.program, all_well()),
            (false, true) => format!("{}: NOTHING of {BOOT_FILE} was applied.", self.program),
            (false, false) => format!("{}: {NOT_ALL}", self.program),
        };
        let mut lines = vec![head];
        let width = self.did.iter().map(|(step, _)| step.len()).max().unwrap_or_default();
        lines.extend(self.did.iter().map(|(step, line)| format!("  {step:width$}  {line}")));
        if !self.wrong.is_empty() {
            lines.push(String::new());
            lines.extend(self.wrong.iter().cloned());
            lines.push(format!("\nThe machine runs with what it had. Mend {BOOT_FILE}, and start it again."));
        }
        lines.join("\n") + "\n"
    }

    /// The text and the first thing that is wrong, with what came later.
    fn with_later(&self, notes: &[later::Note]) -> (String, Option<String>) {
        let (mut text, first) = (self.text(), self.first.clone());
        let wrong = notes.iter().find_map(later::Note::trouble);
        if wrong.is_some() {
            text = text.replacen(&all_well(), NOT_ALL, 1);
        }
        if !notes.is_empty() {
            text += "\nOnce the machine ran:\n";
        }
        for note in notes {
            let what = if note.is_wrong { "NOT DONE: " } else { "" };
            text += &format!("  {}: {what}{}\n", note.about, note.said.trim_end().replace('\n', "\n    "));
        }
        (text, first.or(wrong))
    }

    /// Tells it everywhere; on the console only what is new.
    pub(super) fn publish(&self, disk: &Disk, machine: &Machine, is_new: bool) {
        let (text, first) = self.with_later(&later::kept(disk));
        let told = |place: &str, told: std::io::Result<()>| {
            if let Err(error) = told {
                tracing::warn!(place, %error, "what came of the first boot could not be told there");
            }
        };
        told(TOLD_FILE, self.save_as(disk, TOLD_FILE));
        told("mDNS", setup::say(disk, first.as_deref()));
        told(REPORT_FILE, disk.tell_on_boot(REPORT_FILE, &text));
        for file in LOGIN_FILES {
            // Nobody wants to read at each login that all is well.
            let text = if first.is_none() { "" } else { text.as_str() };
            told(file, disk.write(file, text.as_bytes(), PUBLIC, None));
        }
        if is_new && machine.root == Path::new("/") {
            for console in CONSOLES {
                let written = std::fs::OpenOptions::new().write(true).open(console);
                // A machine may have neither screen nor serial line.
                let _none = written.and_then(|mut console| console.write_all(format!("\r\n{text}").as_bytes()));
            }
        }
    }
}

fn state_file(name: &str) -> String {
    format!("{STATE_FOLDER}/{name}")
}

fn all_well() -> String {
    format!("what {BOOT_FILE} says was applied.")
}

/// All faults, a few lines each, as the report has them.
pub fn told(faults: &[Diagnostic]) -> String {
    let one = |fault: &Diagnostic| match &fault.hint {
        Some(hint) => format!("{}\n  hint: {hint}", line_of(fault)),
        None => line_of(fault),
    };
    faults.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// `picloud.toml line 7, column 3: …`
fn line_of(fault: &Diagnostic) -> String {
    let place = match (fault.line, fault.column) {
        (0, _) => String::new(),
        (line, 0) => format!(" line {line}"),
        (line, column) => format!(" line {line}, column {column}"),
    };
    match &fault.file {
        Some(file) => format!("{file}{place}: {}", fault.message),
        None => fault.message.clone(),
    }
}
