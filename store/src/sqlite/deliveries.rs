//! Deliveries in SQLite, from their claim to their end.

use super::SqliteStore;
use super::claiming::{Found, Turn, choose};
use super::claims::View;
use super::delivery_ends::{forget, give_up_unrun, set_attempts};
use super::slots;
use crate::letters::{GiveUp, why_given_up};
use crate::{Claimed, Deliveries, Queued, Result, Schedule, Slot, SlotEnded};
use async_trait::async_trait;
use picloud_model::clock::UnixMs;
use picloud_model::delivery::{DeliveryEnd, Ended};
use picloud_model::ids::{AppId, DeliveryId, TriggerId};
use rusqlite::OptionalExtension as _;

/// Looks of one claim, where each finds nothing but what is given up.
const LOOKS_MAX: u32 = 8;

#[async_trait]
impl Deliveries for SqliteStore {
    async fn claim_deliveries(&self, limit: u32, now: UnixMs) -> Result<Claimed> {
        // One look at a time: two could claim the same.
        let mut last_turn = self.turn.lock().await;
        for _look in 0..LOOKS_MAX {
            let view = self.claims.begin_reading(now);
            let (found, turn) = self.look(view, last_turn.clone(), limit, now).await?;
            let only_given_up = found.deliveries.is_empty() && !found.given_up.is_empty();
            self.give_up(found.given_up, now).await?;
            if !only_given_up {
                // From here on nothing waits, so that what is claimed is answered.
                *last_turn = turn;
                return Ok(Claimed { deliveries: self.claims.claim(found.deliveries), next_due: found.next_due });
            }
        }
        Ok(Claimed { deliveries: Vec::new(), next_due: Some(now) })
    }

    async fn end_delivery(&self, id: DeliveryId, end: DeliveryEnd, now: UnixMs) -> Result<Ended> {
        let Some(claim) = self.claims.of(id) else { return Ok(Ended::default()) };
        let (postponed_to, again) = match &end {
            DeliveryEnd::NotRun { due_at } => (Some(*due_at), true),
            DeliveryEnd::Retry { .. } => (None, true),
            DeliveryEnd::Done(_) | DeliveryEnd::Dead(_) => (None, false),
        };
        let wake = again || claim.holds_up;
        let ended = self.write_end(id, claim, end, now).await?;
        match postponed_to {
            Some(to) if to > now => self.claims.postpone(id, to),
            _ => self.claims.give_back(id),
        }
        if wake {
            // Not before: whoever looked in between saw it claimed.
            self.delivery_signal.send_modify(|changes| *changes += 1);
        }
        Ok(ended)
    }

    async fn note_attempts(&self, ids: &[DeliveryId]) -> Result<()> {
        let claimed: Vec<_> = ids.iter().filter_map(|id| Some((*id, self.claims.of(*id)?.attempt))).collect();
        if claimed.is_empty() {
            return Ok(());
        }
        for (id, _attempt) in &claimed {
            self.claims.noted(*id);
        }
        self.write(move |tx| claimed.iter().try_for_each(|(id, attempt)| set_attempts(tx.conn, *id, *attempt))).await
    }

    fn delivery_signal(&self) -> tokio::sync::watch::Receiver<u64> {
        self.delivery_signal.subscribe()
    }

    async fn schedules(&self) -> Result<Vec<Schedule>> {
        self.read(slots::schedules).await
    }

    async fn end_slot(&self, trigger: TriggerId, slot: &Slot, now: UnixMs) -> Result<Option<SlotEnded>> {
        let slot = slot.clone();
        self.write(move |tx| slots::end_slot(tx, trigger, &slot, now)).await
    }

    fn schedule_signal(&self) -> tokio::sync::watch::Receiver<u64> {
        self.schedule_signal.clone()
    }

    async fn queued(&self, app: AppId) -> Result<Queued> {
        self.read(move |conn| {
            // Counted when asked, in the index alone.
            let mut count = conn.prepare_cached("SELECT count(*), min(due_at) FROM deliveries WHERE app_id = ?1")?;
            let (deliveries, oldest_due_at) =
                count.query_row([app.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?.unwrap_or_default();
            let mut count = conn.prepare_cached("SELECT count(*) FROM dead_letters WHERE app_id = ?1")?;
            Ok(Queued { deliveries, oldest_due_at, dead_letters: count.query_row([app.0], |row| row.get(0))? })
        })
        .await
    }
}

impl SqliteStore {
    async fn look(&self, view: View, mut turn: Turn, limit: u32, now: UnixMs) -> Result<(Found, Turn)> {
        self.read(move |conn| {
            let moment = conn.unchecked_transaction()?;
            let found = choose(&moment, &view, &mut turn, limit as usize, now)?;
            Ok((found, turn))
        })
        .await
    }

    async fn give_up(&self, given_up: Vec<(DeliveryId, GiveUp)>, now: UnixMs) -> Result<()> {
        if given_up.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            for (id, why) in given_up {
                match why_given_up(why) {
                    Some(error) => give_up_unrun(tx, id, error, now)?,
                    None => forget(tx, id, now)?,
                }
            }
            Ok(())
        })
        .await
    }
}
