//! Cases of `Executions`.

use super::*;
use picloud_model::execution::{Execution, ExecutionQuery, LogLevel, LogLine, Outcome, Usage};
use picloud_model::ids::{AppId, ExecutionId};
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

/// A run whose id sorts by `number`.
pub(crate) fn run(app: AppId, script: &str, number: u128) -> Execution {
    let id = ExecutionId(uuid::Uuid::from_u128(number));
    Execution {
        id,
        root_id: id,
        app_id: app,
        app: "kitchen".to_owned(),
        script: script.to_owned(),
        version: 3,
        node: "pi".to_owned(),
        cause: "GET /hello".to_owned(),
        outcome: Outcome::Ok,
        status: 200,
        started_at: NOW,
        duration_us: 1_500,
        usage: Usage { operations: 9, memory_bytes: 10, kv_calls: 11, secret_calls: 12, ..Usage::default() },
        error_json: String::new(),
        logs: vec![LogLine {
            at: NOW + 1,
            level: LogLevel::Warn,
            message: "hot \u{1f525}".to_owned(),
            fields: "{\"a\":1}".to_owned(),
        }],
        logs_dropped: 2,
        trigger_depth: 0,
        trigger: String::new(),
        attempt: 0,
        result_json: String::new(),
        input_json: String::new(),
    }
}

fn failed(execution: Execution) -> Execution {
    Execution { outcome: Outcome::Failed, status: 500, error_json: "{}".to_owned(), ..execution }
}

async fn numbers(store: &dyn Store, app: AppId, query: ExecutionQuery) -> Vec<u128> {
    let page = store.executions(app, &query).await.unwrap();
    page.items.iter().map(|execution| execution.id.0.as_u128()).collect()
}

pub(crate) async fn runs_are_listed_newest_first_and_filtered(store: Arc<dyn Store>) {
    let (app, other) = (AppId(1), AppId(2));
    let runs = vec![run(app, "a", 2), failed(run(app, "b", 4)), run(app, "b", 1), run(app, "a", 3), run(other, "a", 5)];
    store.add_executions(runs).await.unwrap();
    store.add_executions(Vec::new()).await.unwrap();
    let id = |number| ExecutionId(uuid::Uuid::from_u128(number));
    assert_eq!(store.execution(app, id(2)).await.unwrap(), Some(run(app, "a", 2)), "every field comes back");
    assert_eq!(store.execution(other, id(2)).await.unwrap(), None);
    assert_eq!(numbers(&*store, app, ExecutionQuery::default()).await, [4, 3, 2, 1]);
    let of_b = ExecutionQuery { script: Some("b".to_owned()), ..ExecutionQuery::default() };
    assert_eq!(numbers(&*store, app, of_b).await, [4, 1]);
    let ok = ExecutionQuery { outcome: Some(Outcome::Ok), ..ExecutionQuery::default() };
    assert_eq!(numbers(&*store, app, ok).await, [3, 2, 1]);
    let failed_b =
        ExecutionQuery { outcome: Some(Outcome::Failed), script: Some("b".to_owned()), ..Default::default() };
    assert_eq!(numbers(&*store, app, failed_b.clone()).await, [4]);
    let failed_a = ExecutionQuery { script: Some("a".to_owned()), ..failed_b };
    assert!(numbers(&*store, app, failed_a).await.is_empty());
    let behind = ExecutionQuery { cursor: Some(picloud_store::execution_cursor(id(3))), ..ExecutionQuery::default() };
    assert_eq!(numbers(&*store, app, behind).await, [2, 1], "a cursor may stand behind any run");
    let first = ExecutionQuery { limit: Some(3), ..ExecutionQuery::default() };
    let page = store.executions(app, &first).await.unwrap();
    assert_eq!(page.items.len(), 3);
    // A run that is added meanwhile is newer, and on no later page.
    store.add_executions(vec![run(app, "a", 9)]).await.unwrap();
    let rest = ExecutionQuery { cursor: page.cursor, ..first };
    assert_eq!(numbers(&*store, app, rest).await, [1]);
    let bad = ExecutionQuery { cursor: Some("x".to_owned()), ..ExecutionQuery::default() };
    assert!(matches!(store.executions(app, &bad).await, Err(StoreError::BadCursor)));
}

pub(crate) async fn runs_are_found_by_their_trigger_and_by_what_they_came_of(store: Arc<dyn Store>) {
    let (app, other) = (AppId(1), AppId(2));
    let id = |number| ExecutionId(uuid::Uuid::from_u128(number));
    let of = |script: &str, trigger: &str, root, number| Execution {
        root_id: id(root),
        trigger: trigger.to_owned(),
        trigger_depth: 1,
        attempt: 2,
        usage: Usage { publish_calls: 1, file_calls: 2, http_calls: 3, ..Usage::default() },
        result_json: "[1]".to_owned(),
        input_json: r#"{"event":{"id":"e"}}"#.to_owned(),
        ..run(app, script, number)
    };
    let runs = vec![
        run(app, "a", 1),
        of("b", "on-a", 1, 2),
        failed(of("c", "on-b", 1, 3)),
        of("b", "on-a", 90, 4),
        failed(of("b", "on-a", 90, 5)),
        of("c", "", 90, 6),
        Execution { app_id: other, ..of("b", "on-a", 1, 7) },
        run(app, "a", 8),
    ];
    store.add_executions(runs).await.unwrap();
    assert_eq!(store.execution(app, id(2)).await.unwrap(), Some(of("b", "on-a", 1, 2)), "every field comes back");
    let trigger = |name: &str| ExecutionQuery { trigger: Some(name.to_owned()), ..ExecutionQuery::default() };
    let root = |number| ExecutionQuery { root_execution_id: Some(id(number)), ..ExecutionQuery::default() };
    let script = Some("b".to_owned());
    let cases: [(ExecutionQuery, &[u128]); 15] = [
        (trigger("on-a"), &[5, 4, 2]),
        (ExecutionQuery { limit: Some(1), ..trigger("on-a") }, &[5]),
        (ExecutionQuery { outcome: Some(Outcome::Failed), ..trigger("on-a") }, &[5]),
        (ExecutionQuery { script: Some("c".to_owned()), ..trigger("on-a") }, &[]),
        (trigger(""), &[]),
        (trigger("on-c"), &[]),
        (root(1), &[3, 2, 1]),
        (root(90), &[6, 5, 4]),
        (root(8), &[8]),
        (root(2), &[2]),
        (ExecutionQuery { outcome: Some(Outcome::Ok), ..root(1) }, &[2, 1]),
        (ExecutionQuery { script: script.clone(), ..root(1) }, &[2]),
        (ExecutionQuery { trigger: Some("on-b".to_owned()), ..root(1) }, &[3]),
        (ExecutionQuery { cursor: Some(picloud_store::execution_cursor(id(3))), ..root(1) }, &[2, 1]),
        (ExecutionQuery { script, outcome: Some(Outcome::Ok), ..trigger("on-a") }, &[4, 2]),
    ];
    for (query, expected) in cases {
        assert_eq!(numbers(&*store, app, query.clone()).await, expected, "{query:?}");
    }
}

pub(crate) async fn runs_of_several_apps_are_one_list(store: Arc<dyn Store>) {
    /// Apps, what is asked for, and the runs that are expected.
    type Case<'a> = (Option<&'a [AppId]>, ExecutionQuery, &'a [u128]);
    let (one, two, three) = (AppId(1), AppId(2), AppId(30));
    assert!(store.executions_of_apps(None, &ExecutionQuery::default()).await.unwrap().items.is_empty());
    let runs = vec![
        run(one, "a", 1),
        run(two, "a", 2),
        failed(run(three, "b", 3)),
        failed(run(one, "b", 4)),
        Execution { trigger: "on-a".to_owned(), ..run(two, "b", 5) },
        run(three, "a", 6),
        run(one, "a", 7),
    ];
    store.add_executions(runs).await.unwrap();
    let script = |name: &str| ExecutionQuery { script: Some(name.to_owned()), ..ExecutionQuery::default() };
    let cases: [Case<'_>; 8] = [
        (None, ExecutionQuery::default(), &[7, 6, 5, 4, 3, 2, 1]),
        (Some(&[one, three]), ExecutionQuery::default(), &[7, 6, 4, 3, 1]),
        (Some(&[three, AppId(4)]), ExecutionQuery::default(), &[6, 3]),
        (Some(&[]), ExecutionQuery::default(), &[]),
        (None, script("b"), &[5, 4, 3]),
        (None, ExecutionQuery { outcome: Some(Outcome::Failed), ..ExecutionQuery::default() }, &[4, 3]),
        (None, ExecutionQuery { trigger: Some("on-a".to_owned()), ..ExecutionQuery::default() }, &[5]),
        (Some(&[two, one]), script("a"), &[7, 2, 1]),
    ];
    for (apps, query, expected) in cases {
        for limit in [1, 2, 3, 100] {
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let query = ExecutionQuery { limit: Some(limit), cursor, ..query.clone() };
                let page = store.executions_of_apps(apps, &query).await.unwrap();
                found.extend(page.items.iter().map(|execution| execution.id.0.as_u128()));
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{apps:?} {query:?} in pages of {limit}");
        }
    }
}

pub(crate) async fn a_run_that_is_told_twice_is_kept_once(store: Arc<dyn Store>) {
    let app = AppId(1);
    store.add_executions(vec![run(app, "a", 1), run(app, "a", 1)]).await.unwrap();
    store.add_executions(vec![failed(run(app, "a", 1))]).await.unwrap();
    let found = store.executions(app, &ExecutionQuery::default()).await.unwrap();
    assert_eq!(found.items, [run(app, "a", 1)]);
}

pub(crate) async fn old_runs_expire_and_failures_stay_longer(store: Arc<dyn Store>) {
    let app = AppId(1);
    let aged = |days: i64, number| Execution { started_at: NOW - days * DAY_MS, ..run(app, "a", number) };
    let runs = vec![
        failed(aged(31, 1)),
        aged(31, 2),
        failed(aged(29, 3)),
        aged(29, 4),
        aged(15, 5),
        aged(13, 6),
        failed(aged(13, 7)),
        aged(0, 8),
    ];
    store.add_executions(runs).await.unwrap();
    assert_eq!(store.expire_executions(NOW, 1).await.unwrap(), 1, "no more than asked for at once");
    assert_eq!(store.expire_executions(NOW, 1_000).await.unwrap(), 3);
    assert_eq!(numbers(&*store, app, ExecutionQuery::default()).await, [8, 7, 6, 3]);
    assert_eq!(store.expire_executions(NOW, 1_000).await.unwrap(), 0);
    assert_eq!(store.expire_executions(NOW + 40 * DAY_MS, 1_000).await.unwrap(), 4);
    assert!(numbers(&*store, app, ExecutionQuery::default()).await.is_empty());
}
