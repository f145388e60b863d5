//! Room on the disk: below a reserve no file is made, so that all else goes on writing.

use super::BlobError;
use super::error::io;
use crate::Room;
use std::path::Path;

/// Part of the disk that stays free.
const RESERVE_PART: u64 = 20;
/// At least so many bytes.
const RESERVE_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// At most so many.
const RESERVE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How much of the disk files leave free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reserve {
    /// A twentieth of it, 64 MiB to 1 GiB.
    #[default]
    Twentieth,
    /// So many bytes.
    Bytes(u64),
}

impl Reserve {
    fn bytes_of(self, disk_bytes: u64) -> u64 {
        match self {
            Self::Twentieth => (disk_bytes / RESERVE_PART).clamp(RESERVE_BYTES_MIN, RESERVE_BYTES_MAX),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Refuses where `bytes` more would take from it. Blocks.
    pub(super) fn check(self, root: &Path, bytes: u64) -> Result<(), BlobError> {
        let Room { bytes: disk_bytes, free_bytes } = Room::of(root).map_err(io("look at the disk of", root))?;
        let reserve_bytes = self.bytes_of(disk_bytes);
        if free_bytes < reserve_bytes.saturating_add(bytes) {
            return Err(BlobError::Full { root: root.to_owned(), free_bytes, reserve_bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_a_twentieth_within_its_bounds() {
        const GIB: u64 = 1024 * 1024 * 1024;
        for (disk, reserve) in [(GIB / 8, GIB / 16), (4 * GIB, 4 * GIB / 20), (512 * GIB, GIB)] {
            assert_eq!(Reserve::Twentieth.bytes_of(disk), reserve, "of {disk}");
        }
        assert_eq!(Reserve::Bytes(7).bytes_of(GIB), 7);
    }

    #[test]
    fn what_would_take_from_the_reserve_is_refused_with_both_numbers() {
        let dir = tempfile::tempdir().unwrap();
        Reserve::Bytes(0).check(dir.path(), 1).unwrap();
        let refused = Reserve::Bytes(u64::MAX).check(dir.path(), 0).unwrap_err();
        assert!(matches!(refused, BlobError::Full { reserve_bytes: u64::MAX, free_bytes: 1.., .. }), "{refused}");
    }
}
