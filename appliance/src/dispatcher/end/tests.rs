//! What each verdict comes to.

use super::*;
use picloud_model::event::Event;
use picloud_model::execution::{Execution, Outcome as RunOutcome, Usage};
use picloud_model::ids::{AppId, DeliveryId, EventId, TriggerId};
use picloud_model::trigger::Retry;

const NOW: UnixMs = 1_800_000_000_000;

fn delivery(kind: EventKind, attempt: u32) -> Delivery {
    Delivery {
        id: DeliveryId(1),
        app: AppId(1),
        trigger: (kind != EventKind::Request).then(|| (TriggerId(1), "on-a".to_owned())),
        script: "hello".to_owned(),
        version: None,
        event: Event {
            id: EventId::new(),
            kind,
            at: NOW,
            root_id: ExecutionId::new(),
            depth: 1,
            chain: Vec::new(),
            body: b"{}".to_vec(),
        },
        attempt,
        retry: Retry { max_attempts: 3, base_ms: 1_000, factor: 10.0, max_ms: 5_000 },
        expires_at: None,
        placement: picloud_model::placement::Placement::default(),
    }
}

fn result(verdict: Verdict, status: u16) -> RunResult {
    let id = ExecutionId::new();
    let problem = Problem::new(Code::ScriptError, "it threw");
    let ok = verdict == Verdict::Done;
    RunResult {
        status,
        headers: vec![("x-a".to_owned(), "b".to_owned())],
        body: b"answer".to_vec(),
        execution: Execution {
            id,
            root_id: id,
            app_id: AppId(1),
            app: "kitchen".to_owned(),
            script: "hello".to_owned(),
            version: 7,
            node: "pi".to_owned(),
            cause: "trigger on-a".to_owned(),
            outcome: if ok { RunOutcome::Ok } else { RunOutcome::Failed },
            status,
            started_at: NOW,
            duration_us: 1,
            usage: Usage::default(),
            error_json: if ok { String::new() } else { serde_json::to_string(&problem).unwrap() },
            logs: Vec::new(),
            logs_dropped: 0,
            trigger_depth: 1,
            trigger: "on-a".to_owned(),
            attempt: 1,
            result_json: String::new(),
            input_json: String::new(),
        },
        verdict,
        effects: Vec::new(),
    }
}

/// `word`, with the earliest and latest time from now of what is tried again.
fn told(delivery: &Delivery, verdict: Verdict, status: u16) -> (&'static str, Option<i64>) {
    let outcome = of_result(delivery, &mut result(verdict, status), NOW);
    let due = match outcome.end {
        DeliveryEnd::Retry { due_at, ref attempt } => {
            assert_eq!((attempt.version, attempt.attempt), (7, delivery.attempt));
            Some(due_at - NOW)
        }
        _ => None,
    };
    (outcome.word, due)
}

#[test]
fn each_verdict_has_its_end() {
    let first = delivery(EventKind::Kv, 1);
    assert_eq!(told(&first, Verdict::Done, 200), ("done", None));
    assert_eq!(told(&first, Verdict::Terminal, 500), ("dead", None));
    assert_eq!(told(&first, Verdict::Terminal, 404), ("dead", None), "an event asks nobody to be right");
    assert_eq!(told(&first, Verdict::RetryAfter { seconds: 90 }, 500), ("retry", Some(90_000)));
    for (attempt, bound) in [(1, 1_000), (2, 5_000)] {
        for _chance in 0..50 {
            let (word, due) = told(&delivery(EventKind::Kv, attempt), Verdict::Failed, 500);
            assert!(word == "retry" && (0..=bound).contains(&due.unwrap()), "{attempt}: {due:?}");
        }
    }
    let last = delivery(EventKind::Kv, 3);
    assert_eq!(told(&last, Verdict::Failed, 500), ("dead", None));
    assert_eq!(told(&last, Verdict::RetryAfter { seconds: 1 }, 500), ("dead", None));
    assert_eq!(not_run(NOW).word, "not_run");
}

#[test]
fn what_would_be_too_old_for_another_attempt_is_dead_with_its_own_error() {
    let mut old = delivery(EventKind::Kv, 1);
    old.expires_at = Some(NOW + 10_000);
    let outcome = of_result(&old, &mut result(Verdict::RetryAfter { seconds: 60 }, 500), NOW);
    let DeliveryEnd::Dead(attempt) = outcome.end else { panic!("{outcome:?}") };
    assert_eq!(attempt.error.detail, "it threw");
    assert_eq!(told(&old, Verdict::RetryAfter { seconds: 5 }, 500).0, "retry");
}

#[test]
fn runs_that_gave_no_result_are_tried_again_only_where_that_may_help() {
    let first = delivery(EventKind::Kv, 1);
    for (code, word) in [
        (Code::NodeAway, "not_run"),
        (Code::Overloaded, "not_run"),
        (Code::WorkerLost, "retry"),
        (Code::Deadline, "retry"),
        (Code::TooLarge, "dead"),
        (Code::Corrupted, "dead"),
    ] {
        let outcome = of_problem(&first, ExecutionId::new(), Problem::new(code, "no"), "pi", NOW);
        assert_eq!(outcome.word, word, "{code}");
    }
}

#[test]
fn a_request_that_is_answered_later_has_the_answer_it_would_have_had() {
    let first = delivery(EventKind::Request, 1);
    for (verdict, status) in [(Verdict::Done, 201), (Verdict::Terminal, 404)] {
        let outcome = of_result(&first, &mut result(verdict, status), NOW);
        let DeliveryEnd::Done(Some(answer)) = outcome.end else { panic!("{outcome:?}") };
        assert_eq!((answer.status, answer.body.as_slice()), (status, b"answer".as_slice()));
        assert_eq!(answer.headers[0].0, "x-a");
    }
    assert_eq!(told(&first, Verdict::Terminal, 500).0, "dead");
    assert_eq!(told(&first, Verdict::Failed, 500).0, "retry");
    let mut large = result(Verdict::Done, 200);
    large.body = vec![b'x'; ANSWER_BYTES_MAX + 1];
    let DeliveryEnd::Done(Some(answer)) = of_result(&first, &mut large, NOW).end else { panic!() };
    let problem: Problem = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, problem.code), (500, Code::LimitExceeded));
}

#[test]
fn a_lost_node_costs_an_attempt_and_no_time_until_the_last_one() {
    let problem = || Problem::new(Code::NodeAway, "node `cam` was not heard of for 30 s while it ran");
    for (attempt, word) in [(1, "retry"), (2, "retry"), (3, "dead")] {
        let outcome = of_lost(&delivery(EventKind::Pubsub, attempt), ExecutionId::new(), problem(), "cam", NOW);
        assert_eq!(outcome.word, word, "attempt {attempt}");
        match outcome.end {
            DeliveryEnd::Retry { attempt, due_at } => assert_eq!((attempt.node.as_str(), due_at), ("cam", NOW)),
            DeliveryEnd::Dead(attempt) => assert_eq!(attempt.error.code, Code::NodeAway),
            other => panic!("{other:?}"),
        }
    }
}
