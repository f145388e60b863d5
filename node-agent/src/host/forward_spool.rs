//! Forwards the spool, one publish after the other, as soon and as long as an appliance answers.

use super::publish::may_have_happened;
use crate::appliance::{CallError, Link};
use crate::slot::Slot;
use crate::spool::{Spool, SpoolError, Spooled};
use picloud_model::clock::{Clock, UnixMs};
use picloud_model::problem::Code;
use picloud_model::protocol::ServiceRequest;
use picloud_model::protocol::node::Once;
use picloud_model::publish::Publish;
use std::sync::Arc;
use std::time::Duration;

/// Publishes that are taken from the disk, and forgotten there, at once.
const BATCH_MAX: usize = 64;
/// Bytes of them.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long the appliance may take for one.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// First pause after an appliance that has no room, or a disk that fails; doubles from there.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What became of one.
enum End {
    /// It is stored, or refused for good.
    Over,
    /// It is to be said again.
    Again,
}

/// Forwards until it is dropped.
pub async fn forward(spool: Arc<Spool>, slot: Slot, clock: Arc<dyn Clock>) {
    let mut pause = PAUSE_MIN;
    loop {
        let added = spool.added.notified();
        if spool.waiting() == 0 {
            added.await;
            continue;
        }
        let link = slot.wait().await;
        match batch(&spool, &link, clock.as_ref()).await {
            Ok(true) => pause = PAUSE_MIN,
            // The slot is told of it in a moment.
            Ok(false) if link.is_over() => {
                pause = PAUSE_MIN;
                tokio::time::sleep(pause).await;
            }
            // The appliance has no room, or its store is away.
            Ok(false) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            Err(error) => {
                tracing::error!(%error, "the spool cannot be forwarded");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Forwards some. Answers whether all of them are over.
async fn batch(spool: &Spool, link: &Link, clock: &dyn Clock) -> Result<bool, SpoolError> {
    let mut all = spool.front(BATCH_MAX, BATCH_BYTES_MAX).await?;
    let mut over = 0;
    for spooled in &all {
        match one(spool, link, clock.now_ms(), spooled).await {
            End::Over => over += 1,
            End::Again => break,
        }
    }
    let is_all = over == all.len();
    all.truncate(over);
    if !all.is_empty() {
        spool.remove(&all).await?;
        if spool.waiting() == 0 {
            tracing::info!("all publishes that waited are forwarded");
        }
    }
    Ok(is_all)
}

async fn one(spool: &Spool, link: &Link, now: UnixMs, spooled: &Spooled) -> End {
    let Spooled { number, event, at, caller, publish } = spooled;
    let once = Once { number: *number, settled_below: spool.settled_below(), event: *event };
    // The time that it waited here counts; a clock that was set back does not.
    let waited = u64::try_from(now - at).unwrap_or(0);
    let publish = Publish { delay_ms: publish.delay_ms.saturating_sub(waited), ..publish.clone() };
    let topic = publish.topic.clone();
    let call = link.call(caller.clone(), ANSWER_MAX, Some(once), ServiceRequest::Publish(publish));
    let failed = match tokio::time::timeout(ANSWER_MAX, call).await {
        Ok(Ok(_stored)) => return End::Over,
        Ok(Err(CallError::Away)) | Err(_) => return End::Again,
        Ok(Err(CallError::Failed(failure))) => failure,
        Ok(Err(CallError::Frame(error))) => {
            tracing::error!(%event, topic, "a publish that waited cannot be said and is lost: {error}");
            return End::Over;
        }
    };
    if is_for_good(failed.code) {
        tracing::error!(%event, topic, code = %failed.code, "a publish that waited is refused for good: {}", failed.message);
        End::Over
    } else {
        tracing::warn!(%event, topic, code = %failed.code, "a publish that waits is not taken yet: {}", failed.message);
        End::Again
    }
}

/// Whether saying it again would change nothing. [`Code::Gone`] is this node's removal, which ends the link.
fn is_for_good(code: Code) -> bool {
    !may_have_happened(code)
        && !matches!(
            code,
            Code::Overloaded
                | Code::StorageFull
                | Code::RateLimited
                | Code::Conflict
                | Code::Gone
                | Code::RequestTimeout
        )
}
