//! What a delivery comes to after an attempt: done, tried again, dead, or not run at all.

use picloud_model::async_request::{ANSWER_BYTES_MAX, AsyncAnswer};
use picloud_model::clock::UnixMs;
use picloud_model::delivery::{Attempt, Delivery, DeliveryEnd};
use picloud_model::event::EventKind;
use picloud_model::ids::ExecutionId;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::{RunResult, Verdict};
use std::ops::RangeInclusive;

/// When a delivery that was not run is tried, from then.
const NOT_RUN_MS: RangeInclusive<u64> = 100..=1_000;
/// The same where no worker was there.
const AWAY_MS: RangeInclusive<u64> = 1_000..=5_000;
/// Longest `retry_after`: a week.
const RETRY_AFTER_S_MAX: u32 = 7 * 24 * 60 * 60;

/// What is told to the store, and how it is counted.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) end: DeliveryEnd,
    /// `done`, `retry`, `dead`, `not_run`.
    pub(super) word: &'static str,
}

impl Outcome {
    fn of(end: DeliveryEnd) -> Self {
        let word = match end {
            DeliveryEnd::Done(_) => "done",
            DeliveryEnd::Retry { .. } => "retry",
            DeliveryEnd::Dead(_) => "dead",
            DeliveryEnd::NotRun { .. } => "not_run",
        };
        Self { end, word }
    }
}

/// There was no room for it.
pub(super) fn not_run(now: UnixMs) -> Outcome {
    Outcome::of(DeliveryEnd::NotRun { due_at: now.saturating_add_unsigned(within(NOT_RUN_MS)) })
}

/// The run gave no result.
pub(super) fn of_problem(delivery: &Delivery, id: ExecutionId, problem: Problem, node: &str, now: UnixMs) -> Outcome {
    let verdict = match problem.code {
        Code::NodeAway => {
            return Outcome::of(DeliveryEnd::NotRun { due_at: now.saturating_add_unsigned(within(AWAY_MS)) });
        }
        Code::Overloaded => return not_run(now),
        // They would be as large, and as broken, the next time.
        Code::TooLarge | Code::Corrupted => Verdict::Terminal,
        _ => Verdict::Failed,
    };
    failed(delivery, verdict, attempt_of(delivery, id, problem, node, now), now)
}

/// The node that had it was lost: an attempt, and another one may begin elsewhere at once.
pub(super) fn of_lost(delivery: &Delivery, id: ExecutionId, problem: Problem, node: &str, now: UnixMs) -> Outcome {
    let at_once = Verdict::RetryAfter { seconds: 0 };
    failed(delivery, at_once, attempt_of(delivery, id, problem, node, now), now)
}

/// It waits for a node that may run it, and there is no more room for it here.
pub(super) fn no_room(now: UnixMs) -> Outcome {
    Outcome::of(DeliveryEnd::NotRun { due_at: now.saturating_add_unsigned(within(AWAY_MS)) })
}

/// It is to be looked at anew, at once.
pub(super) fn again(now: UnixMs) -> Outcome {
    Outcome::of(DeliveryEnd::NotRun { due_at: now })
}

/// An attempt that has no record of its run to be made of.
fn attempt_of(delivery: &Delivery, id: ExecutionId, problem: Problem, node: &str, now: UnixMs) -> Attempt {
    Attempt {
        attempt: delivery.attempt,
        at: now,
        execution_id: Some(id),
        version: delivery.version.unwrap_or(0),
        node: node.to_owned(),
        error: problem,
    }
}

/// The run gave a result; the answer of a request is taken out of it.
pub(super) fn of_result(delivery: &Delivery, result: &mut RunResult, now: UnixMs) -> Outcome {
    let is_request = delivery.event.kind == EventKind::Request;
    // That a request is wrong is an answer, and as final as any.
    let is_answered = is_request && result.verdict == Verdict::Terminal && (400..500).contains(&result.status);
    if result.verdict == Verdict::Done || is_answered {
        return Outcome::of(DeliveryEnd::Done(is_request.then(|| answer(result))));
    }
    let execution = &result.execution;
    let error = execution.error().unwrap_or_else(|| {
        let detail = format!("script `{}` answered {}", execution.script, result.status);
        Problem::new(Code::ScriptError, detail)
    });
    let attempt = Attempt {
        attempt: delivery.attempt,
        at: now,
        execution_id: Some(execution.id),
        version: execution.version,
        node: execution.node.clone(),
        error,
    };
    failed(delivery, result.verdict, attempt, now)
}

fn failed(delivery: &Delivery, verdict: Verdict, attempt: Attempt, now: UnixMs) -> Outcome {
    let is_last = delivery.attempt >= delivery.retry.max_attempts;
    let delay_ms = match verdict {
        Verdict::Failed => delivery.retry.delay_ms(delivery.attempt, chance()),
        Verdict::RetryAfter { seconds } => u64::from(seconds.min(RETRY_AFTER_S_MAX)) * 1_000,
        Verdict::Terminal | Verdict::Done | Verdict::NotRun => return Outcome::of(DeliveryEnd::Dead(attempt)),
    };
    let due_at = now.saturating_add_unsigned(delay_ms);
    // One that would be too old by then has had its last attempt.
    if is_last || delivery.expires_at.is_some_and(|end| due_at >= end) {
        return Outcome::of(DeliveryEnd::Dead(attempt));
    }
    Outcome::of(DeliveryEnd::Retry { attempt, due_at })
}

/// What the client gets when it asks again.
fn answer(result: &mut RunResult) -> AsyncAnswer {
    let bytes = result.body.len();
    if bytes > ANSWER_BYTES_MAX {
        let detail = format!("the answer has {bytes} bytes, more than the {ANSWER_BYTES_MAX} that are kept");
        let mut problem = Problem::new(Code::LimitExceeded, detail)
            .limit("answer_bytes", ANSWER_BYTES_MAX as u64)
            .hint("keep what is large in a file, and answer its id");
        problem.execution_id = Some(result.execution.id);
        return AsyncAnswer {
            status: problem.status,
            headers: vec![("content-type".to_owned(), "application/problem+json".to_owned())],
            body: serde_json::to_vec(&problem).expect("a problem has only plain fields"),
        };
    }
    AsyncAnswer {
        status: result.status,
        headers: std::mem::take(&mut result.headers),
        body: std::mem::take(&mut result.body),
    }
}

/// From 0 to 1, another each time.
fn chance() -> f64 {
    // Without chance all of them come back together, which is worse than late but not wrong.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}

fn within(range: RangeInclusive<u64>) -> u64 {
    let (least, most) = range.into_inner();
    least + ((most - least) as f64 * chance()) as u64
}

#[cfg(test)]
mod tests;
