//! A history of a million runs in the store: pages of it, filtered ones, and one step of dropping what is old.

use crate::report::Row;
use crate::server::data_folder;
use anyhow::{Context, Result, ensure};
use picloud_model::execution::{Execution, ExecutionQuery, LogLevel, LogLine, Outcome, Usage};
use picloud_model::{AppId, ExecutionId, ManualClock};
use picloud_store::{OpenSettings, Store, open};
use std::sync::Arc;
use std::time::Instant;

/// Apps that the runs are of.
const APPS: u32 = 4;
/// Scripts of an app.
const SCRIPTS: u32 = 10;
/// Runs that are stored at a time.
const BATCH: u32 = 1_000;
/// Every so many runs is a failure.
const FAILURE_EVERY: u32 = 50;
/// Runs that the appliance drops in one step.
const STEP_RUNS: u32 = 500;
/// How often each is measured; the slowest counts.
const TIMES: u32 = 50;
/// Between two runs: all of them fall into two days.
const EVERY_MS: i64 = 170;
/// When the first begins.
const START_MS: i64 = 1_767_225_600_000;
/// Later than anything is kept.
const LATER_MS: i64 = START_MS + 400 * 86_400_000;

pub(crate) fn run(rows: u32) -> Result<Vec<Row>> {
    let folder = data_folder()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(async {
        let mut settings = OpenSettings::new(folder.path());
        settings.history_bytes_max = u64::MAX / 4;
        settings.history_app_runs_max = rows;
        let store = open(settings, Arc::new(ManualClock::new(START_MS))).await.context("open a store")?;
        let began = Instant::now();
        for first in (0..rows).step_by(BATCH as usize) {
            store.add_executions((first..rows.min(first + BATCH)).map(execution).collect()).await?;
        }
        let stored_us = began.elapsed().as_secs_f64() * 1e6 / f64::from(rows);
        let first = slowest_page(&*store, ExecutionQuery::default()).await?;
        let script = ExecutionQuery { script: Some("script_3".to_owned()), ..ExecutionQuery::default() };
        let failed = ExecutionQuery { outcome: Some(Outcome::Failed), ..ExecutionQuery::default() };
        let both = ExecutionQuery { outcome: Some(Outcome::Failed), ..script.clone() };
        let none = ExecutionQuery { script: Some("there_is_none".to_owned()), ..ExecutionQuery::default() };
        let mut table = vec![Row::at_most("history rows: ms of a page, slowest", first, 50.0)];
        for (what, query) in
            [("a script", script), ("failures", failed), ("a script's failures", both), ("nothing", none)]
        {
            let ms = slowest_page(&*store, query).await?;
            table.push(Row::at_most(&format!("history rows: ms of a page of {what}"), ms, 50.0));
        }
        table.push(Row::at_most("history rows: ms of a step of dropping", slowest_step(&*store).await?, 50.0));
        table.push(Row::shown("history rows: runs", None, f64::from(rows)));
        table.push(Row::shown("history rows: µs to store one", None, stored_us));
        Ok(table)
    })
}

/// Pages from the newest on, one after the other; milliseconds of the slowest.
async fn slowest_page(store: &dyn Store, mut query: ExecutionQuery) -> Result<f64> {
    let mut slowest = 0.0_f64;
    for _page in 0..TIMES {
        let began = Instant::now();
        let page = store.executions(AppId(1), &query).await?;
        slowest = slowest.max(began.elapsed().as_secs_f64() * 1e3);
        query.cursor = page.cursor;
    }
    Ok(slowest)
}

/// Steps of dropping what is too old; milliseconds of the slowest.
async fn slowest_step(store: &dyn Store) -> Result<f64> {
    let mut slowest = 0.0_f64;
    for _step in 0..TIMES {
        let began = Instant::now();
        let dropped = store.expire_executions(LATER_MS, STEP_RUNS).await?;
        slowest = slowest.max(began.elapsed().as_secs_f64() * 1e3);
        ensure!(dropped > 0, "nothing was old enough to be dropped");
    }
    Ok(slowest)
}

fn execution(number: u32) -> Execution {
    let id: ExecutionId = format!("01890000-0000-7000-8000-{number:012}").parse().expect("this is an id");
    let failed = number.is_multiple_of(FAILURE_EVERY);
    let started_at = START_MS + i64::from(number) * EVERY_MS;
    let line = LogLine { at: started_at, level: LogLevel::Info, message: "a line".to_owned(), fields: String::new() };
    Execution {
        id,
        root_id: id,
        app_id: AppId(1 + i64::from(number % APPS)),
        app: format!("app{}", number % APPS),
        script: format!("script_{}", number / APPS % SCRIPTS),
        version: 1,
        node: "pi".to_owned(),
        cause: "GET /hello".to_owned(),
        outcome: if failed { Outcome::Failed } else { Outcome::Ok },
        status: if failed { 500 } else { 200 },
        started_at,
        duration_us: 900,
        usage: Usage::default(),
        error_json: String::new(),
        logs: vec![line],
        logs_dropped: 0,
        trigger_depth: 0,
        trigger: String::new(),
        attempt: 0,
        result_json: String::new(),
        input_json: String::new(),
    }
}
