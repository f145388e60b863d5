//! The machine that is looked at: its files, its tools, and what has to be measured. Checks see it through this alone,
//! so that a machine with a weak power supply or a dying card can stand in a file of tests.

mod card;
mod lan;
mod real;
#[cfg(test)]
pub(crate) mod told;
mod tool;

pub(crate) use card::WRITTEN_BYTES_MAX;
pub(crate) use real::Real;

use std::net::IpAddr;
use std::time::Duration;

/// What checks may ask of a machine. Every path is absolute.
pub(crate) trait Machine: Send + Sync {
    /// A file's text, up to a bound; `None` where there is none, or none that may be read.
    fn read(&self, path: &str) -> Option<String>;
    /// The names in a folder, sorted; none where there is no such folder.
    fn names(&self, path: &str) -> Vec<String>;
    /// Where a link leads, as it is written there.
    fn link(&self, path: &str) -> Option<String>;
    /// Whether anything has this path.
    fn has(&self, path: &str) -> bool;
    /// What a program prints, where it is there and succeeds.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, NotRun>;
    /// The room of the file system that a path is on.
    fn space(&self, path: &str) -> Option<Space>;
    /// Who runs this.
    fn person(&self) -> Person;
    /// Writes and reads a little in a folder, and takes the time.
    fn card_speed(&self, folder: &str) -> Result<CardSpeed, String>;
    /// The addresses of a name, as programs of this machine get them.
    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String>;
    /// Which appliances announce themselves on the local network, and who answers to `HOST.local`.
    fn listen(&self, host: &str, patience: Duration) -> Result<Lan, String>;
}

/// Why a program said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotRun {
    /// It is not installed.
    Missing,
    /// It failed, or took too long.
    Failed(String),
}

/// The room of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// All of it.
    pub(crate) bytes: u64,
    /// What ordinary users may still fill.
    pub(crate) free_bytes: u64,
    /// How many files there may be; 0 where they are not counted.
    pub(crate) files: u64,
    /// How many more.
    pub(crate) free_files: u64,
}

/// Who runs this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Person {
    /// The user's name, or number.
    pub(crate) name: String,
    /// Whether it is root.
    pub(crate) is_root: bool,
    /// Names of the groups that hold in this session.
    pub(crate) groups: Vec<String>,
}

/// What a card did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CardSpeed {
    /// Bytes that were written for it, one time each.
    pub(crate) written_bytes: u64,
    /// Bytes a second, written one after the other.
    pub(crate) write_per_s: f64,
    /// Bytes a second, read back.
    pub(crate) read_per_s: f64,
    /// Small writes a second that were on the disk before the next.
    pub(crate) synced_writes_per_s: f64,
    /// Whether the caches of the system were gone around.
    pub(crate) is_direct: bool,
    /// Whether what was read is what was written.
    pub(crate) is_same: bool,
}

/// What was heard on the local network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lan {
    /// Those that announce themselves as appliances.
    pub(crate) appliances: Vec<Heard>,
    /// Who answers to the name of this machine.
    pub(crate) host_addresses: Vec<IpAddr>,
    /// The addresses of this machine.
    pub(crate) own_addresses: Vec<IpAddr>,
}

/// One that announces itself; nothing of it is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// What it calls itself.
    pub(crate) name: String,
    /// The first digits of its CA's fingerprint.
    pub(crate) ca: String,
    /// The port of its admin API.
    pub(crate) port: u16,
    /// What it says of its first boot, where that did not go well.
    pub(crate) setup: Option<String>,
}
