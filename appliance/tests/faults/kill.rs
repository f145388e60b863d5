//! `kill -9` at random moments under load: every acknowledged write is there with its effects, none without its write,
//! and nothing is stuck.

use crate::support::Appliance;
use crate::work::{bundle, check, load};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::sync::mpsc::channel;

/// Clients at once.
const CLIENTS: usize = 4;

/// A number from a seed, so that a failing run can be had again (SplitMix64, Steele et al. 2014).
fn number(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Starts, loads, kills after a random number of acknowledgements, again and again; then looks.
fn rounds(count: u32, mut seed: u64) {
    let data = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..count {
        let mut appliance = Appliance::serve(data.path());
        if round == 0 {
            appliance.deploy(&bundle());
        }
        let kill_after = number(&mut seed) % 150;
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            let ingress = appliance.ingress;
            for _client in 0..CLIENTS {
                let sender = sender.clone();
                scope.spawn(move || load(ingress, &sender));
            }
            drop(sender);
            for _acknowledgement in 0..kill_after {
                acknowledged.insert(receiver.recv().expect("somebody is answered"));
            }
            appliance.end(Signal::SIGKILL);
            // What was acknowledged in between counts as well.
            acknowledged.extend(receiver);
        });
    }
    let appliance = Appliance::serve(data.path());
    check(&appliance, &acknowledged);
    assert!(acknowledged.len() > count as usize, "only {} acknowledgements: the load was none", acknowledged.len());
}

/// The long form, a minute or two: `KILL_ROUNDS=100 cargo nextest run -p picloud-appliance --test faults kill`.
#[test]
fn whatever_was_acknowledged_before_a_kill_is_there_with_its_effects() {
    let asked = std::env::var_os("KILL_ROUNDS").and_then(|rounds| rounds.to_str()?.parse().ok());
    rounds(asked.unwrap_or(10), 1);
}
