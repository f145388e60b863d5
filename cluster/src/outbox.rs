//! What is said until the other end has taken it: results of runs, and batches of finished runs for the history.
//!
//! Pure. A connection that ends takes nothing back that was only said: [`Results::reconnected`] and
//! [`Batches::reconnected`] begin again with what was not taken.

use picloud_model::ids::ExecutionId;
use std::collections::{HashMap, VecDeque};

/// Results of runs that an appliance gave, until it has taken them.
///
/// It holds at most as many as the appliance may give at once ([`NodeHello::places`]): what has a result here is still
/// held by this node in the appliance's eyes. So none is ever dropped.
///
/// [`NodeHello::places`]: picloud_model::protocol::node::NodeHello::places
#[derive(Debug)]
pub struct Results<T> {
    kept: HashMap<ExecutionId, T>,
    /// Not said over this connection, in the order in which they came.
    to_say: VecDeque<ExecutionId>,
    /// Said over this connection, in that order.
    said: Vec<ExecutionId>,
}

impl<T> Default for Results<T> {
    fn default() -> Self {
        Self { kept: HashMap::new(), to_say: VecDeque::new(), said: Vec::new() }
    }
}

impl<T> Results<T> {
    /// A run is over.
    pub fn keep(&mut self, run: ExecutionId, result: T) {
        if self.kept.insert(run, result).is_none() {
            self.to_say.push_back(run);
        }
    }

    /// The next to be said over this connection.
    #[expect(clippy::should_implement_trait, reason = "it lends what it keeps, which no iterator can")]
    pub fn next(&mut self) -> Option<(ExecutionId, &T)> {
        let run = self.to_say.pop_front()?;
        self.said.push(run);
        Some((run, self.kept.get(&run).expect("what is to be said is kept")))
    }

    /// The appliance has taken the result of `run`. Answers whether there was one.
    pub fn taken(&mut self, run: ExecutionId) -> bool {
        self.to_say.retain(|it| *it != run);
        self.said.retain(|it| *it != run);
        self.kept.remove(&run).is_some()
    }

    /// A new connection: everything that was not taken is to be said again.
    pub fn reconnected(&mut self) {
        for run in self.said.drain(..).rev() {
            self.to_say.push_front(run);
        }
    }

    /// Which runs' results are here: they belong to what a node says it holds.
    pub fn runs(&self) -> impl Iterator<Item = ExecutionId> {
        self.kept.keys().copied()
    }

    /// Whether the result of `run` is here.
    pub fn holds(&self, run: ExecutionId) -> bool {
        self.kept.contains_key(&run)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

/// Records that are said in batches, one batch at a time, up to a number of bytes; what does not fit is dropped, the
/// oldest first, and counted.
#[derive(Debug)]
pub struct Batches<T> {
    bytes_max: usize,
    batch_max: usize,
    waiting: VecDeque<(T, usize)>,
    waiting_bytes: usize,
    dropped: u64,
    last: u64,
    under_way: Option<UnderWay<T>>,
}

/// The batch that is said until it is taken.
#[derive(Debug)]
struct UnderWay<T> {
    batch: Batch<T>,
    bytes: usize,
    is_said: bool,
}

/// Some records under a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<T> {
    /// Counts up from 1.
    pub number: u64,
    /// The records, oldest first. None where all that is to be said is how many were dropped.
    pub items: Vec<T>,
    /// How many were dropped since the last batch.
    pub dropped: u64,
}

impl<T> Batches<T> {
    /// Keeps up to `bytes_max` bytes, and says up to `batch_max` records at once.
    pub fn new(bytes_max: usize, batch_max: usize) -> Self {
        Self { bytes_max, batch_max, waiting: VecDeque::new(), waiting_bytes: 0, dropped: 0, last: 0, under_way: None }
    }

    /// A record of this size.
    pub fn push(&mut self, item: T, bytes: usize) {
        self.waiting.push_back((item, bytes));
        self.waiting_bytes += bytes;
        let said_bytes = self.under_way.as_ref().map_or(0, |it| it.bytes);
        while self.waiting_bytes + said_bytes > self.bytes_max
            && let Some((_item, bytes)) = self.waiting.pop_front()
        {
            self.waiting_bytes -= bytes;
            self.dropped += 1;
        }
    }

    /// The batch to be said now, if there is one that was not said over this connection.
    #[expect(clippy::should_implement_trait, reason = "it lends what it keeps, which no iterator can")]
    pub fn next(&mut self) -> Option<&Batch<T>> {
        if self.under_way.is_none() && (!self.waiting.is_empty() || self.dropped > 0) {
            let taken: Vec<(T, usize)> = self.waiting.drain(..self.waiting.len().min(self.batch_max)).collect();
            let bytes = taken.iter().map(|(_item, bytes)| bytes).sum();
            let items = taken.into_iter().map(|(item, _bytes)| item).collect();
            self.waiting_bytes -= bytes;
            self.last += 1;
            let batch = Batch { number: self.last, items, dropped: std::mem::take(&mut self.dropped) };
            self.under_way = Some(UnderWay { batch, bytes, is_said: false });
        }
        let it = self.under_way.as_mut().filter(|it| !it.is_said)?;
        it.is_said = true;
        Some(&it.batch)
    }

    /// The other end has taken all batches up to this one.
    pub fn taken(&mut self, number: u64) {
        self.under_way.take_if(|it| it.batch.number <= number);
    }

    /// A new connection: what was not taken is to be said again.
    pub fn reconnected(&mut self) {
        if let Some(it) = &mut self.under_way {
            it.is_said = false;
        }
    }

    /// How many records wait, those of the batch under way included.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.under_way.as_ref().map_or(0, |it| it.batch.items.len())
    }

    /// Whether there is nothing to be said any more.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_none() && self.dropped == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_said_once_a_connection_until_it_is_taken() {
        let [one, two, three] = std::array::from_fn(|_index| ExecutionId::new());
        let mut results = Results::default();
        results.keep(one, 1);
        results.keep(two, 2);
        assert_eq!(results.next(), Some((one, &1)));
        results.reconnected();
        results.keep(three, 3);
        assert_eq!(results.next(), Some((one, &1)), "again, and first");
        assert!(results.taken(two), "whoever knows it need not hear it");
        assert_eq!(results.next(), Some((three, &3)));
        assert_eq!(results.next(), None);
        assert!(results.taken(one) && !results.taken(one));
        assert_eq!(results.runs().collect::<Vec<_>>(), [three]);
        results.reconnected();
        assert_eq!(results.next(), Some((three, &3)));
        assert!(results.taken(three) && results.is_empty());
    }

    #[test]
    fn records_are_said_in_batches_one_at_a_time_until_they_are_taken() {
        let mut batches = Batches::new(100, 2);
        assert_eq!(batches.next(), None);
        for item in ["a", "b", "c"] {
            batches.push(item, 10);
        }
        let first = Batch { number: 1, items: vec!["a", "b"], dropped: 0 };
        assert_eq!(batches.next(), Some(&first));
        assert_eq!(batches.next(), None, "not before the first is taken");
        batches.reconnected();
        assert_eq!(batches.next(), Some(&first), "the same under the same number");
        batches.taken(1);
        assert_eq!(batches.next(), Some(&Batch { number: 2, items: vec!["c"], dropped: 0 }));
        batches.taken(1);
        assert_eq!(batches.len(), 1, "that was the one before");
        batches.taken(2);
        assert!(batches.is_empty() && batches.next().is_none());
    }

    #[test]
    fn what_does_not_fit_is_dropped_the_oldest_first_and_counted_once() {
        let mut batches = Batches::new(30, 10);
        batches.push("said", 10);
        assert_eq!(batches.next().map(|batch| batch.items.clone()), Some(vec!["said"]));
        for item in ["a", "b", "c", "d"] {
            batches.push(item, 10);
        }
        batches.push("larger than everything", 31);
        assert_eq!(batches.len(), 1, "the batch under way is not taken back");
        batches.push("e", 10);
        batches.taken(1);
        assert_eq!(batches.next(), Some(&Batch { number: 2, items: vec!["e"], dropped: 5 }));
        batches.taken(2);
        assert!(batches.is_empty());
        batches.push("larger than everything", 31);
        assert_eq!(batches.next(), Some(&Batch { number: 3, items: vec![], dropped: 1 }));
    }
}
