//! What a node needs to answer by itself, on its disk: all apps as it last heard of them, and the bytes of their sources
//! and static files.

mod content;
mod snapshot;
#[cfg(test)]
mod tests;

pub use content::{CACHE_BYTES_MAX, CacheError, Content};
pub use snapshot::SnapshotFile;
