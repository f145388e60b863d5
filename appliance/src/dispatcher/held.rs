//! Deliveries that were claimed and may not begin yet: nothing that is connected may run them, or what may is full.
//!
//! They wait in memory, in lines by script and trigger, so that a look is at the heads alone. Past the bounds they go
//! back to the store for some seconds. Nothing is asked again and again: a line moves when a place falls free, when a
//! node comes or changes, or when what its placement says changes.

use picloud_model::clock::UnixMs;
use picloud_model::delivery::Delivery;
use picloud_model::ids::{AppId, TriggerId};
use picloud_model::placement::Placement;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Deliveries that wait here at most.
const DELIVERIES_MAX: usize = 4_096;
/// What their events may come to, in bytes.
const EVENTS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Those that may or may not run at the same places.
pub(super) type Line = (AppId, String, Option<TriggerId>);

/// Deliveries that wait for a place.
#[derive(Default)]
pub(super) struct Held {
    lines: BTreeMap<Line, Waiting>,
    count: usize,
    bytes: usize,
    /// No later than when the first of them is too old.
    expiry: Option<UnixMs>,
    /// Scripts that the log has been told of: no node may run them.
    told: HashSet<(AppId, String)>,
    shown: Shown,
}

struct Waiting {
    placement: Placement,
    deliveries: VecDeque<Delivery>,
}

/// How many wait in each app, for people.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<BTreeMap<AppId, u64>>>);

impl Shown {
    pub(super) fn of(&self, app: AppId) -> u64 {
        self.lock().get(&app).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AppId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, app: AppId) {
        *self.lock().entry(app).or_default() += 1;
    }

    fn take(&self, app: AppId) {
        let mut shown = self.lock();
        if let Some(count) = shown.get_mut(&app) {
            *count -= 1;
            if *count == 0 {
                shown.remove(&app);
            }
        }
    }
}

impl Held {
    pub(super) fn new(shown: Shown) -> Self {
        Self { shown, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Puts one at the end of its line; gives it back where there is no room.
    pub(super) fn push(&mut self, delivery: Delivery, placement: Placement) -> Option<Delivery> {
        let bytes = delivery.event.body.len();
        if self.count >= DELIVERIES_MAX || self.bytes + bytes > EVENTS_BYTES_MAX {
            return Some(delivery);
        }
        (self.count, self.bytes) = (self.count + 1, self.bytes + bytes);
        self.expiry = [self.expiry, delivery.expires_at].into_iter().flatten().min();
        self.shown.add(delivery.app);
        let line = (delivery.app, delivery.script.clone(), delivery.trigger.as_ref().map(|(id, _name)| *id));
        let new = || Waiting { placement: Placement::default(), deliveries: VecDeque::new() };
        let waiting = self.lines.entry(line).or_insert_with(new);
        waiting.placement = placement;
        waiting.deliveries.push_back(delivery);
        None
    }

    /// The lines there are, each with what its deliveries need.
    pub(super) fn lines(&self) -> Vec<(Line, Placement)> {
        self.lines.iter().map(|(line, waiting)| (line.clone(), waiting.placement.clone())).collect()
    }

    /// The first of a line.
    pub(super) fn pop(&mut self, line: &Line) -> Option<Delivery> {
        let waiting = self.lines.get_mut(line)?;
        let delivery = waiting.deliveries.pop_front();
        if waiting.deliveries.is_empty() {
            self.lines.remove(line);
        }
        let delivery = delivery?;
        self.gone(&delivery);
        Some(delivery)
    }

    /// All of them.
    pub(super) fn take_all(&mut self) -> Vec<Delivery> {
        let all: Vec<Delivery> =
            std::mem::take(&mut self.lines).into_values().flat_map(|waiting| waiting.deliveries).collect();
        for delivery in &all {
            self.gone(delivery);
        }
        all
    }

    /// Those that are too old by now.
    pub(super) fn take_expired(&mut self, now: UnixMs) -> Vec<Delivery> {
        let is_too_old = |delivery: &Delivery| delivery.expires_at.is_some_and(|at| at <= now);
        let mut expired = Vec::new();
        self.lines.retain(|_line, waiting| {
            let (old, rest) = std::mem::take(&mut waiting.deliveries).into_iter().partition(is_too_old);
            waiting.deliveries = rest;
            expired.extend::<VecDeque<Delivery>>(old);
            !waiting.deliveries.is_empty()
        });
        for delivery in &expired {
            self.gone(delivery);
        }
        let left = self.lines.values().flat_map(|waiting| &waiting.deliveries);
        self.expiry = left.filter_map(|delivery| delivery.expires_at).min();
        expired
    }

    /// When [`Self::take_expired`] may have something; sometimes too early.
    pub(super) fn next_expiry(&self) -> Option<UnixMs> {
        if self.is_empty() { None } else { self.expiry }
    }

    /// Nothing that is connected may run the script; answers whether the log has not been told yet.
    pub(super) fn is_news(&mut self, app: AppId, script: &str) -> bool {
        self.told.insert((app, script.to_owned()))
    }

    /// Something may run the script again.
    pub(super) fn runs_again(&mut self, app: AppId, script: &str) {
        if !self.told.is_empty() {
            self.told.remove(&(app, script.to_owned()));
        }
    }

    fn gone(&mut self, delivery: &Delivery) {
        (self.count, self.bytes) = (self.count - 1, self.bytes - delivery.event.body.len());
        self.shown.take(delivery.app);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::event::{Event, EventKind};
    use picloud_model::ids::{DeliveryId, EventId, ExecutionId};
    use picloud_model::trigger::Retry;

    fn delivery(id: i64, script: &str, bytes: usize, expires_at: Option<UnixMs>) -> Delivery {
        let event = Event {
            id: EventId::new(),
            kind: EventKind::Pubsub,
            at: 0,
            root_id: ExecutionId::new(),
            depth: 1,
            chain: Vec::new(),
            body: vec![b' '; bytes],
        };
        Delivery {
            id: DeliveryId(id),
            app: AppId(1),
            trigger: Some((TriggerId(1), "on".to_owned())),
            script: script.to_owned(),
            version: None,
            event,
            attempt: 1,
            retry: Retry::default(),
            expires_at,
            placement: Placement::default(),
        }
    }

    fn push(held: &mut Held, delivery: Delivery) -> bool {
        held.push(delivery, Placement::default()).is_none()
    }

    #[test]
    fn a_line_keeps_its_order_and_says_how_many_wait() {
        let shown = Shown::default();
        let mut held = Held::new(shown.clone());
        for (id, script) in [(1, "a"), (2, "b"), (3, "a")] {
            assert!(push(&mut held, delivery(id, script, 0, None)));
        }
        assert_eq!((shown.of(AppId(1)), shown.of(AppId(2)), held.lines().len()), (3, 0, 2));
        let (a, _placement) = held.lines().remove(0);
        let ids: Vec<i64> = std::iter::from_fn(|| held.pop(&a)).map(|delivery| delivery.id.0).collect();
        assert_eq!((ids, shown.of(AppId(1)), held.is_empty()), (vec![1, 3], 1, false));
        assert_eq!(held.take_all().len(), 1);
        assert!(held.is_empty() && shown.of(AppId(1)) == 0);
    }

    #[test]
    fn what_has_no_room_is_given_back_and_room_comes_back_with_what_goes() {
        let mut held = Held::default();
        let half = EVENTS_BYTES_MAX / 2;
        assert!(push(&mut held, delivery(1, "a", half, None)) && push(&mut held, delivery(2, "a", half, None)));
        assert!(!push(&mut held, delivery(3, "a", 1, None)), "the bytes");
        held.take_all();
        let count = i64::try_from(DELIVERIES_MAX).unwrap();
        assert!((0..count).all(|id| push(&mut held, delivery(id, "a", 0, None))));
        assert!(!push(&mut held, delivery(count, "a", 0, None)), "the number");
        let (line, _placement) = held.lines().remove(0);
        held.pop(&line);
        assert!(push(&mut held, delivery(count, "a", 0, None)));
    }

    #[test]
    fn what_is_too_old_comes_out_at_its_time() {
        let mut held = Held::default();
        for (id, expires_at) in [(1, None), (2, Some(50)), (3, Some(20))] {
            push(&mut held, delivery(id, "a", 0, expires_at));
        }
        assert_eq!(held.next_expiry(), Some(20));
        assert!(held.take_expired(19).is_empty());
        assert_eq!(held.take_expired(20).iter().map(|delivery| delivery.id.0).collect::<Vec<_>>(), [3]);
        assert_eq!(held.next_expiry(), Some(50));
        assert_eq!(held.take_expired(99).len(), 1);
        assert_eq!((held.next_expiry(), held.is_empty()), (None, false));
    }

    #[test]
    fn the_log_is_told_once_until_the_script_runs_again() {
        let mut held = Held::default();
        assert!(held.is_news(AppId(1), "a") && !held.is_news(AppId(1), "a") && held.is_news(AppId(1), "b"));
        held.runs_again(AppId(1), "a");
        assert!(held.is_news(AppId(1), "a") && !held.is_news(AppId(1), "b"));
    }
}
