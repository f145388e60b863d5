//! Whether the agent is alive: its spool answers a read, its worker answers, and its loop has come to say so.
//!
//! The service manager's watchdog is fed by it. That no appliance answers is no reason to start anew.

use crate::agent::Event;
use crate::context::Context;
use crate::slot::State;
use crate::spool::Spool;
use crate::worker::Worker;
use picloud_cluster::identity::fingerprint_groups;
use picloud_cluster::service::{Notifier, Stuck, Watchdog, ask_the_loop};
use picloud_model::clock::rfc3339;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// The parts that must answer.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) context: Arc<Context>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) events: mpsc::Sender<Event>,
}

impl Watched {
    /// Waits until requests are answered; at once where there is nothing to serve yet.
    pub(crate) async fn ready(&self) {
        while let Err(why) = self.worker.answers(Duration::from_secs(1)).await {
            tracing::debug!(why, "the worker does not answer yet");
        }
    }

    /// Feeds the watchdog of `period` for as long as what it answers is kept. Called in the runtime that is watched.
    pub(crate) fn feed(&self, notifier: &Notifier, period: Duration) -> std::io::Result<Watchdog> {
        let (watched, shown, runtime) = (self.clone(), notifier.clone(), Handle::current());
        Watchdog::start(notifier.clone(), period, move |within| {
            let asked = watched.clone();
            ask_the_loop(within, |within, answer| {
                runtime.spawn(async move {
                    // Nobody waits any more where that took too long.
                    let _late = answer.send(asked.check(within).await);
                });
            })?;
            shown.status(&watched.status());
            Ok(())
        })
    }

    /// One line for `systemctl status`.
    pub(crate) fn status(&self) -> String {
        let Some(member) = self.context.member() else {
            let fingerprint = fingerprint_groups(&self.context.key.fingerprint());
            return format!("waits to be let in by an appliance; fingerprint: {fingerprint}");
        };
        let appliance = match self.context.slot.state() {
            State::Up(link) => format!("its appliance answers at {}", link.address()),
            State::Away { since, why } => format!("no appliance answers since {}: {why}", rfc3339(since)),
        };
        let serves = if self.context.apps.known() {
            format!("answers on http://{}", self.worker.addr())
        } else {
            "has nothing to serve yet".to_owned()
        };
        format!("node `{}` {serves}; {appliance}", member.name)
    }

    async fn check(&self, within: Duration) -> Result<(), Stuck> {
        let stuck = |part| move |why| Stuck { part, why };
        let worker = async { self.worker.answers(within).await.map_err(stuck("the worker")) };
        tokio::try_join!(self.spool_answers(within), self.agent_answers(within), worker).map(|_all| ())
    }

    async fn spool_answers(&self, within: Duration) -> Result<(), Stuck> {
        let stuck = |why| Err(Stuck { part: "the spool", why });
        match tokio::time::timeout(within, self.spool.front(1, 1)).await {
            Ok(Ok(_read)) => Ok(()),
            Ok(Err(error)) => stuck(format!("a read failed: {error}")),
            Err(_elapsed) => stuck(format!("a read was not answered within {:.1} s", within.as_secs_f64())),
        }
    }

    /// The loop over what happens takes this as it takes everything.
    async fn agent_answers(&self, within: Duration) -> Result<(), Stuck> {
        let answers = async {
            let (answer, answered) = oneshot::channel();
            // Where its end of either channel is gone the agent is ending, which is not for the watchdog to hurry.
            if self.events.send(Event::Alive(answer)).await.is_ok() {
                let _ending = answered.await;
            }
        };
        let why = || format!("it took nothing that happens for {:.1} s", within.as_secs_f64());
        let waited = tokio::time::timeout(within, answers).await;
        waited.map_err(|_elapsed| Stuck { part: "the agent", why: why() })
    }
}
