//! Which deliveries this appliance has under way, and the lease that says so to others.
//!
//! A claim is written in the delivery's row; here is what ending it needs. As long as there are claims the lease is
//! renewed; an appliance that does not renew it loses them, and whoever looks next claims what it had.

use super::error::JobResult;
use picloud_model::ids::{AppId, DeliveryId, TriggerId};
use sqlx::PgPool;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// How long claims hold after the last word of their holder.
pub(super) const LEASE_MS: i64 = 30_000;
/// How often it is renewed while there are claims.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How long to wait before another try where the database did not take it.
const RENEW_AGAIN: Duration = Duration::from_secs(1);
/// How long it may take to renew it, or to give it up at the end.
const RENEW_TIMEOUT: Duration = Duration::from_secs(5);

/// A delivery that is under way.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) app: AppId,
    pub(super) trigger: Option<TriggerId>,
    /// The attempt that is under way, counting from 1.
    pub(super) attempt: u32,
    /// Whether its end may let another one of its lane begin.
    pub(super) holds_up: bool,
}

/// Where the last look ended: the next one begins behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    pub(super) app: i64,
    pub(super) lane_of_app: HashMap<i64, i64>,
}

/// All claims of this appliance.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// One look at a time; others look at the same time elsewhere.
    pub(super) turn: tokio::sync::Mutex<Turn>,
    state: Mutex<State>,
    /// There are claims where there were none.
    begun: Notify,
}

#[derive(Debug, Default)]
struct State {
    claimed: HashMap<DeliveryId, Claim>,
    /// A claim may have been written of which nothing is known here.
    unsure: bool,
}

impl Claims {
    /// These are under way from now on.
    pub(super) fn add(&self, claims: impl IntoIterator<Item = (DeliveryId, Claim)>) {
        let mut state = self.lock();
        let were_none = state.claimed.is_empty();
        state.claimed.extend(claims);
        if were_none && !state.claimed.is_empty() {
            self.begun.notify_one();
        }
    }

    /// The claim, where there is one.
    pub(super) fn of(&self, id: DeliveryId) -> Option<Claim> {
        self.lock().claimed.get(&id).cloned()
    }

    /// It is not under way any more, and the table says so.
    pub(super) fn give_back(&self, id: DeliveryId) {
        self.lock().claimed.remove(&id);
    }

    /// Nobody knows whether a claim was written.
    pub(super) fn doubt(&self) {
        self.lock().unsure = true;
    }

    /// What is known to be under way, where the table may say more.
    pub(super) fn doubted(&self) -> Option<HashSet<DeliveryId>> {
        let state = self.lock();
        state.unsure.then(|| state.claimed.keys().copied().collect())
    }

    /// The table says the same.
    pub(super) fn sure(&self) {
        self.lock().unsure = false;
    }

    fn is_empty(&self) -> bool {
        self.lock().claimed.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

/// The task that renews the lease. Dropping it gives the lease up.
pub(super) struct Lease {
    _open: watch::Sender<()>,
}

impl Lease {
    /// Waits for claims.
    pub(super) fn start(claims: Arc<Claims>, instance: Uuid, pool: PgPool) -> Self {
        let (open, mut closed) = watch::channel(());
        tokio::spawn(async move {
            let holder = Holder { claims, instance, pool };
            tokio::select! {
                () = holder.run() => {}
                _gone = closed.changed() => holder.give_up().await,
            }
        });
        Self { _open: open }
    }
}

struct Holder {
    claims: Arc<Claims>,
    instance: Uuid,
    pool: PgPool,
}

impl Holder {
    async fn run(&self) {
        loop {
            self.claims.begun.notified().await;
            // The claim itself began the lease.
            let mut wait = RENEW_EVERY;
            loop {
                sleep(wait).await;
                let again = !self.claims.is_empty();
                let done = match timeout(RENEW_TIMEOUT, self.renew(again)).await {
                    Ok(Ok(())) => true,
                    Ok(Err(error)) => {
                        tracing::debug!(error = %error, "the lease on deliveries was not renewed");
                        false
                    }
                    Err(_elapsed) => false,
                };
                if done && !again {
                    break;
                }
                wait = if done { RENEW_EVERY } else { RENEW_AGAIN };
            }
        }
    }

    /// Goes on with the lease, or ends it where nothing is under way.
    async fn renew(&self, again: bool) -> JobResult<()> {
        let query = if again {
            sqlx::query(
                "INSERT INTO claim_holders (id, alive_until) VALUES ($1, clock_ms() + $2)
                 ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until",
            )
            .bind(self.instance.into_bytes())
            .bind(LEASE_MS)
        } else {
            sqlx::query(
                "DELETE FROM claim_holders WHERE id = $1
                 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE claimed_by = $1)",
            )
            .bind(self.instance.into_bytes())
        };
        query.execute(&self.pool).await?;
        Ok(())
    }

    /// Nothing of this appliance's is under way any more: others need not wait until the lease is over.
    async fn give_up(&self) {
        let freed = sqlx::query(
            "WITH freed AS (UPDATE deliveries SET claimed_by = NULL WHERE claimed_by = $1 RETURNING 1),
                  gone AS (DELETE FROM claim_holders WHERE id = $1)
             SELECT pg_notify('picloud_deliveries', $2) FROM freed LIMIT 1",
        )
        .bind(self.instance.into_bytes())
        .bind(format!("{} 0", self.instance))
        .execute(&self.pool);
        // Where the database is away, the lease ends by itself.
        let _away = timeout(RENEW_TIMEOUT, freed).await;
    }
}
