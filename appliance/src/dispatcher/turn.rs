//! The dispatcher's task: what wakes it, and what it does each time.

use super::attempt::{self, Parts};
use super::end::{self, Outcome};
use super::held::Held;
use super::places::{Candidate, Choice, Places};
use super::running::Running;
use crate::schedules::Alarm;
use picloud_model::clock::UnixMs;
use picloud_model::delivery::Delivery;
use picloud_model::placement::Placement;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

/// Deliveries whose run is over and that are being told of, for each run at once.
const ENDING_PER_RUN: usize = 8;
/// How long to wait before a store that refused a claim is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// What one of the tasks did.
enum Ended {
    /// It ran, or not: others of its trigger may be claimed now.
    Attempt,
    /// It was given back for want of room; there is no use in claiming for that.
    NoRoom,
}

/// Everything that is under way.
struct State {
    parts: Arc<Parts>,
    /// Of this machine's own worker.
    places_here: usize,
    /// Of all machines, as they were last seen.
    places: usize,
    /// Claimed, and waiting for a run to end.
    ready: VecDeque<Delivery>,
    /// Claimed, and waiting for a node.
    held: Held,
    /// Each runs, or is being told of.
    tasks: JoinSet<Ended>,
    /// How many of them run.
    running: Arc<Running>,
    /// When the next delivery is due.
    next_due: Option<UnixMs>,
    /// Whether there may be something to claim that was not there at the last claim.
    look: bool,
    /// Whether something was held since the last look that nothing here may run.
    is_stuck: bool,
    /// Whether machines may have come or gone since their places were counted.
    recount: bool,
}

pub(super) async fn run(parts: Arc<Parts>, places_here: usize, held: Held, mut stopping: watch::Receiver<bool>) {
    let alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => return tracing::error!(%error, "no event starts a script: the kernel gives no timer"),
    };
    let mut signal = parts.store.delivery_signal();
    signal.mark_changed();
    let (mut nodes, mut apps) = (parts.hub.changed(), parts.registry.changes());
    let mut state = State {
        parts,
        places_here,
        places: places_here,
        ready: VecDeque::new(),
        held,
        tasks: JoinSet::new(),
        running: Arc::default(),
        next_due: None,
        look: true,
        is_stuck: false,
        recount: true,
    };
    loop {
        if !*stopping.borrow() {
            state.claim().await;
            state.begin();
            state.share().await;
        }
        let freed = state.running.freed.notified();
        let is_stopping = *stopping.borrow();
        if is_stopping && state.tasks.is_empty() {
            return;
        }
        let due = if is_stopping { None } else { state.next_look() };
        tokio::select! {
            // One that is stopped or gone wakes nobody twice.
            Ok(()) = stopping.changed(), if !is_stopping => state.say_stopping(),
            Ok(()) = signal.changed(), if !is_stopping => state.look = true,
            Some(ended) = state.tasks.join_next() => state.joined(ended),
            () = freed => {}
            // A node that comes brings places.
            Ok(()) = nodes.changed(), if !is_stopping => (state.look, state.recount) = (true, true),
            Ok(()) = apps.changed(), if !is_stopping => state.look_again(),
            () = alarm.wait(due) => state.is_due(),
        }
    }
}

impl State {
    fn say_stopping(&self) {
        if !self.tasks.is_empty() {
            tracing::info!(deliveries = self.tasks.len(), "stops: waits for deliveries that are under way");
        }
    }

    /// Whether so much is free that a claim is worth it.
    fn has_room(&self) -> bool {
        let ending = self.tasks.len().saturating_sub(self.running.count());
        self.ready.is_empty() && ending < self.places * ENDING_PER_RUN
    }

    /// When there may be something to do, if nothing else happens until then.
    fn next_look(&self) -> Option<UnixMs> {
        let due = self.next_due.filter(|_at| self.has_room());
        [due, self.held.next_expiry()].into_iter().flatten().min()
    }

    fn is_due(&mut self) {
        self.look = true;
        for delivery in self.held.take_expired(self.parts.clock.now_ms()) {
            // The store gives up what is too old when it is claimed.
            self.give_back(delivery, end::again, Ended::Attempt);
        }
    }

    /// Apps have changed, and with them perhaps what is placed where: the store is asked anew for what waits for a node.
    fn look_again(&mut self) {
        for delivery in self.held.take_all() {
            self.give_back(delivery, end::again, Ended::Attempt);
        }
    }

    fn give_back(&mut self, delivery: Delivery, outcome: impl Fn(UnixMs) -> Outcome, ended: Ended) {
        let (parts, outcome) = (Arc::clone(&self.parts), outcome(self.parts.clock.now_ms()));
        self.tasks.spawn(async move {
            attempt::give_back(parts, delivery, outcome).await;
            ended
        });
    }

    /// Claims where there is room, and something to be had.
    async fn claim(&mut self) {
        if !self.look || !self.has_room() {
            return;
        }
        // As many again as may run, so that the next ones are at hand when these end.
        let room = (2 * self.places).saturating_sub(self.running.count());
        let now = self.parts.clock.now_ms();
        match self.parts.store.claim_deliveries(u32::try_from(room).unwrap_or(u32::MAX), now).await {
            Ok(claimed) => {
                // More are due by now; where nothing came of it, it is not for us, and asking at once would be for nothing.
                let more = claimed.next_due.is_some_and(|at| at <= now);
                let none = claimed.deliveries.is_empty();
                self.look = more && !none;
                self.next_due = if more && none { Some(after(now, PAUSE)) } else { claimed.next_due };
                self.ready.extend(claimed.deliveries);
            }
            Err(error) => {
                tracing::warn!(%error, "due deliveries could not be claimed; trying again");
                self.next_due = Some(after(now, PAUSE));
                self.look = false;
            }
        }
    }

    /// Begins as many runs as there are places that may run them.
    fn begin(&mut self) {
        if self.ready.is_empty() && self.held.is_empty() && !std::mem::take(&mut self.recount) {
            return;
        }
        let here = self.here();
        let mut places = Places::for_deliveries(here, &self.parts.hub, &self.running);
        self.places = places.all().max(1);
        self.begin_held(&mut places);
        while places.any_free()
            && let Some(delivery) = self.ready.pop_front()
        {
            let placement = self.placement(&delivery);
            match places.take(&placement) {
                Choice::At(at) => {
                    self.held.runs_again(delivery.app, &delivery.script);
                    self.spawn(delivery, at);
                }
                Choice::Full => self.hold(delivery, placement),
                Choice::Nowhere => {
                    self.warn(&delivery, &placement);
                    self.is_stuck = true;
                    self.hold(delivery, placement);
                }
            }
        }
    }

    /// What nothing here may run, a node of another appliance on this database may: it goes back for that one to claim.
    async fn share(&mut self) {
        if !std::mem::take(&mut self.is_stuck) {
            return;
        }
        match self.parts.store.others().await {
            Ok(others) if others.is_empty() => {}
            Ok(_others) => {
                for delivery in self.held.take_all() {
                    self.give_back(delivery, end::no_room, Ended::NoRoom);
                }
            }
            Err(error) => tracing::debug!(%error, "whether there are other appliances could not be read"),
        }
    }

    /// This machine's own worker, with its places that are taken.
    fn here(&self) -> Candidate {
        let labels = self.parts.registry.own_labels();
        Candidate::here(labels, self.places_here, self.running.here(), &self.parts.supervisor)
    }

    /// Those that waited for a place go first.
    fn begin_held(&mut self, places: &mut Places) {
        if self.held.is_empty() || !places.any_free() {
            return;
        }
        for (line, placement) in self.held.lines() {
            while let Choice::At(at) = places.take(&placement) {
                self.held.runs_again(line.0, &line.1);
                match self.held.pop(&line) {
                    Some(delivery) => self.spawn(delivery, at),
                    None => {
                        places.leave(&at);
                        break;
                    }
                }
            }
        }
    }

    fn spawn(&mut self, delivery: Delivery, at: super::At) {
        let (parts, place) = (Arc::clone(&self.parts), self.running.take(at));
        self.tasks.spawn(async move {
            attempt::run(parts, delivery, place).await;
            Ended::Attempt
        });
    }

    /// What its trigger and its script say together.
    fn placement(&self, delivery: &Delivery) -> Placement {
        let app = self.parts.registry.app(delivery.app);
        match app.as_ref().and_then(|app| app.script(&delivery.script)) {
            Some(script) if !script.placement.is_empty() => delivery.placement.and(&script.placement),
            // Where it is gone, whoever runs it says so.
            _says_nothing => delivery.placement.clone(),
        }
    }

    fn hold(&mut self, delivery: Delivery, placement: Placement) {
        if let Some(delivery) = self.held.push(delivery, placement) {
            self.give_back(delivery, end::no_room, Ended::NoRoom);
        }
    }

    /// Tells the log once that a script's deliveries wait for a node.
    fn warn(&mut self, delivery: &Delivery, placement: &Placement) {
        if !self.held.is_news(delivery.app, &delivery.script) {
            return;
        }
        let app = self.parts.app_name(delivery.app);
        tracing::warn!(
            %app, script = %delivery.script, "{}: what waits runs as soon as one is there; see `picloud nodes`",
            nobody(placement)
        );
    }

    /// Takes note of deliveries that were told of: others of their trigger may be claimed now.
    fn joined(&mut self, ended: Result<Ended, JoinError>) {
        let mut next = Some(ended);
        while let Some(ended) = next {
            match ended {
                Ok(Ended::NoRoom) => {
                    let then = after(self.parts.clock.now_ms(), PAUSE);
                    self.next_due = Some(self.next_due.map_or(then, |due| due.min(then)));
                }
                Ok(Ended::Attempt) => self.look = true,
                Err(error) => {
                    tracing::error!(%error, "a delivery was lost sight of; it runs again after the next start");
                    self.look = true;
                }
            }
            next = self.tasks.try_join_next();
        }
    }
}

/// What to tell people where no machine may run something.
pub(crate) fn nobody(placement: &Placement) -> String {
    let entries =
        |entries: &[String]| entries.iter().map(|entry| format!("`{entry}`")).collect::<Vec<_>>().join(" and ");
    let mut said = "no connected node may run it".to_owned();
    if !placement.needs.is_empty() {
        said.push_str(&format!(": it needs {}", entries(&placement.needs)));
    }
    if !placement.avoid.is_empty() {
        let glue = if placement.needs.is_empty() { ": it" } else { ", and" };
        said.push_str(&format!("{glue} avoids {}", entries(&placement.avoid)));
    }
    said
}

fn after(now: UnixMs, pause: Duration) -> UnixMs {
    now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
}
