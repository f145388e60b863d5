//! The steps, in their order. Each may be done twice, and each leaves what it wrote down on the disk.
//!
//! To add a step: a file here with `tell` and `act`, and a row in [`STEPS`]. `tell` looks only at what was said, `act`
//! does it.

mod host;
mod join;
mod restore;
mod settings;
mod ssh;
mod wifi;
mod zone;

pub(super) use settings::merged;
pub(super) use wifi::{NETWORK_FILE, secret_line};

use super::Program;
use super::apps::App;
use super::check::Plan;
use super::commands::Commands;
use super::disk::Disk;
use picloud_model::boot_file::BootFile;
use std::io::Result;

/// What steps work with.
pub(super) struct Job<'a> {
    pub(super) program: &'a Program,
    pub(super) file: &'a BootFile,
    pub(super) plan: &'a Plan,
    pub(super) apps: &'a [App],
    pub(super) disk: &'a Disk,
    pub(super) commands: &'a Commands,
}

/// One step.
pub(super) struct Step {
    /// Its name, in the journal and the report.
    pub(super) name: &'static str,
    /// What it does, for errors.
    pub(super) what: &'static str,
    /// What it says of itself in the report; nothing where the file asks for nothing.
    pub(super) tell: fn(&Job<'_>) -> Option<String>,
    /// Does it.
    pub(super) act: fn(&Job<'_>) -> Result<()>,
}

/// All of them. SSH comes first: whatever else goes wrong, somebody can come in and look.
pub(super) const STEPS: &[Step] = &[
    Step { name: "ssh", what: "let the SSH keys in", tell: ssh::tell, act: ssh::act },
    Step { name: "host-name", what: "set the host name", tell: host::tell, act: host::act },
    Step { name: "time-zone", what: "set the time zone", tell: zone::tell, act: zone::act },
    Step { name: "wifi", what: "set up the wireless network", tell: wifi::tell, act: wifi::act },
    Step { name: "settings", what: "write the settings", tell: settings::tell, act: settings::act },
    Step { name: "join", what: "write where to join", tell: join::tell, act: join::act },
    Step { name: "restore", what: "write down which backup is to come back", tell: restore::tell, act: restore::act },
];
