//! What an appliance and a node agent have in common: on the network, and as programs of a machine.
//!
//! - `lan`: announcing and finding each other over mDNS; it only proposes.
//! - `identity`: keys, fingerprints, certificate requests, and what TLS trusts.
//! - `device`: what a machine says of itself, for placement.
//! - `first_boot`: what `picloud.toml` on a card makes of a machine, once.
//! - `frames`: the form of what they say to each other.
//! - `leases`, `outbox`, `settled`: who holds what until when, what is said until it is taken, and what is not said
//!   again. Pure, over a time that is given: the simulation in `tests/` runs them over a network that loses things.
//! - `manual`: manual pages, completions and the example of a settings file, from the tables of a program.
//! - `service`: what they and systemd say to each other.
//! - `settings`, `terminal`, `private_file`: what the programs go by, how they speak to whoever starts them, and how they
//!   keep what nobody else may read.

pub mod device;
pub mod first_boot;
pub mod frames;
pub mod identity;
pub mod lan;
pub mod leases;
pub mod manual;
pub mod outbox;
pub mod private_file;
pub mod service;
pub mod settings;
pub mod settled;
pub mod terminal;
