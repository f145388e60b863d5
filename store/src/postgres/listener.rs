//! One connection that hears what other appliances did. What was said while it was broken is lost, so after every break
//! everybody looks again.

use super::connection::Address;
use super::nodes::number_of;
use super::signals::{ALL_NEWS, CHANNELS, News, Signals};
use crate::OpenError;
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgNotification};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// A connection over which nothing was said for so long is asked whether it is one still: a cable that was pulled says
/// nothing.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long it may take to answer that, to connect, or to read what was missed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The first wait before connecting again, and the longest; each with as much again by chance, so that appliances do
/// not come all at once.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// The task; it ends with this.
pub(super) struct Listener {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    /// Listens from now on: whatever is committed after this returns is heard of.
    pub(super) async fn start(
        address: &Address,
        instance: Uuid,
        signals: Arc<Signals>,
        pool: &PgPool,
    ) -> Result<Self, OpenError> {
        let ears = Ears {
            own: address.pool_to_listen(),
            pool: pool.clone(),
            instance: instance.to_string(),
            number: number_of(instance),
            signals,
        };
        let unreachable =
            |source: sqlx::Error| OpenError::Unreachable { shown: address.shown.clone(), source: Box::new(source) };
        let first = ears.open().await.map_err(unreachable)?;
        Ok(Self { task: tokio::spawn(ears.run(first)) })
    }
}

struct Ears {
    /// For the one connection.
    own: PgPool,
    pool: PgPool,
    instance: String,
    /// The advisory lock that says that this appliance is there.
    number: i64,
    signals: Arc<Signals>,
}

impl Ears {
    async fn run(self, first: PgListener) {
        let mut listener = first;
        loop {
            let why = self.hear(&mut listener).await;
            tracing::warn!(error = %why, "the database went away: what other appliances do is not heard of");
            drop(listener);
            listener = self.open_again().await;
            tracing::info!("the database is back");
        }
    }

    /// Connects, and catches up.
    async fn open(&self) -> sqlx::Result<PgListener> {
        let opened = async {
            let mut listener = PgListener::connect_with(&self.own).await?;
            // Who holds it is there. Shared: the server may not have noticed yet that the connection before this one broke.
            let here = sqlx::query("SELECT pg_advisory_lock_shared($1)").bind(self.number);
            here.execute(&mut listener).await?;
            listener.listen_all(CHANNELS).await?;
            let last_seq = sqlx::query_scalar("SELECT last_seq FROM audit_ends WHERE id = 1").fetch_one(&self.pool);
            self.signals.missed(last_seq.await?);
            Ok(listener)
        };
        timeout(ANSWER_TIMEOUT, opened).await.map_err(|_elapsed| too_long())?
    }

    async fn open_again(&self) -> PgListener {
        let mut wait = RETRY_MIN;
        loop {
            tokio::time::sleep(wait + wait.mul_f64(chance())).await;
            match self.open().await {
                Ok(listener) => return listener,
                Err(error) => tracing::debug!(error = %error, "the database is still away"),
            }
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Passes on what is heard until the connection breaks; answers why it did.
    async fn hear(&self, listener: &mut PgListener) -> sqlx::Error {
        loop {
            match timeout(SILENCE_MAX, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => self.pass_on(&notification),
                Ok(Ok(None)) => return std::io::Error::from(std::io::ErrorKind::ConnectionReset).into(),
                Ok(Err(error)) => return error,
                Err(_silence) => match timeout(ANSWER_TIMEOUT, sqlx::query("SELECT 1").execute(&mut *listener)).await {
                    Ok(Ok(_there)) => {}
                    Ok(Err(error)) => return error,
                    Err(_elapsed) => return too_long(),
                },
            }
        }
    }

    fn pass_on(&self, notification: &PgNotification) {
        let Some(place) = CHANNELS.iter().position(|channel| *channel == notification.channel()) else { return };
        let (who, rest) = notification.payload().split_once(' ').unwrap_or((notification.payload(), ""));
        if who == self.instance {
            return;
        }
        let news = ALL_NEWS[place];
        self.signals.told(news);
        if let (News::Audit, Ok(last_seq)) = (news, rest.parse()) {
            self.signals.audit_grew(last_seq);
        }
    }
}

fn too_long() -> sqlx::Error {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// From 0 to 1.
fn chance() -> f64 {
    f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0
}
