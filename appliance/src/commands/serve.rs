//! `serve`: the appliance of a machine, until a signal ends it.

use super::{Stopped, signals::Signals, terminal};
use crate::appliance::{Appliance, Start};
use crate::config::Config;
use crate::health;
use picloud_cluster::service::{Service, is_where_wanted};

/// Runs the appliance.
pub(super) fn run(config: Config) -> Result<(), Stopped> {
    // Before there is a second thread.
    let Service { notifier, watchdog, ingress, journal } = Service::take("picloud-appliance")?;
    let set_in = config.origins.get("ingress_addr");
    is_where_wanted(&ingress, config.settings.ingress_addr, set_in, "picloud-appliance")?;
    let log_priorities = journal.is_some();
    terminal::start_service_log(&config.settings.log, journal);
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        notifier.status("starts: opens the database, and starts the worker");
        let start = Start { config, dev: false, on_executions: None, ingress, log_priorities };
        let appliance = Appliance::start(start).await?;
        say_where(&appliance);
        notifier.ready(&health::status(&appliance));
        let fed = watchdog.map(|period| health::feed(&appliance, &notifier, period)).transpose()?;
        signals.next().await;
        // What ends in order is not ended for being slow.
        drop(fed);
        notifier.stopping();
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
