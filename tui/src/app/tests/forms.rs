//! Forms, pickers and readers over a screen.

use super::toy::{bench, ok};
use crate::app::testing::writes;
use crate::app::{Effect, Key, Msg};
use picloud_model::problem::{Code, Problem};

#[test]
fn a_form_stays_with_all_that_was_typed_until_its_change_is_made() {
    let mut bench = bench();
    bench.keys(&[Key::Char('n')]);
    bench.typed("shed");
    bench.keys(&[Key::Tab, Key::Char(' ')]);
    assert_eq!(writes(&bench.keys(&[Key::Enter])), ["POST /things/shed"]);
    assert!(bench.text().contains("[sent, waiting]"), "{}", bench.text());
    assert!(writes(&bench.keys(&[Key::Enter])).is_empty(), "it is not sent twice");
    bench.wrote(Err(Problem::new(Code::Conflict, "there is a thing shed").hint("choose another name")));
    let text = bench.text();
    assert!(text.contains("there is a thing shed  - choose another name"), "{text}");
    assert!(text.contains("shed") && text.contains("[x] yes"), "{text}");
    bench.keys(&[Key::BackTab]);
    bench.typed("2");
    bench.keys(&[Key::Tab]);
    assert_eq!(writes(&bench.keys(&[Key::Enter])), ["POST /things/shed2"]);
    bench.wrote(ok("1"));
    assert!(bench.app.layers.is_empty() && bench.text().contains("made shed2"));
}

#[test]
fn what_the_screen_refuses_itself_stays_in_the_form_too() {
    let mut bench = bench();
    bench.keys(&[Key::Char('n')]);
    bench.typed("bad");
    assert!(writes(&bench.keys(&[Key::Enter, Key::Enter])).is_empty());
    let text = bench.text();
    assert!(text.contains("bad is no name") && text.contains("New thing"), "{text}");
}

#[test]
fn a_form_that_leads_to_no_change_closes() {
    let mut bench = bench();
    bench.keys(&[Key::Char('n')]);
    bench.typed("nothing");
    bench.keys(&[Key::Enter, Key::Enter]);
    assert!(bench.app.layers.is_empty());
}

#[test]
fn a_change_of_a_form_that_asks_keeps_the_form_below_its_question() {
    let mut bench = bench();
    bench.keys(&[Key::Char('n')]);
    bench.typed("deleted");
    assert!(writes(&bench.keys(&[Key::Enter, Key::Enter, Key::Char('n')])).is_empty());
    assert!(bench.text().contains("deleted") && bench.app.layers.len() == 1, "{}", bench.text());
    bench.keys(&[Key::Enter]);
    assert_eq!(writes(&bench.keys(&[Key::Char('y')])), ["DELETE /things/deleted"]);
    bench.wrote(ok("1"));
    assert!(bench.app.layers.is_empty());
}

#[test]
fn letters_are_text_in_a_form_and_keys_of_the_table_do_nothing_there() {
    let mut bench = bench();
    bench.keys(&[Key::Char('n')]);
    let effects = bench.typed("Dyqu:/?1");
    assert!(writes(&effects).is_empty());
    assert!(bench.text().contains("Dyqu:/?1"), "{}", bench.text());
    bench.send(Msg::Paste("pasted".to_owned()));
    assert!(bench.text().contains("Dyqu:/?1pasted"), "{}", bench.text());
}

#[test]
fn a_form_that_waits_can_be_left_and_what_comes_of_it_is_still_told() {
    let mut bench = bench();
    bench.keys(&[Key::Char('n')]);
    bench.typed("shed");
    bench.keys(&[Key::Enter, Key::Enter, Key::Esc]);
    assert!(bench.app.layers.is_empty());
    bench.wrote(Err(Problem::new(Code::Conflict, "there is a thing shed")));
    assert!(bench.text().contains("there is a thing shed"));
}

#[test]
fn a_picker_gives_what_was_chosen_and_says_why_something_cannot_be() {
    let mut bench = bench();
    bench.keys(&[Key::Char('o')]);
    bench.typed("pear");
    bench.keys(&[Key::Enter]);
    assert!(bench.text().contains("pear: it is not ripe"), "{}", bench.text());
    for _letter in 0..4 {
        bench.keys(&[Key::Backspace]);
    }
    bench.keys(&[Key::Enter]);
    assert!(bench.text().contains("fruit=a"), "{}", bench.text());
}

#[test]
fn copying_never_claims_that_it_arrived() {
    let mut bench = bench();
    let effects = bench.keys(&[Key::Char('i'), Key::Char('y')]);
    let copied =
        effects.iter().any(|effect| matches!(effect, Effect::Copy { text } if text == "all that is known\nof one\n"));
    assert!(copied);
    assert!(bench.text().contains("sent the text (25 B) to the terminal's clipboard; if it did not arrive: z"));
    bench.keys(&[Key::Char('q')]);
    assert!(bench.app.layers.is_empty(), "q closes what is on top");
}
