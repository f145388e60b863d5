//! Durable publishes: said to the appliance under a number that makes a second saying none; kept in the spool where no
//! answer comes.

use super::{Answer, NodeHost};
use crate::appliance::CallError;
use crate::spool::{SpoolError, Spooled};
use picloud_model::ids::EventId;
use picloud_model::limits::Limits;
use picloud_model::problem::Code;
use picloud_model::protocol::node::Once;
use picloud_model::protocol::{Caller, ServiceFailure, ServiceReply, ServiceRequest};
use picloud_model::publish::{DEDUP_KEY_BYTES_MAX, DELAY_MS_MAX, Publish, Published, check_topic};
use std::sync::Arc;
use std::time::Duration;

/// How long the appliance's answer is waited for before the spool takes the publish.
const ANSWER_MAX: Duration = Duration::from_secs(3);

impl NodeHost {
    /// Publishes; answers once it is durable, there or here.
    pub(super) async fn publish(&self, caller: Caller, deadline: Duration, publish: Publish) -> Answer {
        let Some(app) = self.apps.app(caller.app) else {
            return Err(failure(Code::NotFound, "the app of this run does not exist any more".to_owned()));
        };
        check(&publish, &app.limits)?;
        let number = self.spool.begin().await.map_err(|error| self.not_kept(&error))?;
        let event = EventId::new();
        // As long as others wait, this one waits behind them: their order is what was asked for.
        if self.spool.waiting() == 0
            && let Some(link) = self.slot.link()
        {
            let once = Once { number: number.get(), settled_below: self.spool.settled_below(), event };
            let time = ANSWER_MAX.min(deadline / 2);
            let call = link.call(caller.clone(), time, Some(once), ServiceRequest::Publish(publish.clone()));
            match tokio::time::timeout(time, call).await {
                Ok(Ok(reply)) => return Ok(reply),
                // It may or may not have been stored: with its number it can be said again.
                Ok(Err(CallError::Failed(failure))) if may_have_happened(failure.code) => {}
                Ok(Err(CallError::Failed(failure))) => return Err(failure),
                Ok(Err(CallError::Frame(error))) => return Err(failure(Code::TooLarge, error.to_string())),
                Ok(Err(CallError::Away)) | Err(_) => {}
            }
        }
        let at = self.clock.now_ms();
        let spooled = Spooled { number: number.get(), event, at, caller, publish };
        let spool = Arc::clone(&self.spool);
        // Goes on to its end also where the script does not wait any more: what is kept must be known to be kept.
        let kept = tokio::spawn(async move { spool.append(number, spooled).await }).await;
        match kept {
            Ok(Ok(())) => Ok(ServiceReply::Published(Published { event: Some(event), deliveries: 0 })),
            Ok(Err(error)) => Err(self.not_kept(&error)),
            Err(_panicked) => Err(self.not_kept(&SpoolError::Closed)),
        }
    }

    fn not_kept(&self, error: &SpoolError) -> ServiceFailure {
        let away = self.slot.link().is_none().then(|| self.slot.failure().message);
        let away = away.map(|away| format!("{away}, and ")).unwrap_or_default();
        match error {
            SpoolError::Full => failure(Code::StorageFull, format!("{away}this node has no more room for publishes")),
            error => {
                tracing::error!(%error, "a publish could not be kept");
                failure(Code::Internal, format!("{away}this node cannot keep the publish"))
            }
        }
    }
}

/// Whether a publish that ended so may have been stored, or may be taken later.
pub(super) fn may_have_happened(code: Code) -> bool {
    matches!(code, Code::NodeAway | Code::Deadline | Code::Internal)
}

fn failure(code: Code, message: String) -> ServiceFailure {
    ServiceFailure { code, message }
}

/// Refuses at once what an appliance would refuse for good: once it is in the spool, nobody waits for the answer.
fn check(publish: &Publish, limits: &Limits) -> Result<(), ServiceFailure> {
    let malformed = |message: String| failure(Code::Malformed, message);
    check_topic(&publish.topic).map_err(malformed)?;
    let (bytes, max) = (publish.value.len() as u64, limits.event_value_bytes);
    if bytes > max {
        let message = format!("the value to publish has {bytes} bytes, more than event_value_bytes = {max}");
        return Err(failure(Code::TooLarge, message));
    }
    let json = serde_json::from_slice::<serde::de::IgnoredAny>(&publish.value);
    json.map_err(|error| malformed(format!("the value to publish is no JSON: {error}")))?;
    if publish.delay_ms > DELAY_MS_MAX {
        return Err(malformed(format!("`delay_ms` is {}, more than {DELAY_MS_MAX}", publish.delay_ms)));
    }
    match publish.dedup_key.as_deref().map(str::len) {
        Some(0) => Err(malformed("`dedup_key` is empty".to_owned())),
        Some(bytes) if bytes > DEDUP_KEY_BYTES_MAX => {
            Err(malformed(format!("`dedup_key` has {bytes} bytes, more than {DEDUP_KEY_BYTES_MAX}")))
        }
        _fits => Ok(()),
    }
}
