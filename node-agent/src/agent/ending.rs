//! How the agent ends: it was told to, or the node was removed.

use super::{Agent, Event, at};
use crate::identity::Belonging;
use picloud_model::problem::Code;
use picloud_model::protocol::node::ToNode;
use picloud_model::protocol::{RunRequest, ServiceFailure};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long the appliance may take, at the end, to take what it is told.
const LAST_RESULTS_MAX: Duration = Duration::from_secs(2);

impl Agent {
    /// Lets runs end, tells what came of them, and says goodbye.
    pub(super) async fn stop(&mut self, happens: &mut mpsc::Receiver<Event>) {
        tracing::info!("stops: runs under way may end");
        let worker = Arc::clone(&self.worker);
        let mut stopping = std::pin::pin!(async move { worker.stop().await });
        let mut stopped_at: Option<Instant> = None;
        loop {
            let is_told = self.held.is_empty() && (self.context.outgoing.is_empty() || self.link.is_none());
            if stopped_at.is_some() && is_told {
                break;
            }
            let give_up = stopped_at.map(|at| at + LAST_RESULTS_MAX);
            tokio::select! {
                () = &mut stopping, if stopped_at.is_none() => stopped_at = Some(Instant::now()),
                () = at(give_up) => break,
                event = happens.recv() => match event {
                    // Whoever asks twice does not want to wait.
                    Some(Event::Stop | Event::Retired(_) | Event::Said(ToNode::Retired)) | None => break,
                    Some(Event::Said(ToNode::Run(runs))) => self.refuse(runs),
                    Some(event) => self.take(event),
                },
            }
        }
        if let Some(link) = self.link.take() {
            link.goodbye().await;
        }
    }

    /// The node stops: it runs nothing more.
    fn refuse(&self, runs: Vec<RunRequest>) {
        for run in runs {
            let message = "the node stops".to_owned();
            self.context.outgoing.result(run.execution_id, Err(ServiceFailure { code: Code::NodeAway, message }));
        }
    }

    /// Forgets everything of the appliance, but not that it was removed.
    pub(super) async fn retire(&mut self, who: &str) {
        let lost = self.spool.waiting();
        tracing::warn!(publishes_lost = lost, "this node was removed from its appliance: {who}");
        let retired = Belonging::Retired { appliance: who.to_owned(), at: self.context.clock.now_ms() };
        if let Err(error) = self.context.belongs(retired) {
            tracing::error!("that this node was removed cannot be written down: {error}");
        }
        if let Some(link) = self.link.take() {
            link.leave();
            link.end("this node was removed");
        }
        self.context.apps.clear();
        self.worker.stop().await;
        let (cache, snapshot) = (Arc::clone(&self.cache), self.snapshot.clone());
        let forgotten = tokio::task::spawn_blocking(move || snapshot.remove().and_then(|()| cache.clear())).await;
        if let Ok(Err(error)) = forgotten {
            tracing::error!(%error, "what this node has kept of its appliance is not all removed");
        }
    }
}
