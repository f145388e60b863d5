//! The history's bounds, and appliances that know of each other.

use crate::conformance::NOW;
use crate::conformance::executions::run;
use crate::temp_pg::TempPg;
use crate::{open, open_on, open_with};
use picloud_model::execution::{Execution, ExecutionQuery, Outcome};
use picloud_model::ids::AppId;
use picloud_store::{OpenSettings, Store};
use std::time::Duration;
use tokio::time::timeout;

/// What another appliance did is heard of long before this.
const SOON: Duration = Duration::from_secs(20);

async fn numbers(store: &dyn Store, app: AppId) -> Vec<u128> {
    let query = ExecutionQuery { limit: Some(1_000), ..ExecutionQuery::default() };
    store.executions(app, &query).await.unwrap().items.iter().map(|run| run.id.0.as_u128()).collect()
}

#[tokio::test]
async fn an_app_keeps_so_many_runs_and_those_that_failed_longest() {
    let (dir, pg) = (tempfile::tempdir().unwrap(), TempPg::new());
    let settings = OpenSettings {
        database_url: Some(pg.url()),
        history_app_runs_max: 5,
        ..OpenSettings::new(dir.path().join("data"))
    };
    let store = open_with(settings).await.unwrap();
    let (app, other) = (AppId(1), AppId(2));
    let failed = |number| Execution { outcome: Outcome::Failed, ..run(app, "a", number) };
    store
        .add_executions(vec![failed(1), run(app, "a", 2), failed(3), run(app, "a", 4), run(other, "a", 9)])
        .await
        .unwrap();
    store.add_executions((5..8).map(|number| run(app, "a", number)).collect()).await.unwrap();
    assert_eq!(numbers(&*store, app).await, [7, 6, 5, 3, 1]);
    store.add_executions((10..14).map(failed).collect()).await.unwrap();
    assert_eq!(numbers(&*store, app).await, [13, 12, 11, 10, 3], "where none went well, the oldest that failed");
    assert_eq!(numbers(&*store, other).await, [9], "each app has its own");
    // Told again, they are counted once.
    store.add_executions((10..14).map(failed).collect()).await.unwrap();
    assert_eq!(numbers(&*store, app).await, [13, 12, 11, 10, 3]);
    assert_eq!(pg.sql("SELECT app_id, runs FROM execution_totals ORDER BY 1"), "1|5\n2|1");
}

#[tokio::test]
async fn the_history_keeps_so_many_bytes_of_all_apps() {
    let (dir, pg) = (tempfile::tempdir().unwrap(), TempPg::new());
    let settings = OpenSettings {
        database_url: Some(pg.url()),
        history_bytes_max: 500_000,
        ..OpenSettings::new(dir.path().join("data"))
    };
    let store = open_with(settings).await.unwrap();
    let large = |app: i64, number: u128| Execution {
        error_json: format!("\"{}\"", "x".repeat(4_000)),
        started_at: NOW + i64::try_from(number).unwrap(),
        ..run(AppId(app), "a", number)
    };
    for batch in 0..10_u128 {
        let runs = (0..50).map(|number| large(1 + i64::try_from(number % 2).unwrap(), batch * 50 + number)).collect();
        store.add_executions(runs).await.unwrap();
    }
    let kept = numbers(&*store, AppId(1)).await.len() + numbers(&*store, AppId(2)).await.len();
    assert!((50..=120).contains(&kept), "{kept} runs of 4 kB in 500 kB");
    assert_eq!(numbers(&*store, AppId(2)).await[0], 499, "the newest are there");
    let stored = "SELECT sum(octet_length(body)) <= 500000 FROM executions";
    assert_eq!(pg.sql(stored), "t");
    store.expire_executions(i64::MAX, 1_000).await.unwrap();
    assert_eq!(pg.sql("SELECT count(*) FROM execution_totals"), "0", "nothing is counted that is not there");
}

#[tokio::test]
async fn appliances_know_where_the_others_are_while_they_are_there() {
    let (one, (dir, pg)) = open().await;
    let other = open_on(&pg, &dir.path().join("other")).await.unwrap();
    let named = |name: &str, addr: &str| vec![(name.to_owned(), addr.to_owned())];
    assert!(one.others().await.unwrap().is_empty(), "it has not said where it is");
    let mut told = one.others_signal();
    told.mark_unchanged();
    other.say_here("attic", "10.0.0.2:8443").await.unwrap();
    timeout(SOON, told.changed()).await.expect("it is told").unwrap();
    assert_eq!(one.others().await.unwrap(), named("attic", "10.0.0.2:8443"));
    other.say_here("attic", "10.0.0.3:8443").await.unwrap();
    one.say_here("cellar", "10.0.0.1:8443").await.unwrap();
    assert_eq!(one.others().await.unwrap(), named("attic", "10.0.0.3:8443"));
    assert_eq!(other.others().await.unwrap(), named("cellar", "10.0.0.1:8443"));
    drop(other);
    timeout(SOON, async {
        while !one.others().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("who is gone is none of the others");
    one.say_here("cellar", "10.0.0.1:8443").await.unwrap();
    assert_eq!(pg.sql("SELECT name FROM appliances"), "cellar", "nor does its row stay");
}
