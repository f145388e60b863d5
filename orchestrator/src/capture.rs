//! Execution records and counts on their way to the parent: batched, bounded, and never in the way of a run.
//!
//! Kept are failures, runs that logged, and of the plain successes one a second and script. While there is nothing to
//! send, nothing wakes. Counts go out at most once a second and when the parent asks, and only what changed. When the
//! parent does not take records fast enough the oldest go, and that is logged.

use crate::channel::worker_end::WorkerEnd;
use crate::counting::Counting;
use picloud_model::execution::Execution;
use picloud_model::protocol::{RunsNow, ToParent};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Records that wait; past it the oldest is dropped.
const WAITING_MAX: usize = 4_096;
/// Records in one frame.
const BATCH_MAX: usize = 256;
/// How long a frame waits for company.
const BATCH_WINDOW: Duration = Duration::from_millis(20);

/// Least time between two frames of counts.
const COUNTS_EVERY: Duration = Duration::from_secs(1);

/// Takes records from runs.
pub struct Capture {
    waiting: Mutex<Waiting>,
    something: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct Waiting {
    records: VecDeque<Execution>,
    dropped: u64,
    /// Something was counted.
    counted: bool,
    /// Before that, no counts are sent.
    counts_due: Option<Instant>,
    /// The parent has asked for what was counted; the last of its questions answers all.
    asked: Option<Asked>,
    sending: bool,
    hurry: bool,
}

/// A question of the parent, and what else is to be in the answer.
struct Asked {
    id: u64,
    runs: RunsNow,
}

impl Waiting {
    /// How long until there is something to send; `None` while that is nothing.
    fn until_something(&self) -> Option<Duration> {
        if !self.records.is_empty() || self.asked.is_some() {
            return Some(Duration::ZERO);
        }
        let due = self.counts_due.filter(|_due| !self.hurry);
        self.counted.then(|| due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now())))
    }

    /// Whether counts go with the next frame.
    fn take_counted(&mut self) -> bool {
        let now = Instant::now();
        let due = self.counted && (self.hurry || self.counts_due.is_none_or(|due| due <= now));
        // Who has asked is told also what is being counted at this moment.
        let take = due || self.asked.is_some();
        if take {
            self.counted = false;
            self.counts_due = Some(now + COUNTS_EVERY);
        }
        take
    }
}

impl Capture {
    /// Starts the thread that sends to the parent what runs leave here and what `counting` has.
    pub fn start(channel: Arc<WorkerEnd>, counting: Arc<Counting>) -> std::io::Result<Arc<Self>> {
        let capture = Arc::new(Self { waiting: Mutex::default(), something: Condvar::new(), emptied: Condvar::new() });
        let (sender, listener) = (Arc::clone(&capture), Arc::clone(&capture));
        counting.listen(move || {
            listener.lock().counted = true;
            listener.something.notify_one();
        });
        std::thread::Builder::new().name("capture".to_owned()).stack_size(256 * 1024).spawn(move || {
            loop {
                let Batch { records, counted, asked } = sender.next_batch();
                if !records.is_empty() {
                    channel.tell_with_room(&ToParent::Executions(records));
                }
                if counted && let Some(counts) = counting.take() {
                    channel.tell_with_room(&ToParent::Counts(counts));
                }
                if let Some(Asked { id, runs }) = asked {
                    channel.tell_with_room(&ToParent::Counted { id, runs });
                }
            }
        })?;
        Ok(capture)
    }

    /// Takes one record; never waits.
    pub fn keep(&self, execution: Execution) {
        let mut waiting = self.lock();
        if waiting.records.len() >= WAITING_MAX {
            waiting.records.pop_front();
            waiting.dropped += 1;
        }
        waiting.records.push_back(execution);
        drop(waiting);
        self.something.notify_one();
    }

    /// Has all that was counted until now told at once, and then that it was; never waits.
    pub fn tell_counts(&self, id: u64, runs: RunsNow) {
        self.lock().asked = Some(Asked { id, runs });
        self.something.notify_one();
    }

    /// Waits until every record and count taken so far is on its way; for the end of the worker.
    pub fn flush(&self, longest: Duration) {
        let mut waiting = self.lock();
        waiting.hurry = true;
        self.something.notify_all();
        let busy = |waiting: &mut Waiting| waiting.sending || waiting.counted || !waiting.records.is_empty();
        // Past the time, what is left is lost with the worker.
        let _late = self.emptied.wait_timeout_while(waiting, longest, busy);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_batch(&self) -> Batch {
        let mut waiting = self.lock();
        waiting.sending = false;
        if waiting.records.is_empty() && !waiting.counted {
            self.emptied.notify_all();
        }
        loop {
            waiting = match waiting.until_something() {
                None => self.something.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => self.something.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        let alone =
            |waiting: &mut Waiting| !waiting.hurry && waiting.asked.is_none() && waiting.records.len() < BATCH_MAX;
        let gathered = self.something.wait_timeout_while(waiting, BATCH_WINDOW, alone);
        waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
        if std::mem::take(&mut waiting.dropped) > 0 {
            tracing::warn!("execution records were dropped: the appliance did not take them fast enough");
        }
        waiting.sending = true;
        let count = waiting.records.len().min(BATCH_MAX);
        let counted = waiting.take_counted();
        Batch { counted, asked: waiting.asked.take(), records: waiting.records.drain(..count).collect() }
    }
}

/// What goes out next.
struct Batch {
    records: Vec<Execution>,
    /// Whether what was counted goes out as well.
    counted: bool,
    /// Who is told that it did.
    asked: Option<Asked>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{self, FrameError};
    use picloud_model::execution::{Outcome, Usage};
    use picloud_model::{AppId, ExecutionId};
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn record(n: u64) -> Execution {
        let id = ExecutionId::new();
        Execution {
            id,
            root_id: id,
            app_id: AppId(1),
            app: "a".to_owned(),
            script: "s".to_owned(),
            version: 1,
            node: "n".to_owned(),
            cause: "GET /".to_owned(),
            outcome: Outcome::Ok,
            status: 200,
            started_at: 0,
            duration_us: n,
            usage: Usage::default(),
            error_json: String::new(),
            logs: Vec::new(),
            logs_dropped: 0,
            trigger_depth: 0,
            trigger: String::new(),
            attempt: 0,
            result_json: String::new(),
            input_json: String::new(),
        }
    }

    fn next_batch(parent: &mut UnixStream) -> Vec<u64> {
        let mut length = [0; 4];
        parent.read_exact(&mut length).unwrap();
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        parent.read_exact(&mut frame).unwrap();
        match channel::decode(&frame).unwrap() {
            ToParent::Executions(executions) => executions.iter().map(|e| e.duration_us).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn records_arrive_in_order_in_few_frames() {
        let (worker, mut parent) = UnixStream::pair().unwrap();
        let end = WorkerEnd::start(worker, |_frame| {}, |_error: FrameError| {}).unwrap();
        let capture = Capture::start(end, Arc::default()).unwrap();
        (0..600).for_each(|n| capture.keep(record(n)));
        let mut seen = Vec::new();
        let mut frames = 0;
        while seen.len() < 600 {
            seen.extend(next_batch(&mut parent));
            frames += 1;
        }
        assert_eq!(seen, (0..600).collect::<Vec<_>>());
        assert!((3..20).contains(&frames), "{frames} frames");
    }

    #[test]
    fn a_parent_that_does_not_read_costs_the_oldest_records_and_no_run_waits() {
        let (worker, _parent) = UnixStream::pair().unwrap();
        let end = WorkerEnd::start(worker, |_frame| {}, |_error: FrameError| {}).unwrap();
        let capture = Capture::start(end, Arc::default()).unwrap();
        (0..100_000).for_each(|n| capture.keep(record(n)));
        let waiting = capture.lock();
        assert!(waiting.records.len() <= WAITING_MAX);
        assert_eq!(waiting.records.back().unwrap().duration_us, 99_999);
    }
}
