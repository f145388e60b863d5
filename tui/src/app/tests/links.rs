//! A lost connection: what is shown stays, its age is told, and everything is read anew when somebody answers again.

use super::toy::bench;
use crate::app::testing::Bench;
use crate::app::{Effect, Key, Msg, StreamState, WATCH, shell};
use picloud_model::problem::{Code, Problem};

fn watch_is(bench: &mut Bench, state: StreamState) -> Vec<Effect> {
    let owner = shell(WATCH);
    let generation = bench.app.generations[&owner];
    bench.send(Msg::StreamState { owner, generation, state })
}

fn lost(bench: &mut Bench, in_ms: u64) -> Vec<Effect> {
    let retry_at_ms = bench.now().mono_ms + in_ms;
    watch_is(bench, StreamState::Lost { why: "connection refused".to_owned(), retry_at_ms })
}

#[test]
fn what_is_shown_stays_with_its_age_and_a_countdown_and_keys_go_on_working() {
    let mut bench = bench();
    let effects = lost(&mut bench, 4_000);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Later { after_ms: 1000, .. })));
    bench.pass(1_000);
    let effects = bench.send(Msg::Due { owner: shell(crate::app::COUNTDOWN) });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Later { .. })), "it goes on counting");
    bench.keys(&[Key::Down]);
    insta::assert_snapshot!(bench.text_at(80, 12));
    insta::assert_snapshot!(bench.text_at(60, 10));
}

#[test]
fn when_somebody_answers_again_everything_is_read_anew() {
    let mut bench = bench();
    lost(&mut bench, 500);
    let effects = watch_is(&mut bench, StreamState::Live);
    let loads = effects.iter().filter(|effect| matches!(effect, Effect::Load { .. })).count();
    assert_eq!(loads, 2, "who asks, and the apps: {effects:#?}");
    assert!(bench.text().contains("reload"), "the screen too");
    assert!(!bench.text().contains("LOST"));
    let effects = bench.send(Msg::Due { owner: shell(crate::app::COUNTDOWN) });
    assert!(effects.is_empty(), "nothing counts down any more");
}

#[test]
fn a_gap_in_the_changes_reads_everything_anew() {
    let mut bench = bench();
    bench.stream("/watch", "gap", serde_json::json!({}));
    assert!(bench.text().contains("reload"));
}

#[test]
fn a_key_that_may_not_follow_changes_is_told_when_the_data_is_of() {
    let mut bench = bench();
    watch_is(&mut bench, StreamState::Refused { why: "no".to_owned() });
    assert!(bench.text().contains("data of 12:04:31, r reloads"), "{}", bench.text());
}

#[test]
fn a_change_that_nobody_answered_is_told_and_nothing_ends() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e')]);
    let effects = bench.wrote(Err(Problem::new(Code::NodeAway, "the appliance does not answer")));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Quit)));
    assert!(bench.text().contains("the appliance does not answer"));
}
