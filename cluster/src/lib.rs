//! What an appliance and a node agent have in common on the network.
//!
//! - `lan`: announcing and finding each other over mDNS; it only proposes.
//! - `identity`: keys, fingerprints, certificate requests, and what TLS trusts.
//! - `device`: what a machine says of itself, for placement.
//! - `frames`: the form of what they say to each other.
//! - `leases`, `outbox`, `settled`: who holds what until when, what is said until it is taken, and what is not said
//!   again. Pure, over a time that is given: the simulation in `tests/` runs them over a network that loses things.

pub mod device;
pub mod frames;
pub mod identity;
pub mod lan;
pub mod leases;
pub mod outbox;
pub mod settled;
