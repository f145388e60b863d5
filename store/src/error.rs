//! Why a store call failed, in words of the domain.

use picloud_model::hash::ContentHash;

/// Why a store call failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something named stands in the way: a taken name, a reference that would break.
    #[error("{message}")]
    Conflict {
        /// A sentence.
        message: String,
        /// The things in the way, by title.
        in_the_way: Vec<String>,
    },
    /// The thing is not at the revision or version the caller expected.
    #[error("it is at {actual}, not at {expected}")]
    Stale {
        /// What the caller expected.
        expected: i64,
        /// What it is at.
        actual: i64,
    },
    /// The file does not have the bytes that the caller expected.
    #[error("its SHA-256 is {actual}, not {expected}")]
    OtherBytes {
        /// What the caller expected.
        expected: ContentHash,
        /// What it has.
        actual: ContentHash,
    },
    /// A cursor that this list did not give.
    #[error("the cursor is not one of this list's")]
    BadCursor,
    /// The disk is full; reads go on.
    #[error("the disk is full")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// More calls are waiting than the queue holds.
    #[error("more calls are waiting than the store takes")]
    Overloaded,
    /// More deliveries of the app wait than its `queued_deliveries`.
    #[error("{waiting} deliveries of the app wait already, as many as its queued_deliveries = {limit}")]
    Backlog {
        /// How many wait.
        waiting: u64,
        /// The limit.
        limit: u64,
    },
    /// The app's files would have more bytes than its `files_app_bytes`.
    #[error(
        "the app's files have {used_bytes} bytes; with this one they would have more than files_app_bytes = {limit_bytes}"
    )]
    Quota {
        /// How many they have.
        used_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The shared database does not answer, or not in time. A change may have been made all the same.
    #[error("the database does not answer")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Everything else: for the log, not for users.
    #[error("the database failed")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What every store method returns.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
