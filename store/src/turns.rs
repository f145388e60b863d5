//! Whose turn it is: one of each app in turn, of an app one of each of its lanes in turn, of a lane what is due first.

use crate::letters::GiveUp;
use picloud_model::clock::UnixMs;
use picloud_model::ids::DeliveryId;
use picloud_model::trigger::{Overlap, Retry, TriggerKind, TriggerSpec};
use std::collections::{HashMap, VecDeque};

/// Deliveries of one look that are given up; with more, there is another look at once.
const GIVEN_UP_MAX: usize = 64;
/// Rows that are read of each of many lanes beyond its share, so that what is given up leaves enough.
const ROWS_SPARE: usize = 8;

/// How many of a trigger run at once, where that is bounded.
pub(crate) fn at_once(spec: &TriggerSpec) -> Option<u32> {
    match (spec.kind, spec.overlap.unwrap_or_default()) {
        (TriggerKind::Cron, Overlap::Skip | Overlap::Queue) => Some(1),
        _ => spec.concurrency.map(|most| most.max(1)),
    }
}

/// A lane with something that is due, and its beginning.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) app: i64,
    pub(crate) id: i64,
    pub(crate) head_due: UnixMs,
    /// What may be claimed, first first, also what is not due yet.
    pub(crate) rows: VecDeque<Row>,
    /// Whether there are more rows than these.
    pub(crate) more: bool,
    /// How many more may run at once.
    pub(crate) free: u32,
    pub(crate) attempts_max: u32,
    /// Its trigger is gone.
    pub(crate) gone: bool,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            app: 0,
            id: 0,
            head_due: 0,
            rows: VecDeque::new(),
            more: false,
            free: u32::MAX,
            attempts_max: Retry::default().max_attempts,
            gone: false,
        }
    }
}

/// A delivery that may be claimed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) id: DeliveryId,
    pub(crate) due_at: UnixMs,
    pub(crate) attempts: u32,
    pub(crate) expires_at: Option<UnixMs>,
}

/// What was picked.
#[derive(Debug, Default)]
pub(crate) struct Picked {
    pub(crate) rows: Vec<DeliveryId>,
    pub(crate) given_up: Vec<(DeliveryId, GiveUp)>,
    /// When more is due, as far as was seen.
    pub(crate) next_due: Option<UnixMs>,
    /// The app of the last one, and the last lane of each app.
    pub(crate) last_app: Option<i64>,
    pub(crate) last_lanes: HashMap<i64, i64>,
}

/// Rows to read of each of so many lanes: enough for its share, and all that is wanted where it is the only one.
pub(crate) fn rows_of_lane(limit: usize, lanes: usize) -> usize {
    (4 * limit / lanes.max(1) + ROWS_SPARE).min(limit) + 1
}

/// Orders lanes by turn: the apps from behind the last one on, one lane of each, and of each app its lanes from behind its
/// last one on. They come by app and id.
pub(crate) fn in_turn(lanes: &mut Vec<Lane>, last_app: i64, last_lanes: &HashMap<i64, i64>) {
    let mut apps: Vec<(i64, VecDeque<Lane>)> = Vec::new();
    for lane in lanes.drain(..) {
        match apps.last_mut() {
            Some((app, of_app)) if *app == lane.app => of_app.push_back(lane),
            _ => apps.push((lane.app, VecDeque::from([lane]))),
        }
    }
    for (app, of_app) in &mut apps {
        let last = last_lanes.get(app).copied().unwrap_or(i64::MIN);
        let begin = of_app.iter().position(|lane| lane.id > last).unwrap_or(0);
        of_app.rotate_left(begin);
    }
    let begin = apps.iter().position(|(app, _lanes)| *app > last_app).unwrap_or(0);
    apps.rotate_left(begin);
    while !apps.is_empty() {
        lanes.extend(apps.iter_mut().filter_map(|(_app, of_app)| of_app.pop_front()));
        apps.retain(|(_app, of_app)| !of_app.is_empty());
    }
}

/// Picks up to `limit` that are due out of lanes in turn.
pub(crate) fn pick(lanes: Vec<Lane>, limit: usize, now: UnixMs) -> Picked {
    let mut picked = Picked::default();
    let mut apps: VecDeque<(i64, VecDeque<Lane>)> = VecDeque::new();
    for lane in lanes {
        match apps.iter_mut().find(|(app, _lanes)| *app == lane.app) {
            Some((_app, of_app)) => of_app.push_back(lane),
            None => apps.push_back((lane.app, VecDeque::from([lane]))),
        }
    }
    while picked.rows.len() < limit
        && picked.given_up.len() < GIVEN_UP_MAX
        && let Some((app, mut of_app)) = apps.pop_front()
    {
        if let Some(lane) = picked.take_one(&mut of_app, now) {
            picked.last_app = Some(app);
            picked.last_lanes.insert(app, lane);
        }
        if !of_app.is_empty() {
            apps.push_back((app, of_app));
        }
    }
    for lane in apps.iter().flat_map(|(_app, of_app)| of_app) {
        picked.due_at(lane.rows.front().map_or(lane.head_due, |row| row.due_at));
    }
    picked
}

impl Picked {
    fn due_at(&mut self, at: UnixMs) {
        self.next_due = Some(self.next_due.map_or(at, |first| first.min(at)));
    }

    /// Takes one from the first lane that has one; lanes without any are dropped, the taken one goes to the end.
    fn take_one(&mut self, lanes: &mut VecDeque<Lane>, now: UnixMs) -> Option<i64> {
        while let Some(mut lane) = lanes.pop_front() {
            let taken = self.take(&mut lane, now);
            let id = lane.id;
            let next_due = match lane.rows.front() {
                Some(row) => Some(row.due_at),
                None => lane.more.then_some(now),
            };
            if let (Some(next_due), true) = (next_due, lane.free > 0) {
                if next_due <= now && !lane.rows.is_empty() {
                    lanes.push_back(lane);
                } else {
                    self.due_at(next_due);
                }
            }
            if taken {
                return Some(id);
            }
            if self.given_up.len() >= GIVEN_UP_MAX {
                return None;
            }
        }
        None
    }

    /// Takes the lane's first that is to be run; what is not is given up.
    fn take(&mut self, lane: &mut Lane, now: UnixMs) -> bool {
        while self.given_up.len() < GIVEN_UP_MAX
            && let Some(row) = lane.rows.front().copied().filter(|row| row.due_at <= now || lane.gone)
        {
            lane.rows.pop_front();
            let give_up = match row.expires_at {
                _ if lane.gone => Some(GiveUp::NothingLeft),
                Some(since) if since <= now => Some(GiveUp::TooOld { since }),
                // Whoever counts attempts that end gives up before that.
                _ if row.attempts >= lane.attempts_max.max(1) => Some(GiveUp::NeverEnded { attempts: row.attempts }),
                _ => None,
            };
            match give_up {
                Some(why) => self.given_up.push((row.id, why)),
                None => {
                    self.rows.push(row.id);
                    lane.free -= 1;
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lane with deliveries of these ids, due at these times.
    fn lane(app: i64, id: i64, rows: &[(i64, UnixMs)]) -> Lane {
        let row = |&(id, due_at)| Row { id: DeliveryId(id), due_at, attempts: 0, expires_at: None };
        Lane { app, id, head_due: rows[0].1, rows: rows.iter().map(row).collect(), ..Lane::default() }
    }

    fn ids(picked: &Picked) -> Vec<i64> {
        picked.rows.iter().map(|id| id.0).collect()
    }

    #[test]
    fn apps_take_turns_and_so_do_the_lanes_of_each() {
        let all = || {
            vec![
                lane(1, 10, &[(1, 0), (2, 0), (3, 0)]),
                lane(1, 11, &[(4, 0)]),
                lane(2, 20, &[(5, 0), (6, 0)]),
                lane(3, 30, &[(7, 0)]),
            ]
        };
        for (last_app, last_lanes, wanted) in [
            (0, vec![], vec![1, 5, 7, 4, 6, 2, 3]),
            (1, vec![], vec![5, 7, 1, 6, 4, 2, 3]),
            (3, vec![(1, 10)], vec![4, 5, 7, 1, 6, 2, 3]),
            (9, vec![(1, 99)], vec![1, 5, 7, 4, 6, 2, 3]),
        ] {
            let mut lanes = all();
            in_turn(&mut lanes, last_app, &last_lanes.into_iter().collect());
            let picked = pick(lanes, 100, 0);
            assert_eq!((ids(&picked), picked.next_due), (wanted, None), "after {last_app}");
        }
    }

    #[test]
    fn what_is_left_tells_when_it_is_due() {
        let mut narrow = lane(1, 10, &[(1, 0), (2, 0)]);
        narrow.free = 1;
        let mut long = lane(1, 11, &[(3, 0)]);
        long.more = true;
        for (lanes, limit, wanted, next_due) in [
            (vec![narrow.clone()], 9, vec![1], None),
            (vec![long], 9, vec![3], Some(5)),
            (vec![lane(1, 10, &[(1, 0), (2, 9)])], 9, vec![1], Some(9)),
            (vec![lane(1, 10, &[(1, 0), (2, 3)])], 1, vec![1], Some(3)),
            (vec![lane(1, 10, &[(1, 0)]), lane(2, 20, &[(2, 4)])], 1, vec![1], Some(4)),
        ] {
            let picked = pick(lanes, limit, 5);
            assert_eq!((ids(&picked), picked.next_due), (wanted, next_due));
        }
    }

    #[test]
    fn what_is_given_up_takes_nobodys_place() {
        let mut first = lane(1, 10, &[(1, 0), (2, 0), (3, 0), (4, 0)]);
        first.rows[0].expires_at = Some(5);
        first.rows[1].attempts = 5;
        let mut gone = lane(1, 11, &[(5, 0), (6, 99)]);
        gone.gone = true;
        let picked = pick(vec![first, gone], 1, 5);
        assert_eq!(ids(&picked), [3]);
        let wanted = [(1, GiveUp::TooOld { since: 5 }), (2, GiveUp::NeverEnded { attempts: 5 })];
        assert_eq!(picked.given_up, wanted.map(|(id, why)| (DeliveryId(id), why)));
        let mut gone = lane(1, 11, &[(5, 0), (6, 99)]);
        gone.gone = true;
        let picked = pick(vec![gone], 1, 5);
        let wanted = [5, 6].map(|id| (DeliveryId(id), GiveUp::NothingLeft));
        assert_eq!((picked.given_up, picked.rows), (wanted.to_vec(), Vec::new()));
    }
}
