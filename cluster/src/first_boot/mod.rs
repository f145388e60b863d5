//! The first start of a machine: does what `picloud.toml` on its boot partition says, once, as root.
//!
//! Everything is read and checked first, and nothing is done where anything is wrong. Then each row of [`steps::STEPS`]
//! is done; each may be done twice, and a journal says which are done, so that a power cut anywhere ends in the same
//! machine. Secrets are removed from the card only after all that needs them is down on the disk. What came of it is
//! told where people look: console, login, a file on the boot partition, and the network.
//!
//! To add a step: a file in `steps`, a row in its table.

mod apps;
mod check;
mod commands;
mod disk;
mod journal;
pub mod later;
mod report;
pub mod restore;
mod setup;
mod steps;

pub use report::told;
pub use setup::{SETUP_BYTES_MAX, setup_said, setup_trouble};
pub(crate) use setup::{cut, trouble};

use crate::settings::ConfigError;
use clap::Arg;
use commands::Commands;
use disk::Disk;
use journal::{Journal, Stage};
use picloud_model::boot_file::{BOOT_FILE, BOOT_FILE_BYTES_MAX, BootFile, mask, read};
use picloud_model::clock::UnixMs;
use picloud_model::script::Diagnostic;
use report::Report;
use std::path::{Path, PathBuf};

/// Where the boot partition is.
pub const BOOT_FOLDER: &str = "/boot/firmware";
/// Where a first boot keeps how far it came, and what came of it.
pub const STATE_FOLDER: &str = "/var/lib/picloud-first-boot";
/// The folder in the appliance's data folder from which apps are deployed once.
pub const WAITING_APPS: &str = "first-boot-apps";
/// What the help of both programs says of it.
pub const HELP: &str = "\
If anything in the file is wrong, nothing of it is applied, and the report names the lines: on the console, in
picloud-report.txt on the boot partition, and on the network. Secrets are removed from the file after use.
Example: picloud-node first-boot --boot /boot/firmware";
/// What puts the appliance's notes into the report when they change, and what brings a backup back. Both are started
/// here, so that no machine without a card has them.
const NOTES_UNIT: &str = "picloud-first-boot-report.path";
const RESTORE_UNIT: &str = "picloud-restore.service";
/// The account of the services.
pub const SERVICE_USER: &str = "picloud";
/// What editors of Windows put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// A clock that says less than this was never set: 2026-01-01.
const CLOCK_MIN: UnixMs = 1_767_225_600_000;

/// A file's path and content, for a data folder and what is said about joining.
pub type JoinFile = fn(&Path, &Joining) -> Option<(PathBuf, Vec<u8>)>;
/// All that is wrong with an app folder.
pub type CheckApp = fn(&Path) -> Result<(), Vec<Diagnostic>>;

/// What a first boot has to know of the program that it is for.
#[derive(Clone, Copy)]
pub struct Program {
    /// Its name, for people.
    pub name: &'static str,
    /// The section of `picloud.toml` that is its own: `appliance` or `node`.
    pub section: &'static str,
    /// Its settings file.
    pub config_file: &'static str,
    /// Checks the text of a settings file, and gives the data folder that holds with it.
    pub data_dir: fn(&Path, &str) -> Result<PathBuf, ConfigError>,
    /// The file in the data folder that says where to join and with which token; `None` where it never joins, or has.
    pub join_file: JoinFile,
    /// What is wrong with an app folder; `None` where the program deploys no apps.
    pub check_app: Option<CheckApp>,
}

/// What a node is told about joining.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joining {
    /// Where the appliance is.
    pub appliance: Option<String>,
    /// With which token.
    pub token: Option<String>,
}

/// Where and when.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The boot partition.
    pub boot: PathBuf,
    /// What everything else is below: `/`, but for tests and images.
    pub root: PathBuf,
    /// What the clock says.
    pub now: UnixMs,
}

/// Why a machine is not what the card says.
#[derive(Debug, thiserror::Error)]
pub enum FirstBootError {
    /// The file is wrong.
    #[error("nothing of {BOOT_FILE} was applied\n{0}")]
    Refused(String),
    /// A step did not come to its end.
    #[error("{what}: {source}\nhint: the next start goes on from here; {BOOT_FILE} is still as it was")]
    Step {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl FirstBootError {
    fn step(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Step { what, source }
    }
}

/// What came of it, for the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There was nothing that had not been applied before.
    NothingNew,
    /// It was applied.
    Applied,
}

/// Where the boot partition and the machine are, as both programs take it on their command line.
pub fn folder_arguments() -> [Arg; 2] {
    let folder = |name: &'static str, usual: &'static str, help: &'static str| {
        let argument = Arg::new(name).long(name).value_name("DIR").default_value(usual);
        argument.value_parser(clap::value_parser!(PathBuf)).help(help)
    };
    [
        folder("boot", BOOT_FOLDER, "The boot partition"),
        folder("root", "/", "What everything else is below, for a machine that does not run"),
    ]
}

/// Does what the card says.
pub fn run(program: &Program, machine: &Machine) -> Result<Ended, FirstBootError> {
    let disk = Disk::new(machine);
    run_on(program, machine, &disk, &Commands::of(machine))
}

fn run_on(program: &Program, machine: &Machine, disk: &Disk, commands: &Commands) -> Result<Ended, FirstBootError> {
    let mut report = Report::new(program.name);
    let ended = apply(program, machine, disk, commands, &mut report);
    if let Err(error) = &ended {
        report.failed(error);
    }
    if matches!(ended, Ok(Ended::Applied))
        && let Err(error) = later::forget(disk)
    {
        tracing::warn!(%error, "the report still tells what came of an earlier card");
    }
    // What cannot be told in one place is told in the others.
    report.publish(disk, machine, !matches!(ended, Ok(Ended::NothingNew)));
    if ended.is_ok() && program.check_app.is_some() {
        start_later(machine, commands);
    }
    ended
}

/// What goes on when the first boot is over. The appliance's own start comes after it.
fn start_later(machine: &Machine, commands: &Commands) {
    commands.try_live("systemctl", &["--no-block", "start", NOTES_UNIT]);
    if !matches!(restore::wanted(machine), Ok(None)) {
        commands.try_live("systemctl", &["--no-block", "start", RESTORE_UNIT]);
    }
}

fn apply(
    program: &Program,
    machine: &Machine,
    disk: &Disk,
    commands: &Commands,
    report: &mut Report,
) -> Result<Ended, FirstBootError> {
    let text =
        boot_text(machine).map_err(|source| FirstBootError::Step { what: format!("read {BOOT_FILE}"), source })?;
    let mut journal = Journal::open(disk).map_err(FirstBootError::step("read how far the first boot came"))?;
    if journal.stage() == Stage::Erasing && journal.is_being_erased(&text) {
        // The power went while secrets were removed: all of the steps are done.
        report.restore(disk);
        return finish(disk, &mut journal, report, &text);
    }
    let apps = apps::found(disk).map_err(FirstBootError::step("read the folder of apps"))?;
    if journal.is_applied(&text) && apps.iter().all(|app| journal.has_app(app)) {
        report.restore(disk);
        return Ok(Ended::NothingNew);
    }
    let now = (machine.now >= CLOCK_MIN).then_some(machine.now);
    let checked =
        read_bytes(&text, now).and_then(|file| check::check(program, &file, disk, commands).map(|plan| (file, plan)));
    let (file, plan) = checked.map_err(|faults| {
        report.faults(&faults);
        FirstBootError::Refused(report::told(&faults))
    })?;
    let write = "write how far the first boot came";
    journal.begin(disk, &text).map_err(FirstBootError::step(write))?;
    let job = steps::Job { program, file: &file, plan: &plan, apps: &apps, disk, commands };
    for step in steps::STEPS {
        // A step that is done is told of all the same; what it says does not depend on when it was done.
        let said = (step.tell)(&job);
        if !journal.is_done(step.name) {
            (step.act)(&job).map_err(FirstBootError::step(step.what))?;
            journal.done(disk, step.name).map_err(FirstBootError::step(write))?;
        }
        said.into_iter().for_each(|line| report.did(step.name, line));
    }
    apps::copy(&job, &mut journal, report).map_err(FirstBootError::step("copy the apps"))?;
    finish(disk, &mut journal, report, &text)
}

/// Removes the secrets, and remembers that all is done.
fn finish(disk: &Disk, journal: &mut Journal, report: &mut Report, text: &[u8]) -> Result<Ended, FirstBootError> {
    let erase = || "remove the secrets from the boot partition";
    let masked = if journal.stage() == Stage::Erasing { journal.masked().to_vec() } else { masked(text) };
    if masked != text && journal.stage() != Stage::Erasing {
        report.did("secrets", "removed from the boot partition".to_owned());
    }
    report.save(disk).map_err(FirstBootError::step("write what was done"))?;
    if masked != text {
        disk.settle();
        journal.erasing(disk, &masked).map_err(FirstBootError::step(erase()))?;
        disk.overwrite(&disk.on_boot(BOOT_FILE), &masked).map_err(FirstBootError::step(erase()))?;
    }
    journal.applied(disk, &masked).map_err(FirstBootError::step("write that all is done"))?;
    Ok(Ended::Applied)
}

/// The bytes without their secrets, and not one more or less.
fn masked(bytes: &[u8]) -> Vec<u8> {
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mark = &bytes[..bytes.len() - text.len()];
    std::str::from_utf8(text).map_or_else(|_no_text| bytes.to_vec(), |text| [mark, mask(text).as_bytes()].concat())
}

/// The file's bytes; a card without one says nothing.
fn boot_text(machine: &Machine) -> std::io::Result<Vec<u8>> {
    let limit = u64::try_from(BOOT_FILE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    let read = crate::private_file::read_first(&machine.boot.join(BOOT_FILE), limit)?;
    Ok(read.unwrap_or_default())
}

/// What the file says, with what its encoding has to be.
fn read_bytes(bytes: &[u8], now: Option<UnixMs>) -> Result<BootFile, Vec<Diagnostic>> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => read(text, now),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = "the text is not in UTF-8".to_owned();
            let hint = Some("save the file anew, as UTF-8 without anything else".to_owned());
            Err(vec![Diagnostic { file: Some(BOOT_FILE.to_owned()), line, column: 0, message, hint }])
        }
    }
}

#[cfg(test)]
mod tests;
