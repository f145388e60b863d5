//! Connections that keep their order, delay, stand still and break; and that are not the only one of a node.
//!
//! Each direction of a connection is in order. What is sent and not received within [`GIVEN_UP_MS`] breaks it, and is
//! never received: that is `TCP_USER_TIMEOUT`, and leases rest on it, for a run that arrives after its lease ran out
//! would run beside the one that took its place. Between connections there is no order.

use crate::random::Random;
use picloud_model::ids::ExecutionId;
use std::collections::VecDeque;

/// After so long without an acknowledgement a connection is broken.
pub(crate) const GIVEN_UP_MS: u64 = 20_000;

#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Hello {
        incarnation: u64,
        holding: Vec<ExecutionId>,
    },
    Beat(u64),
    RunDone(ExecutionId),
    Publish {
        call: u64,
        number: u64,
        settled_below: u64,
        publish: usize,
    },
    Run {
        run: ExecutionId,
        delivery: usize,
    },
    Taken(ExecutionId),
    BeatAnswer(u64),
    Answer {
        call: u64,
        is_stored: bool,
    },
    /// The other end is gone.
    End,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up = 0,
    Down = 1,
}

/// One connection of a node.
pub(crate) struct Connection {
    pub(crate) node: usize,
    /// Whether the node's end and the appliance's end are open.
    pub(crate) open: [bool; 2],
    pub(crate) ways: [Direction; 2],
}

/// One direction.
#[derive(Default)]
pub(crate) struct Direction {
    /// On their way: which, and when each arrives if nothing stops it.
    pub(crate) frames: VecDeque<(u64, u64, Frame)>,
    last_at: u64,
    sent: u64,
}

impl Connection {
    pub(crate) fn new(node: usize) -> Self {
        Self { node, open: [true; 2], ways: [Direction::default(), Direction::default()] }
    }

    /// Whether the end that sends this way is open: the node's end sends up.
    pub(crate) fn sender_is_open(&self, way: Way) -> bool {
        self.open[way as usize]
    }

    pub(crate) fn receiver_is_open(&self, way: Way) -> bool {
        self.open[1 - way as usize]
    }

    /// Sends; answers which frame it is and when it arrives.
    pub(crate) fn send(&mut self, way: Way, frame: Frame, now: u64, random: &mut Random) -> (u64, u64) {
        let direction = &mut self.ways[way as usize];
        let delay = if random.percent(2) { random.within(100, 3_000) } else { random.within(1, 30) };
        direction.last_at = direction.last_at.max(now + delay);
        direction.sent += 1;
        direction.frames.push_back((direction.sent, direction.last_at, frame));
        (direction.sent, direction.last_at)
    }
}

/// What stands in the way of a node's packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Path {
    /// How many faults block the way up, and the way down.
    pub(crate) blocked: [u32; 2],
}

impl Path {
    pub(crate) fn is_open(self) -> bool {
        self.blocked == [0, 0]
    }
}
