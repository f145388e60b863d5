//! A bounded queue between async callers and the database's threads: many in, one or many out.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The queue holds as many as it may, or nobody takes from it any more.
#[derive(Debug)]
pub(super) struct QueueFull;

/// Longest wait of an item for others to go along with.
const ALONG_WAIT_MAX: Duration = Duration::from_millis(5);

/// How soon an item is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hurry {
    /// Somebody waits for what comes of it.
    Now,
    /// Together with one that somebody waits for; on its own only when none comes for a while.
    Along,
}

/// What was taken at once.
pub(super) struct Group<T> {
    pub(super) items: VecDeque<T>,
    /// How many of them somebody waits for.
    pub(super) awaited: usize,
}

/// The queue. A standard mutex and condition: it is held for a push or a take, never while a job runs.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    items_max: usize,
}

struct State<T> {
    items: VecDeque<T>,
    /// How many of them are to be taken now.
    awaited: usize,
    /// When the first came that is to go along.
    along_since: Option<Instant>,
    /// So many must be awaited before who waits is woken; waking for each would cost more than the wait saves.
    wanted: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(items_max: usize) -> Self {
        let state = State { items: VecDeque::new(), awaited: 0, along_since: None, wanted: 1, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), items_max }
    }

    /// Adds an item; never waits.
    pub(super) fn push(&self, item: T, hurry: Hurry) -> Result<(), QueueFull> {
        let mut state = self.lock();
        if state.items.len() >= self.items_max || state.closed {
            return Err(QueueFull);
        }
        state.items.push_back(item);
        let wake = match hurry {
            Hurry::Now => {
                state.awaited += 1;
                state.awaited >= state.wanted
            }
            // Whoever sleeps must know when to take it at the latest.
            Hurry::Along => {
                let first = state.along_since.is_none();
                state.along_since.get_or_insert_with(Instant::now);
                first && state.wanted == 1
            }
        };
        drop(state);
        if wake {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Waits for items and takes up to `items_max` of them; nothing once the queue is closed and empty.
    pub(super) fn take(&self, items_max: usize) -> VecDeque<T> {
        self.take_group(1, Duration::ZERO, items_max).items
    }

    /// Like [`Queue::take`], but waits up to `patience` for `wanted` items that are awaited first. For a queue with one
    /// taker.
    pub(super) fn take_group(&self, wanted: usize, patience: Duration, items_max: usize) -> Group<T> {
        let mut state = self.lock();
        let began = Instant::now();
        while state.awaited < wanted && !state.closed {
            let Some(left) = patience.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else { break };
            state.wanted = wanted;
            state = self.changed.wait_timeout(state, left).expect("no holder of this lock panics").0;
        }
        state.wanted = 1;
        while state.awaited == 0 && !state.closed {
            let Some(since) = state.along_since else {
                state = self.changed.wait(state).expect("no holder of this lock panics");
                continue;
            };
            let left = ALONG_WAIT_MAX.saturating_sub(since.elapsed());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).expect("no holder of this lock panics").0;
        }
        state.along_since = None;
        let awaited = std::mem::take(&mut state.awaited);
        if state.items.len() <= items_max {
            return Group { items: std::mem::take(&mut state.items), awaited };
        }
        let items = state.items.drain(..items_max).collect();
        // What is left has waited long enough, whatever it is.
        state.awaited = state.items.len();
        Group { items, awaited }
    }

    /// How many are awaited.
    pub(super) fn awaited(&self) -> usize {
        self.lock().awaited
    }

    /// Lets those who take see the end once the queue is empty.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Drops what is queued and takes no more: whoever took from it is gone.
    pub(super) fn abandon(&self) {
        self.close();
        let items = std::mem::take(&mut self.lock().items);
        drop(items);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_and_a_closed_one_ends_after_its_last_item() {
        let queue = Queue::new(3);
        for item in 1..=3 {
            queue.push(item, Hurry::Now).unwrap();
        }
        assert!(queue.push(4, Hurry::Now).is_err());
        assert_eq!(queue.take(2), [1, 2]);
        queue.close();
        assert_eq!(queue.take(2), [3]);
        assert!(queue.take(2).is_empty());
        assert!(queue.push(5, Hurry::Now).is_err());
    }

    #[test]
    fn an_abandoned_queue_drops_what_waits() {
        let queue = Queue::new(3);
        let item = std::sync::Arc::new(());
        queue.push(item.clone(), Hurry::Now).unwrap();
        queue.abandon();
        assert_eq!(std::sync::Arc::strong_count(&item), 1);
    }

    #[test]
    fn whoever_waits_is_woken() {
        let queue = std::sync::Arc::new(Queue::new(1));
        let taker = std::thread::spawn({
            let queue = queue.clone();
            move || queue.take(1)
        });
        queue.push(7, Hurry::Now).unwrap();
        assert_eq!(taker.join().unwrap(), [7]);
    }

    #[test]
    fn what_goes_along_is_taken_with_what_is_awaited_and_alone_when_nothing_is() {
        let queue = Queue::new(9);
        queue.push(1, Hurry::Along).unwrap();
        queue.push(2, Hurry::Now).unwrap();
        let group = queue.take_group(1, Duration::ZERO, 9);
        assert_eq!((group.items, group.awaited), ([1, 2].into(), 1));
        queue.push(3, Hurry::Along).unwrap();
        let pushed = Instant::now();
        let group = queue.take_group(1, Duration::ZERO, 9);
        assert_eq!((group.items, group.awaited), ([3].into(), 0));
        assert!(pushed.elapsed() >= ALONG_WAIT_MAX / 2, "it waited for company");
        for item in 4..=6 {
            queue.push(item, Hurry::Along).unwrap();
        }
        queue.push(7, Hurry::Now).unwrap();
        assert_eq!(queue.take(2), [4, 5]);
        assert_eq!((queue.awaited(), queue.take(9)), (2, [6, 7].into()), "the rest is not kept waiting again");
    }
}
