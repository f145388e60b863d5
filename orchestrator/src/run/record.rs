//! One run under way: its log, its name to the parent, and what becomes of both when it ends.

use super::apps::{RunApp, RunScript};
use super::gate::Permit;
use super::handover::Takeovers;
use super::seen::Seen;
use crate::inflight::LostRun;
use crate::parking::Client;
use picloud_executor::services::{Handover, LogSink};
use picloud_executor::{CallContext, RunReport};
use picloud_model::clock::UnixMs;
use picloud_model::execution::{Execution, LogLine, Outcome};
use picloud_model::{ExecutionId, Problem};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// One run. It is its own log sink and its own hand-over, so that a run costs one allocation for all three.
pub(super) struct RunRecord {
    pub(super) app: Arc<RunApp>,
    pub(super) script: Arc<RunScript>,
    pub(super) execution_id: ExecutionId,
    pub(super) root_id: ExecutionId,
    pub(super) trigger_depth: u32,
    pub(super) cause: String,
    pub(super) seen: Seen,
    pub(super) started_at: UnixMs,
    pub(super) began: Instant,
    pub(super) inline: bool,
    pub(super) permit: Permit,
    /// Who waits for the answer, if it is to come over a connection of this process.
    pub(super) client: Option<Client>,
    pub(super) takeovers: Arc<Takeovers>,
    pub(super) became_long: AtomicBool,
    pub(super) lines: Mutex<Vec<LogLine>>,
}

impl RunRecord {
    /// Names the run to the parent, should this process die under it.
    pub(super) fn announce(&self) {
        let (trigger, attempt) = self.seen.trigger_and_attempt();
        let run = LostRun {
            app: self.app.id(),
            script: self.script.name.as_ref().to_owned(),
            version: self.script.version,
            execution_id: self.execution_id,
            cause: self.cause.clone(),
            started_at: self.started_at,
            root_execution_id: self.root_id,
            trigger_depth: self.trigger_depth,
            trigger: trigger.to_owned(),
            attempt,
        };
        self.permit.announce(&run, self.client.as_ref());
    }

    pub(super) fn has_logs(&self) -> bool {
        !self.lines.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What is kept of the run; takes its log lines.
    pub(super) fn execution(&self, report: &RunReport, node: &str) -> Execution {
        let (outcome, status, error_json) = match &report.result {
            Ok(response) => (Outcome::Ok, response.status, String::new()),
            Err(error) => {
                let mut problem = error.problem();
                problem.execution_id = Some(self.execution_id);
                (Outcome::Failed, problem.status, json(&problem))
            }
        };
        let mut logs = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut cause, mut error_json) = (self.cause.clone(), error_json);
        let (trigger, attempt) = self.seen.trigger_and_attempt();
        let mut result_json = report.value_json.clone();
        if !report.redactor.is_empty() {
            // Lines were written without what the run knew by then; it may have been told more later.
            let texts = logs.iter_mut().flat_map(|line| [&mut line.message, &mut line.fields]);
            for text in texts.chain([&mut cause, &mut error_json, &mut result_json]) {
                report.redactor.redact(text);
            }
        }
        Execution {
            id: self.execution_id,
            root_id: self.root_id,
            app_id: self.app.id(),
            app: self.app.name.as_ref().to_owned(),
            script: self.script.name.as_ref().to_owned(),
            version: self.script.version,
            node: node.to_owned(),
            cause,
            outcome,
            status,
            started_at: self.started_at,
            duration_us: u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            usage: report.usage,
            error_json,
            logs,
            logs_dropped: report.logs_dropped,
            trigger_depth: self.trigger_depth,
            trigger: trigger.to_owned(),
            attempt,
            result_json,
            input_json: self.seen.kept(&report.redactor),
        }
    }
}

impl LogSink for RunRecord {
    fn log(&self, _call: &CallContext, line: LogLine) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Handover for RunRecord {
    fn now_long(&self) {
        if !self.became_long.swap(true, Ordering::Relaxed) {
            // Named before anything else: from here on it may live long enough to do harm.
            self.announce();
            if !self.takeovers.hand_over() {
                tracing::debug!("no thread took over in time; this one stays a scheduler under a long run");
            }
        }
    }
}

pub(super) fn json(problem: &Problem) -> String {
    serde_json::to_string(problem).expect("a problem holds only text and numbers")
}
