//! Lists over disk and memory, against a real store.

use super::*;
use picloud_model::clock::SystemClock;
use picloud_model::execution::Usage;
use picloud_store::OpenSettings;

const APP: AppId = AppId(1);

fn execution(n: i64) -> Execution {
    let outcome = if n % 5 == 0 { Outcome::Failed } else { Outcome::Ok };
    let id = ExecutionId::new();
    Execution {
        id,
        root_id: id,
        app_id: if n % 7 == 0 { AppId(2) } else { APP },
        app: "kitchen".to_owned(),
        script: format!("script{}", n % 3),
        version: 1,
        node: "here".to_owned(),
        cause: "GET /kitchen".to_owned(),
        outcome,
        status: 200,
        started_at: 1_000_000 + n,
        duration_us: 10,
        usage: Usage::default(),
        error_json: String::new(),
        logs: Vec::new(),
        logs_dropped: 0,
        trigger_depth: 0,
        trigger: String::new(),
        attempt: 0,
        result_json: String::new(),
        input_json: String::new(),
    }
}

async fn history(dir: &std::path::Path) -> History {
    let store = picloud_store::open(OpenSettings::new(dir), Arc::new(SystemClock)).await.unwrap();
    let vault = Arc::new(Vault::new(Arc::clone(&store), dir, crate::nodes::hub::Hub::default()));
    History::new(store, vault, Tail::default(), Live::new(0), None)
}

#[tokio::test]
async fn pages_over_disk_and_memory_are_one_list() {
    let dir = tempfile::tempdir().unwrap();
    let history = history(dir.path()).await;
    let runs: Vec<Execution> = (0..200).map(execution).collect();
    for some in runs.chunks(9) {
        history.push(some.to_vec());
    }
    let stored = {
        history.flush().await;
        history.0.store.executions(APP, &ExecutionQuery::default()).await.unwrap().items.len()
    };
    let all = runs.iter().filter(|run| run.app_id == APP).count();
    assert!(stored > 20 && stored < all / 2, "{stored} of {all} are on the disk");
    for (script, outcome) in [
        (None, None),
        (Some("script1"), None),
        (None, Some(Outcome::Ok)),
        (Some("script2"), Some(Outcome::Failed)),
        (Some("none"), None),
    ] {
        let wanted = |run: &&Execution| {
            run.app_id == APP
                && script.is_none_or(|script| run.script == script)
                && outcome.is_none_or(|outcome| run.outcome == outcome)
        };
        let expected: Vec<ExecutionId> = runs.iter().rev().filter(wanted).map(|run| run.id).collect();
        for limit in [1, 2, 7, 50, 1_000] {
            let mut found = Vec::new();
            let mut cursor = None;
            loop {
                let query = ExecutionQuery {
                    script: script.map(str::to_owned),
                    outcome,
                    limit: Some(limit),
                    cursor: cursor.take(),
                    ..ExecutionQuery::default()
                };
                let page = history.page(APP, &query).await.unwrap();
                assert!(page.items.len() <= limit as usize);
                found.extend(page.items.iter().map(|run| run.id));
                let Some(next) = page.cursor else { break };
                cursor = Some(next);
            }
            assert_eq!(found, expected, "{script:?} {outcome:?} by {limit}");
        }
    }
    for run in &runs {
        let found = history.get(run.app_id, run.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(run));
        assert_eq!(history.get(AppId(3), run.id).await.unwrap(), None, "another app's");
    }
}

#[tokio::test]
async fn one_plain_success_per_script_and_minute_goes_to_the_disk_and_memory_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let history = history(dir.path()).await;
    let plain = |at| Execution { app_id: APP, outcome: Outcome::Ok, started_at: at, ..execution(1) };
    let stored = async || {
        history.flush().await;
        history.0.store.executions(APP, &ExecutionQuery::default()).await.unwrap().items.len()
    };
    for (at, expected) in [(1_000, 1), (2_000, 1), (60_999, 1), (61_000, 2), (500, 3), (600, 3)] {
        history.push(vec![plain(at)]);
        assert_eq!(stored().await, expected, "at {at}");
    }
    history.push_kept(vec![plain(700)]);
    assert_eq!(stored().await, 4, "a person asked for it");
    for _many in 0..3 {
        history.push((0..1_000).map(|n| plain(800 + n)).collect());
        history.flush().await;
    }
    assert_eq!(stored().await, 4);
    let query = ExecutionQuery { limit: Some(1_000), ..ExecutionQuery::default() };
    let page = history.page(APP, &query).await.unwrap();
    assert_eq!((page.items.len(), page.cursor.is_some()), (1_000, true), "a thousand in memory, four on the disk");
}
