//! `run`: the node of a machine, until a signal ends it or somebody removes it.

use super::{Stopped, runtime, terminal};
use crate::agent::Ended;
use crate::config::Config;
use crate::health::Watched;
use crate::start::{self, Given, StartError};
use picloud_cluster::service::{Notifier, Service, Watchdog, ask_the_loop, is_where_wanted};
use picloud_model::problem::{Code, Problem};
use picloud_orchestrator::supervisor::answer_until;
use std::net::TcpListener;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Signals that wait to be taken: a first one, and one from somebody who does not want to wait.
const SIGNALS_MAX: usize = 2;
/// What a node ends with that was removed from its appliance: its unit does not start it again for that.
const EXIT_RETIRED: i32 = 3;

/// What somebody is told who looks after a node that was removed.
const REMOVED: &str =
    "this node was removed from its appliance; `picloud-node reset` makes it a new node, which can join anew";

/// Runs the agent.
pub(super) fn run(config: Config) -> Result<(), Stopped> {
    // Before there is a second thread.
    let Service { notifier, watchdog, ingress, journal } = Service::take("picloud-node")?;
    is_where_wanted(&ingress, config.settings.ingress_addr, config.origins.get("ingress_addr"), "picloud-node")?;
    let given = Given { ingress, log_priorities: journal.is_some() };
    terminal::start_log(&config.settings.log, journal);
    // A second call (only tests could make one) keeps the first provider.
    let _already = rustls::crypto::ring::default_provider().install_default();
    runtime()?.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let held = given.ingress.iter().map(TcpListener::try_clone).collect::<std::io::Result<Vec<_>>>()?;
        let running = match start::start(config.settings, given) {
            Err(error @ StartError::Retired { .. }) => {
                terminal::complain(&format!("error: {error}"));
                if held.is_empty() {
                    std::process::exit(EXIT_RETIRED)
                }
                tokio::select! {
                    () = refuse(&held, &notifier, watchdog) => {}
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                return Ok(());
            }
            started => started?,
        };
        terminal::say(&running.says());
        let alive = tokio::spawn(live(running.watched(), notifier.clone(), watchdog));
        let (sender, stop) = mpsc::channel(SIGNALS_MAX);
        let (ending, said) = (alive.abort_handle(), notifier.clone());
        let signals = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                // What ends in order is not ended for being slow.
                ending.abort();
                said.stopping();
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
        // As a task: what wakes the outermost future costs a look at all sockets each time.
        match tokio::spawn(running.run(stop)).await? {
            Ended::Stopped => {}
            Ended::Retired => {
                terminal::say(REMOVED);
                alive.abort();
                if !held.is_empty() {
                    tokio::select! {
                        () = refuse(&held, &notifier, watchdog) => {}
                        // It ends with the first signal, for nobody takes that any more.
                        _over = signals => {}
                    }
                }
            }
        }
        Ok(())
    })
}

/// Answers clients of a node that was removed. Were it to end, the next of them would have systemd start it again, in vain
/// and for ever.
async fn refuse(ingress: &[TcpListener], notifier: &Notifier, watchdog: Option<Duration>) {
    notifier.ready(REMOVED);
    let runtime = tokio::runtime::Handle::current();
    let check = move |within| {
        ask_the_loop(within, |_within, answer| {
            // Nobody waits any more where the loop came to it too late.
            runtime.spawn(async move { drop(answer.send(Ok(()))) });
        })
    };
    let fed = watchdog.map(|period| Watchdog::start(notifier.clone(), period, check)).transpose();
    if let Err(error) = &fed {
        tracing::error!(%error, "the watchdog cannot be fed: systemd will start this service anew");
    }
    let problem = Problem::new(Code::NodeAway, "this node was removed from its appliance").hint(
        "systemctl stop picloud-node.socket picloud-node; picloud-node reset makes it a new node, which can join anew",
    );
    answer_until(std::future::pending(), ingress, &problem).await;
}

/// Says that the node is ready, once it is, and that it is alive from then on.
async fn live(watched: Watched, notifier: Notifier, watchdog: Option<Duration>) {
    notifier.status("starts: the worker answers from what it was told the last time");
    watched.ready().await;
    notifier.ready(&watched.status());
    let fed = watchdog.map(|period| watched.feed(&notifier, period)).transpose();
    if let Err(error) = &fed {
        tracing::error!(%error, "the watchdog cannot be fed: systemd will start this service anew");
    }
    // The watchdog is fed for as long as this waits.
    std::future::pending::<()>().await;
}
