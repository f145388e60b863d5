//! The plain successes of late, in memory only: for whoever looks now, at no cost for the disk.

use picloud_model::execution::{Execution, ExecutionQuery};
use picloud_model::ids::{AppId, ExecutionId};
use std::collections::VecDeque;

/// Runs it holds, over all apps.
const RING_RUNS_MAX: usize = 1_000;
/// Memory that these may take.
const RING_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The runs, oldest first.
#[derive(Default)]
pub(super) struct Ring {
    runs: VecDeque<Execution>,
    bytes: usize,
}

impl Ring {
    /// Takes a run; the oldest make room.
    pub(super) fn push(&mut self, run: Execution) {
        self.bytes += bytes_of(&run);
        self.runs.push_back(run);
        while self.runs.len() > RING_RUNS_MAX || self.bytes > RING_BYTES_MAX {
            let Some(oldest) = self.runs.pop_front() else { return };
            self.bytes -= bytes_of(&oldest);
        }
    }

    /// Runs of these apps (`None`: of all) that the query asks for, in no particular order.
    pub(super) fn of<'a>(
        &'a self,
        apps: Option<&'a [AppId]>,
        query: &'a ExecutionQuery,
    ) -> impl Iterator<Item = &'a Execution> {
        self.runs.iter().filter(move |run| {
            apps.is_none_or(|apps| apps.contains(&run.app_id))
                && query.script.as_ref().is_none_or(|script| run.script == *script)
                && query.outcome.is_none_or(|outcome| run.outcome == outcome)
                && query.trigger.as_ref().is_none_or(|trigger| run.trigger == *trigger)
                && query.root_execution_id.is_none_or(|root| run.root_id == root)
        })
    }

    /// One of the app's.
    pub(super) fn get(&self, app: AppId, id: ExecutionId) -> Option<&Execution> {
        self.runs.iter().rev().find(|run| run.id == id && run.app_id == app)
    }
}

/// About what it takes in memory.
fn bytes_of(run: &Execution) -> usize {
    let texts = [&run.app, &run.script, &run.node, &run.cause, &run.error_json];
    let logs: usize = run.logs.iter().map(|line| size_of_val(line) + line.message.len() + line.fields.len()).sum();
    size_of_val(run) + texts.iter().map(|text| text.len()).sum::<usize>() + logs
}
