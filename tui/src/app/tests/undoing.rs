//! Changes that are made, refused, counted and taken back.

use super::toy::{bench, ok};
use crate::app::testing::{Bench, writes};
use crate::app::{Effect, Key, Msg};
use picloud_model::problem::{Code, Problem};

fn message(bench: &mut Bench) -> String {
    let text = bench.text();
    text.lines().rev().nth(1).unwrap_or_default().trim().to_owned()
}

fn ids(effects: &[Effect]) -> Vec<u64> {
    effects.iter().filter_map(|effect| if let Effect::Write { id, .. } = effect { Some(*id) } else { None }).collect()
}

#[test]
fn a_change_is_told_with_its_undo_and_taken_back_at_the_version_it_made() {
    let mut bench = bench();
    assert_eq!(writes(&bench.keys(&[Key::Char('e')])), ["PUT /things/one"]);
    assert!(bench.text().contains("1 under way"));
    bench.wrote(ok("8"));
    assert_eq!(message(&mut bench), "saved one   u undo");
    let effects = bench.keys(&[Key::Char('u')]);
    let Some(Effect::Write { request, .. }) = effects.iter().find(|effect| matches!(effect, Effect::Write { .. }))
    else {
        panic!("nothing was sent")
    };
    assert_eq!((request.if_match.as_deref(), &request.body[..]), (Some("8"), &b"{\"value\":1}"[..]));
    bench.wrote(ok("9"));
    assert_eq!(message(&mut bench), "one is as before");
    bench.keys(&[Key::Char('u')]);
    assert_eq!(message(&mut bench), "nothing to undo: no change of yours since the start");
}

#[test]
fn an_undo_is_refused_where_somebody_changed_it_since() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e')]);
    bench.wrote(ok("8"));
    bench.keys(&[Key::Char('u')]);
    bench.wrote(Err(Problem::new(Code::PreconditionFailed, "one is at version 9, not 8")));
    assert_eq!(message(&mut bench), "one is at version 9, not 8");
    assert!(writes(&bench.keys(&[Key::Char('u')])).is_empty(), "it is not tried again");
}

#[test]
fn an_undo_that_nobody_answered_can_be_tried_again() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e')]);
    bench.wrote(ok("8"));
    bench.keys(&[Key::Char('u')]);
    bench.wrote(Err(Problem::new(Code::NodeAway, "the appliance does not answer")));
    assert_eq!(writes(&bench.keys(&[Key::Char('u')])), ["PUT /things/one"]);
}

#[test]
fn a_change_without_a_version_to_compare_offers_no_undo() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e')]);
    bench.wrote(Ok(crate::app::Answer::default()));
    assert_eq!(message(&mut bench), "saved one");
    assert!(writes(&bench.keys(&[Key::Char('u')])).is_empty());
}

#[test]
fn a_refused_change_stays_on_the_message_line_until_a_key() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e')]);
    bench.wrote(Err(Problem::new(Code::Invalid, "value is no number").hint("write 1")));
    bench.draw();
    bench.pass(60_000);
    let owner = crate::app::shell(crate::app::MESSAGE);
    bench.send(Msg::Due { owner });
    assert_eq!(message(&mut bench), "value is no number  - write 1");
    bench.keys(&[Key::Down]);
    assert_eq!(message(&mut bench), "");
}

#[test]
fn a_word_goes_by_itself_and_one_that_came_since_stays() {
    let mut bench = bench();
    bench.keys(&[Key::Char('u')]);
    let owner = || crate::app::shell(crate::app::MESSAGE);
    bench.pass(9_000);
    bench.send(Msg::Due { owner: owner() });
    assert_ne!(message(&mut bench), "", "its time is not over");
    bench.pass(1_000);
    bench.send(Msg::Due { owner: owner() });
    assert_eq!(message(&mut bench), "");
}

#[test]
fn many_changes_are_told_together_and_each_that_was_refused_by_name() {
    let mut bench = bench();
    bench.keys(&[Key::Char('*'), Key::Char('D')]);
    bench.typed("3");
    let sent = ids(&bench.keys(&[Key::Enter]));
    assert_eq!(sent.len(), 3);
    bench.send(Msg::Wrote { id: sent[0], answered: ok("1") });
    bench.send(Msg::Wrote { id: sent[1], answered: Err(Problem::new(Code::Conflict, "a route leads to it")) });
    bench.send(Msg::Wrote { id: sent[2], answered: ok("1") });
    assert_eq!(message(&mut bench), "2 done, 1 refused: :messages says why");
    bench.keys(&[Key::Char(':')]);
    bench.typed("messages");
    bench.keys(&[Key::Enter]);
    assert!(bench.text().contains("not deleted two: a route leads to it"));
    insta::assert_snapshot!(bench.text_at(80, 12));
}

#[test]
fn many_changes_of_one_question_are_taken_back_together_the_last_one_first() {
    let mut bench = bench();
    bench.keys(&[Key::Char('e')]);
    bench.wrote(ok("8"));
    let sent = ids(&bench.keys(&[Key::Char('*'), Key::Char('p')]));
    for id in &sent[..2] {
        bench.send(Msg::Wrote { id: *id, answered: ok("1") });
    }
    bench.send(Msg::Wrote { id: sent[2], answered: Err(Problem::new(Code::Conflict, "a route leads to it")) });
    let back = writes(&bench.keys(&[Key::Char('u')]));
    assert_eq!(back, ["POST /things/two", "POST /things/one"], "what was not done is not taken back");
    assert_eq!(writes(&bench.keys(&[Key::Char('u')])), ["PUT /things/one"], "the step before it");
}

#[test]
fn each_frame_is_asked_for_once_and_a_late_answer_for_none() {
    let mut bench = bench();
    bench.keys(&[Key::Down]);
    assert!(bench.app.is_dirty());
    bench.send(Msg::Drawn);
    assert!(!bench.app.is_dirty());
    let owner = crate::app::shell(crate::app::APPS);
    bench.send(Msg::Loaded { owner, generation: 0, answered: ok("1") });
    assert!(!bench.app.is_dirty(), "it is of a load that was replaced");
    bench.keys(&[Key::Down]);
    bench.send(Msg::Due { owner: crate::app::shell(crate::app::MESSAGE) });
    assert!(bench.app.is_dirty(), "what was due before is still due");
}
