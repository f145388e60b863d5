//! What scripts log, as it arrives, for whoever follows it. Costs nothing while nobody does.

use picloud_model::clock::rfc3339;
use picloud_model::execution::{Execution, LogLevel, Outcome};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Lines that a follower may be behind; whoever is further behind is told how many it missed.
const LINES_BEHIND_MAX: usize = 1_024;

/// One line, as followers get it.
#[derive(Clone, Debug, Serialize)]
pub struct TailLine {
    /// When it was written.
    pub at: String,
    /// The app.
    pub app: String,
    /// The script.
    pub script: String,
    /// Its version.
    pub version: i64,
    /// The machine.
    pub node: String,
    /// How much it matters.
    pub level: LogLevel,
    /// The sentence.
    pub message: String,
    /// What goes with it; `null` for nothing.
    pub fields: Value,
    /// The run that wrote it.
    pub execution_id: String,
}

/// The lines as they arrive. Cheap to clone.
#[derive(Clone)]
pub struct Tail(broadcast::Sender<Arc<TailLine>>);

impl Default for Tail {
    fn default() -> Self {
        Self(broadcast::Sender::new(LINES_BEHIND_MAX))
    }
}

impl Tail {
    /// Hands on what these runs logged, and why those failed that did.
    pub fn push(&self, runs: &[Execution]) {
        if self.0.receiver_count() == 0 {
            return;
        }
        for line in runs.iter().flat_map(lines) {
            // Nobody listens any more: that is no loss.
            let _nobody = self.0.send(Arc::new(line));
        }
    }

    /// Every line from now on.
    pub fn follow(&self) -> broadcast::Receiver<Arc<TailLine>> {
        self.0.subscribe()
    }
}

/// What a run has to say: its log lines, how many were left out, and its failure.
fn lines(run: &Execution) -> Vec<TailLine> {
    let line = |at, level, message: String, fields| TailLine {
        at: rfc3339(at),
        app: run.app.clone(),
        script: run.script.clone(),
        version: run.version,
        node: run.node.clone(),
        level,
        message,
        fields,
        execution_id: run.id.to_string(),
    };
    let logged = run.logs.iter().map(|logged| {
        let fields = serde_json::from_str(&logged.fields).unwrap_or(Value::Null);
        line(logged.at, logged.level, logged.message.clone(), fields)
    });
    let mut lines: Vec<TailLine> = logged.collect();
    let ended_at = run.started_at.saturating_add(i64::try_from(run.duration_us / 1_000).unwrap_or(0));
    if run.logs_dropped > 0 {
        let message = format!("{} more log lines were over the limit `log_run_bytes`", run.logs_dropped);
        lines.push(line(ended_at, LogLevel::Warn, message, Value::Null));
    }
    if run.outcome != Outcome::Ok {
        let (message, fields) = match run.error() {
            Some(problem) => {
                let place = problem.at.as_ref().map(|at| format!(" ({}:{}:{})", at.script, at.line, at.column));
                let message = format!("{}{}", problem.detail, place.unwrap_or_default());
                (message, json!({ "code": problem.code, "status": run.status, "cause": run.cause, "at": problem.at }))
            }
            None => (format!("the run ended as {}", run.outcome.as_str()), json!({ "cause": run.cause })),
        };
        lines.push(line(ended_at, LogLevel::Error, message, fields));
    }
    lines
}
