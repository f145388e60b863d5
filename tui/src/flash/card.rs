//! The card itself: opened for nobody else, written, and read back from the medium, every byte.

use super::image::{Image, fill};
use super::overlay::Sectors;
use super::progress::Progress;
use super::{CHUNK_BYTES, SECTOR_BYTES, fat};
use crate::failure::Failure;
use crate::folder::cannot;
use crate::output::Output;
use rustix::fs::{Advice, fadvise};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// After so many chunks the card has to have them, so that what is told of the rate is true.
const SYNC_EVERY_CHUNKS: usize = 16;
/// Alignment that direct reads need, of all media that there are.
const ALIGNMENT: usize = 4096;

/// A target that is open.
pub(crate) struct Card<'a> {
    path: PathBuf,
    file: File,
    is_device: bool,
    output: &'a Output,
}

impl<'a> Card<'a> {
    /// Opens a device, for which the kernel makes sure that nothing else uses it, or a file, which is made.
    pub(crate) fn open(path: &Path, is_device: bool, output: &'a Output) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if is_device {
            options.custom_flags(nix::libc::O_EXCL);
        } else {
            options.create(true).truncate(true);
        }
        let file = options.open(path).map_err(|error| match error.kind() {
            ErrorKind::ResourceBusy => Failure::other(
                format!("{} is in use: a file system, a volume or a program has it", path.display()),
                Some("unmount it, or take the card out and in again"),
            ),
            ErrorKind::PermissionDenied if is_device => Failure::other(
                format!("you may not write to {}", path.display()),
                Some("devices are root's: sudo picloud flash …"),
            ),
            _other => cannot("write", path, &error),
        })?;
        Ok(Self { path: path.to_owned(), file, is_device, output })
    }

    /// Writes image and files, and reads all of it back.
    pub(crate) fn write(&self, image: &Image, files: &BTreeMap<String, Vec<u8>>) -> Result<(), Failure> {
        self.write_image(image)?;
        let mut sectors = Sectors::new();
        if !files.is_empty() {
            fat::put(&self.file, fat::boot_partition(&image.first_sector)?, files, &mut sectors)?;
            sectors.retain(|_number, sector| sector.before.is_some());
            for (number, sector) in &sectors {
                let written = self.file.write_all_at(&sector.now, number * SECTOR_BYTES as u64);
                written.map_err(|error| cannot("write", &self.path, &error))?;
            }
        }
        self.file.sync_all().map_err(|error| cannot("write", &self.path, &error))?;
        self.verify(image, &sectors)
    }

    fn write_image(&self, image: &Image) -> Result<(), Failure> {
        let failed = |error: io::Error| self.failed_write(&error);
        let mut progress = Progress::begin(self.output, "writing", image.bytes);
        let (mut from, mut chunk, mut at) = (image.open()?, vec![0; CHUNK_BYTES], 0_u64);
        for (index, expected) in image.chunks.iter().enumerate() {
            let length = fill(&mut *from, &mut chunk)
                .map_err(|error| Failure::other(format!("the image cannot be read: {error}"), None))?;
            if Sha256::digest(&chunk[..length]).as_slice() != expected {
                let hint = "the card is not finished: download the image again, and flash it again";
                return Err(Failure::other("the image changed while it was written", Some(hint)));
            }
            self.file.write_all_at(&chunk[..length], at).map_err(failed)?;
            at += length as u64;
            if index % SYNC_EVERY_CHUNKS == SYNC_EVERY_CHUNKS - 1 {
                self.file.sync_data().map_err(failed)?;
            }
            progress.at(at);
        }
        self.file.sync_data().map_err(failed)?;
        progress.end();
        Ok(())
    }

    fn failed_write(&self, error: &io::Error) -> Failure {
        let hint = if error.kind() == ErrorKind::StorageFull { "it is full" } else { "try another card or reader" };
        Failure::other(format!("write to {}: {error}; the card is not finished", self.path.display()), Some(hint))
    }

    /// Reads everything back past the machine's memory, and compares.
    fn verify(&self, image: &Image, sectors: &Sectors) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            Failure::other(format!("read {} back: {error}", self.path.display()), Some("try another card or reader"))
        };
        let mut progress = Progress::begin(self.output, "verifying", image.bytes);
        let direct = self.direct();
        let mut room = vec![0; CHUNK_BYTES + ALIGNMENT];
        let shift = room.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let buffer = &mut room[shift..shift + CHUNK_BYTES];
        let mut at = 0_u64;
        for expected in &image.chunks {
            let length = usize::try_from(image.bytes - at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            self.read_back(direct.as_ref(), buffer, length, at).map_err(failed)?;
            let first = at / SECTOR_BYTES as u64;
            let last = first + (length / SECTOR_BYTES) as u64;
            for (number, sector) in sectors.range(first..last) {
                let within = usize::try_from(number - first).unwrap_or(usize::MAX) * SECTOR_BYTES;
                let place = &mut buffer[within..within + SECTOR_BYTES];
                if *place != sector.now {
                    return Err(self.differs(number * SECTOR_BYTES as u64));
                }
                // The rest of the chunk is what the image has.
                place.copy_from_slice(sector.before.as_ref().unwrap_or(&sector.now));
            }
            if Sha256::digest(&buffer[..length]).as_slice() != expected {
                return Err(self.differs(at));
            }
            at += length as u64;
            progress.at(at);
        }
        progress.end();
        Ok(())
    }

    /// The card anew, for reads that do not come from memory; `None` where its file system has no such reads.
    fn direct(&self) -> Option<File> {
        OpenOptions::new().read(true).custom_flags(nix::libc::O_DIRECT).open(&self.path).ok()
    }

    fn read_back(&self, direct: Option<&File>, buffer: &mut [u8], length: usize, at: u64) -> io::Result<()> {
        if let Some(direct) = direct {
            let whole = length.next_multiple_of(ALIGNMENT).min(buffer.len());
            match read_at(direct, &mut buffer[..whole], at) {
                Ok(read) if read >= length => return Ok(()),
                // The last bytes of a file may not be aligned.
                Ok(_short) => {}
                Err(error) if error.kind() == ErrorKind::InvalidInput => {}
                Err(error) => return Err(error),
            }
        }
        fadvise(&self.file, at, u64::try_from(length).ok().and_then(NonZeroU64::new), Advice::DontNeed)?;
        self.file.read_exact_at(&mut buffer[..length], at)
    }

    fn differs(&self, at: u64) -> Failure {
        let what =
            if self.is_device { "the card is broken, or smaller than it says" } else { "the disk lost something" };
        let message = format!("{} does not hold what was written to it, from byte {at}: {what}", self.path.display());
        Failure::other(message, Some("do not use it: try another card or reader"))
    }
}

fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], at + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
