//! Folders as the FAT specification has them: `.` and `..` are the first two entries, and have short names alone.
//!
//! The library that writes files gives both a long name as well, which checkers of file systems want to repair. So
//! whatever it made is gone over here, before anything of it reaches the card.

use super::overlay::Overlay;
use std::io::{self, Error, ErrorKind, Read, Seek, SeekFrom, Write};

/// What an entry of a folder takes.
const ENTRY_BYTES: u64 = 32;
/// Most entries that are looked at: a chain of clusters that goes in a circle ends there.
const ENTRIES_MAX: u64 = 1_000_000;
/// The kinds of entries: bits of their twelfth byte.
const IS_LABEL: u8 = 0x08;
const IS_FOLDER: u8 = 0x10;
/// The twelfth byte of a part of a long name.
const LONG_NAME: u8 = 0x0f;
/// The first byte of an entry that is not there any more, and of one behind which nothing comes.
const DELETED: u8 = 0xe5;
const END: u8 = 0;

type Entry = [u8; ENTRY_BYTES as usize];

/// Mends every folder that the library made.
pub(super) fn mend(volume: &mut Overlay<'_>) -> io::Result<()> {
    let layout = Layout::read(volume)?;
    let mut folders = vec![layout.root];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        let is_root = folder == layout.root;
        let mut extent = layout.first_extent(folder);
        'folder: while let Some((start, length)) = extent {
            for index in 0..length / ENTRY_BYTES {
                looked_at += 1;
                if looked_at > ENTRIES_MAX {
                    return Err(broken("a folder never ends"));
                }
                let entry = entry_at(volume, start + index * ENTRY_BYTES)?;
                if entry[0] == END {
                    break 'folder;
                }
                // The last bit of `LONG_NAME` is that of a label, too.
                let is_folder = entry[11] & (IS_FOLDER | IS_LABEL) == IS_FOLDER;
                if is_folder && entry[0] != DELETED && entry[0] != b'.' {
                    let cluster = first_cluster(&entry);
                    let at = layout.cluster_at(cluster)?;
                    mend_one(volume, at, is_root)?;
                    folders.push(Start::Cluster(cluster));
                }
            }
            extent = layout.next_extent(volume, folder, start)?;
        }
    }
    Ok(())
}

/// `.` and `..` move to the front, and their long names are marked as deleted.
fn mend_one(volume: &mut Overlay<'_>, at: u64, is_below_root: bool) -> io::Result<()> {
    let mut entries = [[0; ENTRY_BYTES as usize]; 4];
    for (entry, place) in entries.iter_mut().zip((at..).step_by(ENTRY_BYTES as usize)) {
        *entry = entry_at(volume, place)?;
    }
    let [long_dot, dot, long_dots, mut dots] = entries;
    let is_ours = long_dot[11] == LONG_NAME
        && dot.starts_with(b".          ")
        && long_dots[11] == LONG_NAME
        && dots.starts_with(b"..         ");
    if !is_ours {
        return Ok(());
    }
    if is_below_root {
        // Where the root begins is written nowhere but in the first sector.
        dots[20..22].fill(0);
        dots[26..28].fill(0);
    }
    let mut deleted = [0; ENTRY_BYTES as usize];
    deleted[0] = DELETED;
    volume.seek(SeekFrom::Start(at))?;
    volume.write_all(&[dot, dots, deleted, deleted].concat())
}

fn entry_at(volume: &mut Overlay<'_>, at: u64) -> io::Result<Entry> {
    let mut entry = [0; ENTRY_BYTES as usize];
    volume.seek(SeekFrom::Start(at))?;
    volume.read_exact(&mut entry)?;
    Ok(entry)
}

fn first_cluster(entry: &Entry) -> u32 {
    u32::from_le_bytes([entry[26], entry[27], entry[20], entry[21]])
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("its FAT file system is broken: {what}"))
}

/// Where a folder begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// In the place that the root of a small file system has: so many bytes from there.
    Fixed(u64, u64),
    /// In a chain of clusters.
    Cluster(u32),
}

/// Where things are, in bytes from the start.
struct Layout {
    table: u64,
    /// Half bytes of a number in the table: 3 for FAT12, 4 for FAT16, 8 for FAT32.
    nibbles: u64,
    root: Start,
    data: u64,
    cluster_bytes: u64,
    clusters: u64,
}

impl Layout {
    fn read(volume: &mut Overlay<'_>) -> io::Result<Self> {
        let mut sector = [0_u8; 64];
        volume.seek(SeekFrom::Start(0))?;
        volume.read_exact(&mut sector)?;
        let short = |at: usize| u64::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
        let long = |at: usize| short(at) | short(at + 2) << 16;
        let either = |at: usize, or: usize| if short(at) == 0 { long(or) } else { short(at) };
        let (sector_bytes, cluster_sectors) = (short(11), u64::from(sector[13]));
        if sector_bytes == 0 || cluster_sectors == 0 {
            return Err(broken("its first sector says nothing of clusters"));
        }
        let (sectors, table_sectors) = (either(19, 32), either(22, 36));
        let after_tables = short(14) + u64::from(sector[16]) * table_sectors;
        let root_bytes = short(17) * ENTRY_BYTES;
        let before_data = after_tables + root_bytes.div_ceil(sector_bytes);
        let clusters = sectors.saturating_sub(before_data) / cluster_sectors;
        let nibbles = match clusters {
            0..4085 => 3,
            4085..65_525 => 4,
            _more => 8,
        };
        let root = if nibbles == 8 {
            Start::Cluster(u32::try_from(long(44)).unwrap_or(0))
        } else {
            Start::Fixed(after_tables * sector_bytes, root_bytes)
        };
        let (table, data) = (short(14) * sector_bytes, before_data * sector_bytes);
        Ok(Self { table, nibbles, root, data, cluster_bytes: cluster_sectors * sector_bytes, clusters })
    }

    fn cluster_at(&self, cluster: u32) -> io::Result<u64> {
        let index = u64::from(cluster).checked_sub(2).filter(|index| *index < self.clusters);
        index.map(|index| self.data + index * self.cluster_bytes).ok_or_else(|| broken("a folder begins nowhere"))
    }

    /// Where the first part of a folder is, and how long it is.
    fn first_extent(&self, start: Start) -> Option<(u64, u64)> {
        match start {
            Start::Fixed(at, length) => Some((at, length)),
            Start::Cluster(cluster) => self.cluster_at(cluster).ok().map(|at| (at, self.cluster_bytes)),
        }
    }

    /// Where the part after the one at `at` is.
    fn next_extent(&self, volume: &mut Overlay<'_>, start: Start, at: u64) -> io::Result<Option<(u64, u64)>> {
        let Start::Cluster(_first) = start else { return Ok(None) };
        let cluster = (at - self.data) / self.cluster_bytes + 2;
        let mut bytes = [0; 4];
        volume.seek(SeekFrom::Start(self.table + cluster * self.nibbles / 2))?;
        // The table is never the last that there is: two bytes more can be read.
        volume.read_exact(&mut bytes)?;
        let number = u32::from_le_bytes(bytes);
        let next = match self.nibbles {
            3 if cluster % 2 == 1 => number >> 4 & 0xfff,
            3 => number & 0xfff,
            4 => number & 0xffff,
            _eight => number & 0x0fff_ffff,
        };
        // Numbers beyond the last cluster say that the chain ends.
        Ok(self.cluster_at(next).ok().map(|at| (at, self.cluster_bytes)))
    }
}
