//! The steps of a blob's life, for those who stop it between any two of them and look what is left.

use std::ops::ControlFlow;

/// What is about to be done or was just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// There is a temporary file.
    Made,
    /// Some of its bytes are written.
    Written,
    /// All of its bytes are on the disk.
    Synced,
    /// The folders of its place are there.
    Folders,
    /// It has its place.
    Renamed,
    /// Its place is on the disk.
    Settled,
    /// It is about to be removed.
    Removing,
    /// It is gone.
    Removed,
}

impl Step {
    /// All of them, in the order in which a blob takes them.
    pub const ALL: [Self; 8] = [
        Self::Made,
        Self::Written,
        Self::Synced,
        Self::Folders,
        Self::Renamed,
        Self::Settled,
        Self::Removing,
        Self::Removed,
    ];
}

/// Who sees each step. To break there leaves everything as it is then, as a pulled plug would.
pub trait Steps: Send + Sync {
    /// It has come so far.
    fn done(&self, step: Step) -> ControlFlow<()>;
}
