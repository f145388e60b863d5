//! What is counted, and when it is told.

use crate::asked::{get_of, run_of};
use crate::client::{get, until};
use crate::fake_host::{FakeHost, serve};
use picloud_model::AppId;
use picloud_model::limits::Limits;
use picloud_model::protocol::{Counts, RunRequest, RunsNow, ScriptCounts};
use picloud_orchestrator::supervisor::Supervisor;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All runs of `script` that were told so far: those that went well, those that failed, and by duration.
fn told(all: &[Counts], script: &str) -> (u64, u64, u64) {
    let of_script: Vec<&ScriptCounts> =
        all.iter().flat_map(|counts| &counts.scripts).filter(|counts| counts.script == script).collect();
    let sum = |number: fn(&ScriptCounts) -> u64| of_script.iter().map(|counts| number(counts)).sum::<u64>();
    (sum(|counts| counts.ok), sum(|counts| counts.failed), sum(|counts| counts.buckets.iter().sum()))
}

fn statuses(all: &[Counts], status: u16) -> u64 {
    all.iter().flat_map(|counts| &counts.statuses).filter(|(of, _)| *of == status).map(|(_, count)| count).sum()
}

pub(crate) async fn every_run_is_counted_once_and_told_at_most_once_a_second() {
    let scripts = [("good", "1"), ("bad", "throw 1")];
    let (host, supervisor, address) = serve(Limits::default(), &scripts).await;
    let began = Instant::now();
    for _ in 0..60 {
        assert_eq!(get(address, "/demo/good").await.status, 200);
    }
    for _ in 0..3 {
        assert_eq!(get(address, "/demo/bad").await.status, 500);
        assert_eq!(get(address, "/demo/notes.txt").await.status, 200);
        assert_eq!(get(address, "/nowhere").await.status, 404);
    }
    let all =
        until(&host.counts, |all| told(all, "good").0 == 60 && told(all, "bad").1 == 3 && statuses(all, 404) == 3)
            .await;
    assert_eq!((told(&all, "good"), told(&all, "bad")), ((60, 0, 60), (0, 3, 3)));
    assert_eq!((statuses(&all, 200), statuses(&all, 500)), (3, 0), "runs are not counted as answers without one");
    let good = all.iter().flat_map(|counts| &counts.scripts).find(|counts| counts.script == "good").unwrap();
    assert!(good.app == AppId(1) && good.duration_us > 0 && good.memory_bytes_max > 0, "{good:?}");
    let seconds = began.elapsed().as_secs() as usize;
    assert!(all.len() <= seconds + 2, "{} frames in {seconds} s", all.len());
    supervisor.stop().await;
}

pub(crate) async fn runs_asked_for_are_counted_and_drafts_are_not() {
    let (host, supervisor, _address) = serve(Limits::default(), &[("good", "1")]).await;
    let run = |script: &str, source: Option<&str>| RunRequest {
        source: source.map(str::to_owned),
        ..run_of(script, get_of("/"))
    };
    let patience = Duration::from_secs(20);
    supervisor.run(run("good", Some("2")), patience).await.unwrap();
    supervisor.run(run("unsaved", Some("2")), patience).await.unwrap();
    supervisor.run(run("good", None), patience).await.unwrap();
    let all = until(&host.counts, |all| told(all, "good").0 == 1).await;
    assert_eq!((told(&all, "good").2, told(&all, "unsaved").2), (1, 0));
    supervisor.stop().await;
}

pub(crate) async fn what_was_counted_last_is_told_when_the_worker_stops() {
    let (host, supervisor, address): (Arc<FakeHost>, _, _) = serve(Limits::default(), &[("good", "1")]).await;
    // The second comes before counts may be told again, so it is told by the end.
    get(address, "/demo/good").await;
    until(&host.counts, |all| told(all, "good").0 == 1).await;
    get(address, "/demo/good").await;
    supervisor.stop().await;
    assert_eq!(told(&host.counts.borrow(), "good").0, 2);
}

/// On a busy machine an answer may come too late, which is no answer.
async fn now(supervisor: &Supervisor) -> RunsNow {
    loop {
        if let Some(now) = supervisor.count().await {
            return now;
        }
    }
}

pub(crate) async fn whoever_asks_is_told_all_that_was_counted_and_how_many_runs_there_are() {
    let stalls = r#"kv::collection("c").has("k")"#;
    let (host, supervisor, address) = serve(Limits::default(), &[("good", "1"), ("stalls", stalls)]).await;
    for asked in 1..=20 {
        get(address, "/demo/good").await;
        assert_eq!(now(&supervisor).await, RunsNow::default(), "the run is over when its answer is there");
        assert_eq!(told(&host.counts.borrow(), "good").0, asked);
    }
    let stalled = tokio::spawn(async move { get(address, "/demo/stalls").await });
    until(&host.stalled, |count| *count == 1).await;
    let stalls = RunsNow { in_flight: 1, waiting: 0 };
    assert_eq!(tokio::join!(now(&supervisor), now(&supervisor)), (stalls, stalls), "several who ask are all answered");
    stalled.abort();
    supervisor.stop().await;
    assert_eq!(supervisor.count().await, None, "and nobody waits for a worker that is not there");
}
