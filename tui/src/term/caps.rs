//! What the terminal can do, found out once from the environment: no terminal is ever asked, for over a slow line an
//! answer comes late and looks like keys.

use crate::failure::Failure;
use crate::settings::Surroundings;
use crate::theme::{Caps, ColorDepth};

/// Which sequences the terminal understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Has a second screen, so that what was there before comes back.
    pub(super) alternates: bool,
    /// Can hide its cursor.
    pub(super) hides_cursor: bool,
    /// Tells pasted text from typed text.
    pub(super) pastes: bool,
    /// Shows frames whole; those that do not know how pass over it.
    pub(super) synchronizes: bool,
    /// Takes text for the clipboard.
    pub(super) copies: bool,
    /// Tells of clicks.
    pub(super) points: bool,
    /// Knows more than bold, underlined and reversed.
    pub(super) colors: bool,
}

/// What terminals of the last twenty years know.
pub(super) const ALL: Dialect = Dialect {
    alternates: true,
    hides_cursor: true,
    pastes: true,
    synchronizes: true,
    copies: true,
    points: true,
    colors: true,
};
/// The console of Linux: no second screen, no clipboard.
pub(super) const LINUX: Dialect =
    Dialect { alternates: false, pastes: false, synchronizes: false, copies: false, points: false, ..ALL };
/// GNU screen, and tmux where it says so: what they do not know they pass over, but for whole frames.
const SCREEN: Dialect = Dialect { synchronizes: false, ..ALL };
/// A VT100 and what calls itself one.
pub(super) const VT100: Dialect = Dialect { hides_cursor: false, colors: false, ..LINUX };

/// Finds out what this terminal is.
pub(super) fn of(around: &Surroundings, wants_ascii: bool, is_login_shell: bool) -> Result<(Caps, Dialect), Failure> {
    let term = around.term.as_str();
    let begins = |names: &[&str]| names.iter().any(|name| term.starts_with(name));
    let dialect = match term {
        "" | "dumb" | "unknown" => {
            let shown = if term.is_empty() { "none" } else { term };
            return Err(Failure::usage(
                format!("the terminal UI cannot be shown here: the kind of terminal is `{shown}`"),
                "set TERM to what your terminal is, such as xterm-256color; every command works without: picloud status",
            ));
        }
        "linux" => LINUX,
        _ if begins(&["vt1", "vt2", "vt3", "vt4", "vt5", "ansi", "cons"]) => VT100,
        _ if begins(&["screen"]) => SCREEN,
        _ => ALL,
    };
    let locale = around.locale.to_ascii_lowercase();
    let has_letters = locale.contains("utf-8") || locale.contains("utf8");
    // The console's fonts have few signs; a VT100 has none.
    let utf8 = has_letters && !wants_ascii && dialect.copies;
    let is_plain = around.no_color || !dialect.colors || term.ends_with("-mono") || term.ends_with("-m");
    let says_rgb = matches!(around.colorterm.as_str(), "truecolor" | "24bit");
    let color = match () {
        () if is_plain => ColorDepth::None,
        // GNU screen makes a mess of such colours.
        () if says_rgb && dialect == ALL => ColorDepth::Rgb,
        () => ColorDepth::Ansi16,
    };
    Ok((Caps { color, utf8, in_ssh: around.in_ssh, is_login_shell, points: dialect.points }, dialect))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(term: &str, more: impl FnOnce(&mut Surroundings)) -> Surroundings {
        let mut around = Surroundings { term: term.to_owned(), locale: "en_GB.UTF-8".to_owned(), ..Default::default() };
        more(&mut around);
        around
    }

    fn caps(around: &Surroundings) -> (Caps, Dialect) {
        of(around, false, false).unwrap()
    }

    #[test]
    fn colours_are_those_that_the_terminal_has_and_the_person_wants() {
        let color = |term: &str, colorterm: &str, no_color: bool| {
            let around = around(term, |around| {
                around.colorterm = colorterm.to_owned();
                around.no_color = no_color;
            });
            caps(&around).0.color
        };
        assert_eq!(color("xterm", "", false), ColorDepth::Ansi16);
        assert_eq!(color("xterm-256color", "truecolor", false), ColorDepth::Rgb);
        assert_eq!(color("screen-256color", "truecolor", false), ColorDepth::Ansi16);
        assert_eq!(color("linux", "truecolor", false), ColorDepth::Ansi16);
        assert_eq!(color("xterm", "truecolor", true), ColorDepth::None);
        assert_eq!(color("vt100", "truecolor", false), ColorDepth::None);
        assert_eq!(color("xterm-mono", "", false), ColorDepth::None);
    }

    #[test]
    fn signs_beyond_ascii_need_a_locale_and_a_terminal_that_have_them() {
        let utf8 = |term: &str, locale: &str, ascii: bool| {
            let around = around(term, |around| locale.clone_into(&mut around.locale));
            of(&around, ascii, false).unwrap().0.utf8
        };
        assert!(utf8("xterm", "C.utf8", false) && utf8("tmux", "de_DE.UTF-8", false));
        for (term, locale, ascii) in [
            ("xterm", "", false),
            ("xterm", "C", false),
            ("xterm", "en_GB.ISO-8859-1", false),
            ("xterm", "C.UTF-8", true),
            ("vt100", "C.UTF-8", false),
            ("linux", "C.UTF-8", false),
        ] {
            assert!(!utf8(term, locale, ascii), "{term} {locale} {ascii}");
        }
    }

    #[test]
    fn a_terminal_that_can_show_nothing_is_told_what_works_without() {
        for term in ["", "dumb"] {
            let failure = of(&around(term, |_around| {}), false, false).unwrap_err();
            assert_eq!(failure.exit_code(), 2);
            assert!(failure.problem().hint.unwrap().contains("picloud status"));
        }
    }

    #[test]
    fn old_terminals_are_spared_what_they_do_not_know() {
        let dialect = |term: &str| caps(&around(term, |_around| {})).1;
        assert_eq!(dialect("vt100"), VT100);
        assert_eq!(dialect("vt220"), VT100);
        assert_eq!(dialect("linux"), LINUX);
        assert_eq!(dialect("screen.xterm-256color"), SCREEN);
        assert_eq!(dialect("tmux-256color"), ALL);
    }
}
