//! Going from screen to screen and back, and out.

use super::toy::bench;
use crate::app::testing::Bench;
use crate::app::{Effect, Key, Msg, Place, ScreenId};

#[test]
fn digits_go_to_screens_and_minus_and_esc_come_back() {
    let mut bench = Bench::at(ScreenId::Home);
    for (key, screen) in "1234567890".chars().zip(ScreenId::ALL) {
        bench.keys(&[Key::Char(key)]);
        assert_eq!(bench.app.at(), *screen, "{key}");
    }
    bench.keys(&[Key::Char('-')]);
    assert_eq!(bench.app.at(), ScreenId::Runs);
}

#[test]
fn esc_takes_away_one_thing_at_a_time_and_never_quits() {
    let mut bench = bench();
    bench.go(&Place::of(ScreenId::Routes));
    bench.go(&Place::of(ScreenId::Apps));
    bench.keys(&[Key::Char(' '), Key::Char('/')]);
    bench.typed("o");
    bench.keys(&[Key::Enter, Key::Char('z')]);
    let state = |bench: &mut Bench| {
        let text = bench.text();
        (
            text.contains("1Home"),
            text.contains("/o"),
            text.contains(" * one") || text.contains(">* one"),
            bench.app.at(),
        )
    };
    assert_eq!(state(&mut bench), (false, false, true, ScreenId::Apps), "zoomed:\n{}", bench.text());
    for expected in
        [(true, true, true, ScreenId::Apps), (true, false, true, ScreenId::Apps), (true, false, false, ScreenId::Apps)]
    {
        bench.keys(&[Key::Esc]);
        assert_eq!(state(&mut bench), expected, "{}", bench.text());
    }
    bench.keys(&[Key::Esc]);
    assert_eq!(bench.app.at(), ScreenId::Routes, "then it is where one was before");
    for _more in 0..40 {
        let effects = bench.keys(&[Key::Esc]);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Quit)));
    }
}

#[test]
fn the_filter_is_applied_as_it_is_typed_and_esc_puts_back_what_was() {
    let mut bench = bench();
    bench.keys(&[Key::Char('/')]);
    bench.typed("thr");
    assert!(bench.text().contains("Apps[1]"), "{}", bench.text());
    bench.keys(&[Key::Enter]);
    assert!(bench.text().contains("/thr"));
    bench.keys(&[Key::Char('/')]);
    bench.typed("x");
    assert!(bench.text().contains("Apps[0]"));
    bench.keys(&[Key::Esc]);
    assert!(bench.text().contains("Apps[1]") && bench.text().contains("/thr"), "{}", bench.text());
}

#[test]
fn q_asks_once_more_where_drafts_are_and_they_are_kept() {
    let mut bench = bench();
    bench.keys(&[Key::Char('x')]);
    bench.typed("let x");
    bench.keys(&[Key::Esc]);
    let quits = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Quit));
    assert!(!quits(&bench.keys(&[Key::Char('q')])));
    assert!(bench.text().contains("1 draft is not saved, but kept: q again quits"));
    bench.keys(&[Key::Down]);
    assert!(!quits(&bench.keys(&[Key::Char('q')])), "another key in between asks again");
    let effects = bench.keys(&[Key::Char('q')]);
    assert!(quits(&effects));
    let kept =
        effects.iter().any(|effect| matches!(effect, Effect::KeepDraft { id, text } if id == "toy" && text == "let x"));
    assert!(kept);
}

#[test]
fn ctrl_c_cancels_and_twice_quits() {
    let mut bench = bench();
    let quits = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Quit));
    bench.keys(&[Key::Char('n')]);
    assert!(!quits(&bench.keys(&[Key::Ctrl('c')])));
    assert!(bench.app.layers.is_empty(), "it cancels the form");
    bench.keys(&[Key::Down]);
    assert!(!quits(&bench.keys(&[Key::Ctrl('c')])));
    assert!(quits(&bench.keys(&[Key::Ctrl('c')])));
}

#[test]
fn f1_is_help_also_while_an_editor_has_the_keys() {
    let mut bench = bench();
    bench.keys(&[Key::Char('x'), Key::F1]);
    assert!(bench.text().contains("Apps: keys"), "{}", bench.text());
}

#[test]
fn help_runs_what_is_chosen_and_finds_by_typing() {
    let mut bench = bench();
    bench.keys(&[Key::Char('?'), Key::Char('/')]);
    bench.typed("machines");
    bench.keys(&[Key::Enter]);
    assert_eq!((bench.app.at(), bench.app.layers.len()), (ScreenId::Nodes, 0), "{}", bench.text());
}

#[test]
fn unknown_keys_say_where_keys_are() {
    let mut bench = bench();
    bench.keys(&[Key::Char('%')]);
    assert!(bench.text().contains("% does nothing here: ? shows the keys"));
}

#[test]
fn what_a_screen_follows_ends_when_it_is_left() {
    let mut bench = Bench::at(ScreenId::Runs);
    let follows =
        bench.effects.iter().any(|effect| matches!(effect, Effect::Follow { owner, .. } if owner.screen.is_some()));
    assert!(follows, "the log is followed");
    let effects = bench.keys(&[Key::Char('1')]);
    let stops =
        effects.iter().any(|effect| matches!(effect, Effect::Stop { owner } if owner.screen == Some(ScreenId::Runs)));
    assert!(stops);
}

#[test]
fn a_theme_is_kept() {
    let mut bench = bench();
    bench.keys(&[Key::Char(':')]);
    bench.typed("theme contrast");
    let effects = bench.keys(&[Key::Enter]);
    let kept = effects
        .iter()
        .any(|effect| matches!(effect, Effect::KeepSetting { name: "theme", value } if value == "contrast"));
    assert!(kept && bench.app.facts.theme == crate::theme::ThemeName::Contrast);
}

#[test]
fn the_log_has_each_call_with_its_result_and_the_command_for_it() {
    let mut bench = bench();
    let app = crate::app::testing::settle;
    app(&mut bench);
    bench.keys(&[Key::Char('e')]);
    bench.pass(20);
    bench.wrote(super::toy::ok("2"));
    bench.keys(&[Key::Char(':')]);
    bench.typed("log");
    bench.keys(&[Key::Enter]);
    let text = bench.text_at(100, 30);
    assert!(text.contains("PUT /things/one  200  20 ms"), "{text}");
    assert!(text.contains("picloud apps list"), "{text}");
    bench.send(Msg::Drawn);
}
