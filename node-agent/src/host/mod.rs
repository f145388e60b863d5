//! What the worker asks, answered from an appliance; where none answers, from the cache and into the spool.

mod contents;
mod forward_spool;
mod publish;

pub use contents::Contents;
pub use forward_spool::forward;

use crate::appliance::CallError;
use crate::apps::Apps;
use crate::outgoing::Outgoing;
use crate::slot::Slot;
use crate::spool::Spool;
use async_trait::async_trait;
use picloud_model::clock::Clock;
use picloud_model::execution::Execution;
use picloud_model::http_call::HttpCall;
use picloud_model::problem::Code;
use picloud_model::protocol::{Caller, Counts, LostRun, ServiceFailure, ServiceReply, ServiceRequest, Snapshot};
use picloud_orchestrator::outbound::Outbound;
use picloud_orchestrator::supervisor::{Host, HostError};
use std::sync::Arc;
use std::time::Duration;

/// How much sooner an appliance is to answer than the worker stops waiting, so that its answer is what is seen.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);

/// Answers the worker.
pub struct NodeHost {
    /// What is served.
    pub apps: Arc<Apps>,
    /// The appliance, when it answers.
    pub slot: Slot,
    /// Sources and static files.
    pub contents: Arc<Contents>,
    /// Publishes that wait.
    pub spool: Arc<Spool>,
    /// What is to be told.
    pub outgoing: Arc<Outgoing>,
    /// Requests to somebody else's servers.
    pub outbound: Arc<Outbound>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

type Answer = Result<ServiceReply, ServiceFailure>;

#[async_trait]
impl Host for NodeHost {
    async fn call(&self, caller: Caller, deadline: Duration, request: ServiceRequest) -> Answer {
        // What is not asked for all the time is boxed: all calls would be as large as the largest of them otherwise.
        match request {
            ServiceRequest::Source(hash) => Box::pin(self.contents.source(&hash, caller)).await,
            ServiceRequest::Static { hash, offset, len } => {
                Box::pin(self.contents.file(&hash, offset, len, caller)).await
            }
            ServiceRequest::Secret { script, name } => match self.apps.secret(caller.app, &script, &name) {
                Some(value) => Ok(ServiceReply::Secret(value)),
                // The appliance knows it, or why it cannot be read.
                None => self.ask(caller, deadline, ServiceRequest::Secret { script, name }).await,
            },
            ServiceRequest::Publish(publish) => Box::pin(self.publish(caller, deadline, publish)).await,
            ServiceRequest::Http(call) => Box::pin(self.http(caller, deadline, call)).await,
            request => self.ask(caller, deadline, request).await,
        }
    }

    async fn snapshot(&self) -> Result<Snapshot, HostError> {
        if self.apps.known() {
            Ok(Snapshot { revision: 0, ..self.apps.snapshot() })
        } else {
            Err(HostError("no appliance has said yet what to serve".to_owned()))
        }
    }

    fn executions(&self, executions: Vec<Execution>) {
        self.outgoing.executions(executions);
    }

    fn counts(&self, counts: Counts) {
        self.outgoing.counts(counts);
    }

    async fn worker_lost(&self, runs: Vec<LostRun>) {
        self.outgoing.lost(runs);
    }
}

impl NodeHost {
    /// Asks the appliance.
    async fn ask(&self, caller: Caller, deadline: Duration, request: ServiceRequest) -> Answer {
        let link = self.slot.link().ok_or_else(|| self.slot.failure())?;
        let left = deadline.saturating_sub(ANSWER_MARGIN).max(deadline / 2);
        match link.call(caller, left, None, request).await {
            Ok(reply) => Ok(reply),
            Err(CallError::Failed(failure)) => Err(failure),
            Err(CallError::Away) => Err(crate::slot::unanswered()),
            Err(CallError::Frame(error)) => Err(ServiceFailure { code: Code::TooLarge, message: error.to_string() }),
        }
    }

    /// Sends it from here, as far as the app may.
    async fn http(&self, caller: Caller, deadline: Duration, mut call: HttpCall) -> Answer {
        let Some(app) = self.apps.app(caller.app) else {
            let message = "the app of this run does not exist any more".to_owned();
            return Err(ServiceFailure { code: Code::NotFound, message });
        };
        call.body_bytes_max = call.body_bytes_max.min(app.limits.http_body_bytes);
        self.outbound.send(app.id, &app.http_allow, call, deadline).await.map(ServiceReply::Http)
    }
}
