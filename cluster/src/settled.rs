//! The numbers of publishes: which are under way, and below which all are settled. See [`Once`].
//!
//! A publish keeps its number from the moment it is asked for until an appliance has answered it, however often it is
//! said and whether or not it waits in the spool meanwhile. The spool is in the order of the numbers.

#[expect(unused_imports, reason = "documentation names it")]
use picloud_model::protocol::node::Once;
use std::collections::BTreeSet;

/// The numbers of one node's publishes.
#[derive(Debug)]
pub struct Settled {
    next: u64,
    under_way: BTreeSet<u64>,
}

impl Settled {
    /// Goes on at `next`, which was never given; those in `spooled` were given and are not settled. Numbers that were
    /// given before a crash and are in neither will not be said again: they are settled.
    pub fn new(next: u64, spooled: impl IntoIterator<Item = u64>) -> Self {
        let under_way: BTreeSet<u64> = spooled.into_iter().collect();
        let after = under_way.last().map_or(0, |last| last.saturating_add(1));
        Self { next: next.max(after), under_way }
    }

    /// A number for a publish; it is under way from now on.
    pub fn begin(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.under_way.insert(number);
        number
    }

    /// The number that [`Self::begin`] gives next: what was reserved on the disk must reach beyond it.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Publish `number` was answered for good, stored or refused, and is not said again.
    pub fn settle(&mut self, number: u64) {
        self.under_way.remove(&number);
    }

    /// All numbers below this are settled.
    pub fn below(&self) -> u64 {
        self.under_way.first().copied().unwrap_or(self.next)
    }

    /// How many are under way, the spool's included.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_ends_before_the_oldest_that_is_under_way() {
        let mut settled = Settled::new(10, []);
        assert_eq!(settled.below(), 10);
        let numbers: Vec<u64> = std::iter::repeat_with(|| settled.begin()).take(3).collect();
        assert_eq!(numbers, [10, 11, 12]);
        for (settle, below) in [(11, 10), (11, 10), (10, 12), (12, 13)] {
            settled.settle(settle);
            assert_eq!(settled.below(), below, "after {settle}");
        }
        assert_eq!((settled.next(), settled.under_way()), (13, 0));
    }

    #[test]
    fn after_a_start_the_spools_are_under_way_and_no_number_is_given_twice() {
        let mut settled = Settled::new(1_000, [7, 9]);
        assert_eq!((settled.below(), settled.begin()), (7, 1_000));
        settled.settle(7);
        assert_eq!(settled.below(), 9);
        // A reservation that is behind the spool: never by itself, but a copied file may be.
        assert_eq!(Settled::new(3, [7]).begin(), 8);
    }
}
