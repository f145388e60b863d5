//! Who tries keys that do not exist has to wait, longer each time; bounded, and without touching who succeeds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Failures an address has free.
const FREE_FAILURES: u32 = 5;
/// The first wait; it doubles with each further failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// After so long without a failure an address is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);
/// Addresses that are remembered; past it the one that failed longest ago is forgotten.
const ADDRESSES_MAX: usize = 4_096;

/// Failures by address. IPv6 addresses of one /64 count as one: whoever has one of them has all.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: HashMap<IpAddr, Failures>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Backoff {
    /// How long `address` must still wait, `None` where it need not.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let failures = self.failures.get(&network(address))?;
        let over = failures.count.checked_sub(FREE_FAILURES)?;
        let wait = FIRST_WAIT.saturating_mul(1 << over.min(16)).min(WAIT_MAX);
        wait.checked_sub(now.saturating_duration_since(failures.last)).filter(|left| !left.is_zero())
    }

    /// Whether nobody failed lately.
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }

    /// Counts a failure of `address`.
    pub fn failed(&mut self, address: IpAddr, now: Instant) {
        let network = network(address);
        if self.failures.len() >= ADDRESSES_MAX && !self.failures.contains_key(&network) {
            self.failures.retain(|_address, failures| now.saturating_duration_since(failures.last) < FORGOTTEN_AFTER);
            if self.failures.len() >= ADDRESSES_MAX
                && let Some(oldest) =
                    self.failures.iter().min_by_key(|(_address, failures)| failures.last).map(|(address, _)| *address)
            {
                self.failures.remove(&oldest);
            }
        }
        let failures = self.failures.entry(network).or_insert(Failures { count: 0, last: now });
        if now.saturating_duration_since(failures.last) >= FORGOTTEN_AFTER {
            failures.count = 0;
        }
        failures.count += 1;
        failures.last = now;
    }

    /// Forgets the failures of `address`.
    pub fn succeeded(&mut self, address: IpAddr) {
        if !self.failures.is_empty() {
            self.failures.remove(&network(address));
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_after_the_free_failures_and_ends_with_a_success() {
        let (mut backoff, address, now) = (Backoff::default(), IpAddr::from([192, 168, 1, 9]), Instant::now());
        (0..4).for_each(|_| backoff.failed(address, now));
        assert_eq!(backoff.wait(address, now), None);
        backoff.failed(address, now);
        assert_eq!(backoff.wait(address, now), Some(Duration::from_secs(1)));
        assert_eq!(backoff.wait(address, now + Duration::from_secs(1)), None);
        (0..3).for_each(|_| backoff.failed(address, now));
        assert_eq!(backoff.wait(address, now), Some(Duration::from_secs(8)));
        (0..40).for_each(|_| backoff.failed(address, now));
        assert_eq!(backoff.wait(address, now), Some(WAIT_MAX));
        assert_eq!(backoff.wait(IpAddr::from([192, 168, 1, 10]), now), None);
        backoff.succeeded(address);
        assert_eq!(backoff.wait(address, now), None);
    }

    #[test]
    fn it_remembers_a_bounded_number_of_addresses_and_a_network_is_one() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        for n in 0..10_000_u32 {
            backoff.failed(IpAddr::from(n.to_be_bytes()), now + Duration::from_micros(u64::from(n)));
        }
        assert_eq!(backoff.failures.len(), ADDRESSES_MAX);
        let v6 = |low: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, low));
        (0..6).for_each(|low| backoff.failed(v6(low), now));
        assert!(backoff.wait(v6(77), now).is_some());
    }
}
