//! `run`: the node of a machine, until a signal ends it or somebody removes it.

use super::{Stopped, runtime, terminal};
use crate::agent::Ended;
use crate::config::Settings;
use crate::start;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Signals that wait to be taken: a first one, and one from somebody who does not want to wait.
const SIGNALS_MAX: usize = 2;

/// Runs the agent.
pub(super) fn run(settings: Settings) -> Result<(), Stopped> {
    terminal::start_log(&settings.log);
    // A second call (only tests could make one) keeps the first provider.
    let _already = rustls::crypto::ring::default_provider().install_default();
    runtime()?.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let running = start::start(settings)?;
        terminal::say(&running.says());
        let (sender, stop) = mpsc::channel(SIGNALS_MAX);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
        // As a task: what wakes the outermost future costs a look at all sockets each time.
        match tokio::spawn(running.run(stop)).await? {
            Ended::Stopped => {}
            Ended::Retired => terminal::say(
                "this node was removed from its appliance; `picloud-node reset` makes it a new node, which can join anew",
            ),
        }
        Ok(())
    })
}
