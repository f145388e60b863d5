//! Topics, timers and requests that are answered later, as workers ask for them.

use super::{StoreHost, failure, from_problem};
use crate::admin::from_store;
use picloud_model::async_request::{IDEMPOTENCY_KEY_BYTES_MAX, NewAsyncRequest};
use picloud_model::clock::UnixMs;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AsyncRequestId, TimerId};
use picloud_model::limits::Limits;
use picloud_model::node::NodeId;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::Once;
use picloud_model::protocol::{AppSnapshot, Caller, ServiceFailure, ServiceReply};
use picloud_model::publish::{DEDUP_KEY_BYTES_MAX, DELAY_MS_MAX, Publish, check_topic};
use picloud_model::script::ScriptKind;
use picloud_model::timer::{NewTimer, TimerReply, TimerRequest};

type Answer = Result<ServiceReply, ServiceFailure>;

/// Refuses a topic of a wrong shape, a value that is too large or no JSON, a delay that is too long.
pub(crate) fn check(publish: &Publish, limits: &Limits) -> Result<(), Problem> {
    let malformed = |message: String| Problem::new(Code::Malformed, message);
    check_topic(&publish.topic).map_err(malformed)?;
    check_value("the value to publish", &publish.value, limits)?;
    if publish.delay_ms > DELAY_MS_MAX {
        let ms = publish.delay_ms;
        return Err(malformed(format!("`delay_ms` is {ms}, more than {DELAY_MS_MAX}")).hint("a year is the most"));
    }
    match publish.dedup_key.as_deref().map(str::len) {
        Some(0) => Err(malformed("`dedup_key` is empty".to_owned()).hint("leave it out")),
        Some(bytes) if bytes > DEDUP_KEY_BYTES_MAX => {
            Err(malformed(format!("`dedup_key` has {bytes} bytes, more than {DEDUP_KEY_BYTES_MAX}")))
        }
        _ => Ok(()),
    }
}

/// Refuses a value of an event that is too large or no JSON.
pub(crate) fn check_value(what: &str, value: &[u8], limits: &Limits) -> Result<(), Problem> {
    let max = limits.event_value_bytes;
    if value.len() as u64 > max {
        let detail = format!("{what} has {} bytes, more than event_value_bytes = {max}", value.len());
        return Err(Problem::new(Code::TooLarge, detail)
            .limit("event_value_bytes", max)
            .hint("keep what is large in KV or in a file, and publish its key"));
    }
    let json = serde_json::from_slice::<serde::de::IgnoredAny>(value);
    json.map(|_any| ()).map_err(|error| Problem::new(Code::Malformed, format!("{what} is no JSON: {error}")))
}

impl StoreHost {
    pub(super) async fn publish(&self, app: &AppSnapshot, caller: &Caller, publish: Publish) -> Answer {
        check(&publish, &app.limits).map_err(from_problem)?;
        let bytes = (publish.topic.len() + publish.value.len()) as u64;
        let published = self.store.publish(app.id, publish, &self.cause(app, caller)).await;
        let published = published.map_err(|error| from_problem(from_store(error)))?;
        if published.deliveries > 0 {
            self.metrics.written(&app.name, &caller.script, bytes);
        }
        Ok(ServiceReply::Published(published))
    }

    /// A publish of a node, which it says until it is answered, and which is done once.
    pub(crate) async fn publish_once(&self, caller: &Caller, publish: Publish, node: &NodeId, once: Once) -> Answer {
        let Some(app) = self.registry.app(caller.app) else {
            return Err(failure(Code::NotFound, "the app of this publish does not exist any more"));
        };
        check(&publish, &app.limits).map_err(from_problem)?;
        let bytes = (publish.topic.len() + publish.value.len()) as u64;
        let published = self.store.publish_once(app.id, publish, &self.cause(&app, caller), node, once).await;
        let published = published.map_err(|error| from_problem(from_store(error)))?;
        if published.deliveries > 0 {
            self.metrics.written(&app.name, &caller.script, bytes);
        }
        Ok(ServiceReply::Published(published))
    }

    pub(super) fn publish_ephemeral(&self, app: &AppSnapshot, topic: String, value: Vec<u8>) -> Answer {
        check_topic(&topic).map_err(|message| failure(Code::Malformed, &message))?;
        check_value("the value to publish", &value, &app.limits).map_err(from_problem)?;
        self.topics.publish(app.id, topic, value, self.clock.now_ms());
        Ok(ServiceReply::Done)
    }

    pub(super) async fn timer(&self, app: &AppSnapshot, caller: &Caller, request: TimerRequest) -> Answer {
        let now = self.clock.now_ms();
        let (due_at, script, value) = match request {
            TimerRequest::Cancel(id) => {
                let cancelled = self.store.cancel_timer(app.id, id).await;
                let cancelled = cancelled.map_err(|error| from_problem(from_store(error)))?;
                return Ok(ServiceReply::Timer(TimerReply::Cancelled(cancelled)));
            }
            TimerRequest::After { ms, script, value } => (now.saturating_add_unsigned(ms), script, value),
            TimerRequest::At { at, script, value } => (at.max(now), script, value),
        };
        check_timer(app, &script, due_at, now).map_err(from_problem)?;
        check_value("the timer's value", &value, &app.limits).map_err(from_problem)?;
        let timer = NewTimer { id: TimerId::new(), script, due_at, value };
        let (id, bytes) = (timer.id, timer.value.len() as u64);
        let set = self.store.set_timer(app.id, timer, &self.cause(app, caller)).await;
        set.map_err(|error| from_problem(from_store(error)))?;
        self.metrics.written(&app.name, &caller.script, bytes);
        Ok(ServiceReply::Timer(TimerReply::Set(id)))
    }

    pub(super) async fn accept(&self, app: &AppSnapshot, caller: &Caller, request: NewAsyncRequest) -> Answer {
        if request.idempotency_key.as_ref().is_some_and(|key| key.len() > IDEMPOTENCY_KEY_BYTES_MAX) {
            let detail = format!("`Idempotency-Key` has more than {IDEMPOTENCY_KEY_BYTES_MAX} bytes");
            return Err(failure(Code::Malformed, &detail));
        }
        let hash = hash_of(&request);
        let bytes = request.request.body.len() as u64;
        let accepted = self.store.accept(app.id, request, hash, &self.cause(app, caller)).await;
        let accepted = accepted.map_err(|error| from_problem(from_store(error)))?;
        self.metrics.written(&app.name, &caller.script, bytes);
        Ok(ServiceReply::Accepted(accepted))
    }

    pub(super) async fn async_state(&self, id: AsyncRequestId) -> Answer {
        let state = self.store.async_state(id, self.clock.now_ms()).await;
        let mut state = state.map_err(|error| from_problem(from_store(error)))?;
        if let Some(state) = &mut state {
            // A claim is written nowhere.
            state.running = self.causes.is_for(id);
        }
        Ok(ServiceReply::AsyncState(state))
    }
}

/// Refuses what is no endpoint of the app, and a time that is too far.
fn check_timer(app: &AppSnapshot, script: &str, due_at: UnixMs, now: UnixMs) -> Result<(), Problem> {
    match app.script(script).map(|entry| entry.kind) {
        Some(ScriptKind::Endpoint) => {}
        Some(ScriptKind::Module) => {
            return Err(Problem::new(Code::Invalid, format!("`{script}` is a module; timers start endpoints")));
        }
        None => {
            return Err(Problem::new(Code::NotFound, format!("app `{}` has no script `{script}`", app.name)));
        }
    }
    if now.saturating_add_unsigned(DELAY_MS_MAX) < due_at {
        return Err(Problem::new(Code::Malformed, format!("the timer is more than {DELAY_MS_MAX} ms away"))
            .hint("a year is the most"));
    }
    Ok(())
}

/// What makes two requests with one idempotency key the same one.
fn hash_of(request: &NewAsyncRequest) -> ContentHash {
    let http = &request.request;
    let mut bytes = Vec::with_capacity(http.path.len() + http.body.len() + 64);
    for part in [http.method.as_bytes(), http.path.as_bytes(), request.script.as_bytes(), &http.body] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    ContentHash::of(&bytes)
}
