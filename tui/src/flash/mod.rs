//! Writing an image to a card: checked before, verified after, with what the machine is to become inside.
//!
//! In this order: the image is read once, whole, against its checksum; the target is looked at and refused where it
//! may not be written; somebody agrees; it is written; files are put into its boot partition; every byte is read back.
//! `device` says what may be written, `image` what comes out of a file, `card` writes and verifies, `overlay`, `fat` and
//! `folders` put files in, `contents` are those files.

pub(crate) mod card;
pub(crate) mod contents;
pub(crate) mod device;
mod fat;
mod folders;
pub(crate) mod image;
mod overlay;
pub(crate) mod progress;

/// What is read, written and compared at a time.
pub(crate) const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// The unit of disks.
pub(crate) const SECTOR_BYTES: usize = 512;

#[cfg(test)]
mod tests;
