//! Whether the appliance is alive: its database answers a read, its worker answers, and its loop has come to ask both.
//!
//! The service manager's watchdog is fed by it. Slow is not stuck, and what starting anew would not mend is not either.

use crate::appliance::Appliance;
use picloud_cluster::service::{Notifier, Stuck, Watchdog, ask_the_loop};
use picloud_orchestrator::supervisor::Supervisor;
use picloud_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Feeds the watchdog of `period` for as long as what it answers is kept. Called in the runtime that is watched.
pub(crate) fn feed(appliance: &Arc<Appliance>, notifier: &Notifier, period: Duration) -> std::io::Result<Watchdog> {
    let (appliance, shown, runtime) = (Arc::clone(appliance), notifier.clone(), Handle::current());
    Watchdog::start(notifier.clone(), period, move |within| {
        let asked = Arc::clone(&appliance);
        ask_the_loop(within, |within, answer| {
            runtime.spawn(async move {
                // Nobody waits any more where that took too long.
                let _late = answer.send(check(asked.store.as_ref(), &asked.supervisor, within).await);
            });
        })?;
        shown.status(&status(&appliance));
        Ok(())
    })
}

/// One line for `systemctl status`.
pub(crate) fn status(appliance: &Appliance) -> String {
    let apps = appliance.registry.all();
    let routes: usize = apps.iter().map(|app| app.routes.len()).sum();
    format!("answers on http://{} (apps: {}, routes: {routes})", appliance.ingress_addr(), apps.len())
}

async fn check(store: &dyn Store, supervisor: &Supervisor, within: Duration) -> Result<(), Stuck> {
    let worker = async {
        let answers = supervisor.answers(within).await;
        answers.map_err(|why| Stuck { part: "the worker", why })
    };
    tokio::try_join!(read(store.next_expiry(), within), worker).map(|_both| ())
}

/// A read that is answered within the time.
async fn read<T>(read: impl Future<Output = Result<T, StoreError>>, within: Duration) -> Result<(), Stuck> {
    let stuck = |why| Err(Stuck { part: "the database", why });
    match tokio::time::timeout(within, read).await {
        Ok(Ok(_read)) => Ok(()),
        // It is on another machine, and said to be away: a start of this program does not bring it back.
        Ok(Err(StoreError::Away(_why))) => Ok(()),
        Ok(Err(error)) => stuck(format!("a read failed: {}", picloud_model::problem::with_sources(&error))),
        Err(_elapsed) => stuck(format!("a read was not answered within {:.1} s", within.as_secs_f64())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_that_hangs_or_fails_is_stuck_and_a_database_elsewhere_that_is_away_is_not() {
        let within = Duration::from_millis(100);
        assert_eq!(read(async { Ok(()) }, within).await, Ok(()));
        assert_eq!(read(async { Err::<(), _>(StoreError::Away("no route".into())) }, within).await, Ok(()));
        let said = |found: Result<(), Stuck>| found.unwrap_err().to_string();
        assert_eq!(
            said(read(std::future::pending::<Result<(), StoreError>>(), within).await),
            "the database does not answer: a read was not answered within 0.1 s"
        );
        let failed = said(read(async { Err::<(), _>(StoreError::Backend("disk I/O error".into())) }, within).await);
        assert_eq!(failed, "the database does not answer: a read failed: the database failed: disk I/O error");
    }
}
