//! Watches the schedules: asleep until the next one's time, and wholly where there is none.

use super::alarm::Alarm;
use super::expression::Expression;
use super::{CLOCK_SET_FROM, missed};
use crate::metrics::Metrics;
use picloud_model::clock::{Clock, UnixMs};
use picloud_store::{Schedule, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before a store that refused is asked again.
const PAUSE: Duration = Duration::from_secs(5);

/// Watches for ever.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) {
    let alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => return tracing::error!(%error, "schedules are not watched: the kernel gives no timer"),
    };
    let mut watcher = Watcher { store, clock, metrics, schedules: Vec::new(), told_of_clock: false };
    let mut signal = watcher.store.schedule_signal();
    loop {
        signal.mark_unchanged();
        if let Err(error) = watcher.read().await {
            tracing::warn!(%error, "the schedules could not be read; trying again");
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        loop {
            if !watcher.end_due().await {
                tokio::time::sleep(PAUSE).await;
            }
            let next = watcher.next();
            tokio::select! {
                changed = signal.changed() => match changed {
                    Ok(()) => break,
                    // The store is gone, and so is everything else.
                    Err(_closed) => return,
                },
                () = alarm.wait(next) => {}
            }
        }
    }
}

struct Watcher {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// Soonest first.
    schedules: Vec<Schedule>,
    told_of_clock: bool,
}

impl Watcher {
    async fn read(&mut self) -> Result<(), StoreError> {
        self.schedules = self.store.schedules().await?;
        self.sort();
        Ok(())
    }

    fn sort(&mut self) {
        self.schedules.sort_by_key(|schedule| schedule.next_at);
    }

    /// When to look again. A clock that is not set yet is looked at when it is.
    fn next(&self) -> Option<UnixMs> {
        self.schedules.first().map(|schedule| schedule.next_at.max(CLOCK_SET_FROM))
    }

    /// Ends the slots of all schedules that are due; false where the store refused one.
    async fn end_due(&mut self) -> bool {
        let now = self.clock.now_ms();
        if now < CLOCK_SET_FROM {
            if !self.schedules.is_empty() && !std::mem::replace(&mut self.told_of_clock, true) {
                tracing::warn!(schedules = self.schedules.len(), "the clock is not set: schedules wait until it is");
            }
            return true;
        }
        let due = self.schedules.partition_point(|schedule| schedule.next_at <= now);
        let mut gone = Vec::new();
        let mut all_ended = true;
        for place in 0..due {
            match self.end(place, now).await {
                Ok(Some(next_at)) => self.schedules[place].next_at = next_at,
                Ok(None) => gone.push(place),
                Err(error) => {
                    let trigger = &self.schedules[place].spec.name;
                    tracing::warn!(trigger, %error, "a schedule's time could not be written down; trying again");
                    all_ended = false;
                }
            }
        }
        for place in gone.into_iter().rev() {
            self.schedules.remove(place);
        }
        self.sort();
        all_ended
    }

    /// Ends one slot; answers when the schedule is due next, if ever.
    async fn end(&self, place: usize, now: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        let Schedule { trigger, app, spec, next_at } = &self.schedules[place];
        let text = spec.schedule.as_deref().unwrap_or_default();
        let expression = match Expression::parse(text, spec.timezone.as_deref()) {
            Ok(expression) => expression,
            Err(wrong) => {
                // It was checked when it was saved: a time zone may have gone since.
                tracing::error!(app.id = %app, trigger = spec.name, "a schedule is not followed any more: {wrong}");
                return Ok(None);
            }
        };
        let slot = missed::slot(&expression, spec.missed.unwrap_or_default(), *next_at, now);
        let ended = self.store.end_slot(*trigger, &slot, now).await?;
        let Some(ended) = ended else {
            // Somebody else ended it, or it changed: the signal brings it back.
            return Ok(None);
        };
        self.metrics.slot_ended(now - next_at, u64::from(ended.skipped));
        if ended.skipped > 0 {
            tracing::info!(
                app.id = %app, trigger = spec.name, skipped = ended.skipped,
                "a schedule's time was left out: the run of an earlier one is not over"
            );
        }
        if slot.deliver.is_empty() {
            tracing::info!(app.id = %app, trigger = spec.name, "a schedule's time was missed and left out");
        }
        Ok(slot.next_at)
    }
}
