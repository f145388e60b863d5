//! Whatever is typed, pasted and waited for: nothing is taken away without its question having been answered.

use crate::app::layers::Layer;
use crate::app::testing::{Bench, filled, settle};
use crate::app::{Effect, Key, Msg, Request, ScreenId};
use http::Method;
use proptest::prelude::*;

/// What a person, a clock and an appliance may do.
#[derive(Clone, Debug)]
enum Step {
    /// Keys in one read.
    Keys(Vec<Key>),
    /// A paste.
    Paste(&'static str),
    /// A click.
    Click(u16, u16),
    /// A frame.
    Draw,
    /// Time.
    Pass(u64),
    /// The appliance answers all that was asked.
    Answer,
    /// Another size.
    Resize(u16, u16),
}

fn key() -> impl Strategy<Value = Key> {
    let letters = "DDDDRRAMKyyyyynnaaexptsuqgGjklhifovwz/:?*- []1234567890%\u{e9}";
    let letters: Vec<Key> = letters.chars().map(Key::Char).collect();
    let others = vec![
        Key::Enter,
        Key::Enter,
        Key::Esc,
        Key::Esc,
        Key::Tab,
        Key::BackTab,
        Key::Backspace,
        Key::Delete,
        Key::Up,
        Key::Down,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::Home,
        Key::End,
        Key::PageUp,
        Key::PageDown,
        Key::F1,
        Key::Ctrl('c'),
        Key::Ctrl('d'),
    ];
    prop_oneof![3 => prop::sample::select(letters), 2 => prop::sample::select(others)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => key().prop_map(|key| Step::Keys(vec![key])),
        2 => prop::collection::vec(key(), 2..5).prop_map(Step::Keys),
        1 => prop::sample::select(vec!["y", "D", "Dy\n", "2", "text", "\u{1b}[A"]).prop_map(Step::Paste),
        2 => (0..80_u16, 0..24_u16).prop_map(|(x, y)| Step::Click(x, y)),
        4 => Just(Step::Draw),
        4 => prop::sample::select(vec![1, 100, 299, 300, 1000]).prop_map(Step::Pass),
        3 => Just(Step::Answer),
        1 => prop::sample::select(vec![(80, 24), (60, 20), (30, 8)]).prop_map(|(w, h)| Step::Resize(w, h)),
    ]
}

/// Whether it takes something away, or makes something run again, or lets something in.
fn is_destructive(request: &Request) -> bool {
    let path = request.path.as_str().split('?').next().unwrap_or_default();
    let asks = ["/retry", "/approve", "/replace"];
    request.method == Method::DELETE || request.method == Method::POST && asks.iter().any(|end| path.ends_with(end))
}

/// What allows a destructive request now: a question that could be read, or an undo that was offered.
fn allowed(bench: &Bench, step: &Step) -> bool {
    let Step::Keys(keys) = step else { return false };
    match bench.app.layers.last() {
        Some(Layer::Question(question)) if question.is_ready(bench.now().mono_ms) => match question.needs_word() {
            true => keys.contains(&Key::Enter),
            false => keys.first() == Some(&Key::Char('y')),
        },
        // Each of these can lead to `u` within one read.
        _ => keys.contains(&Key::Char('u')) && bench.app.undo_requests().next().is_some(),
    }
}

fn check(bench: &mut Bench, step: &Step) -> Result<(), TestCaseError> {
    let is_allowed = allowed(bench, step);
    let undo: Vec<Request> = bench.app.undo_requests().cloned().collect();
    let was_asked = matches!(bench.app.layers.last(), Some(Layer::Question(_)));
    let effects = match step {
        Step::Keys(keys) => bench.send(Msg::Keys(keys.clone())),
        Step::Paste(text) => bench.send(Msg::Paste((*text).to_owned())),
        Step::Click(x, y) => {
            // What is drawn is what is clicked.
            bench.text();
            bench.send(Msg::Drawn);
            bench.send(Msg::Click(*x, *y))
        }
        Step::Draw => bench.send(Msg::Drawn),
        Step::Pass(ms) => {
            bench.pass(*ms);
            Vec::new()
        }
        Step::Answer => {
            let from = bench.effects.len();
            settle(bench);
            bench.effects[from..].to_vec()
        }
        Step::Resize(width, height) => bench.send(Msg::Resize { width: *width, height: *height }),
    };
    for effect in &effects {
        let Effect::Write { request, .. } = effect else { continue };
        if !is_destructive(request) {
            continue;
        }
        let is_undo =
            undo.iter().any(|undo| undo.method == request.method && undo.path.as_str() == request.path.as_str());
        prop_assert!(
            is_allowed && (was_asked || is_undo),
            "{} {} was sent by {step:?} without an answered question (asked: {was_asked})",
            request.method,
            request.path.as_str()
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_taken_away_without_an_answered_question(
        screen in prop::sample::select(ScreenId::ALL.to_vec()),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut bench = filled(screen);
        for step in &steps {
            check(&mut bench, step)?;
            bench.effects.clear();
        }
        // What came of it can be drawn, whatever it is.
        bench.text();
    }
}

#[test]
fn the_random_keys_do_reach_questions_and_answers() {
    // Without this the property would hold for a program that does nothing.
    let mut bench = super::toy::bench();
    for step in [Step::Keys(vec![Key::Char('D')]), Step::Draw, Step::Pass(300), Step::Keys(vec![Key::Char('y')])] {
        check(&mut bench, &step).unwrap();
    }
    assert_eq!(crate::app::testing::writes(&bench.effects), ["DELETE /things/one"]);
    let mut bench = super::toy::bench();
    check(&mut bench, &Step::Keys(vec![Key::Char('D')])).unwrap();
    assert!(matches!(bench.app.layers.last(), Some(Layer::Question(_))));
    assert!(!allowed(&bench, &Step::Keys(vec![Key::Char('y')])), "it was not drawn");
}
