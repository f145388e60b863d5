//! `serve`: the appliance of a machine, until a signal ends it.

use super::{Stopped, signals::Signals, terminal};
use crate::appliance::{Appliance, Start};
use crate::config::Config;

/// Runs the appliance.
pub(super) fn run(config: Config) -> Result<(), Stopped> {
    terminal::start_log(&config.settings.log, true);
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let appliance = Appliance::start(Start { config, dev: false, on_executions: None }).await?;
        say_where(&appliance);
        signals.next().await;
        end(&appliance, signals).await;
        Ok(())
    })
}

/// Says at which doors it answers.
pub(super) fn say_where(appliance: &Appliance) {
    terminal::say(&format!(
        "PiCloud {} answers on http://{} (admin socket {})",
        env!("CARGO_PKG_VERSION"),
        appliance.ingress_addr(),
        appliance.admin_socket().display()
    ));
    if let Some(https) = appliance.https() {
        terminal::say(&format!(
            "admin API on https://{} (CA fingerprint SHA256 {})",
            https.addr(),
            https.fingerprint()
        ));
    }
}

/// Ends in order, or at once where a second signal comes.
pub(super) async fn end(appliance: &Appliance, mut signals: Signals) {
    tokio::select! {
        () = appliance.stop() => {}
        () = signals.next() => tracing::warn!("a second signal came: not waiting for what is under way"),
    }
}

/// The appliance's own threads: the store and the worker do the heavy part elsewhere.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}
