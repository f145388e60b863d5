//! What the palette finds, and how what was typed is taken: `scripts blog` looks for scripts only.

use super::Command;
use crate::app::Facts;
use crate::app::names::{Kind, Thing};
use crate::app::place::Place;
use crate::app::screen::{Offer, ScreenId};
use crate::keymap::{Action, binding_of};
use crate::theme::ThemeName;
use crate::widgets::fuzzy;

/// Something that can be found.
#[derive(Debug)]
pub(super) struct Find {
    /// What is found by typing it, and shown.
    pub(super) label: String,
    /// What stands beside it.
    pub(super) detail: String,
    /// The words that look for this kind of thing only.
    words: &'static [&'static str],
    /// What Enter does.
    pub(super) does: Do,
}

/// What Enter does.
#[derive(Clone, Debug)]
pub(super) enum Do {
    /// Goes there.
    Go(Place),
    /// Does what a key of the screen does.
    Act(Action),
    /// A command of the palette.
    Command(Command),
    /// Nothing, for this reason.
    Refuse(String),
}

const APP: &[&str] = &["app", "apps"];
const SCRIPT: &[&str] = &["script", "scripts"];
const MODULE: &[&str] = &["module", "modules", "script", "scripts"];
const ROUTE: &[&str] = &["route", "routes"];
const TRIGGER: &[&str] = &["trigger", "triggers"];
const NODE: &[&str] = &["node", "nodes"];
const THEME: &[&str] = &["theme"];

/// Commands by name, with what they do.
const COMMANDS: &[(&str, &str, Command)] = &[
    ("messages", "all that was said on the message line", Command::Messages),
    ("log", "calls to the appliance, with commands for them", Command::Log),
    ("drafts", "texts that are kept and not saved", Command::Drafts),
    ("theme terminal", "the terminal's own colours", Command::Theme(ThemeName::Terminal)),
    ("theme dark", "colours for a dark terminal", Command::Theme(ThemeName::Dark)),
    ("theme light", "colours for a light terminal", Command::Theme(ThemeName::Light)),
    ("theme contrast", "as much contrast as there is", Command::Theme(ThemeName::Contrast)),
    ("mouse on", "clicks go here; Shift selects text", Command::Mouse(true)),
    ("mouse off", "the terminal selects text", Command::Mouse(false)),
    ("print", "leave the screen and print what is on it", Command::Print),
    ("quit", "", Command::Quit),
];

/// What is there without asking anybody: screens, what the screen offers, commands, apps.
pub(super) fn fixed(facts: &Facts, at: ScreenId, offers: &[Offer]) -> Vec<Find> {
    let mut finds: Vec<Find> = ScreenId::ALL
        .iter()
        .map(|screen| {
            let binding = binding_of(Action::Go(*screen));
            find(screen.name(), binding.key.to_string(), &[], Do::Go(Place::of(*screen)))
        })
        .collect();
    for offer in offers {
        let key = binding_of(offer.action).key;
        let does = match &offer.refused {
            Some(why) => Do::Refuse(why.clone()),
            // What asks first is asked where one sees the thing, never from a list of everything.
            None if asks_first(offer.action) => Do::Refuse(format!("only by its key, {key}")),
            None => Do::Act(offer.action),
        };
        finds.push(find(&offer.word, format!("{key}  on {}", at.name()), &[], does));
    }
    for (name, detail, command) in COMMANDS {
        let words = if name.starts_with("theme") { THEME } else { &[] };
        finds.push(find(name, (*detail).to_owned(), words, Do::Command(command.clone())));
    }
    for app in facts.app_names() {
        finds.push(find(app, "app".to_owned(), APP, Do::Go(Place::of(ScreenId::Apps).app(app).thing(app))));
    }
    finds
}

/// A name of a list.
pub(super) fn of_thing(thing: &Thing) -> Find {
    let (screen, detail, words) = match thing.kind {
        Kind::Script => (ScreenId::Scripts, "script", SCRIPT),
        Kind::Module => (ScreenId::Scripts, "module", MODULE),
        Kind::Route => (ScreenId::Routes, "route", ROUTE),
        Kind::Trigger => (ScreenId::Triggers, "trigger", TRIGGER),
        Kind::Node => (ScreenId::Nodes, "node", NODE),
    };
    let mut place = Place::of(screen).thing(thing.id.as_str());
    let label = match &thing.app {
        Some(app) => {
            place = place.app(app.as_str());
            format!("{app}/{}", thing.name)
        }
        None => thing.name.clone(),
    };
    find(&label, detail.to_owned(), words, Do::Go(place))
}

fn find(label: &str, detail: String, words: &'static [&'static str], does: Do) -> Find {
    Find { label: label.to_owned(), detail, words, does }
}

/// Whether an action asks before it does something.
fn asks_first(action: Action) -> bool {
    matches!(action, Action::Delete | Action::RunAgain | Action::Accept | Action::Move | Action::Kill)
}

/// Indices of what matches, best first. Where nothing was typed: what is there without names. A first word that is a
/// kind of thing leaves only things of that kind.
pub(super) fn matching(typed: &str, finds: &[Find], fixed: usize) -> Vec<usize> {
    let typed = typed.trim();
    if typed.is_empty() {
        return (0..fixed).filter(|index| finds[*index].words != APP).collect();
    }
    let (first, rest) = typed.split_once(' ').unwrap_or((typed, ""));
    let first = first.to_lowercase();
    let of_kind: Vec<usize> = (0..finds.len()).filter(|index| finds[*index].words.contains(&first.as_str())).collect();
    if !of_kind.is_empty() && !rest.trim().is_empty() {
        let labels = of_kind.iter().map(|index| finds[*index].label.as_str());
        return fuzzy::find(rest, labels).into_iter().map(|found| of_kind[found]).collect();
    }
    let mut found = fuzzy::find(typed, finds.iter().map(|find| find.label.as_str()));
    // What is called exactly so, or begins so, is what is meant: `q` quits.
    let meant = |index: &usize| {
        let label = finds[*index].label.to_lowercase();
        let typed = typed.to_lowercase();
        !(label == typed || *index < fixed && label.starts_with(&typed))
    };
    found.sort_by_key(meant);
    found.extend(of_kind.into_iter().filter(|index| !found.contains(index)).collect::<Vec<_>>());
    found
}
