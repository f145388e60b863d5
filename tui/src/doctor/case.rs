//! What all checks go by: the machine, what the appliance answered, and the time.

use super::asked::{Asked, Status};
use super::machine::Machine;
use picloud_model::clock::UnixMs;
use serde::Deserialize;

/// Where an installed appliance keeps its data.
const APPLIANCE_DATA: &str = "/var/lib/picloud";
/// Where an installed agent does.
const NODE_DATA: &str = "/var/lib/picloud-node";

/// What all checks go by.
pub(crate) struct Case {
    /// The machine.
    pub(crate) machine: Box<dyn Machine>,
    /// What the appliance answered.
    pub(crate) asked: Asked,
    /// What the agent of this machine says, where one is installed.
    pub(crate) agent: Option<Agent>,
    /// The time by this machine's clock.
    pub(crate) now_ms: UnixMs,
    /// This program's version.
    pub(crate) version: &'static str,
    /// Whether the card may be written to.
    pub(crate) may_write: bool,
}

/// How an agent says it is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Agent {
    /// `waiting`, `up`, `away`, `retired` or `stopped`.
    pub(crate) state: String,
    /// What it is called.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Why no appliance answers.
    pub(crate) why: Option<String>,
    /// Since when.
    pub(crate) away_since: Option<String>,
    /// Where the appliance is.
    pub(crate) appliance_address: Option<String>,
    /// When its certificate ends.
    pub(crate) certificate_expires_at: Option<String>,
    /// Publishes that wait to be forwarded.
    pub(crate) spooled: u64,
}

impl Case {
    /// Puts it together; asks the agent of this machine.
    pub(crate) fn new(machine: Box<dyn Machine>, asked: Asked, now_ms: UnixMs, may_write: bool) -> Self {
        let said = if asked.is_here { machine.run("picloud-node", &["status", "--json"]).ok() } else { None };
        let agent = said.and_then(|said| serde_json::from_str(&said).ok());
        Self { machine, asked, agent, now_ms, version: env!("CARGO_PKG_VERSION"), may_write }
    }

    /// How the appliance is, where it says so.
    pub(crate) fn status(&self) -> Option<&Status> {
        self.asked.status.as_ref().ok()
    }

    /// How the appliance of this very machine is.
    pub(crate) fn status_here(&self) -> Option<&Status> {
        self.status().filter(|_status| self.asked.is_here)
    }

    /// The folder with the data of this machine.
    pub(crate) fn data_folder(&self) -> Option<String> {
        let said = self.status_here().map(|status| status.data_dir.clone()).filter(|folder| !folder.is_empty());
        let there = || [APPLIANCE_DATA, NODE_DATA].into_iter().find(|folder| self.machine.has(folder));
        said.or_else(|| there().map(str::to_owned))
    }

    /// Whether an appliance is meant to run on this machine.
    pub(crate) fn is_appliance(&self) -> bool {
        self.status_here().is_some() || self.machine.has(APPLIANCE_DATA) || self.has_unit("picloud-appliance.service")
    }

    /// Whether a unit of systemd is installed.
    pub(crate) fn has_unit(&self, unit: &str) -> bool {
        let folders = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
        folders.iter().any(|folder| self.machine.has(&format!("{folder}/{unit}")))
    }

    /// The model, of a Raspberry Pi.
    pub(crate) fn pi_model(&self) -> Option<String> {
        let model = self.machine.read("/proc/device-tree/model")?;
        let model = model.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned();
        model.contains("Raspberry Pi").then_some(model)
    }

    /// How long the machine has been up.
    pub(crate) fn machine_uptime_s(&self) -> Option<f64> {
        self.machine.read("/proc/uptime")?.split_whitespace().next()?.parse().ok()
    }

    /// Its host name, without a domain.
    pub(crate) fn host_name(&self) -> String {
        let name = self.machine.read("/proc/sys/kernel/hostname").or_else(|| self.machine.read("/etc/hostname"));
        name.unwrap_or_default().trim().split('.').next().unwrap_or_default().to_owned()
    }
}
