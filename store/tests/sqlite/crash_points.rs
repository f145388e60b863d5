//! The process stops between any two steps of a delivery's life: what is on the disk at that moment is copied, as a
//! pulled plug would leave it, and opened. The event is still where the steps before had brought it.

use crate::conformance::deliveries::failed;
use crate::conformance::kv::set;
use crate::conformance::triggers::{app_with_scripts, claimed, on_kv, put};
use crate::conformance::{NOW, act};
use crate::open;
use picloud_model::clock::ManualClock;
use picloud_model::dead_letter::{DeadLetterQuery, RetryInput};
use picloud_model::delivery::{Delivery, DeliveryEnd};
use picloud_model::ids::AppId;
use picloud_store::{OpenSettings, Store};
use std::path::Path;
use std::sync::Arc;

/// Where an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// Nowhere yet, or done.
    Nowhere,
    /// To be tried, with the number that the next attempt has.
    Queued(u32),
    /// A dead letter.
    Dead,
}

/// One step of a life, each a transaction at most; and where the event is after it.
const LIFE: &[(Step, Where)] = &[
    (Step::Write, Where::Queued(1)),
    (Step::Claim, Where::Queued(1)),
    (Step::Note, Where::Queued(2)),
    (Step::Retry, Where::Queued(2)),
    (Step::Claim, Where::Queued(2)),
    (Step::NotRun, Where::Queued(2)),
    (Step::Claim, Where::Queued(2)),
    (Step::Die, Where::Dead),
    (Step::SendAgain, Where::Queued(1)),
    (Step::Claim, Where::Queued(1)),
    (Step::Done, Where::Nowhere),
];

#[derive(Clone, Copy, Debug)]
enum Step {
    Write,
    Claim,
    Note,
    Retry,
    NotRun,
    Die,
    SendAgain,
    Done,
}

#[tokio::test]
async fn an_event_is_where_it_was_whenever_the_process_stops() {
    let (store, dir) = open().await;
    let app = app_with_scripts(&*store).await;
    put(&*store, app, &on_kv("on-kv", "hello")).await;
    let mut held: Option<Delivery> = None;
    assert_eq!(after_a_crash(&dir.path().join("data"), app).await, Where::Nowhere);
    for (step, expected) in LIFE {
        held = take(&*store, app, *step, held).await;
        assert_eq!(after_a_crash(&dir.path().join("data"), app).await, *expected, "after {step:?}");
    }
}

/// Takes one step; answers the delivery that is claimed then.
async fn take(store: &dyn Store, app: AppId, step: Step, held: Option<Delivery>) -> Option<Delivery> {
    let end = async |end: DeliveryEnd| {
        let one = held.as_ref().expect("it is claimed");
        store.end_delivery(one.id, end, NOW).await.unwrap();
        None
    };
    match step {
        Step::Write => {
            store.kv(app, set("k", "1"), NOW).await.unwrap();
            None
        }
        Step::Claim => claimed(store, NOW + 10).await.pop(),
        Step::Note => {
            store.note_attempts(&[held.as_ref().expect("it is claimed").id]).await.unwrap();
            held
        }
        Step::Retry => {
            let attempt = failed(held.as_ref().expect("it is claimed"), "not now");
            end(DeliveryEnd::Retry { attempt, due_at: NOW + 5 }).await
        }
        Step::NotRun => end(DeliveryEnd::NotRun { due_at: NOW + 5 }).await,
        Step::Die => end(DeliveryEnd::Dead(failed(held.as_ref().expect("it is claimed"), "never"))).await,
        Step::SendAgain => {
            let letters = store.dead_letters(app, &DeadLetterQuery::default()).await.unwrap();
            let letter = letters.items[0].id;
            assert!(store.retry_dead_letter(app, letter, &RetryInput::default(), &act()).await.unwrap().is_some());
            None
        }
        Step::Done => end(DeliveryEnd::Done(None)).await,
    }
}

/// Opens a copy of the files as they are now and looks.
async fn after_a_crash(dir: &Path, app: AppId) -> Where {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let clock = Arc::new(ManualClock::new(NOW));
    let store = picloud_store::open(OpenSettings::new(copy.path()), clock).await.unwrap();
    let queue = claimed(&*store, NOW + 10).await;
    let letters = store.dead_letters(app, &DeadLetterQuery::default()).await.unwrap().items;
    match (queue.as_slice(), letters.as_slice()) {
        ([], []) => Where::Nowhere,
        ([one], []) => Where::Queued(one.attempt),
        ([], [_letter]) => Where::Dead,
        other => panic!("it is in two places: {other:?}"),
    }
}
