//! Keys: one table, from which dispatch, footer and help come. The same on every screen.

use crate::app::ScreenId;
use crate::app::key::Key;

/// A cell of the screen, as it was when the mouse was pressed on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Point {
    /// Column and line, from 0.
    pub(crate) at: (u16, u16),
    /// The frame that was shown then: what was drawn before it is not there any more.
    pub(crate) frame: u64,
}

/// What a person can mean. What an action does to a thing, and whether it may, is the screen's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    // Moving.
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Left,
    Right,
    NextHit,
    PreviousHit,
    NextPane,
    PreviousPane,
    /// To what was drawn there: a click, never a key.
    Point(Point),
    // Going.
    Open,
    Back,
    Go(ScreenId),
    LastScreen,
    Quit,
    // Asking the program.
    Palette,
    Filter,
    Help,
    Offers,
    // Choosing.
    Mark,
    MarkAll,
    // Reading.
    Info,
    Logs,
    Versions,
    Sort,
    Follow,
    Wrap,
    Zoom,
    Copy,
    Reload,
    // Changing what can be undone.
    New,
    Edit,
    EditOutside,
    Save,
    SaveWith,
    Pause,
    Test,
    Undo,
    // Changing after a question.
    Delete,
    RunAgain,
    Accept,
    Move,
    Kill,
    // The terminal.
    Cancel,
    Suspend,
    Repaint,
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    /// The key.
    pub(crate) key: Key,
    /// What it means.
    pub(crate) action: Action,
    /// In a word, for footer and menus; what a screen offers may say it more exactly.
    pub(crate) word: &'static str,
    /// In a sentence, for the help.
    pub(crate) help: &'static str,
}

const fn bind(key: Key, action: Action, word: &'static str, help: &'static str) -> Binding {
    Binding { key, action, word, help }
}

/// Every key there is outside text fields. Never bound, because terminals, multiplexers or ssh take them: Ctrl-A, B, G,
/// H, I, J, M, N, O, P, Q, S, T, `[`, `\`; `~`; anything with Alt; F keys but F1.
pub(crate) static KEYS: &[Binding] = &[
    bind(Key::Up, Action::Up, "up", "up a line"),
    bind(Key::Char('k'), Action::Up, "up", "up a line"),
    bind(Key::Down, Action::Down, "down", "down a line"),
    bind(Key::Char('j'), Action::Down, "down", "down a line"),
    bind(Key::Left, Action::Left, "left", "left; closes a branch"),
    bind(Key::Char('h'), Action::Left, "left", "left; closes a branch"),
    bind(Key::Right, Action::Right, "right", "right; opens a branch"),
    bind(Key::PageUp, Action::PageUp, "page up", "up a page"),
    bind(Key::PageDown, Action::PageDown, "page down", "down a page"),
    bind(Key::Ctrl('u'), Action::PageUp, "page up", "up a page"),
    bind(Key::Ctrl('d'), Action::PageDown, "page down", "down a page"),
    bind(Key::Home, Action::Top, "top", "to the first line"),
    bind(Key::Char('g'), Action::Top, "top", "to the first line"),
    bind(Key::End, Action::Bottom, "bottom", "to the last line"),
    bind(Key::Char('G'), Action::Bottom, "bottom", "to the last line"),
    bind(Key::Char(']'), Action::NextHit, "next", "next hit, error or mark"),
    bind(Key::Char('['), Action::PreviousHit, "previous", "previous hit, error or mark"),
    bind(Key::Tab, Action::NextPane, "pane", "next pane"),
    bind(Key::BackTab, Action::PreviousPane, "pane", "previous pane"),
    bind(Key::Enter, Action::Open, "open", "open what is selected"),
    bind(Key::Esc, Action::Back, "back", "close, clear the filter or marks, go up a level; never quits"),
    bind(Key::Char('1'), Action::Go(ScreenId::Home), "Home", "what needs a person, nodes, the last hour"),
    bind(Key::Char('2'), Action::Go(ScreenId::Nodes), "Nodes", "machines that run scripts"),
    bind(Key::Char('3'), Action::Go(ScreenId::Apps), "Apps", "apps, and what each holds"),
    bind(Key::Char('4'), Action::Go(ScreenId::Scripts), "Scripts", "scripts and modules"),
    bind(Key::Char('5'), Action::Go(ScreenId::Routes), "Routes", "URLs, and the scripts behind them"),
    bind(Key::Char('6'), Action::Go(ScreenId::Triggers), "Trig", "schedules, reactions, dead letters"),
    bind(Key::Char('7'), Action::Go(ScreenId::Kv), "KV", "keys and values"),
    bind(Key::Char('8'), Action::Go(ScreenId::Files), "Files", "files of apps"),
    bind(Key::Char('9'), Action::Go(ScreenId::Runs), "Runs", "executions and live logs"),
    bind(Key::Char('0'), Action::Go(ScreenId::Settings), "Set", "keys, tokens, secrets, backup, audit, limits"),
    bind(Key::Char('-'), Action::LastScreen, "last", "the screen before this one"),
    bind(Key::Char(':'), Action::Palette, "command", "find any screen, thing or action"),
    bind(Key::Char('/'), Action::Filter, "filter", "show only what has this text; a leading ! turns it round"),
    bind(Key::Char('?'), Action::Help, "keys", "keys of this screen"),
    bind(Key::F1, Action::Help, "keys", "keys of this screen"),
    bind(Key::Char('a'), Action::Offers, "actions", "all that can be done with this, and why not"),
    bind(Key::Char(' '), Action::Mark, "mark", "mark or unmark; actions then take all that are marked"),
    bind(Key::Char('*'), Action::MarkAll, "mark all", "mark all that are shown, or none"),
    bind(Key::Char('i'), Action::Info, "info", "all that is known of this, also as JSON"),
    bind(Key::Char('l'), Action::Logs, "logs", "what this logs, as it does"),
    bind(Key::Char('v'), Action::Versions, "versions", "versions and what changed between them"),
    bind(Key::Char('o'), Action::Sort, "sort", "sort by the next column"),
    bind(Key::Char('f'), Action::Follow, "follow", "follow the end, or stay here"),
    bind(Key::Char('w'), Action::Wrap, "wrap", "wrap long lines, or cut them"),
    bind(Key::Char('z'), Action::Zoom, "zoom", "this pane alone, without frames: for the terminal's own selection"),
    bind(Key::Char('y'), Action::Copy, "copy", "copy to the clipboard"),
    bind(Key::Char('r'), Action::Reload, "reload", "read everything anew"),
    bind(Key::Char('n'), Action::New, "new", "make a new one"),
    bind(Key::Char('e'), Action::Edit, "edit", "edit here"),
    bind(Key::Char('x'), Action::EditOutside, "$EDITOR", "edit in your own editor"),
    bind(Key::Char('s'), Action::Save, "save", "save"),
    bind(Key::Char('S'), Action::SaveWith, "save...", "save, and say why first"),
    bind(Key::Char('p'), Action::Pause, "pause", "pause or resume; a node takes no new work"),
    bind(Key::Char('t'), Action::Test, "test", "try it, with a form first"),
    bind(Key::Char('u'), Action::Undo, "undo", "take back the last change of your own"),
    bind(Key::Char('D'), Action::Delete, "delete", "delete or discard, after a question"),
    bind(Key::Char('R'), Action::RunAgain, "run again", "run, send or start again, after a question"),
    bind(Key::Char('A'), Action::Accept, "accept", "let a machine in, after a question"),
    bind(Key::Char('M'), Action::Move, "move", "rename or move, after a question"),
    bind(Key::Char('K'), Action::Kill, "kill", "end what runs, after a question"),
    bind(Key::Char('q'), Action::Quit, "quit", "close what is on top; on a screen, quit"),
    bind(Key::Ctrl('c'), Action::Cancel, "cancel", "cancel; twice quits"),
    bind(Key::Ctrl('z'), Action::Suspend, "suspend", "back to the shell until fg"),
    bind(Key::Ctrl('l'), Action::Repaint, "repaint", "paint the screen anew"),
];

/// What a key means.
pub(crate) fn action_of(key: Key) -> Option<Action> {
    KEYS.iter().find(|binding| binding.key == key).map(|binding| binding.action)
}

/// The first line of the table for an action.
pub(crate) fn binding_of(action: Action) -> &'static Binding {
    KEYS.iter().find(|binding| binding.action == action).expect("every action has a key: a test says so")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    use Action as A;

    /// All actions but those of [`ScreenId::ALL`]; the compiler says in [`is_known`] when one is missing here.
    const ALL: &[Action] = &[
        A::Up,
        A::Down,
        A::PageUp,
        A::PageDown,
        A::Top,
        A::Bottom,
        A::Left,
        A::Right,
        A::NextHit,
        A::PreviousHit,
        A::NextPane,
        A::PreviousPane,
        A::Open,
        A::Back,
        A::LastScreen,
        A::Quit,
        A::Palette,
        A::Filter,
        A::Help,
        A::Offers,
        A::Mark,
        A::MarkAll,
        A::Info,
        A::Logs,
        A::Versions,
        A::Sort,
        A::Follow,
        A::Wrap,
        A::Zoom,
        A::Copy,
        A::Reload,
        A::New,
        A::Edit,
        A::EditOutside,
        A::Save,
        A::SaveWith,
        A::Pause,
        A::Test,
        A::Undo,
        A::Delete,
        A::RunAgain,
        A::Accept,
        A::Move,
        A::Kill,
        A::Cancel,
        A::Suspend,
        A::Repaint,
    ];

    fn is_known(action: Action) -> bool {
        match action {
            // A click is no key.
            A::Go(_) | A::Point(_) => true,
            A::Up
            | A::Down
            | A::PageUp
            | A::PageDown
            | A::Top
            | A::Bottom
            | A::Left
            | A::Right
            | A::NextHit
            | A::PreviousHit
            | A::NextPane
            | A::PreviousPane
            | A::Open
            | A::Back
            | A::LastScreen
            | A::Quit
            | A::Palette
            | A::Filter
            | A::Help
            | A::Offers
            | A::Mark
            | A::MarkAll
            | A::Info
            | A::Logs
            | A::Versions
            | A::Sort
            | A::Follow
            | A::Wrap
            | A::Zoom
            | A::Copy
            | A::Reload
            | A::New
            | A::Edit
            | A::EditOutside
            | A::Save
            | A::SaveWith
            | A::Pause
            | A::Test
            | A::Undo
            | A::Delete
            | A::RunAgain
            | A::Accept
            | A::Move
            | A::Kill
            | A::Cancel
            | A::Suspend
            | A::Repaint => ALL.contains(&action),
        }
    }

    fn all() -> Vec<Action> {
        let screens = ScreenId::ALL.iter().map(|screen| A::Go(*screen));
        let all: Vec<Action> = ALL.iter().copied().chain(screens).collect();
        assert!(all.iter().all(|action| is_known(*action)));
        all
    }

    #[test]
    fn every_action_has_a_key_and_no_key_has_two() {
        for action in all() {
            assert!(KEYS.iter().any(|binding| binding.action == action), "{action:?} has no key");
        }
        let mut seen = HashSet::new();
        for binding in KEYS {
            assert!(seen.insert(binding.key), "{} is there twice", binding.key);
        }
    }

    #[test]
    fn keys_that_terminals_and_multiplexers_take_are_never_bound() {
        for letter in "abghijmnopqst\\[".chars() {
            assert_eq!(action_of(Key::Ctrl(letter)), None, "Ctrl-{letter}");
        }
        assert_eq!(action_of(Key::Char('~')), None, "ssh takes it");
    }

    #[test]
    fn nothing_needs_ctrl_or_a_function_key() {
        for action in all() {
            let is_plain = |binding: &&Binding| !matches!(binding.key, Key::Ctrl(_) | Key::F1);
            let is_convenience = matches!(action, Action::Cancel | Action::Suspend | Action::Repaint);
            let has_plain = KEYS.iter().filter(|binding| binding.action == action).any(|binding| is_plain(&binding));
            assert!(has_plain || is_convenience, "{action:?} needs Ctrl");
        }
    }

    #[test]
    fn what_asks_first_is_upper_case_and_nothing_else_is() {
        for binding in KEYS {
            let Key::Char(letter) = binding.key else { continue };
            let asks = matches!(
                binding.action,
                Action::Delete | Action::RunAgain | Action::Accept | Action::Move | Action::Kill
            );
            // G is a move, and is where every pager has it; S opens a form first.
            assert_eq!(asks, letter.is_uppercase() && !"GS".contains(letter), "{letter}");
        }
    }

    #[test]
    fn the_key_that_confirms_asks_for_nothing() {
        assert_ne!(action_of(Key::Char('y')), Some(Action::Delete));
        for binding in KEYS.iter().filter(|binding| binding.help.contains("after a question")) {
            assert_ne!(binding.key, Key::Char('y'));
            assert_ne!(binding.key, Key::Enter);
        }
    }
}
