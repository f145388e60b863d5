//! Answers that go on until somebody has enough: how many there may be.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Open streams at once, of all kinds.
pub const STREAMS_MAX: usize = 64;

/// Room for streams.
pub struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_MAX)))
    }
}

impl Streams {
    /// Room for one more, until it is dropped; `None` where all is taken.
    pub fn open(&self) -> Option<OpenStream> {
        Arc::clone(&self.0).try_acquire_owned().ok().map(OpenStream)
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        STREAMS_MAX - self.0.available_permits()
    }
}

/// The place of one stream.
pub struct OpenStream(
    #[expect(dead_code, reason = "it is held, and given back when it is dropped")] OwnedSemaphorePermit,
);
