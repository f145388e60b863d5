//! What this machine says of itself: architecture, model, memory, and what is plugged in. Placement goes by it.

use picloud_model::placement::{LABEL_BYTES_MAX, Labels, check_label};
use std::path::Path;

/// A device that scripts may be placed by: its label, the folder it is seen in, and what its name begins with. Not in
/// `/dev`, which a service does not see.
const DEVICES: &[(&str, &str, &str)] = &[
    ("gpio", "sys/bus/gpio/devices", "gpiochip"),
    ("i2c", "sys/class/i2c-dev", "i2c-"),
    ("spi", "sys/class/spidev", "spidev"),
    ("camera", "sys/class/video4linux", "video"),
    ("serial", "sys/class/tty", "ttyUSB"),
    ("serial", "sys/class/tty", "ttyACM"),
    ("serial", "sys/class/tty", "ttyAMA"),
    ("audio", "sys/class/sound", "pcm"),
    ("bluetooth", "sys/class/bluetooth", "hci"),
    ("wifi", "sys/class/net", "wl"),
];

/// The facts of this machine.
pub fn facts() -> Labels {
    facts_below(Path::new("/"))
}

/// The name that this machine has on its network.
pub fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let short = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let fits: String =
        short.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).take(63).collect();
    let fits = fits.trim_matches('-');
    if picloud_model::node::check_name(fits).is_ok() { fits.to_owned() } else { "node".to_owned() }
}

/// What the files below `root` tell.
fn facts_below(root: &Path) -> Labels {
    let mut facts = Labels::new();
    let mut add = |name: &str, value: String| {
        if check_label(name, &value).is_ok() {
            facts.insert(name.to_owned(), value);
        }
    };
    add("arch", std::env::consts::ARCH.to_owned());
    add("os", os(root).unwrap_or_else(|| std::env::consts::OS.to_owned()));
    add("cores", std::thread::available_parallelism().map_or(1, usize::from).to_string());
    if let Some(model) = model(root) {
        add("model", model);
    }
    if let Some(memory) = memory_mb() {
        add("memory_mb", memory.to_string());
    }
    for (label, folder, prefix) in DEVICES {
        if has_entry(&root.join(folder), prefix) {
            add(label, String::new());
        }
    }
    facts
}

/// `debian-12`
fn os(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join("etc/os-release")).ok()?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches('"').to_owned()).filter(|value| !value.is_empty())
    };
    let id = value("ID")?;
    Some(value("VERSION_ID").map_or_else(|| id.clone(), |version| format!("{id}-{version}")))
}

/// `raspberry-pi-4-model-b-rev-1.4`, as a label may be.
fn model(root: &Path) -> Option<String> {
    let files = ["sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name"];
    let text = files.iter().find_map(|file| std::fs::read_to_string(root.join(file)).ok())?;
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_ascii_lowercase();
    let mut model = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        if !(c == '-' && model.ends_with('-')) && model.len() < LABEL_BYTES_MAX {
            model.push(c);
        }
    }
    let model = model.trim_matches('-').to_owned();
    (!model.is_empty()).then_some(model)
}

/// The kernel is asked: a service does not see `/proc/meminfo`.
fn memory_mb() -> Option<u64> {
    Some(nix::sys::sysinfo::sysinfo().ok()?.ram_total() / (1024 * 1024))
}

fn has_entry(folder: &Path, prefix: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_tells_what_it_is_and_what_is_plugged_in() {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("sys/firmware/devicetree/base/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
            ("etc/os-release", "NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n"),
            ("sys/bus/gpio/devices/gpiochip0", ""),
            ("sys/class/video4linux/video0", ""),
            ("sys/class/tty/tty1", ""),
        ] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut facts = facts_below(root.path());
        let of_the_machine_itself = ["cores", "arch", "memory_mb"];
        assert!(of_the_machine_itself.iter().all(|name| facts.remove(*name).is_some()));
        let shown: Vec<String> = facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = ["camera=", "gpio=", "model=raspberry-pi-4-model-b-rev-1.4", "os=debian-12"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_this_machine_says_of_itself_are_labels_and_its_name_is_one_of_a_node() {
        for (name, value) in facts() {
            check_label(&name, &value).unwrap();
        }
        picloud_model::node::check_name(&host_name()).unwrap();
    }
}
