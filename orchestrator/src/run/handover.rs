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

/// Knows when a scheduler that was handed over has been taken over, in one runtime.
#[derive(Debug, Default)]
pub struct Takeovers {
    /// One hand-over at a time: two at once could each take the other's taker for their own.
    turn: Mutex<()>,
    state: Mutex<State>,
    taken: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// A scheduler has been handed over and nobody has taken it.
    offered: bool,
    threads_started: usize,
}

impl Takeovers {
    /// To be called by every thread of the runtime when it starts: the first `schedulers` are its schedulers.
    pub fn thread_started(&self, schedulers: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.threads_started += 1;
        SCHEDULES.set(state.threads_started <= schedulers);
    }

    /// To be called on a thread that does what only a scheduler does. Costs nothing on a thread that was one already.
    pub fn schedules(&self) {
        if !SCHEDULES.replace(true) {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).offered = false;
            self.taken.notify_all();
        }
    }

    /// Gives this thread's scheduler to another thread; after it, blocking this one stalls nobody. False if none took
    /// it in time.
    pub fn hand_over(&self) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.lock().unwrap_or_else(PoisonError::into_inner).offered = true;
        #[expect(
            clippy::disallowed_methods,
            reason = "spawn_blocking cannot move a run that is half done; this is the one place that hands a scheduler over"
        )]
        let taken = tokio::task::block_in_place(|| {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.taken.wait_timeout_while(state, TAKE_OVER_MAX, |state| state.offered);
            let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state.offered = false;
            !timeout.timed_out()
        });
        // After a wait in vain the mark stays: a thread that wrongly has none would be taken for a taker.
        SCHEDULES.set(!taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, mpsc};

    fn runtime(takeovers: &Arc<Takeovers>, schedulers: usize) -> tokio::runtime::Runtime {
        let (starting, parking) = (Arc::clone(takeovers), Arc::clone(takeovers));
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(schedulers)
            .on_thread_start(move || starting.thread_started(schedulers))
            .on_thread_park(move || parking.schedules())
            .build()
            .unwrap()
    }

    #[test]
    fn threads_that_handed_over_may_block_until_other_tasks_have_run() {
        let takeovers = Arc::new(Takeovers::default());
        let runtime = runtime(&takeovers, 2);
        for _round in 0..20 {
            let blocked: Vec<_> = (0..6)
                .map(|_| {
                    let (open, wait) = mpsc::channel::<()>();
                    let takeovers = Arc::clone(&takeovers);
                    let task = runtime.spawn(async move {
                        takeovers.schedules();
                        let taken = takeovers.hand_over();
                        wait.recv().unwrap();
                        taken
                    });
                    (open, task)
                })
                .collect();
            // Three times as many tasks block as there are schedulers; this one runs all the same and frees them.
            let (done, ran) = mpsc::channel();
            runtime.spawn(async move {
                for (open, _) in &blocked {
                    open.send(()).unwrap();
                }
                for (_, task) in blocked {
                    // On a machine that is too busy to start a thread in time it is enough to have gone on.
                    let _taken_in_time: bool = task.await.unwrap();
                }
                done.send(()).unwrap();
            });
            ran.recv_timeout(Duration::from_secs(20)).expect("somebody schedules");
        }
    }
}
