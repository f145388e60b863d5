//! Which deliveries are under way: in memory alone, so that a claim writes nothing and a restart ends them all.
//!
//! Whoever claims looks at the claims first and reads the table then; whoever ends a delivery commits first and gives
//! its claim back then. So what is read is claimed still or as it is after the end, and nothing is claimed twice.

use picloud_model::clock::UnixMs;
use picloud_model::ids::{AppId, AsyncRequestId, DeliveryId, TriggerId};
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

/// Deliveries that were not run and wait in memory for their next chance; those above it may be claimed at once.
const POSTPONED_MAX: usize = 4_096;

/// A delivery that is under way.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) app: AppId,
    pub(super) lane: i64,
    pub(super) trigger: Option<TriggerId>,
    /// The attempt that is under way, counting from 1.
    pub(super) attempt: u32,
    /// Whether that one is counted in the table already.
    pub(super) noted: bool,
    /// Which request that is answered later it is, if any.
    pub(super) request: Option<AsyncRequestId>,
    /// Whether its end may let another one of its lane begin.
    pub(super) holds_up: bool,
    /// Not under way but to be left alone until then.
    pub(super) postponed_to: Option<UnixMs>,
}

/// All claims.
pub(super) struct Claims {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    claimed: HashMap<DeliveryId, Claim>,
    /// Triggers with dead letters in a row, which their next success forgets.
    failing: HashSet<TriggerId>,
    /// What is known of them may be wrong: a transaction was lost.
    failing_unsure: bool,
    reading: bool,
    /// Taken away by somebody else, and whether that is on the disk: they may still be read by who claims now.
    leaving: HashMap<DeliveryId, bool>,
}

/// The claims at the moment when somebody began to read.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Not to be claimed, with the number of each lane.
    pub(super) held: HashSet<DeliveryId>,
    pub(super) held_of_lane: HashMap<i64, u32>,
    /// How many of a lane are under way.
    pub(super) running_of_lane: HashMap<i64, u32>,
    /// When the first of those that were not run may be claimed again.
    pub(super) postponed_to: Option<UnixMs>,
}

impl Claims {
    /// None; and which triggers fail.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut select = conn.prepare("SELECT id FROM triggers WHERE failures > 0")?;
        let failing = select.query_map([], |row| row.get(0).map(TriggerId))?.collect::<rusqlite::Result<_>>()?;
        Ok(Self { state: Mutex::new(State { failing, ..State::default() }) })
    }

    /// What to leave alone. Followed by [`Claims::claim`] of what was read.
    pub(super) fn begin_reading(&self, now: UnixMs) -> View {
        let mut state = self.lock();
        state.reading = true;
        state.claimed.retain(|_id, claim| claim.postponed_to.is_none_or(|to| to > now));
        let mut view = View::default();
        for (id, claim) in &state.claimed {
            view.held.insert(*id);
            *view.held_of_lane.entry(claim.lane).or_default() += 1;
            match claim.postponed_to {
                Some(to) => view.postponed_to = Some(view.postponed_to.map_or(to, |first| first.min(to))),
                None => *view.running_of_lane.entry(claim.lane).or_default() += 1,
            }
        }
        view
    }

    /// Claims what was read, but for what was taken away meanwhile.
    pub(super) fn claim<T>(&self, read: Vec<(DeliveryId, Claim, T)>) -> Vec<T> {
        let mut state = self.lock();
        let mut claimed = Vec::with_capacity(read.len());
        for (id, claim, what) in read {
            if !state.leaving.contains_key(&id) {
                state.claimed.insert(id, claim);
                claimed.push(what);
            }
        }
        state.reading = false;
        state.leaving.retain(|_id, on_disk| !*on_disk);
        claimed
    }

    /// The claim, where there is one that is under way.
    pub(super) fn of(&self, id: DeliveryId) -> Option<Claim> {
        self.lock().claimed.get(&id).filter(|claim| claim.postponed_to.is_none()).cloned()
    }

    /// Whether the request is under way.
    pub(super) fn answers(&self, request: AsyncRequestId) -> bool {
        let state = self.lock();
        state.claimed.values().any(|claim| claim.request == Some(request) && claim.postponed_to.is_none())
    }

    /// The attempt that is under way is counted in the table.
    pub(super) fn noted(&self, id: DeliveryId) {
        if let Some(claim) = self.lock().claimed.get_mut(&id) {
            claim.noted = true;
        }
    }

    /// It is not under way any more, and the table says so.
    pub(super) fn give_back(&self, id: DeliveryId) {
        self.lock().claimed.remove(&id);
    }

    /// It was not run: nobody gets it before `to`.
    pub(super) fn postpone(&self, id: DeliveryId, to: UnixMs) {
        let mut state = self.lock();
        let postponed = state.claimed.values().filter(|claim| claim.postponed_to.is_some()).count();
        if postponed >= POSTPONED_MAX {
            state.claimed.remove(&id);
        } else if let Some(claim) = state.claimed.get_mut(&id) {
            claim.postponed_to = Some(to);
        }
    }

    /// Whether the running transaction may remove it: nobody has it, and nobody gets it any more.
    pub(super) fn take_away(&self, id: DeliveryId) -> bool {
        let mut state = self.lock();
        if state.claimed.get(&id).is_some_and(|claim| claim.postponed_to.is_none()) {
            return false;
        }
        state.claimed.remove(&id);
        state.leaving.insert(id, false);
        true
    }

    /// Whether the trigger may have dead letters in a row.
    pub(super) fn is_failing(&self, trigger: TriggerId) -> bool {
        let state = self.lock();
        state.failing_unsure || state.failing.contains(&trigger)
    }

    /// The running transaction counts a dead letter of it, or forgets them.
    pub(super) fn set_failing(&self, trigger: TriggerId, failing: bool) {
        let mut state = self.lock();
        if failing {
            state.failing.insert(trigger);
        } else {
            state.failing.remove(&trigger);
        }
    }

    /// The transaction is on the disk.
    pub(super) fn committed(&self) {
        let mut state = self.lock();
        if state.reading {
            state.leaving.values_mut().for_each(|on_disk| *on_disk = true);
        } else {
            state.leaving.clear();
        }
    }

    /// The transaction is lost.
    pub(super) fn taken_back(&self) {
        self.lock().failing_unsure = true;
        // What was to leave has not: at worst it is claimed a little later.
        self.committed();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims { state: Mutex::default() }
    }

    fn claim() -> Claim {
        Claim {
            app: AppId(1),
            lane: 1,
            trigger: None,
            attempt: 1,
            noted: false,
            request: None,
            holds_up: false,
            postponed_to: None,
        }
    }

    #[test]
    fn what_is_taken_away_while_somebody_reads_is_not_claimed() {
        let (claims, id) = (claims(), DeliveryId(7));
        claims.begin_reading(0);
        assert!(claims.take_away(id));
        claims.committed();
        assert!(claims.claim(vec![(id, claim(), id)]).is_empty());
    }

    #[test]
    fn what_is_taken_away_before_its_commit_is_not_claimed_by_who_begins_to_read_in_between() {
        let (claims, id) = (claims(), DeliveryId(7));
        assert!(claims.take_away(id));
        claims.begin_reading(0);
        claims.committed();
        assert!(claims.claim(vec![(id, claim(), id)]).is_empty());
        claims.begin_reading(0);
        assert_eq!(claims.claim(vec![(id, claim(), id)]), [id], "it was forgotten after that reading");
    }

    #[test]
    fn what_is_under_way_is_not_taken_away_but_what_was_not_run_is() {
        let (claims, id) = (claims(), DeliveryId(7));
        claims.begin_reading(0);
        claims.claim(vec![(id, claim(), id)]);
        assert!(!claims.take_away(id));
        claims.postpone(id, 50);
        assert_eq!(claims.begin_reading(49).postponed_to, Some(50));
        assert!(claims.of(id).is_none(), "it is not under way");
        assert!(claims.begin_reading(50).held.is_empty());
        claims.claim(vec![(id, claim(), id)]);
        claims.postpone(id, 90);
        assert!(claims.take_away(id));
    }
}
