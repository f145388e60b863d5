//! Which file system and which disk a path is on, as the kernel tells it.

use super::machine::Machine;

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is.
    pub(super) point: String,
    /// `ext4`.
    pub(super) kind: String,
    /// `/dev/mmcblk0p2`.
    pub(super) source: String,
    /// Whether nothing may be written: by how it is mounted, or since the kernel found it damaged.
    pub(super) is_read_only: bool,
    /// `179:2`.
    device: String,
}

/// All mounts.
pub(super) fn mounts(machine: &dyn Machine) -> Vec<Mount> {
    machine.read("/proc/self/mountinfo").unwrap_or_default().lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (here, there) = line.split_once(" - ")?;
    let here: Vec<&str> = here.split(' ').collect();
    let mut there = there.split(' ');
    let (kind, source, of_the_disk) = (there.next()?, there.next()?, there.next()?);
    let is_ro = |options: &str| options.split(',').any(|option| option == "ro");
    Some(Mount {
        point: unescaped(here.get(4)?),
        kind: kind.to_owned(),
        source: unescaped(source),
        is_read_only: is_ro(here.get(5)?) || is_ro(of_the_disk),
        device: (*here.get(2)?).to_owned(),
    })
}

/// Blanks stand there as `\040`.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

/// The mount that a path is on.
pub(super) fn mount_of(machine: &dyn Machine, path: &str) -> Option<Mount> {
    let is_on = |mount: &Mount| {
        let below = path.strip_prefix(mount.point.as_str());
        mount.point == "/" || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // Of two at one point the later one is what is seen.
    mounts(machine).into_iter().filter(is_on).max_by_key(|mount| mount.point.len())
}

impl Mount {
    /// The kernel's name of its partition, or of the disk where it has none: `mmcblk0p2`.
    pub(super) fn partition(&self, machine: &dyn Machine) -> Option<String> {
        let link = machine.link(&format!("/sys/dev/block/{}", self.device))?;
        link.rsplit('/').next().map(str::to_owned)
    }

    /// The kernel's name of the whole disk: `mmcblk0`.
    pub(super) fn disk(&self, machine: &dyn Machine) -> Option<String> {
        let link = machine.link(&format!("/sys/dev/block/{}", self.device))?;
        let (_, below) = link.split_once("/block/")?;
        below.split('/').next().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mounts_is_read_with_blanks_in_names_and_both_ways_to_be_read_only() {
        let read = |line: &str| mount(line).unwrap();
        let plain = read("22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw");
        assert_eq!((plain.point.as_str(), plain.kind.as_str(), plain.is_read_only), ("/", "ext4", false));
        assert!(read("22 1 179:2 / / ro,noatime - ext4 /dev/mmcblk0p2 rw").is_read_only);
        assert!(read("22 1 179:2 / / rw - ext4 /dev/mmcblk0p2 ro,errors=remount-ro").is_read_only);
        assert_eq!(read("30 22 8:1 / /mnt/my\\040disk rw - ext4 /dev/sda1 rw").point, "/mnt/my disk");
        assert_eq!(mount("nonsense"), None);
    }
}
