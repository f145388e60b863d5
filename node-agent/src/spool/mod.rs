//! Publishes that no appliance has answered yet, durable and in order; and the numbers that make each happen once.
//!
//! One thread works on the file. Whatever asks while it syncs waits together for the next sync. As long as the spool is
//! not empty every further publish goes behind it, so that their order stays.

mod file;
#[cfg(test)]
mod tests;

pub use file::{SpoolError, Spooled};

use file::SpoolFile;
use picloud_cluster::settled::Settled;
use picloud_model::clock::UnixMs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot};

/// Publishes that may wait.
pub const SPOOLED_MAX: u64 = 100_000;
/// Bytes of topics and values that may wait: an SD card holds more, but somebody has to hear of it some day.
pub const SPOOLED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Numbers that are reserved with one sync.
const NUMBERS_RESERVED: u64 = 4_096;
/// Requests that wait for the thread.
const ASKED_MAX: usize = 256;
/// Requests that are done with one sync.
const TOGETHER_MAX: usize = 256;
/// A file that is made now begins where no earlier one of this node, lost since, can have come to.
const NUMBERS_PER_MS: u64 = 1_024;

/// Copies the spool of a data folder into the file `to`, which is empty, also while an agent works on it.
pub fn copy(data_dir: &Path, to: &Path) -> Result<(), SpoolError> {
    file::copy(&data_dir.join("spool.db"), to)
}

/// A spool that comes out of a backup goes on where the machine that it is of cannot have come to since: a number that is
/// given twice would be taken for one that is done.
pub fn go_on_from(data_dir: &Path, now: UnixMs) -> Result<(), SpoolError> {
    let next = u64::try_from(now).unwrap_or(0).saturating_mul(NUMBERS_PER_MS).max(1);
    SpoolFile::open(&data_dir.join("spool.db"), next)?.reserve(next)
}

type Done = oneshot::Sender<Result<(), SpoolError>>;

enum Ask {
    Append(Box<Spooled>, Done),
    Front { count: usize, bytes_max: usize, answer: oneshot::Sender<Result<Vec<Spooled>, SpoolError>> },
    Remove(Vec<u64>, Done),
    Reserve(u64, Done),
}

/// The spool.
pub struct Spool {
    asks: mpsc::Sender<Ask>,
    numbers: Mutex<Numbers>,
    reserving: tokio::sync::Mutex<()>,
    waiting: AtomicU64,
    bytes: AtomicU64,
    /// Told when something is added.
    pub added: Notify,
}

struct Numbers {
    settled: Settled,
    reserved: u64,
}

/// The number of a publish; settled when this is dropped, unless the publish was kept.
pub struct Number {
    spool: Arc<Spool>,
    number: u64,
    kept: bool,
}

impl Spool {
    /// Opens the file in this folder, or makes it.
    pub fn open(data_dir: &Path, now: UnixMs) -> Result<Arc<Self>, SpoolError> {
        let first = u64::try_from(now).unwrap_or(0).saturating_mul(NUMBERS_PER_MS).max(1);
        let file = SpoolFile::open(&data_dir.join("spool.db"), first)?;
        let standing = file.standing()?;
        let (asks, asked) = mpsc::channel(ASKED_MAX);
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || work(file, asked))
            .map_err(|_no_thread| SpoolError::Closed)?;
        let waiting = standing.waiting.len() as u64;
        let numbers = Numbers { settled: Settled::new(standing.next, standing.waiting), reserved: standing.next };
        Ok(Arc::new(Self {
            asks,
            numbers: Mutex::new(numbers),
            reserving: tokio::sync::Mutex::new(()),
            waiting: AtomicU64::new(waiting),
            bytes: AtomicU64::new(standing.bytes),
            added: Notify::new(),
        }))
    }

    /// Publishes that wait.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    /// A number for a publish.
    pub async fn begin(self: &Arc<Self>) -> Result<Number, SpoolError> {
        loop {
            let reserve_to = {
                let mut numbers = self.numbers();
                if numbers.settled.next() < numbers.reserved {
                    let number = numbers.settled.begin();
                    return Ok(Number { spool: Arc::clone(self), number, kept: false });
                }
                numbers.settled.next() + NUMBERS_RESERVED
            };
            let _alone = self.reserving.lock().await;
            if self.numbers().reserved < reserve_to {
                self.ask(|done| Ask::Reserve(reserve_to, done)).await?;
                let mut numbers = self.numbers();
                numbers.reserved = numbers.reserved.max(reserve_to);
            }
        }
    }

    /// All numbers below this are settled.
    pub fn settled_below(&self) -> u64 {
        self.numbers().settled.below()
    }

    /// Keeps a publish; returns once it is on the disk. Its number stays under way until it is removed.
    pub async fn append(&self, mut number: Number, spooled: Spooled) -> Result<(), SpoolError> {
        let bytes = size(&spooled);
        if self.waiting() >= SPOOLED_MAX || self.bytes.load(Ordering::Relaxed) + bytes > SPOOLED_BYTES_MAX {
            return Err(SpoolError::Full);
        }
        // Before it is there: from this moment on, whatever is published goes behind it.
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let appended = self.ask(|done| Ask::Append(Box::new(spooled), done)).await;
        match &appended {
            Ok(()) => {
                number.kept = true;
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.added.notify_one();
            }
            Err(_not_kept) => drop(self.waiting.fetch_sub(1, Ordering::AcqRel)),
        }
        appended
    }

    /// The first of those that wait.
    pub async fn front(&self, count: usize, bytes_max: usize) -> Result<Vec<Spooled>, SpoolError> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask::Front { count, bytes_max, answer }).await.map_err(|_closed| SpoolError::Closed)?;
        answered.await.map_err(|_closed| SpoolError::Closed)?
    }

    /// Forgets these, which are stored elsewhere or refused for good; their numbers are settled once that is on the disk,
    /// for until then they may be said again.
    pub async fn remove(&self, all: &[Spooled]) -> Result<(), SpoolError> {
        let numbers: Vec<u64> = all.iter().map(|it| it.number).collect();
        self.ask(|done| Ask::Remove(numbers.clone(), done)).await?;
        {
            let mut known = self.numbers();
            numbers.iter().for_each(|number| known.settled.settle(*number));
        }
        self.bytes.fetch_sub(all.iter().map(size).sum(), Ordering::Relaxed);
        self.waiting.fetch_sub(all.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    async fn ask(&self, ask: impl FnOnce(Done) -> Ask) -> Result<(), SpoolError> {
        let (done, answered) = oneshot::channel();
        self.asks.send(ask(done)).await.map_err(|_closed| SpoolError::Closed)?;
        answered.await.map_err(|_closed| SpoolError::Closed)?
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Number {
    /// The number itself.
    pub fn get(&self) -> u64 {
        self.number
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        if !self.kept {
            self.spool.numbers().settled.settle(self.number);
        }
    }
}

fn size(spooled: &Spooled) -> u64 {
    (spooled.publish.topic.len() + spooled.publish.value.len()) as u64
}

/// The thread: ends when nobody can ask any more.
fn work(mut file: SpoolFile, mut asked: mpsc::Receiver<Ask>) {
    let mut together = Vec::new();
    while asked.blocking_recv_many(&mut together, TOGETHER_MAX) > 0 {
        let (mut publishes, mut waiting) = (Vec::new(), Vec::new());
        for ask in together.drain(..) {
            match ask {
                Ask::Append(spooled, done) => {
                    publishes.push(*spooled);
                    waiting.push(done);
                }
                Ask::Front { count, bytes_max, answer } => {
                    append(&mut file, &mut publishes, &mut waiting);
                    let _gone = answer.send(file.front(count, bytes_max));
                }
                Ask::Remove(numbers, done) => {
                    let _gone = done.send(file.remove(&numbers));
                }
                Ask::Reserve(next, done) => {
                    let _gone = done.send(file.reserve(next));
                }
            }
        }
        append(&mut file, &mut publishes, &mut waiting);
    }
}

/// All at once; where that fails each by itself, so that one that cannot be kept does not take others with it.
fn append(file: &mut SpoolFile, publishes: &mut Vec<Spooled>, waiting: &mut Vec<Done>) {
    if publishes.is_empty() {
        return;
    }
    let together = file.append(publishes);
    for (publish, done) in publishes.drain(..).zip(waiting.drain(..)) {
        let kept = if together.is_ok() { Ok(()) } else { file.append(std::slice::from_ref(&publish)) };
        let _gone = done.send(kept);
    }
}
