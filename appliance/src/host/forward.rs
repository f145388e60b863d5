//! Requests that came to a machine whose labels do not let it run their script: one that may run it does, once.

use super::{StoreHost, failure, from_problem};
use crate::dispatcher::{At, Candidate, Places, nobody};
use crate::nodes::hub::NoResult;
use picloud_model::ids::ExecutionId;
use picloud_model::placement::Placement;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{
    AppSnapshot, Forward, Forwarded, RunInput, RunRequest, RunResult, ServiceFailure, ServiceReply, Verdict,
};
use std::time::Duration;

/// The request header that names a version; the ingress has checked who may.
const VERSION: &str = "x-picloud-version";
/// When to come back, where no node may run it now.
const RETRY_AFTER_S: u32 = 2;

impl StoreHost {
    /// Has a node run it, or this machine's own worker.
    pub(super) async fn forward(
        &self,
        app: &AppSnapshot,
        deadline: Duration,
        forward: Forward,
    ) -> Result<ServiceReply, ServiceFailure> {
        let Some(script) = app.script(&forward.script) else {
            return Err(failure(Code::NotFound, &format!("script `{}` is not there any more", forward.script)));
        };
        let (placement, run) = (&script.placement, request_of(app, forward));
        let (result, node) = self.run_placed(placement, run, deadline).await.map_err(from_problem)?;
        self.answer_of(result, node)
    }

    /// Runs what somebody waits for: here where that may be, else on a node. Answers with the machine's name, too.
    pub(crate) async fn run_placed(
        &self,
        placement: &Placement,
        run: RunRequest,
        wait_max: Duration,
    ) -> Result<(RunResult, String), Problem> {
        let supervisor = self.registry.supervisor();
        // It knows itself when it is full.
        let here = supervisor.map(|supervisor| Candidate::here(self.registry.own_labels(), 1, 0, supervisor));
        let Some(at) = Places::for_requests(here, &self.hub).for_request(placement) else {
            let detail = format!("script `{}`: {}", run.script, nobody(placement));
            return Err(Problem::new(Code::NodeAway, detail).retry_after_s(RETRY_AFTER_S));
        };
        let result = match (&at, supervisor) {
            (At::Here, Some(supervisor)) => supervisor.run(run, wait_max).await,
            (At::Here, None) => Err(Problem::new(Code::NodeAway, "this machine's worker is not there yet")),
            (At::Node(node), _) => self.hub.run(&node.id, run, wait_max).await.map_err(|why| match why {
                NoResult::NotRun(problem) => problem,
                // It may have run: whoever asks again at once, because nothing was done, would be wrong.
                NoResult::Lost(problem) if problem.code == Code::NodeAway => {
                    Problem::new(Code::WorkerLost, problem.detail)
                }
                NoResult::Lost(problem) => problem,
            }),
        };
        Ok((result?, at.name(&self.node).to_owned()))
    }

    /// What the client gets; the run's record is kept as any request's.
    fn answer_of(&self, result: RunResult, node: String) -> Result<ServiceReply, ServiceFailure> {
        let RunResult { status, headers, body, execution, verdict, .. } = result;
        if verdict == Verdict::NotRun {
            let problem = execution.error().unwrap_or_else(|| {
                Problem::new(Code::NodeAway, format!("node `{node}` did not run script `{}`", execution.script))
            });
            return Err(from_problem(problem));
        }
        self.history.push(vec![execution]);
        Ok(ServiceReply::Forwarded(Forwarded { node, status, headers, body }))
    }
}

fn request_of(app: &AppSnapshot, forward: Forward) -> RunRequest {
    let Forward { script, request, principal, remote_addr } = forward;
    let path = request.path.split('?').next().unwrap_or_default();
    let cause = format!("{} {path}", request.method);
    let named = request.headers.iter().find(|(name, _value)| name == VERSION);
    let execution_id = ExecutionId::new();
    RunRequest {
        app: app.id,
        script,
        source: None,
        version: named.and_then(|(_name, value)| value.trim().parse().ok()),
        input: RunInput::Forwarded { request, remote_addr },
        principal,
        execution_id,
        root_execution_id: execution_id,
        trigger_depth: 0,
        cause,
        dry_run: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::ids::AppId;
    use picloud_model::limits::Limits;
    use picloud_model::protocol::RunHttp;

    #[test]
    fn a_request_that_is_sent_on_is_the_one_that_came() {
        let app = AppSnapshot {
            id: AppId(7),
            name: "kitchen".to_owned(),
            hosts: Vec::new(),
            env: Vec::new(),
            limits: Limits::default(),
            http_allow: Vec::new(),
            routes: Vec::new(),
            scripts: Vec::new(),
            static_files: Vec::new(),
        };
        for (headers, version) in [(vec![], None), (vec![(VERSION.to_owned(), "3".to_owned())], Some(3))] {
            let request =
                RunHttp { method: "POST".into(), path: "/kitchen/a?b=c".into(), headers, body: b"x".to_vec() };
            let (script, remote_addr) = ("camera".to_owned(), "10.0.0.1".to_owned());
            let run = request_of(&app, Forward { script, request: request.clone(), principal: None, remote_addr });
            assert_eq!((run.app, run.script.as_str(), run.version), (AppId(7), "camera", version));
            assert_eq!((run.cause.as_str(), run.trigger_depth, run.dry_run), ("POST /kitchen/a", 0, false));
            assert_eq!(run.root_execution_id, run.execution_id, "it is the first of all that comes of it");
            let RunInput::Forwarded { request: sent, remote_addr } = run.input else { panic!("it is sent on") };
            assert_eq!((sent, remote_addr.as_str()), (request, "10.0.0.1"));
        }
    }
}
