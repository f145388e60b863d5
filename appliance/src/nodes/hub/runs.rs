//! Runs that nodes are given, and what becomes of them.

use super::{End, Hub, NoResult};
use picloud_model::ids::ExecutionId;
use picloud_model::node::{AWAY_AFTER_MS, NodeId};
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{RunRequest, RunResult, ServiceFailure};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

impl Hub {
    /// Runs on a node; a place of it is taken until this ends. A node that is lost (away for 30 s, gone by its own word,
    /// or back without the run) is a [`NoResult::Lost`] at once; one that comes back in time goes on.
    pub async fn run(&self, node: &NodeId, run: RunRequest, timeout: Duration) -> Result<RunResult, NoResult> {
        let (id, script) = (run.execution_id, run.script.clone());
        let ended = self.give(node, run)?;
        let _forget = Forget { hub: self, node, run: id };
        match tokio::time::timeout(timeout, ended).await {
            Ok(Ok(result)) => result,
            Ok(Err(_hub_is_closed)) => Err(NoResult::NotRun(stopped())),
            Err(_elapsed) => {
                let detail = format!("script `{script}` gave no result within {} ms", timeout.as_millis());
                Err(NoResult::Lost(Problem::new(Code::Deadline, detail)))
            }
        }
    }

    fn give(&self, node: &NodeId, run: RunRequest) -> Result<oneshot::Receiver<Result<RunResult, NoResult>>, NoResult> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let state = &mut *state;
        if state.gives_nothing {
            return Err(NoResult::NotRun(stopped()));
        }
        let Some(link) = state.links.get(node) else {
            let detail = format!("node {node} is not connected");
            return Err(NoResult::NotRun(Problem::new(Code::NodeAway, detail)));
        };
        if state.leases.held_by(node) >= link.hello.places as usize {
            let detail = format!("node `{}` runs as many as it takes at once", link.name);
            return Err(NoResult::NotRun(Problem::new(Code::Overloaded, detail)));
        }
        if state.leases.is_empty() {
            self.0.leased.notify_one();
        }
        state.leases.give(run.execution_id, node, Instant::now());
        state.waiting.insert(run.execution_id, sender);
        link.feed.add(|due| due.runs.push(run));
        Ok(receiver)
    }

    /// A node says how a run ended.
    pub(super) fn ended(&self, node: &NodeId, run: ExecutionId, result: Result<RunResult, ServiceFailure>) {
        let waiting = {
            let mut state = self.lock();
            if state.leases.done(node, run) { state.waiting.remove(&run) } else { None }
        };
        if let Some(waiting) = waiting {
            let _nobody_waits = waiting.send(result.map_err(no_result));
        }
    }

    /// Takes the leases of nodes that are silent for too long, for ever; asleep while there are none.
    pub async fn watch_leases(self) {
        loop {
            let next = self.lock().leases.next_at();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.expire(Instant::now()),
                () = self.0.leased.notified() => {}
            }
        }
    }

    pub(super) fn expire(&self, now: Instant) {
        let mut lost = Vec::new();
        {
            let mut state = self.lock();
            for (node, runs) in state.leases.expire(now) {
                let name = state.links.get(&node).map_or_else(|| node.to_string(), |link| link.name.clone());
                tracing::warn!(node = %name, runs = runs.len(), "a node was silent for too long: what it was running runs elsewhere");
                if let Some(link) = state.links.remove(&node) {
                    link.end(End::Cut);
                }
                let s = AWAY_AFTER_MS / 1000;
                let problem =
                    Problem::new(Code::NodeAway, format!("node `{name}` was not heard of for {s} s while it ran"));
                lost.extend(runs.iter().filter_map(|run| Some((state.waiting.remove(run)?, problem.clone()))));
            }
        }
        for (waiting, problem) in lost {
            let _nobody_waits = waiting.send(Err(NoResult::Lost(problem)));
        }
        self.say_changed();
        self.say_applied();
    }

    /// Tells whoever waits for these.
    pub(super) fn lose(&self, runs: &[ExecutionId], why: &NoResult) {
        let waiting: Vec<_> = {
            let mut state = self.lock();
            runs.iter().filter_map(|run| state.waiting.remove(run)).collect()
        };
        for waiting in waiting {
            let _nobody_waits = waiting.send(Err(why.clone()));
        }
    }

    /// Gives nothing more, and returns once what nodes run has ended, or after `wait_max`.
    pub(crate) async fn stop_giving(&self, wait_max: Duration) {
        self.lock().gives_nothing = true;
        let all_ended = async {
            loop {
                let ended = self.0.ended.notified();
                if self.lock().waiting.is_empty() {
                    return;
                }
                ended.await;
            }
        };
        if tokio::time::timeout(wait_max, all_ended).await.is_err() {
            let runs = self.lock().waiting.len();
            tracing::warn!(runs, "nobody waits any longer for what nodes run");
        }
    }

    /// Gives nothing more, and cuts all connections: the appliance stops. What nodes run goes on there; deliveries are
    /// tried again after the next start.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        (state.gives_nothing, state.is_closed) = (true, true);
        state.waiting.clear();
        for link in state.links.values() {
            link.end(End::Cut);
        }
    }
}

fn stopped() -> Problem {
    Problem::new(Code::NodeAway, "the appliance stopped before the run ended")
}

/// What a node's failure means for whoever would try again.
fn no_result(failure: ServiceFailure) -> NoResult {
    let problem = Problem::new(failure.code, failure.message);
    match failure.code {
        Code::WorkerLost | Code::Deadline => NoResult::Lost(problem),
        _other => NoResult::NotRun(problem),
    }
}

/// Forgets a run once nobody waits for it any more, however that came.
struct Forget<'a> {
    hub: &'a Hub,
    node: &'a NodeId,
    run: ExecutionId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.waiting.remove(&self.run);
        let had_none_free = state.links.get(self.node).is_some_and(|link| {
            link.feed.take_back(self.run);
            state.leases.held_by(self.node) >= link.hello.places.saturating_sub(1) as usize
        });
        state.leases.done(self.node, self.run);
        let gives_nothing = state.gives_nothing;
        drop(state);
        if gives_nothing {
            self.hub.0.ended.notify_one();
        }
        if had_none_free {
            self.hub.say_changed();
        }
    }
}
