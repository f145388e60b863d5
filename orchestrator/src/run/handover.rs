//! How an inline run that turns out long gets out of the way: the thread gives its scheduler to another one.
//!
//! `block_in_place` hands the scheduler over only if another thread takes it before the closure ends; so the closure
//! waits until one has. Which threads schedule is known by a mark on each: the runtime's first threads get it when
//! they start, the thread that takes over when it first does what only schedulers do (park, or begin a run).

use std::cell::Cell;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for another thread to take over; if none does, this one goes on being a scheduler after the run.
const TAKE_OVER_MAX: Duration = Duration::from_millis(20);

thread_local! {
    static SCHEDULES: Cell<bool> = const { Cell::new(false) };
}

/// Counts hand-overs and take-overs of one runtime.
#[derive(Debug, Default)]
pub struct Takeovers {
    counts: Mutex<Counts>,
    taken: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    handed: u64,
    taken: u64,
    first_threads: usize,
}

impl Takeovers {
    /// To be called by every thread of the runtime when it starts: the first `schedulers` are its schedulers.
    pub fn thread_started(&self, schedulers: usize) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.first_threads += 1;
        SCHEDULES.set(counts.first_threads <= schedulers);
    }

    /// To be called on a thread that does what only a scheduler does. Costs nothing on a thread that was one already.
    pub fn schedules(&self) {
        if !SCHEDULES.replace(true) {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            if counts.taken < counts.handed {
                counts.taken += 1;
                self.taken.notify_all();
            }
        }
    }

    /// Gives this thread's scheduler to another thread; after it, blocking this one stalls nobody.
    pub fn hand_over(&self) {
        let ticket = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.handed += 1;
            counts.handed
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "spawn_blocking cannot move a run that is half done; this is the one place that hands a scheduler over"
        )]
        tokio::task::block_in_place(|| {
            let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.taken.wait_timeout_while(counts, TAKE_OVER_MAX, |counts| counts.taken < ticket);
            let (mut counts, _timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            // After a wait in vain the tickets must still add up for the next.
            counts.taken = counts.taken.max(ticket);
        });
        SCHEDULES.set(false);
    }
}
