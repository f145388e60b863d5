//! How the data of a screen or pane is, and what stands where its rows would be: `loading`, `nothing here yet: n makes
//! one`, or why it could not be read. Every screen keeps a [`State`] beside each thing it loads:
//!
//! - `self.state.begin()` where it calls `cx.load(…)`;
//! - `if let Some(page) = self.state.take::<Page<Node>>(cx.now, &answered) { self.list.set(…) }` in `loaded`;
//! - `self.state.problem()` in `Screen::problem`: only while there is nothing older to show;
//! - `self.state.note(&zone)` at the end of its title: ` loading` the first time, `data of 12:04:31` where newer data
//!   could not be had, else empty: a reload of what is there already changes no cell;
//! - `if list.is_empty() { self.state.view(look, area, buf, "no scripts yet: n makes one") } else { list.view(…) }`.
//!
//! A filter that leaves no row is said with [`no_match`].

use super::text;
use crate::app::{Answered, Now};
use crate::theme::{Ink, Look};
use picloud_model::problem::Problem;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::de::DeserializeOwned;

/// How something that is loaded is.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    is_loading: bool,
    /// When it was read last, by [`Now::unix_ms`].
    read_unix_ms: Option<i64>,
    /// Why it could not be read, the last time it was tried.
    problem: Option<Problem>,
}

impl State {
    /// It is being loaded.
    pub(crate) fn begin(&mut self) {
        self.is_loading = true;
    }

    /// It was loaded, or was not; answers what came. What is shown already stays where nothing did.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, now: Now, answered: &Answered) -> Option<T> {
        let parsed = answered.as_ref().map_err(Problem::clone).and_then(|answer| answer.json());
        self.ended(now, parsed.as_ref().err());
        parsed.ok()
    }

    /// The same, where the caller has parsed it.
    pub(crate) fn ended(&mut self, now: Now, problem: Option<&Problem>) {
        self.is_loading = false;
        self.problem = problem.cloned();
        if problem.is_none() {
            self.read_unix_ms = Some(now.unix_ms);
        }
    }

    /// Whether it was read at all.
    pub(crate) fn is_read(&self) -> bool {
        self.read_unix_ms.is_some()
    }

    /// Whether it is being loaded.
    pub(crate) fn is_loading(&self) -> bool {
        self.is_loading
    }

    /// Why there is nothing to show, where there is not.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref().filter(|_| !self.is_read())
    }

    /// What the title says of it; begins with two blanks where it says anything.
    pub(crate) fn note(&self, zone: &jiff::tz::TimeZone) -> String {
        match (self.read_unix_ms, &self.problem) {
            (None, None) if self.is_loading => "  loading".to_owned(),
            (Some(at), Some(_)) => format!("  data of {}, r reloads", text::time_of_day(at, zone)),
            _ => String::new(),
        }
    }

    /// Draws what stands where rows would be; `nothing` says what to do where there is nothing yet.
    pub(crate) fn view(&self, look: &Look, area: Rect, buf: &mut Buffer, nothing: &str) {
        match &self.problem {
            Some(problem) if !self.is_read() => view_problem(look, area, buf, problem),
            _ if self.is_read() => say(look, area, buf, nothing),
            _ => say(look, area, buf, "loading"),
        }
    }

    /// The same of a list that `filter` may have emptied; what is not read yet is not said to be without anything.
    pub(crate) fn view_filtered(&self, look: &Look, area: Rect, buf: &mut Buffer, filter: &str, nothing: &str) {
        if filter.is_empty() || !self.is_read() {
            self.view(look, area, buf, nothing);
        } else {
            no_match(look, area, buf, filter);
        }
    }
}

/// What stands where rows would be while a filter leaves none.
pub(crate) fn no_match(look: &Look, area: Rect, buf: &mut Buffer, filter: &str) {
    say(look, area, buf, &format!("nothing has {filter}: Esc clears the filter"));
}

/// A problem in place of what it kept from being shown: what it is, and what to do.
pub(crate) fn view_problem(look: &Look, area: Rect, buf: &mut Buffer, problem: &Problem) {
    let y = lines(look, (Ink::Bad, &problem.detail), area, area.y.saturating_add(1), buf);
    let mut y = y.saturating_add(1);
    if let Some(hint) = &problem.hint {
        y = lines(look, (Ink::Plain, hint), area, y, buf).saturating_add(1);
    }
    lines(look, (Ink::Faint, "r tries again"), area, y, buf);
}

/// A sentence where rows would be.
pub(crate) fn say(look: &Look, area: Rect, buf: &mut Buffer, sentence: &str) {
    lines(look, (Ink::Plain, sentence), area, area.y.saturating_add(1), buf);
}

/// Writes wrapped lines, indented as rows are; answers the line after them.
fn lines(look: &Look, (ink, sentence): (Ink, &str), area: Rect, mut y: u16, buf: &mut Buffer) -> u16 {
    const INDENT: u16 = 3;
    let columns = usize::from(area.width.saturating_sub(INDENT + 1));
    for line in text::wrap(&text::clean(sentence), columns) {
        text::put(buf, area, (area.x.saturating_add(INDENT), y), &line, columns, look.ink(ink));
        y = y.saturating_add(1);
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Answer, testing::CAPS};
    use crate::theme::ThemeName;
    use picloud_model::problem::Code;

    const NOW: Now = Now { mono_ms: 0, unix_ms: 1_767_355_471_000 };

    fn shown(state: &State) -> String {
        let look = Look { caps: CAPS, theme: ThemeName::Terminal, unix_ms: NOW.unix_ms, frame: 0 };
        let area = Rect::new(0, 0, 40, 6);
        let mut buf = Buffer::empty(area);
        state.view(&look, area, &mut buf, "no scripts yet: n makes one");
        let line = |y| (0..40).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..6).map(line).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    #[test]
    fn first_it_loads_then_it_is_empty_then_what_is_there_outlives_a_failure() {
        let zone = jiff::tz::TimeZone::UTC;
        let mut state = State::default();
        state.begin();
        assert_eq!((shown(&state).as_str(), state.note(&zone).as_str()), ("\n   loading", "  loading"));
        let answer = Answer { status: 200, etag: None, body: "[1]".into() };
        assert_eq!(state.take::<Vec<u8>>(NOW, &Ok(answer)), Some(vec![1]));
        assert_eq!((shown(&state).as_str(), state.note(&zone).as_str()), ("\n   no scripts yet: n makes one", ""));
        let away = Problem::new(Code::NodeAway, "nobody answers");
        assert_eq!(state.take::<Vec<u8>>(NOW, &Err(away)), None);
        assert_eq!((state.problem(), state.note(&zone).as_str()), (None, "  data of 12:04:31, r reloads"));
    }

    #[test]
    fn a_failure_with_nothing_older_names_the_thing_and_what_to_do() {
        let mut state = State::default();
        let problem = Problem::new(Code::Forbidden, "your key lacks the scope script:read for this app")
            .hint("ask for a key with it");
        assert_eq!(state.take::<Vec<u8>>(NOW, &Err(problem.clone())), None);
        assert_eq!(state.problem(), Some(&problem));
        insta::assert_snapshot!(shown(&state));
    }
}
