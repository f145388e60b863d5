//! Connections by address: nobody takes all of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Connections of one address at once, of an IPv6 network of 64 bits together.
pub(super) const OF_ONE_ADDRESS_MAX: u32 = 128;

/// How many each has open. Bounded by the connections there can be.
#[derive(Clone, Default)]
pub(super) struct PerAddress(Arc<Mutex<HashMap<IpAddr, u32>>>);

/// One of them; given back when it is dropped.
pub(super) struct Place {
    among: PerAddress,
    network: IpAddr,
}

impl PerAddress {
    /// A place for one more connection, `None` where the address has all it may.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let network = match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 => v4,
        };
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_insert(0);
        if *count >= OF_ONE_ADDRESS_MAX {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Place { among: self.clone(), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.among.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_bounded_number_and_gets_places_back() {
        let (all, address) = (PerAddress::default(), IpAddr::from([192, 168, 1, 9]));
        let mut places: Vec<Place> = (0..OF_ONE_ADDRESS_MAX).map(|_| all.take(address).unwrap()).collect();
        assert!(all.take(address).is_none());
        assert!(all.take(IpAddr::from([192, 168, 1, 10])).is_some());
        places.pop();
        assert!(all.take(address).is_some());
        drop(places);
        assert!(all.0.lock().unwrap().is_empty());
    }
}
