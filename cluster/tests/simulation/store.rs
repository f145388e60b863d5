//! The store as its contract says it is: publishes that happen once for their number, and deliveries that end once.

use crate::Broken;
use std::collections::{BTreeSet, HashMap};

/// A publish, by its place in [`crate::check::Ledger`].
pub(crate) type PublishId = usize;
pub(crate) type DeliveryId = usize;

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Waits,
    /// Until the appliance tells what became of it, or is started anew.
    Claimed,
    Ended,
}

/// Everything that outlives a crash of the appliance.
#[derive(Default)]
pub(crate) struct Store {
    /// In the order in which they were stored.
    pub(crate) publishes: Vec<PublishId>,
    pub(crate) deliveries: Vec<Delivery>,
    numbers: HashMap<usize, Numbers>,
}

/// The numbers of one node.
#[derive(Default)]
struct Numbers {
    settled_below: u64,
    known: BTreeSet<u64>,
}

impl Store {
    /// Stores a publish of a node unless its number was there before; each makes a delivery.
    pub(crate) fn publish_once(
        &mut self,
        node: usize,
        number: u64,
        settled_below: u64,
        publish: PublishId,
        broken: Option<Broken>,
    ) {
        let numbers = self.numbers.entry(node).or_default();
        if broken == Some(Broken::StoreForgetsWhatIsSettled) {
            // What is below is forgotten, and only what this publish says itself is looked at.
            numbers.known = numbers.known.split_off(&settled_below);
            if number < settled_below {
                return;
            }
        } else {
            numbers.settled_below = numbers.settled_below.max(settled_below);
            numbers.known = numbers.known.split_off(&numbers.settled_below);
            if number < numbers.settled_below {
                return;
            }
        }
        if numbers.known.insert(number) || broken == Some(Broken::StoreTakesNumbersTwice) {
            self.publishes.push(publish);
            self.deliveries.push(Delivery::Waits);
        }
    }

    /// The next that waits; it is claimed by then.
    pub(crate) fn claim(&mut self) -> Option<DeliveryId> {
        let next = self.deliveries.iter().position(|delivery| *delivery == Delivery::Waits)?;
        self.deliveries[next] = Delivery::Claimed;
        Some(next)
    }

    /// Tells what became of a claimed one.
    pub(crate) fn tell(&mut self, delivery: DeliveryId, is_over: bool) {
        assert_eq!(self.deliveries[delivery], Delivery::Claimed, "delivery {delivery} is told of by who has no claim");
        self.deliveries[delivery] = if is_over { Delivery::Ended } else { Delivery::Waits };
    }

    /// Claims live in the appliance's memory.
    pub(crate) fn restarted(&mut self) {
        for delivery in &mut self.deliveries {
            if *delivery == Delivery::Claimed {
                *delivery = Delivery::Waits;
            }
        }
    }
}
