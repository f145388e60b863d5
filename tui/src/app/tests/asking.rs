//! Three levels of asking, and what never answers a question.

use super::toy::bench;
use crate::app::testing::{Bench, writes};
use crate::app::{Effect, Key, Msg};

const D: Key = Key::Char('D');
const Y: Key = Key::Char('y');

/// Keys in one read.
fn read(bench: &mut Bench, keys: &[Key]) -> Vec<Effect> {
    bench.send(Msg::Keys(keys.to_vec()))
}

fn last_line_but_one(bench: &mut Bench) -> String {
    let text = bench.text();
    text.lines().rev().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn y_answers_a_question_that_could_be_read_and_every_other_key_keeps() {
    let mut bench = bench();
    assert!(writes(&bench.keys(&[D])).is_empty());
    assert_eq!(last_line_but_one(&mut bench), " delete one: it is gone for good  [y] delete  [other key] keep");
    assert_eq!(writes(&bench.keys(&[Y])), ["DELETE /things/one"]);
    for other in [Key::Enter, Key::Esc, D, Key::Char('n'), Key::Char(' '), Key::Down, Key::Ctrl('c'), Key::Char('Y')] {
        let mut bench = super::toy::bench();
        let effects = bench.keys(&[D, other]);
        assert!(writes(&effects).is_empty(), "{other} deleted");
        assert_eq!(last_line_but_one(&mut bench), " kept: nothing was changed", "{other}");
        assert!(writes(&bench.keys(&[Y])).is_empty(), "after {other} there is no question any more");
    }
}

#[test]
fn keys_in_the_same_read_as_the_asking_key_never_answer() {
    let mut bench = bench();
    let effects = read(&mut bench, &[D, Y, Y, Key::Enter]);
    assert!(writes(&effects).is_empty());
    assert!(last_line_but_one(&mut bench).contains("[y] delete"), "the question is still there");
}

#[test]
fn keys_before_the_question_was_drawn_and_shortly_after_never_answer() {
    let mut bench = bench();
    read(&mut bench, &[D]);
    bench.pass(10_000);
    assert!(writes(&read(&mut bench, &[Y])).is_empty(), "nobody has seen it yet");
    bench.send(Msg::Drawn);
    bench.pass(299);
    assert!(writes(&read(&mut bench, &[Y])).is_empty(), "299 ms after it was drawn");
    assert!(writes(&read(&mut bench, &[Key::Esc])).is_empty());
    assert!(last_line_but_one(&mut bench).contains("[y] delete"), "what is thrown away does not close it either");
    bench.pass(1);
    assert_eq!(writes(&read(&mut bench, &[Y])), ["DELETE /things/one"]);
}

#[test]
fn the_time_counts_from_the_first_frame_with_the_question() {
    let mut bench = bench();
    read(&mut bench, &[D]);
    bench.send(Msg::Drawn);
    bench.pass(200);
    bench.send(Msg::Drawn);
    bench.pass(100);
    assert_eq!(writes(&read(&mut bench, &[Y])), ["DELETE /things/one"], "later frames do not put it off");
}

#[test]
fn pasted_text_is_never_keys() {
    let mut bench = bench();
    for text in ["D", "Dy", "D\ny", "\u{1b}q", "y"] {
        assert!(writes(&bench.send(Msg::Paste(text.to_owned()))).is_empty(), "{text}");
        assert_eq!(last_line_but_one(&mut bench), " pasted text goes into fields only: nothing was done");
    }
    bench.keys(&[D]);
    bench.draw();
    assert!(writes(&bench.send(Msg::Paste("y".to_owned()))).is_empty(), "it answers no question");
    assert!(last_line_but_one(&mut bench).contains("[y] delete"));
}

#[test]
fn many_things_need_their_count_typed_and_enter_alone_keeps_them() {
    let mut bench = bench();
    bench.keys(&[Key::Char('*'), D]);
    assert_eq!(last_line_but_one(&mut bench), " delete 3 things for good  type 3 to delete, Esc keeps:");
    assert!(writes(&bench.keys(&[Key::Enter])).is_empty());
    assert_eq!(last_line_but_one(&mut bench), " kept: nothing was changed");
    bench.keys(&[D, Y]);
    assert!(writes(&bench.keys(&[Key::Enter])).is_empty(), "y is not the word");
    bench.keys(&[D]);
    bench.draw();
    bench.send(Msg::Paste("3".to_owned()));
    assert!(writes(&bench.keys(&[Key::Enter])).is_empty(), "a pasted word is not typed");
    bench.keys(&[D]);
    bench.typed("2");
    bench.keys(&[Key::Backspace]);
    bench.typed("3");
    assert_eq!(
        writes(&bench.keys(&[Key::Enter])),
        ["DELETE /things/one", "DELETE /things/two", "DELETE /things/three"]
    );
}

#[test]
fn what_is_refused_says_why_and_sends_nothing() {
    let mut bench = bench();
    assert!(writes(&bench.keys(&[Key::Char('K')])).is_empty());
    assert_eq!(last_line_but_one(&mut bench), " kill: nothing runs");
}

#[test]
fn a_read_only_session_asks_nothing_and_changes_nothing() {
    let mut bench = bench();
    bench.app.facts.is_read_only = true;
    for keys in [vec![D, Y], vec![Key::Char('e')], vec![Key::Char('u')]] {
        assert!(writes(&bench.keys(&keys)).is_empty(), "{keys:?}");
    }
    bench.keys(&[D]);
    assert_eq!(last_line_but_one(&mut bench), " this is a read-only session: nothing was changed");
    assert!(bench.text().contains("READ-ONLY"));
}

#[test]
fn while_the_terminal_is_too_small_to_see_them_keys_do_nothing_but_quit() {
    let mut bench = bench();
    bench.text_at(39, 24);
    assert!(writes(&bench.keys(&[D, Y, Key::Char('e')])).is_empty());
    bench.send(Msg::Paste("x".to_owned()));
    bench.text_at(80, 24);
    assert!(!bench.text().contains("[y] delete"), "nothing was asked unseen");
    bench.text_at(80, 9);
    let effects = bench.keys(&[Key::Char('q')]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Quit)));
}

#[test]
fn a_menu_runs_by_the_same_rules() {
    let mut bench = bench();
    bench.keys(&[Key::Char('a'), D]);
    assert!(last_line_but_one(&mut bench).contains("[y] delete"), "{}", bench.text());
    bench.keys(&[Key::Esc]);
    let effects = read(&mut bench, &[Key::Char('a'), D, Y]);
    assert!(writes(&effects).is_empty());
    bench.keys(&[Key::Esc]);
    bench.keys(&[Key::Char('a'), Key::Char('K')]);
    assert_eq!(last_line_but_one(&mut bench), " not now: nothing runs", "{}", bench.text());
}
