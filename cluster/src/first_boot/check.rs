//! What only the machine itself can say of a file: whether it has the time zone, takes the settings, still knows what
//! was erased. Changes nothing.

use super::commands::Commands;
use super::disk::Disk;
use super::{Joining, Program, restore};
use picloud_model::boot_file::{BOOT_FILE, BootFile, BootSecret, Setting};
use picloud_model::script::Diagnostic;
use std::path::{Path, PathBuf};

/// The folder of time zones.
const TIME_ZONES: &str = "/usr/share/zoneinfo";
/// Where netplan may be.
const NETPLAN: [&str; 2] = ["/usr/sbin/netplan", "/usr/libexec/netplan"];

/// What steps need beside the file.
pub(super) struct Plan {
    /// The program's data folder, with the settings that the file brings.
    pub(super) data_dir: PathBuf,
    /// What its settings file becomes, where the file says something of it.
    pub(super) settings: Option<String>,
    /// The line of an earlier network file that holds what was erased since.
    pub(super) wifi_secret: Option<String>,
    /// What is written down of the backup that is to come back, where one is.
    pub(super) restore: Option<String>,
}

/// All that is wrong, or what the steps need.
pub(super) fn check(
    program: &Program,
    file: &BootFile,
    disk: &Disk,
    commands: &Commands,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut faults = Vec::new();
    role(program, file, &mut faults);
    if let Some(zone) = &file.time_zone
        && !disk.at(TIME_ZONES).join(zone).is_file()
    {
        let message = format!("this machine knows no time zone {zone:?}");
        faults.push(file.fault("time_zone", message, "write a city of `timedatectl list-timezones`, or leave it out"));
    }
    let wifi_secret = wifi(file, disk, &mut faults);
    if !file.ssh.authorized_keys.is_empty() && disk.owner(file.ssh.user()).is_none() && !has_useradd(disk, commands) {
        let message = format!("there is no account `{}`, and no `useradd` to make it", file.ssh.user());
        faults.push(file.fault("ssh", message, "name an account that is there: user = \"…\""));
    }
    let restore = restore::plan(file, disk, &mut faults);
    if let Some(place) = &file.restore.repository {
        repository(program, file, place, &mut faults);
    }
    let plan = settings(program, file, disk, &mut faults);
    faults.sort_by_key(|fault| (fault.line, fault.column));
    match plan {
        Some((data_dir, settings)) if faults.is_empty() => Ok(Plan { data_dir, settings, wifi_secret, restore }),
        _faults => Err(faults),
    }
}

/// A card that is for another program.
fn role(program: &Program, file: &BootFile, faults: &mut Vec<Diagnostic>) {
    let (other, others): (_, &[&str]) =
        if program.section == "node" { ("appliance", &["appliance", "restore"]) } else { ("node", &["node"]) };
    for section in others.iter().filter(|section| file.has(section)) {
        let message = format!("[{section}] is for another machine: this one runs {}", program.name);
        faults.push(file.fault(
            section,
            message,
            format!("take the section away, or flash the image of picloud-{other}"),
        ));
    }
}

/// Whether a repository can be there, by the rules of the setting of that name.
fn repository(program: &Program, file: &BootFile, place: &str, faults: &mut Vec<Diagnostic>) {
    let line = format!("backup_repository = {}\n", toml::Value::String(place.to_owned()));
    if program.section == "appliance"
        && let Err(error) = (program.data_dir)(Path::new(BOOT_FILE), &line)
    {
        let message = error.message().replace("backup_repository", "restore.repository");
        faults.push(file.fault("restore.repository", message, error.advice()));
    }
}

/// The secret of the network, where it was used and erased before.
fn wifi(file: &BootFile, disk: &Disk, faults: &mut Vec<Diagnostic>) -> Option<String> {
    let ssid = file.wifi.ssid.as_ref()?;
    if !NETPLAN.iter().any(|path| disk.at(path).exists()) {
        let hint = "set Wi-Fi up in this system's own way, and leave [wifi] out; images of PiCloud have netplan";
        faults.push(file.fault("wifi", "this system has no netplan", hint));
    }
    let is_erased = |secret: &Option<BootSecret>| *secret == Some(BootSecret::Erased);
    if !is_erased(&file.wifi.password) && !is_erased(&file.wifi.psk) {
        return None;
    }
    let kept = disk.text(super::steps::NETWORK_FILE).unwrap_or_default();
    let secret = super::steps::secret_line(&kept, ssid);
    if secret.is_none() {
        let key = if is_erased(&file.wifi.password) { "wifi.password" } else { "wifi.psk" };
        let message = format!("the secret of `{ssid}` was erased after use, and this machine does not have it");
        faults.push(file.fault(key, message, "write the password again"));
    }
    secret
}

fn has_useradd(disk: &Disk, commands: &Commands) -> bool {
    // A folder that only looks like a machine is served by the programs of the one that runs.
    !commands.is_live() || disk.at("/usr/sbin/useradd").exists()
}

/// The data folder, and what the settings file becomes.
fn settings(
    program: &Program,
    file: &BootFile,
    disk: &Disk,
    faults: &mut Vec<Diagnostic>,
) -> Option<(PathBuf, Option<String>)> {
    let given = of(program, file);
    for setting in &given {
        let line = format!("{} = {}\n", setting.key, setting.toml);
        if let Err(error) = (program.data_dir)(Path::new(BOOT_FILE), &line) {
            let key = format!("{}.settings.{}", program.section, setting.key);
            faults.push(file.fault(&key, error.message(), error.advice()));
        }
    }
    let kept = disk.text(program.config_file).unwrap_or_default();
    let becomes = super::steps::merged(&kept, &given);
    match (program.data_dir)(Path::new(program.config_file), &becomes) {
        Ok(data_dir) => Some((data_dir, Some(becomes).filter(|_text| !given.is_empty()))),
        // Where each line is right by itself, what was there before is wrong: the program will not start with it.
        Err(error) if faults.is_empty() => {
            let message = format!("{}: {}", program.config_file, error.message());
            faults.push(Diagnostic { file: None, line: 0, column: 0, message, hint: Some(error.advice()) });
            None
        }
        Err(_told) => None,
    }
}

/// The lines for the program's settings file.
fn of(program: &Program, file: &BootFile) -> Vec<Setting> {
    let given = if program.section == "node" { &file.node_settings } else { &file.appliance_settings };
    let mut given: Vec<Setting> = given.iter().filter(|setting| !setting.is_erased).cloned().collect();
    if !file.node.labels.is_empty() {
        let labels: Vec<String> = file
            .node
            .labels
            .iter()
            .map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") })
            .collect();
        let toml = toml::Value::String(labels.join(",")).to_string();
        given.push(Setting { key: "labels".to_owned(), toml, is_erased: false });
    }
    given
}

/// What the node is told about joining; nothing where nothing is said, or it was used before.
pub(super) fn joining(file: &BootFile) -> Option<Joining> {
    let token = file.node.join_token.as_ref().and_then(BootSecret::given).map(str::to_owned);
    let appliance = file.node.appliance.clone();
    (token.is_some() || appliance.is_some()).then_some(Joining { appliance, token })
}
