//! What this machine says of itself: architecture, model, memory, and what is plugged in. Placement goes by it.

use picloud_model::placement::{LABEL_BYTES_MAX, Labels, check_label};
use std::path::Path;

/// A device that scripts may be placed by: its label, the folder it is seen in, and what its name begins with.
const DEVICES: &[(&str, &str, &str)] = &[
    ("gpio", "dev", "gpiochip"),
    ("i2c", "dev", "i2c-"),
    ("spi", "dev", "spidev"),
    ("camera", "dev", "video"),
    ("serial", "dev", "ttyUSB"),
    ("serial", "dev", "ttyACM"),
    ("serial", "dev", "serial"),
    ("audio", "dev/snd", "pcm"),
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
    if let Some(memory) = memory_mb(root) {
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
    let files = ["proc/device-tree/model", "sys/class/dmi/id/product_name"];
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

fn memory_mb(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
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
            ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
            ("proc/meminfo", "MemTotal:        3884444 kB\nMemFree: 1 kB\n"),
            ("etc/os-release", "NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n"),
            ("dev/gpiochip0", ""),
            ("dev/video0", ""),
            ("dev/tty1", ""),
        ] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut facts = facts_below(root.path());
        assert!(facts.remove("cores").is_some() && facts.remove("arch").is_some());
        let shown: Vec<String> = facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let expected = ["camera=", "gpio=", "memory_mb=3793", "model=raspberry-pi-4-model-b-rev-1.4", "os=debian-12"];
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
