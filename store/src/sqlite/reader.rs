//! The threads that read, each with a connection of its own that cannot write.

use super::error::{JobError, JobResult};
use super::queue::{Hurry, Queue};
use crate::{Result, StoreError};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Reads that wait; more are refused.
const READ_QUEUE_JOBS_MAX: usize = 4_096;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The callers' end; dropping it lets the threads finish what is queued, and waits for that.
pub(super) struct Readers {
    queue: Arc<Queue<Job>>,
    threads: Vec<JoinHandle<()>>,
    dir: PathBuf,
}

impl Readers {
    /// Starts a thread for each connection. `dir` is where the database lies.
    pub(super) fn start(name: &str, conns: Vec<Connection>, dir: PathBuf) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::<Job>::new(READ_QUEUE_JOBS_MAX));
        let mut readers = Self { queue, threads: Vec::new(), dir };
        for conn in conns {
            let queue = readers.queue.clone();
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                // One at a time: what one thread takes, another cannot answer in parallel.
                while let Some(job) = queue.take(1).pop_front() {
                    job(&conn);
                }
            })?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Answers what `work` reads at one moment.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce(&Connection) -> JobResult<T> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            let result = catch_unwind(AssertUnwindSafe(|| work(conn))).unwrap_or(Err(JobError::Panicked));
            // Whoever does not wait any more misses the answer.
            let _gone = reply.send(result);
        });
        self.queue.push(job, Hurry::Now).map_err(|_full| StoreError::Overloaded)?;
        match answer.await {
            Ok(result) => result.map_err(|error| error.into_store_error(&self.dir)),
            Err(gone) => Err(StoreError::Backend(Box::new(gone))),
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // A panic of the thread was already told to those who waited on it.
            let _panicked = thread.join();
        }
    }
}
