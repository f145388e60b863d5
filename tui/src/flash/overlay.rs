//! A partition of a card whose changes are kept in memory, sector by sector, until all of them are known: then they are
//! written together, and compared when the card is read back.

use super::SECTOR_BYTES;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Error, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// Most sectors that are kept: 256 MiB.
const SECTORS_MAX: usize = 512 * 1024;

/// A sector that was looked at.
pub(super) struct Sector {
    /// As it is to be.
    pub(super) now: [u8; SECTOR_BYTES],
    /// As the image has it, where that is different.
    pub(super) before: Option<[u8; SECTOR_BYTES]>,
}

/// Sectors by their number on the card.
pub(super) type Sectors = BTreeMap<u64, Sector>;

/// The partition.
pub(super) struct Overlay<'f> {
    card: &'f File,
    /// Its first byte on the card, and how many it has.
    start: u64,
    length: u64,
    at: u64,
    sectors: &'f mut Sectors,
}

impl<'f> Overlay<'f> {
    pub(super) fn new(card: &'f File, start: u64, length: u64, sectors: &'f mut Sectors) -> Self {
        Self { card, start, length, at: 0, sectors }
    }

    /// The sector with the current byte, the byte's place in it, and how many follow there.
    fn sector(&mut self, wanted: usize) -> io::Result<(&mut Sector, usize, usize)> {
        let byte = self.start + self.at;
        let (number, within) = (byte / SECTOR_BYTES as u64, (byte % SECTOR_BYTES as u64) as usize);
        if !self.sectors.contains_key(&number) {
            if self.sectors.len() >= SECTORS_MAX {
                return Err(Error::new(ErrorKind::OutOfMemory, "more than 256 MiB of the boot partition would change"));
            }
            let mut now = [0; SECTOR_BYTES];
            self.card.read_exact_at(&mut now, number * SECTOR_BYTES as u64)?;
            self.sectors.insert(number, Sector { now, before: None });
        }
        let left = usize::try_from(self.length - self.at).unwrap_or(usize::MAX);
        let length = wanted.min(SECTOR_BYTES - within).min(left);
        let sector = self.sectors.get_mut(&number).expect("it was put there above");
        Ok((sector, within, length))
    }
}

impl Read for Overlay<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.length || buffer.is_empty() {
            return Ok(0);
        }
        let (sector, within, length) = self.sector(buffer.len())?;
        buffer[..length].copy_from_slice(&sector.now[within..within + length]);
        self.at += length as u64;
        Ok(length)
    }
}

impl Write for Overlay<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.at >= self.length || buffer.is_empty() {
            return Ok(0);
        }
        let (sector, within, length) = self.sector(buffer.len())?;
        sector.before.get_or_insert(sector.now);
        sector.now[within..within + length].copy_from_slice(&buffer[..length]);
        self.at += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Overlay<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.filter(|at| *at <= self.length).ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
