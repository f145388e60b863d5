//! What came of it, told where people look: the boot partition, the console, the login, and the network's one line.

use super::disk::{Disk, PUBLIC};
use super::{BOOT_FILE, FirstBootError, Machine, STATE_FOLDER, setup};
use picloud_model::boot_file::REPORT_FILE;
use picloud_model::script::Diagnostic;
use std::io::Write;
use std::path::Path;

/// Where a screen or a serial line shows it while the machine starts.
const CONSOLES: [&str; 2] = ["/dev/console", "/dev/tty1"];
/// What is shown above a login, and after one.
const LOGIN_FILES: [&str; 2] = ["/etc/issue.d/picloud.issue", "/etc/motd.d/picloud"];

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
        let text = format!("{}\n{}", self.first.as_deref().unwrap_or_default(), self.text());
        disk.write(saved_file(), text.as_bytes(), PUBLIC, None)
    }

    /// What was kept is still true.
    pub(super) fn restore(&mut self, disk: &Disk) {
        let text = disk.text(saved_file()).unwrap_or_default();
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
            (true, _) => format!("{}: what {BOOT_FILE} says was applied.", self.program),
            (false, true) => format!("{}: NOTHING of {BOOT_FILE} was applied.", self.program),
            (false, false) => format!("{}: NOT ALL that this card says was applied.", self.program),
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

    /// Tells it everywhere; on the console only what is new.
    pub(super) fn publish(&self, disk: &Disk, machine: &Machine, is_new: bool) {
        let text = self.text();
        let told = |place: &str, told: std::io::Result<()>| {
            if let Err(error) = told {
                tracing::warn!(place, %error, "what came of the first boot could not be told there");
            }
        };
        told("mDNS", setup::say(disk, self.first.as_deref()));
        told(REPORT_FILE, disk.tell_on_boot(REPORT_FILE, &text));
        for file in LOGIN_FILES {
            // Nobody wants to read at each login that all is well.
            let text = if self.first.is_none() { "" } else { text.as_str() };
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

fn saved_file() -> String {
    format!("{STATE_FOLDER}/report")
}

/// All faults, a few lines each.
pub(super) fn told(faults: &[Diagnostic]) -> String {
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
