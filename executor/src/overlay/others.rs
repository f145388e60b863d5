//! Topics, timers and other servers of a dry run: nothing leaves it. Secrets it is told, and they are remembered.

use super::{Ports, Written, elsewhere};
use crate::context::CallContext;
use crate::services::{Http, PubSub, Secrets, Timers};
use picloud_model::clock::rfc3339;
use picloud_model::http_call::{HttpAnswer, HttpCall};
use picloud_model::ids::{EventId, TimerId};
use picloud_model::protocol::ServiceFailure;
use picloud_model::publish::{Publish, Published};
use picloud_model::timer::{TimerReply, TimerRequest};

impl Written {
    /// Notes a publish, and answers with an event that nobody will see.
    pub(super) fn publish(&mut self, what: &str, publish: &Publish) -> Published {
        if let Some(key) = &publish.dedup_key
            && !self.dedup_keys.insert((publish.topic.clone(), key.clone()))
        {
            return Published { event: None, deliveries: 0 };
        }
        let delay = if publish.delay_ms > 0 { format!(" in {} ms", publish.delay_ms) } else { String::new() };
        self.would(what, format!("{}{delay}", publish.topic), &publish.value);
        Published { event: Some(EventId::new()), deliveries: 0 }
    }
}

impl Secrets for Ports {
    fn secret(&self, call: &CallContext, name: &str) -> Result<String, ServiceFailure> {
        let _kept_elsewhere = elsewhere(0);
        let value = self.base.secrets.secret(call, name)?;
        self.written().secrets.add(&value);
        Ok(value)
    }
}

impl PubSub for Ports {
    fn publish(&self, _call: &CallContext, publish: Publish) -> Result<Published, ServiceFailure> {
        let _kept_elsewhere = elsewhere(publish.value.capacity());
        Ok(self.written().publish("pubsub::publish", &publish))
    }

    fn publish_ephemeral(&self, _call: &CallContext, topic: &str, value: Vec<u8>) -> Result<(), ServiceFailure> {
        let _kept_elsewhere = elsewhere(value.capacity());
        self.written().would("pubsub::publish_ephemeral", topic, &value);
        Ok(())
    }
}

impl Timers for Ports {
    fn timer(&self, _call: &CallContext, request: TimerRequest) -> Result<TimerReply, ServiceFailure> {
        let _kept_elsewhere = elsewhere(match &request {
            TimerRequest::After { value, .. } | TimerRequest::At { value, .. } => value.capacity(),
            TimerRequest::Cancel(_) => 0,
        });
        let mut written = self.written();
        let (what, target, value) = match request {
            TimerRequest::After { ms, script, value } => ("timer::after", format!("{script} in {ms} ms"), value),
            TimerRequest::At { at, script, value } => ("timer::at", format!("{script} at {}", rfc3339(at)), value),
            TimerRequest::Cancel(id) => {
                let was = written.timers.remove(&id) || written.cancelled.insert(id);
                written.cancelled.insert(id);
                if was {
                    written.would("timer::cancel", id.to_string(), b"");
                }
                return Ok(TimerReply::Cancelled(was));
            }
        };
        written.would(what, target, &value);
        let id = TimerId::new();
        written.timers.insert(id);
        Ok(TimerReply::Set(id))
    }
}

impl Http for Ports {
    fn http(&self, _call: &CallContext, request: HttpCall) -> Result<HttpAnswer, ServiceFailure> {
        let _kept_elsewhere = elsewhere(request.body.capacity());
        self.written().would("http::request", format!("{} {}", request.method, request.url), &request.body);
        let headers = vec![("x-picloud-dry-run".to_owned(), "1".to_owned())];
        Ok(HttpAnswer { status: 200, headers, body: Vec::new() })
    }
}
