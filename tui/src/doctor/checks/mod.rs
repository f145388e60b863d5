//! The table of checks, in the order in which they are told: from the power to the apps.

mod agent;
mod appliance;
mod backup;
mod card_speed;
mod certificates;
mod clock;
mod dns;
mod filesystem;
mod mdns;
mod memory;
mod nodes;
mod ports;
mod power;
mod services;
mod socket;
mod space;
mod temperature;
mod throttling;
mod time_zone;
mod versions;
mod wear;

use super::Check;

/// All checks.
pub(crate) const CHECKS: &[&Check] = &[
    &power::CHECK,
    &throttling::CHECK,
    &temperature::CHECK,
    &card_speed::CHECK,
    &wear::CHECK,
    &space::CHECK,
    &filesystem::CHECK,
    &memory::CHECK,
    &clock::CHECK,
    &time_zone::CHECK,
    &dns::CHECK,
    &mdns::CHECK,
    &ports::CHECK,
    &services::CHECK,
    &socket::CHECK,
    &agent::CHECK,
    &appliance::CHECK,
    &nodes::CHECK,
    &certificates::CHECK,
    &backup::CHECK,
    &versions::CHECK,
];
