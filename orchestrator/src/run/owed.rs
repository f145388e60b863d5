//! What is owed to whoever asked for a run: one result, whatever becomes of it.

use super::record::json;
use crate::problem_response::PROBLEM_JSON;
use picloud_model::clock::UnixMs;
use picloud_model::execution::{Execution, Outcome, Usage};
use picloud_model::protocol::{RunInput, RunRequest, RunResult, Verdict};
use picloud_model::{Code, Problem};
use std::sync::Arc;

/// The result that is owed to whoever asked for a run. One that is dropped has been told that there will be none.
pub(super) struct Owed<T: FnOnce(RunResult)> {
    run: Option<RunRequest>,
    /// The app's name.
    app: String,
    at: UnixMs,
    node: Arc<str>,
    began: bool,
    tell: Option<T>,
}

impl<T: FnOnce(RunResult)> Owed<T> {
    /// For `run` in the app called `app`, taken at `at`.
    pub(super) fn new(run: RunRequest, app: String, at: UnixMs, node: Arc<str>, tell: T) -> Self {
        Self { run: Some(run), app, at, node, began: false, tell: Some(tell) }
    }

    /// From here on what goes wrong is the run's.
    pub(super) fn has_begun(&mut self) {
        self.began = true;
    }

    pub(super) fn pay(mut self, result: RunResult) {
        if let Some(tell) = self.tell.take() {
            tell(result);
        }
    }

    pub(super) fn refuse(&mut self, refused: Refused) {
        if let (Some(tell), Some(run)) = (self.tell.take(), self.run.take()) {
            tell(refused.result(run, std::mem::take(&mut self.app), self.at, &self.node));
        }
    }
}

impl<T: FnOnce(RunResult)> Drop for Owed<T> {
    fn drop(&mut self) {
        if self.tell.is_some() {
            self.refuse(if self.began {
                Refused { problem: Problem::internal(), verdict: Verdict::Failed }
            } else {
                let detail = "this node has no thread left for the run";
                Refused::not_run(Problem::new(Code::Overloaded, detail).retry_after_s(1))
            });
        }
    }
}

/// Why nothing was run.
pub(super) struct Refused {
    pub(super) problem: Problem,
    pub(super) verdict: Verdict,
}

impl Refused {
    pub(super) fn not_run(problem: Problem) -> Self {
        Self { problem, verdict: Verdict::NotRun }
    }

    pub(super) fn terminal(problem: Problem) -> Self {
        Self { problem, verdict: Verdict::Terminal }
    }

    pub(super) fn result(self, run: RunRequest, app: String, at: UnixMs, node: &str) -> RunResult {
        let Self { problem, verdict } = self;
        let (trigger, attempt) = match run.input {
            RunInput::Event { trigger, attempt, .. } => (trigger.unwrap_or_default(), attempt),
            RunInput::Async { attempt, .. } => (String::new(), attempt),
            RunInput::Request(_) | RunInput::Forwarded { .. } => (String::new(), 0),
        };
        let execution = Execution {
            id: run.execution_id,
            root_id: run.root_execution_id,
            app_id: run.app,
            app,
            script: run.script,
            version: 0,
            node: node.to_owned(),
            cause: run.cause,
            outcome: Outcome::Failed,
            status: problem.status,
            started_at: at,
            duration_us: 0,
            usage: Usage::default(),
            error_json: json(&problem),
            logs: Vec::new(),
            logs_dropped: 0,
            trigger_depth: run.trigger_depth,
            trigger,
            attempt,
            result_json: String::new(),
            input_json: String::new(),
        };
        let (status, headers, body) = problem_parts(&problem);
        RunResult { status, headers, body, execution, verdict, effects: Vec::new() }
    }
}

/// Status, headers and body.
pub(super) type AnswerParts = (u16, Vec<(String, String)>, Vec<u8>);

/// A problem as an answer.
pub(super) fn problem_parts(problem: &Problem) -> AnswerParts {
    (problem.status, vec![("content-type".to_owned(), PROBLEM_JSON.to_owned())], json(problem).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::{AppId, ExecutionId};
    use std::sync::Mutex;

    fn run() -> RunRequest {
        RunRequest {
            app: AppId(1),
            script: "s".to_owned(),
            source: None,
            version: None,
            input: RunInput::Event { json: Vec::new(), trigger: Some("t".to_owned()), attempt: 3 },
            principal: None,
            execution_id: ExecutionId::new(),
            root_execution_id: ExecutionId::new(),
            trigger_depth: 1,
            cause: "trigger t".to_owned(),
            dry_run: false,
        }
    }

    /// What is told, of what was done with the debt.
    fn told(deed: impl FnOnce(Owed<Box<dyn FnOnce(RunResult) + Send>>)) -> Vec<(u16, Verdict, u32)> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let tell = Box::new(move |result: RunResult| {
            sink.lock().unwrap().push((result.status, result.verdict, result.execution.attempt));
        });
        deed(Owed::new(run(), "app".to_owned(), 0, Arc::from("here"), tell));
        Arc::try_unwrap(told).unwrap().into_inner().unwrap()
    }

    #[test]
    fn one_result_is_told_whatever_becomes_of_the_run() {
        let no_thread = told(drop);
        assert_eq!(no_thread, [(503, Verdict::NotRun, 3)]);
        let broke = told(|mut owed| {
            owed.has_begun();
            let _caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                let _owed = owed;
                panic!("a fault of ours");
            }));
        });
        assert_eq!(broke, [(500, Verdict::Failed, 3)]);
        let refused = told(|mut owed| owed.refuse(Refused::terminal(Problem::not_found("script", "s"))));
        assert_eq!(refused, [(404, Verdict::Terminal, 3)]);
        let paid = told(|owed| {
            let done = Refused::not_run(Problem::internal()).result(run(), String::new(), 0, "here");
            owed.pay(RunResult { status: 200, verdict: Verdict::Done, ..done });
        });
        assert_eq!(paid, [(200, Verdict::Done, 3)]);
    }
}
