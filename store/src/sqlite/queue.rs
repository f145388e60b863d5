//! A bounded queue between async callers and the database's threads: many in, one or many out.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The queue holds as many as it may, or nobody takes from it any more.
#[derive(Debug)]
pub(super) struct QueueFull;

/// The queue. A standard mutex and condition: it is held for a push or a take, never while a job runs.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    items_max: usize,
}

struct State<T> {
    items: VecDeque<T>,
    /// So many must be here before who waits is woken; waking for each would cost more than the wait saves.
    wanted: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(items_max: usize) -> Self {
        let state = State { items: VecDeque::new(), wanted: 1, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), items_max }
    }

    /// Adds an item; never waits.
    pub(super) fn push(&self, item: T) -> Result<(), QueueFull> {
        let mut state = self.lock();
        if state.items.len() >= self.items_max || state.closed {
            return Err(QueueFull);
        }
        state.items.push_back(item);
        let enough = state.items.len() >= state.wanted;
        drop(state);
        if enough {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Waits for items and takes up to `items_max` of them; nothing once the queue is closed and empty.
    pub(super) fn take(&self, items_max: usize) -> VecDeque<T> {
        self.take_group(1, Duration::ZERO, items_max)
    }

    /// Like [`Queue::take`], but waits up to `patience` for `wanted` items first. For a queue with one taker.
    pub(super) fn take_group(&self, wanted: usize, patience: Duration, items_max: usize) -> VecDeque<T> {
        let mut state = self.lock();
        let began = Instant::now();
        while state.items.len() < wanted && !state.closed {
            let Some(left) = patience.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else { break };
            state.wanted = wanted;
            state = self.changed.wait_timeout(state, left).expect("no holder of this lock panics").0;
        }
        state.wanted = 1;
        while state.items.is_empty() && !state.closed {
            state = self.changed.wait(state).expect("no holder of this lock panics");
        }
        if state.items.len() <= items_max {
            std::mem::take(&mut state.items)
        } else {
            state.items.drain(..items_max).collect()
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
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
            queue.push(item).unwrap();
        }
        assert!(queue.push(4).is_err());
        assert_eq!(queue.take(2), [1, 2]);
        queue.close();
        assert_eq!(queue.take(2), [3]);
        assert!(queue.take(2).is_empty());
        assert!(queue.push(5).is_err());
    }

    #[test]
    fn an_abandoned_queue_drops_what_waits() {
        let queue = Queue::new(3);
        let item = std::sync::Arc::new(());
        queue.push(item.clone()).unwrap();
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
        queue.push(7).unwrap();
        assert_eq!(taker.join().unwrap(), [7]);
    }
}
