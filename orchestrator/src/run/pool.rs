//! Threads of our own for runs that are not known to be short, with stacks deep enough for whatever a run can afford.
//!
//! Threads are made when first needed, up to the bound, and then stay: a stack costs address space, not memory, until
//! it is used. The queue cannot outgrow the gate, for every job holds a permit.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a thread does next.
type Job = Box<dyn FnOnce() + Send>;

/// The pool.
pub struct Pool {
    shared: Arc<Shared>,
    threads_max: usize,
    stack_bytes: usize,
}

struct Shared {
    queue: Mutex<Queue>,
    something: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Pool {
    /// A pool of at most `threads_max` threads.
    pub fn new(threads_max: usize, stack_bytes: usize) -> Self {
        let shared = Arc::new(Shared { queue: Mutex::default(), something: Condvar::new() });
        Self { shared, threads_max, stack_bytes }
    }

    /// Does `job` on a thread of the pool.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let mut queue = self.shared.lock();
        queue.jobs.push_back(Box::new(job));
        if queue.idle >= queue.jobs.len() || queue.threads >= self.threads_max {
            drop(queue);
            self.shared.something.notify_one();
            return Ok(());
        }
        queue.threads += 1;
        drop(queue);
        let shared = Arc::clone(&self.shared);
        let started = spawn(self.stack_bytes, move || shared.work());
        if started.is_err() {
            let mut queue = self.shared.lock();
            queue.threads -= 1;
            if queue.threads > 0 {
                return Ok(());
            }
            // Nobody would ever take it.
            queue.jobs.clear();
        }
        started
    }
}

/// Does `job` on a thread of its own, for a run that needs a deeper stack than the pool's.
pub fn spawn(stack_bytes: usize, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name("run".to_owned()).stack_size(stack_bytes).spawn(job).map(drop)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // The executor catches what a script does; this keeps a fault of ours from costing a thread.
                if std::panic::catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a job panicked outside its script");
                }
                queue = self.lock();
            } else {
                queue.idle += 1;
                queue = self.something.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn jobs_run_side_by_side_up_to_the_bound_and_then_one_after_the_other() {
        let pool = Pool::new(2, 256 * 1024);
        let (began, begins) = mpsc::channel();
        let gates: Vec<mpsc::Sender<()>> = (0..3)
            .map(|n| {
                let (open, wait) = mpsc::channel::<()>();
                let began = began.clone();
                pool.submit(move || {
                    began.send(n).unwrap();
                    wait.recv().unwrap_or(());
                })
                .unwrap();
                open
            })
            .collect();
        let mut first = [begins.recv().unwrap(), begins.recv().unwrap()];
        first.sort_unstable();
        assert_eq!(first, [0, 1]);
        assert!(begins.try_recv().is_err(), "the third waits for a thread");
        gates[0].send(()).unwrap();
        assert_eq!(begins.recv().unwrap(), 2);
        assert_eq!(pool.shared.lock().threads, 2);
    }

    #[test]
    fn one_job_after_the_other_needs_one_thread() {
        let pool = Pool::new(8, 256 * 1024);
        for _ in 0..50 {
            let (done, wait) = mpsc::channel();
            pool.submit(move || done.send(()).unwrap()).unwrap();
            wait.recv().unwrap();
            // The thread is idle once it waits again, which it says under the lock.
            while pool.shared.lock().idle == 0 {
                std::thread::yield_now();
            }
        }
        assert_eq!(pool.shared.lock().threads, 1);
    }
}
