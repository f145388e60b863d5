//! Files into the boot partition of a card, without mounting it: it is found in the partition table, and is FAT.

use super::SECTOR_BYTES;
use super::folders;
use super::overlay::{Overlay, Sectors};
use crate::failure::Failure;
use fatfs::{FileSystem, FsOptions};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};

/// Kinds of partitions with FAT in them, as MBR numbers them.
const FAT_KINDS: [u8; 6] = [0x04, 0x06, 0x0b, 0x0c, 0x0e, 0xef];
/// The kind that stands for a table of another form.
const GPT: u8 = 0xee;

/// The first partition with FAT: its first byte, and how many it has.
pub(super) fn boot_partition(first_sector: &[u8]) -> Result<(u64, u64), Failure> {
    let none = |message: &str| {
        Failure::other(message, Some("without picloud.toml and apps, the image can be written as it is"))
    };
    let entries = (0..4).filter_map(|index| first_sector.get(446 + index * 16..462 + index * 16));
    for entry in entries {
        let number =
            |at: usize| u64::from(u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]));
        if entry[4] == GPT {
            return Err(none(
                "the image has a GPT, which Raspberry Pis do not all start from, and nothing can be put into it",
            ));
        }
        if FAT_KINDS.contains(&entry[4]) && number(12) > 0 {
            return Ok((number(8) * SECTOR_BYTES as u64, number(12) * SECTOR_BYTES as u64));
        }
    }
    Err(none("the image has no boot partition (FAT) that something could be put into"))
}

/// Puts the files in, by path with `/`, in place of those that are there. Changes only `sectors`.
pub(super) fn put(
    card: &File,
    at: (u64, u64),
    files: &BTreeMap<String, Vec<u8>>,
    sectors: &mut Sectors,
) -> Result<(), Failure> {
    let (start, length) = at;
    let failed = |what: &str, error: &io::Error| {
        Failure::other(
            format!("{what} cannot be put into the boot partition: {error}"),
            Some("the card is not finished: flash it again"),
        )
    };
    let overlay = Overlay::new(card, start, length, sectors);
    let fat = FileSystem::new(overlay, FsOptions::new()).map_err(|error| failed("files", &error))?;
    check_room(&fat, files)?;
    for (path, content) in files {
        write(&fat, path, content).map_err(|error| failed(path, &error))?;
    }
    fat.unmount().map_err(|error| failed("files", &error))?;
    folders::mend(&mut Overlay::new(card, start, length, sectors)).map_err(|error| failed("folders", &error))
}

fn check_room(fat: &FileSystem<Overlay<'_>>, files: &BTreeMap<String, Vec<u8>>) -> Result<(), Failure> {
    let stats =
        fat.stats().map_err(|error| Failure::other(format!("the boot partition cannot be read: {error}"), None))?;
    let cluster = u64::from(stats.cluster_size().max(1));
    // A cluster more for each file, for what its folder takes.
    let needed: u64 = files.values().map(|content| (content.len() as u64).div_ceil(cluster) + 1).sum();
    if needed > u64::from(stats.free_clusters()) {
        let (needed, free) = (needed * cluster / 1024, u64::from(stats.free_clusters()) * cluster / 1024);
        let message = format!("the boot partition has {free} KiB left, and the files need {needed} KiB");
        return Err(Failure::other(message, Some("deploy large apps with `picloud deploy` once the machine runs")));
    }
    Ok(())
}

fn write(fat: &FileSystem<Overlay<'_>>, path: &str, content: &[u8]) -> io::Result<()> {
    let mut folder = fat.root_dir();
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    for part in parts {
        folder = folder.create_dir(part)?;
    }
    let mut file = folder.create_file(name)?;
    file.truncate()?;
    file.write_all(content)?;
    file.flush()
}

/// The content of a file of the boot partition; `None` where it is not there. For tests, and for what is compared.
#[cfg(test)]
pub(super) fn content(card: &File, first_sector: &[u8], path: &str) -> Option<Vec<u8>> {
    let (start, length) = boot_partition(first_sector).ok()?;
    let mut sectors = Sectors::new();
    let fat = FileSystem::new(Overlay::new(card, start, length, &mut sectors), FsOptions::new()).ok()?;
    let mut content = Vec::new();
    let mut file = fat.root_dir().open_file(path).ok()?;
    io::Read::read_to_end(&mut file, &mut content).ok()?;
    Some(content)
}
