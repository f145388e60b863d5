//! What may be written: a whole disk that nobody uses. Everything is refused that is mounted, runs this machine, belongs
//! to a volume, is a part of a disk, cannot be written, or is too small.
//!
//! Reads `/sys` and `/proc` below a root that is given, so that the refusals are tested on trees that look like machines.

use super::SECTOR_BYTES;
use super::progress::size;
use crate::failure::Failure;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a machine that has these mounted runs from.
const SYSTEM_MOUNTS: &[&str] = &["/", "/boot", "/boot/firmware", "/boot/efi", "/etc", "/home", "/nix", "/usr", "/var"];
/// Names of what is no disk that one takes out, by how they begin, with what they are.
const NO_DISKS: &[(&str, &str)] = &[
    ("dm-", "a volume of LVM or an encrypted one"),
    ("md", "a RAID"),
    ("zram", "memory"),
    ("ram", "memory"),
    ("sr", "a CD or DVD drive"),
    ("fd", "a floppy drive"),
    ("mtd", "flash memory of the board"),
];
/// Parts of a card's controller that look like disks.
const CONTROLLER_PARTS: &[&str] = &["boot0", "boot1", "rpmb"];
/// Most lines of a table of mounts that are read.
const MOUNTS_MAX: usize = 100_000;

/// A disk that may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// `sdb`
    pub(crate) name: String,
    /// What its maker calls it, as far as it says.
    pub(crate) model: String,
    /// How many bytes it has.
    pub(crate) bytes: u64,
    /// Whether it can be taken out.
    pub(crate) is_removable: bool,
    /// Its parts, as `sdb1 (256.0 MiB, bootfs)`.
    pub(crate) parts: Vec<String>,
}

impl Disk {
    /// `sdb: SanDisk Ultra, 29.7 GiB, removable; on it: sdb1 (256.0 MiB, bootfs)`
    pub(crate) fn shown(&self) -> String {
        let kind = if self.is_removable { "removable" } else { "NOT removable" };
        let model = if self.model.is_empty() { "a disk that does not say what it is" } else { &self.model };
        let parts = if self.parts.is_empty() { "no partitions".to_owned() } else { self.parts.join(", ") };
        format!("/dev/{}: {model}, {}, {kind}; on it: {parts}", self.name, size(self.bytes))
    }
}

/// A machine's disks.
pub(crate) struct Disks {
    root: PathBuf,
}

/// A disk or a part of one, in `/sys`.
struct Block {
    name: String,
    folder: PathBuf,
    /// `8:16`
    number: String,
}

impl Disks {
    pub(crate) fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The disk with this number, for an image of so many bytes; or why it may not be written.
    pub(crate) fn check(&self, major: u64, minor: u64, image_bytes: u64) -> Result<Disk, Failure> {
        let number = format!("{major}:{minor}");
        let folder = fs::canonicalize(self.root.join("sys/dev/block").join(&number)).map_err(|error| {
            Failure::other(
                format!("the device {number} is not known to the kernel: {error}"),
                Some("take it out and in again"),
            )
        })?;
        let name = name_of(&folder);
        if folder.join("partition").exists() {
            let disk = folder.parent().map(name_of).unwrap_or_default();
            return Err(refused(&name, "is a part of a disk", &format!("give the whole disk: /dev/{disk}")));
        }
        let no_disk = NO_DISKS.iter().find(|(begin, _)| {
            name.strip_prefix(begin).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        });
        if let Some((_, what)) = no_disk {
            return Err(refused(&name, &format!("is {what}"), "give the disk of a card or a stick: lsblk shows them"));
        }
        if CONTROLLER_PARTS.iter().any(|part| name.ends_with(part)) {
            return Err(refused(
                &name,
                "belongs to a card's controller",
                "give the card itself, without boot0, boot1 or rpmb",
            ));
        }
        let disk = Block { name, folder, number };
        let blocks = self.with_parts(disk)?;
        self.refuse_used(&blocks)?;
        self.refuse_unfit(&blocks[0], image_bytes)?;
        Ok(self.told(&blocks))
    }

    /// The disk first, then its parts in order.
    fn with_parts(&self, disk: Block) -> Result<Vec<Block>, Failure> {
        let cannot = |error| Failure::other(format!("/dev/{} cannot be looked at: {error}", disk.name), None);
        let mut parts = Vec::new();
        for entry in fs::read_dir(&disk.folder).map_err(cannot)? {
            let folder = entry.map_err(cannot)?.path();
            if folder.join("partition").exists() {
                parts.push(Block { name: name_of(&folder), number: line(&folder, "dev"), folder });
            }
        }
        parts.sort_by(|a, b| (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)));
        Ok(std::iter::once(disk).chain(parts).collect())
    }

    fn refuse_used(&self, blocks: &[Block]) -> Result<(), Failure> {
        let disk = &blocks[0].name;
        let mounts = self.mounts()?;
        let on_these = |mount: &&Mount| blocks.iter().any(|block| mount.is_of(block));
        let used: Vec<&Mount> = mounts.iter().filter(on_these).collect();
        if let Some(mount) = used.iter().find(|mount| SYSTEM_MOUNTS.contains(&mount.place.as_str())) {
            let message = format!("runs this machine: {} is on it", mount.place);
            return Err(refused(disk, &message, "choose the card or stick that you want to write: lsblk shows them"));
        }
        if let Some(mount) = used.first() {
            return Err(refused(disk, &format!("is mounted at {}", mount.place), &format!("umount {}", mount.place)));
        }
        let swaps = fs::read_to_string(self.root.join("proc/swaps")).unwrap_or_default();
        let is_swap = |block: &&Block| {
            swaps.lines().any(|line| line.split_whitespace().next() == Some(&format!("/dev/{}", block.name)))
        };
        if let Some(block) = blocks.iter().find(is_swap) {
            return Err(refused(
                disk,
                &format!("has swap on /dev/{}", block.name),
                &format!("swapoff /dev/{}", block.name),
            ));
        }
        for block in blocks {
            let holders = fs::read_dir(block.folder.join("holders")).into_iter().flatten().flatten();
            if let Some(holder) = holders.map(|entry| entry.file_name().to_string_lossy().into_owned()).next() {
                let message = format!("belongs to `{holder}`, a volume or a RAID, through /dev/{}", block.name);
                return Err(refused(disk, &message, "close the volume first, or choose another disk"));
            }
        }
        Ok(())
    }

    fn refuse_unfit(&self, disk: &Block, image_bytes: u64) -> Result<(), Failure> {
        if line(&disk.folder, "ro") == "1" {
            return Err(refused(&disk.name, "is read-only", "move the card's little switch away from LOCK"));
        }
        let bytes = bytes_of(disk);
        if bytes == 0 {
            return Err(refused(&disk.name, "has no card in it", "put the card in"));
        }
        if bytes < image_bytes {
            let message = format!("has {}, and the image needs {}", size(bytes), size(image_bytes));
            return Err(refused(&disk.name, &message, "take a larger card"));
        }
        Ok(())
    }

    fn told(&self, blocks: &[Block]) -> Disk {
        let disk = &blocks[0];
        let words = ["device/vendor", "device/model", "device/name"].map(|file| line(&disk.folder, file));
        let backing = line(&disk.folder, "loop/backing_file");
        let words = words.into_iter().chain(Some(backing)).filter(|word| !word.is_empty());
        let part = |block: &Block| {
            let label = self.label(&block.name).map(|label| format!(", {label}")).unwrap_or_default();
            format!("{} ({}{label})", block.name, size(bytes_of(block)))
        };
        Disk {
            name: disk.name.clone(),
            model: words.collect::<Vec<_>>().join(" "),
            bytes: bytes_of(disk),
            is_removable: line(&disk.folder, "removable") == "1" || disk.name.starts_with("mmcblk"),
            parts: blocks[1..].iter().map(part).collect(),
        }
    }

    /// What a file system calls itself.
    fn label(&self, name: &str) -> Option<String> {
        let links = fs::read_dir(self.root.join("dev/disk/by-label")).ok()?;
        links.flatten().find_map(|link| {
            let leads_to = fs::read_link(link.path()).ok()?;
            (leads_to.file_name()?.to_string_lossy() == name).then(|| link.file_name().to_string_lossy().into_owned())
        })
    }

    fn mounts(&self) -> Result<Vec<Mount>, Failure> {
        let path = self.root.join("proc/self/mountinfo");
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::other(format!("what is mounted cannot be read: {error}"), Some("nothing was written"))
        })?;
        Ok(text.lines().take(MOUNTS_MAX).filter_map(Mount::of).collect())
    }
}

/// A line of the kernel's table of mounts.
struct Mount {
    number: String,
    place: String,
    source: String,
}

impl Mount {
    fn of(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ');
        let number = fields.nth(2)?.to_owned();
        // A blank within a place is written as its number.
        let place = fields.nth(1)?.replace("\\040", " ");
        Some(Self { number, place, source: after.split(' ').nth(1)?.to_owned() })
    }

    /// By number; file systems with several disks have a number of their own, and name one.
    fn is_of(&self, block: &Block) -> bool {
        self.number == block.number || self.source == format!("/dev/{}", block.name)
    }
}

fn refused(disk: &str, message: &str, hint: &str) -> Failure {
    Failure::Refused { message: format!("/dev/{disk} {message}: nothing was written"), hint: hint.to_owned() }
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn line(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_default().trim().to_owned()
}

fn bytes_of(block: &Block) -> u64 {
    line(&block.folder, "size").parse::<u64>().unwrap_or(0).saturating_mul(SECTOR_BYTES as u64)
}
