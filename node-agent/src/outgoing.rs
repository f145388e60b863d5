//! What this node has to tell an appliance: results and records until they are taken, and what was counted.
//!
//! All of it is bounded, for an appliance may be away for long: the oldest records go first, and are counted.

use picloud_cluster::outbox::{Batches, Results};
use picloud_model::execution::Execution;
use picloud_model::ids::ExecutionId;
use picloud_model::protocol::node::FromNode;
use picloud_model::protocol::{Counts, LostRun, Refusal, RunResult, ServiceFailure};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Bytes of records that wait for an appliance.
const EXECUTION_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Records that are said at once.
const EXECUTIONS_PER_BATCH: usize = 256;
/// Runs that a dying worker took with it and that no appliance has heard of yet.
const LOST_MAX: usize = 1_000;
/// Scripts, statuses, keys and refusals of counts that wait, each.
const COUNTED_MAX: usize = 1_000;

/// How long a result waits for those of other runs under way, to be said with them: together they cost both ends little
/// more than one alone.
const RESULT_WAIT: Duration = Duration::from_millis(1);

/// What came of a run that an appliance asked for.
pub type RunEnd = Result<RunResult, ServiceFailure>;

/// All of it.
pub struct Outgoing {
    state: Mutex<State>,
    /// Told when there is something to say …
    something: Notify,
    /// … and when there is a result that may wait a moment.
    results: Notify,
}

struct State {
    results: Results<RunEnd>,
    executions: Batches<Execution>,
    counts: Counts,
    lost: Vec<LostRun>,
    applied: Option<u64>,
}

impl Default for Outgoing {
    fn default() -> Self {
        let executions = Batches::new(EXECUTION_BYTES_MAX, EXECUTIONS_PER_BATCH);
        let state = State {
            results: Results::default(),
            executions,
            counts: Counts::default(),
            lost: Vec::new(),
            applied: None,
        };
        Self { state: Mutex::new(state), something: Notify::new(), results: Notify::new() }
    }
}

impl Outgoing {
    /// A run is over.
    pub fn result(&self, run: ExecutionId, result: RunEnd) {
        self.change(|state| state.results.keep(run, result));
    }

    /// A run is over for which nobody waits, while others are under way.
    pub fn result_among_others(&self, run: ExecutionId, result: RunEnd) {
        self.state().results.keep(run, result);
        self.results.notify_one();
    }

    /// Returns when there may be something to say.
    pub async fn something(&self) {
        tokio::select! {
            () = self.something.notified() => {}
            () = self.results.notified() => {
                // In time or not, it is said now.
                let _either = tokio::time::timeout(RESULT_WAIT, self.something.notified()).await;
            }
        }
    }

    /// Finished runs, for the history.
    pub fn executions(&self, executions: Vec<Execution>) {
        self.change(|state| {
            for execution in executions {
                let bytes = size(&execution);
                state.executions.push(execution, bytes);
            }
        });
    }

    /// What the worker counted.
    pub fn counts(&self, counts: Counts) {
        self.change(|state| merge(&mut state.counts, counts));
    }

    /// Runs that a worker took with it.
    pub fn lost(&self, runs: Vec<LostRun>) {
        self.change(|state| {
            let room = LOST_MAX.saturating_sub(state.lost.len());
            state.lost.extend(runs.into_iter().take(room));
        });
    }

    /// Requests are answered from this revision on.
    pub fn applied(&self, revision: u64) {
        self.change(|state| state.applied = Some(revision));
    }

    /// The next thing to say over this connection.
    pub fn next(&self) -> Option<FromNode> {
        let mut state = self.state();
        if !state.lost.is_empty() {
            return Some(FromNode::WorkerLost(std::mem::take(&mut state.lost)));
        }
        if let Some((run, result)) = state.results.next() {
            return Some(FromNode::RunDone { run, result: result.clone() });
        }
        if let Some(revision) = state.applied.take() {
            return Some(FromNode::Applied { revision });
        }
        if let Some(batch) = state.executions.next() {
            let (batch, executions, dropped) = (batch.number, batch.items.clone(), batch.dropped);
            return Some(FromNode::Executions { batch, executions, dropped });
        }
        if state.counts != Counts::default() {
            return Some(FromNode::Counts(std::mem::take(&mut state.counts)));
        }
        None
    }

    /// The results of these are kept by the appliance.
    pub fn taken(&self, runs: &[ExecutionId]) {
        let mut state = self.state();
        for run in runs {
            state.results.taken(*run);
        }
    }

    /// The batches up to this one are kept by the appliance.
    pub fn taken_executions(&self, batch: u64) {
        self.change(|state| state.executions.taken(batch));
    }

    /// A new connection: what was not taken is said again.
    pub fn reconnected(&self) {
        self.change(|state| {
            state.results.reconnected();
            state.executions.reconnected();
            // Revisions are an appliance's: this one says its own first.
            state.applied = None;
        });
    }

    /// Runs whose results were not taken.
    pub fn held(&self) -> Vec<ExecutionId> {
        self.state().results.runs().collect()
    }

    /// Whether the result of this run is among them.
    pub fn holds(&self, run: ExecutionId) -> bool {
        self.state().results.holds(run)
    }

    /// Whether everything that is to be taken was.
    pub fn is_empty(&self) -> bool {
        let state = self.state();
        state.results.is_empty() && state.executions.is_empty() && state.lost.is_empty()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.something.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About as many bytes as a record takes.
fn size(execution: &Execution) -> usize {
    let logs: usize = execution.logs.iter().map(|line| line.message.len() + line.fields.len() + 64).sum();
    size_of::<Execution>()
        + logs
        + execution.error_json.len()
        + execution.result_json.len()
        + execution.input_json.len()
        + execution.script.len()
        + execution.cause.len()
}

/// Adds what was counted later. Beyond the bound what is new is left out: an appliance that is away for long is told of
/// the scripts that it knows already.
fn merge(all: &mut Counts, more: Counts) {
    for script in more.scripts {
        let has_room = all.scripts.len() < COUNTED_MAX;
        let same = all.scripts.iter_mut().find(|it| it.app == script.app && it.script == script.script);
        match same {
            Some(it) => {
                it.ok += script.ok;
                it.failed += script.failed;
                it.duration_us += script.duration_us;
                it.buckets.iter_mut().zip(&script.buckets).for_each(|(sum, more)| *sum += more);
                it.memory_bytes_max = it.memory_bytes_max.max(script.memory_bytes_max);
            }
            None if has_room => all.scripts.push(script),
            None => {}
        }
    }
    for (status, times) in more.statuses {
        match all.statuses.iter_mut().find(|(it, _times)| *it == status) {
            Some((_status, sum)) => *sum += times,
            None => all.statuses.push((status, times)),
        }
    }
    for key in more.keys_used {
        if !all.keys_used.contains(&key) && all.keys_used.len() < COUNTED_MAX {
            all.keys_used.push(key);
        }
    }
    merge_refusals(&mut all.refusals, more.refusals);
    merge_refusals(&mut all.other_refusals, more.other_refusals);
}

fn merge_refusals(all: &mut Vec<Refusal>, more: Vec<Refusal>) {
    for refusal in more {
        let has_room = all.len() < COUNTED_MAX;
        let is_same = |it: &&mut Refusal| Refusal { times: refusal.times, ..(**it).clone() } == refusal;
        match all.iter_mut().find(is_same) {
            Some(it) => it.times += refusal.times,
            None if has_room => all.push(refusal),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::ids::AppId;
    use picloud_model::problem::Code;
    use picloud_model::protocol::ScriptCounts;

    fn failed() -> RunEnd {
        Err(ServiceFailure { code: Code::Overloaded, message: "full".to_owned() })
    }

    #[test]
    fn results_are_said_again_over_a_new_connection_until_they_are_taken() {
        let outgoing = Outgoing::default();
        let (one, two) = (ExecutionId::new(), ExecutionId::new());
        outgoing.result(one, failed());
        outgoing.result(two, failed());
        let said = |outgoing: &Outgoing| {
            std::iter::from_fn(|| outgoing.next())
                .map(|frame| match frame {
                    FromNode::RunDone { run, .. } => run,
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(said(&outgoing), [one, two]);
        assert!(outgoing.next().is_none() && !outgoing.is_empty());
        outgoing.taken(&[one]);
        outgoing.reconnected();
        assert_eq!(said(&outgoing), [two]);
        outgoing.taken(&[two]);
        assert!(outgoing.is_empty());
    }

    #[tokio::test]
    async fn a_result_among_others_is_said_soon_and_with_the_last_of_them_at_once() {
        let outgoing = Outgoing::default();
        let (one, two) = (ExecutionId::new(), ExecutionId::new());
        outgoing.result_among_others(one, failed());
        outgoing.something().await;
        assert!(matches!(outgoing.next(), Some(FromNode::RunDone { run, .. }) if run == one));
        outgoing.result_among_others(one, failed());
        outgoing.result(two, failed());
        outgoing.something().await;
        assert!(matches!(outgoing.next(), Some(FromNode::RunDone { run, .. }) if run == two), "one was said");
        assert!(outgoing.holds(one) && outgoing.holds(two) && outgoing.next().is_none());
        outgoing.taken(&[one]);
        assert!(!outgoing.holds(one) && outgoing.holds(two));
    }

    #[test]
    fn what_is_counted_while_nobody_listens_is_one_sum() {
        let outgoing = Outgoing::default();
        let counts = |ok, memory_bytes_max| Counts {
            scripts: vec![ScriptCounts {
                app: AppId(1),
                script: "a".to_owned(),
                ok,
                failed: 1,
                duration_us: 10,
                buckets: vec![ok, 1],
                memory_bytes_max,
            }],
            statuses: vec![(404, ok)],
            ..Counts::default()
        };
        outgoing.counts(counts(2, 7));
        outgoing.counts(counts(3, 5));
        let Some(FromNode::Counts(sum)) = outgoing.next() else { panic!("nothing was counted") };
        let script = &sum.scripts[0];
        assert_eq!((script.ok, script.failed, script.duration_us, script.memory_bytes_max), (5, 2, 20, 7));
        assert_eq!((script.buckets.as_slice(), sum.statuses.as_slice()), (&[5, 2][..], &[(404, 5)][..]));
        assert!(outgoing.next().is_none());
    }
}
