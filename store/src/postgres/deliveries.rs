//! Deliveries in Postgres, from their claim to their end.

use super::PgStore;
use super::claiming::{Found, claim};
use super::claims::Claims;
use super::delivery_ends::{forget, give_up_unrun};
use super::slots;
use super::transaction::{reading, writing};
use crate::letters::{GiveUp, why_given_up};
use crate::{Claimed, Deliveries, Queued, Result, Schedule, Slot, SlotEnded};
use async_trait::async_trait;
use picloud_model::clock::UnixMs;
use picloud_model::delivery::{DeliveryEnd, Ended};
use picloud_model::ids::{AppId, DeliveryId, TriggerId};
use sqlx::Row as _;

/// Looks of one claim, where each finds nothing but what is given up.
const LOOKS_MAX: u32 = 8;

#[async_trait]
impl Deliveries for PgStore {
    async fn claim_deliveries(&self, limit: u32, now: UnixMs) -> Result<Claimed> {
        let mut turn = self.claims.turn.lock().await;
        for _look in 0..LOOKS_MAX {
            let unsure = Unsure { claims: &self.claims, written: true };
            let last = turn.clone();
            let Found { deliveries, given_up, next_due, turn: next } =
                writing!(self, |tx| claim(tx, &last, limit as usize, now).await)?;
            *turn = next;
            let claims = deliveries.iter().map(|(id, claim, _delivery)| (*id, claim.clone()));
            self.claims.add(claims);
            unsure.settled();
            let only_given_up = deliveries.is_empty() && !given_up.is_empty();
            // What is claimed is answered: whoever looks next gives up what is left.
            if let Err(error) = self.give_up(&given_up, now).await {
                tracing::warn!(error = %error, "deliveries that are too old were not given up");
                if only_given_up {
                    return Err(error);
                }
            }
            if !only_given_up {
                let deliveries = deliveries.into_iter().map(|(_id, _claim, delivery)| delivery).collect();
                return Ok(Claimed { deliveries, next_due });
            }
        }
        Ok(Claimed { deliveries: Vec::new(), next_due: Some(now) })
    }

    async fn end_delivery(&self, id: DeliveryId, end: DeliveryEnd, now: UnixMs) -> Result<Ended> {
        let Some(claim) = self.claims.of(id) else { return Ok(Ended::default()) };
        let ended = self.write_end(id, &claim, &end, now).await?;
        self.claims.give_back(id);
        Ok(ended)
    }

    async fn note_attempts(&self, ids: &[DeliveryId]) -> Result<()> {
        let claimed = ids.iter().filter_map(|id| Some((id.0, i64::from(self.claims.of(*id)?.attempt))));
        let (ids, attempts): (Vec<i64>, Vec<i64>) = claimed.unzip();
        if ids.is_empty() {
            return Ok(());
        }
        writing!(self, |tx| {
            sqlx::query(
                "UPDATE deliveries d SET attempts = n.attempts FROM unnest($1::bigint[], $2::bigint[]) AS n (id, attempts)
                 WHERE d.id = n.id AND d.claimed_by = $3",
            )
            .bind(&ids)
            .bind(&attempts)
            .bind(self.instance.into_bytes())
            .execute(tx.conn())
            .await?;
            Ok(())
        })
    }

    fn delivery_signal(&self) -> tokio::sync::watch::Receiver<u64> {
        self.signals.deliveries.subscribe()
    }

    async fn schedules(&self) -> Result<Vec<Schedule>> {
        reading!(self, |conn| slots::schedules(conn).await)
    }

    async fn end_slot(&self, trigger: TriggerId, slot: &Slot, now: UnixMs) -> Result<Option<SlotEnded>> {
        writing!(self, |tx| slots::end_slot(tx, trigger, slot, now).await)
    }

    fn schedule_signal(&self) -> tokio::sync::watch::Receiver<u64> {
        self.signals.schedules.subscribe()
    }

    async fn queued(&self, app: AppId) -> Result<Queued> {
        reading!(self, |conn| {
            // Counted when asked, in the indexes alone.
            let row = sqlx::query(
                "SELECT (SELECT count(*) FROM deliveries WHERE app_id = $1),
                        (SELECT min(due_at) FROM deliveries WHERE app_id = $1),
                        (SELECT count(*) FROM dead_letters WHERE app_id = $1)",
            )
            .bind(app.0)
            .fetch_one(conn)
            .await?;
            Ok(Queued { deliveries: row.try_get(0)?, oldest_due_at: row.try_get(1)?, dead_letters: row.try_get(2)? })
        })
    }
}

impl PgStore {
    async fn give_up(&self, given_up: &[(DeliveryId, GiveUp)], now: UnixMs) -> Result<()> {
        for (id, why) in given_up {
            writing!(self, |tx| {
                match why_given_up(*why) {
                    Some(error) => give_up_unrun(tx, *id, error, now).await,
                    None => forget(tx, *id, now).await,
                }
            })?;
        }
        Ok(())
    }
}

/// A claim that is being written: unless it is settled, also where nobody waits for it any more, the next look asks the
/// table what was.
struct Unsure<'a> {
    claims: &'a Claims,
    written: bool,
}

impl Unsure<'_> {
    fn settled(mut self) {
        self.written = false;
        self.claims.sure();
    }
}

impl Drop for Unsure<'_> {
    fn drop(&mut self) {
        if self.written {
            self.claims.doubt();
        }
    }
}
