//! Whatever is killed, cut and stopped whenever: what was acknowledged is there in the end.

use crate::lab::inside;
use crate::world::{Agent, World, ask};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// How often something is broken.
const ROUNDS: u32 = 10;
/// Between two things that a writer says.
const PACE: Duration = Duration::from_millis(60);
/// The agents: names and hosts.
const AGENTS: [(&str, u8); 2] = [("kitchen", 2), ("cellar", 3)];
/// A seed to go through once more.
const SEED: &str = "PICLOUD_CHAOS_SEED";

/// Numbers that a seed decides (splitmix).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn pause(&mut self, most_ms: u64) {
        sleep(Duration::from_millis(self.below(most_ms)));
    }
}

/// What was acknowledged to a writer.
#[derive(Default)]
struct Acknowledged {
    said: BTreeSet<String>,
    put: BTreeSet<String>,
}

/// Publishes and writes at a host until it is told to stop.
fn write(host: Ipv4Addr, name: &str, is_over: &AtomicBool) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    let done = |path: &str| ask(host, 8080, "POST", path).is_ok_and(|answer| answer.status == 200);
    for n in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{name}-{n}");
        if done(&format!("/say/{key}")) {
            acknowledged.said.insert(key.clone());
        }
        if done(&format!("/put/{key}")) {
            acknowledged.put.insert(key);
        }
        sleep(PACE);
    }
    acknowledged
}

/// Breaks something, waits a little, mends it.
fn break_something(world: &mut World, chance: &mut Chance) -> &'static str {
    let (name, host) = AGENTS[usize::from(chance.below(2) == 1)];
    match chance.below(6) {
        0 => {
            world.node(name).kill();
            chance.pause(1_500);
            world.start(&Agent::on(host, name, &[]));
            "a node was killed"
        }
        1 => {
            world.appliance.kill();
            chance.pause(1_500);
            world.restart_appliance();
            "the appliance was killed"
        }
        2 => {
            world.lab.partition(host);
            chance.pause(3_000);
            world.lab.heal();
            "a node was cut off"
        }
        3 => {
            world.lab.one_way(host, 1);
            chance.pause(3_000);
            world.lab.heal();
            "a node was not heard"
        }
        4 => {
            world.lab.partition(host);
            world.node(name).kill();
            chance.pause(1_000);
            world.start(&Agent::on(host, name, &[]));
            chance.pause(2_000);
            world.lab.heal();
            "a node was cut off and killed"
        }
        _ => {
            world.node(name).signal(Signal::SIGSTOP);
            chance.pause(2_000);
            world.node(name).signal(Signal::SIGCONT);
            "a node stood still"
        }
    }
}

#[test]
fn whatever_breaks_what_was_acknowledged_is_there_in_the_end() {
    inside(|| {
        let seed = std::env::var_os(SEED).and_then(|seed| seed.into_string().ok()?.parse().ok());
        let seed = seed.unwrap_or_else(|| getrandom::u64().unwrap());
        let mut chance = Chance(seed);
        let mut world = World::joined(&["home", "kitchen", "cellar"]);
        for (name, host) in AGENTS {
            // So that its scripts are there when it is cut off the first time.
            world.say(host, &[format!("{name}-first")]);
        }
        let is_over = AtomicBool::new(false);
        let mut story = Vec::new();
        let addresses = [1, 2, 3].map(|host| world.lab.host(host).address());
        let written = std::thread::scope(|scope| {
            let writers = addresses.iter().zip(["home", "kitchen", "cellar"]);
            let is_over = &is_over;
            let writers: Vec<_> =
                writers.map(|(host, name)| scope.spawn(move || write(*host, name, is_over))).collect();
            for _ in 0..ROUNDS {
                chance.pause(1_000);
                story.push(break_something(&mut world, &mut chance));
            }
            is_over.store(true, Ordering::Relaxed);
            writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
        });
        let story = format!("{SEED}={seed}: {}", story.join(", "));
        for (name, _) in AGENTS {
            world.until_up(name);
        }
        let said: Vec<String> = written.iter().flat_map(|written| written.said.iter().cloned()).collect();
        assert!(said.len() > 30, "something was said at all: {} ({story})", said.len());
        world.until_noted_after(&said, &story);
        let puts = world.entries("puts");
        let lost: Vec<_> =
            written.iter().flat_map(|written| &written.put).filter(|key| !puts.contains_key(*key)).collect();
        assert!(lost.is_empty(), "these were acknowledged: {lost:?} ({story})");
        for (name, _) in AGENTS {
            assert_eq!(world.status(name)["spooled"], 0, "{name} ({story})");
        }
    });
}
