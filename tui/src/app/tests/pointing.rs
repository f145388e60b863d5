//! The mouse, where it is asked for: clicks do what keys do, and no more than that.

use crate::app::layers::Layer;
use crate::app::testing::{Bench, filled, settle};
use crate::app::{Effect, Key, Msg, ScreenId};

/// A frame is shown, the mouse is pressed on it, and some time passes.
fn click(bench: &mut Bench, at: (u16, u16)) -> Vec<Effect> {
    bench.text();
    bench.draw();
    bench.send(Msg::Click(at.0, at.1))
}

/// The lines with the cursor's sign, from 0.
fn cursors(bench: &mut Bench) -> Vec<u16> {
    let text = bench.text();
    let lines = text.lines().zip(0..).filter(|(line, _)| line.starts_with('>'));
    lines.map(|(_, y)| y).collect()
}

/// Where a text stands.
fn place(bench: &mut Bench, wanted: &str) -> (u16, u16) {
    let text = bench.text();
    let found = text
        .lines()
        .zip(0..)
        .find_map(|(line, y)| line.find(wanted).map(|at| (u16::try_from(line[..at].chars().count()).unwrap(), y)));
    found.unwrap_or_else(|| panic!("no {wanted} in\n{text}"))
}

#[test]
fn a_click_puts_the_cursor_on_a_line_of_every_screen() {
    let mut short = Vec::new();
    for screen in ScreenId::ALL {
        let mut bench = filled(*screen);
        if *screen == ScreenId::Runs {
            // Those that are kept: no log comes here.
            bench.keys(&[Key::Tab]);
            settle(&mut bench);
        }
        bench.keys(&[Key::Home]);
        let Some(before) = cursors(&mut bench).first().copied() else { panic!("{screen:?}:\n{}", bench.text()) };
        bench.keys(&[Key::Down]);
        let below = cursors(&mut bench)[0];
        bench.keys(&[Key::Up]);
        if before == below {
            short.push(*screen);
            continue;
        }
        bench.pass(1000);
        click(&mut bench, (6, below));
        assert_eq!(cursors(&mut bench)[0], below, "{screen:?}:\n{}", bench.text());
        bench.pass(1000);
        click(&mut bench, (6, before));
        assert_eq!(cursors(&mut bench)[0], before, "{screen:?}:\n{}", bench.text());
        // Where nothing stands, nothing happens.
        let shown = bench.text();
        click(&mut bench, (70, 1));
        assert_eq!(bench.text(), shown, "{screen:?}");
    }
    assert_eq!(short, [ScreenId::Runs], "of these there is but one line to click on");
}

#[test]
fn a_second_click_opens_screens_and_keys_can_be_clicked_and_panes_get_the_focus() {
    let mut bench = filled(ScreenId::Home);
    let at = place(&mut bench, "6Trig");
    click(&mut bench, at);
    assert_eq!(bench.app.at(), ScreenId::Triggers);
    let mut bench = filled(ScreenId::Triggers);
    let at = place(&mut bench, "Tab letters");
    let focus = |bench: &mut Bench| bench.text().lines().nth(1).unwrap().contains('›');
    click(&mut bench, at);
    assert!(focus(&mut bench), "`Tab letters` was clicked:\n{}", bench.text());
    bench.pass(1000);
    let at = place(&mut bench, "NAME");
    click(&mut bench, (at.0, at.1 + 1));
    assert!(!focus(&mut bench), "a trigger was clicked:\n{}", bench.text());
    let mut bench = filled(ScreenId::Apps);
    let at = place(&mut bench, "NAME");
    click(&mut bench, (at.0, at.1 + 1));
    bench.pass(1000);
    click(&mut bench, (at.0, at.1 + 1));
    assert!(bench.app.layers.is_empty(), "two single clicks:\n{}", bench.text());
    click(&mut bench, (at.0, at.1 + 1));
    assert!(!bench.app.layers.is_empty(), "a second click soon opens it:\n{}", bench.text());
}

#[test]
fn menus_run_what_is_clicked_and_questions_take_no_click() {
    let mut bench = filled(ScreenId::Apps);
    bench.keys(&[Key::Char('a')]);
    let at = place(&mut bench, "what it holds");
    click(&mut bench, at);
    assert!(matches!(bench.app.layers.last(), Some(Layer::Picker { .. })), "{}", bench.text());
    let at = place(&mut bench, "secrets");
    click(&mut bench, at);
    assert_eq!((bench.app.at(), bench.app.layers.len()), (ScreenId::Settings, 0), "{}", bench.text());
    let mut bench = super::toy::bench();
    bench.keys(&[Key::Char('D')]);
    let question = bench.text();
    let at = place(&mut bench, "[y]");
    for column in 0..80 {
        let effects = click(&mut bench, (column, at.1));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Write { .. })));
    }
    assert_eq!(bench.text(), question);
}

#[test]
fn it_is_off_until_it_is_asked_for_and_where_the_terminal_knows_none() {
    let mut bench = filled(ScreenId::Apps);
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Point(_))));
    bench.keys(&[Key::Char(':')]);
    bench.typed("mouse on");
    let effects = bench.keys(&[Key::Enter]);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Point(true))));
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::KeepSetting { name: "mouse", value } if value == "on"))
    );
    bench.app.facts.caps.points = false;
    bench.keys(&[Key::Char(':')]);
    bench.typed("mouse on");
    let effects = bench.keys(&[Key::Enter]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Point(_) | Effect::KeepSetting { .. })));
    assert!(bench.text().contains("this terminal does not tell of clicks"), "{}", bench.text());
}
