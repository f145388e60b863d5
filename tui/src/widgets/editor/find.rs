//! Finding text, with a line at the bottom to type it in.

use super::Editor;
use super::lines::Pos;
use crate::app::key::Key;
use crate::widgets::input::Input;

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Find {
    /// In force, also after the line is closed.
    needle: String,
    /// The line it is typed in, while it is open.
    input: Option<Input>,
    /// Where the cursor was when it was opened.
    from: Pos,
}

impl Find {
    /// Whether keys go there.
    pub(super) fn is_open(&self) -> bool {
        self.input.is_some()
    }

    /// The line it is typed in, while it is open.
    pub(super) fn input(&self) -> Option<&Input> {
        self.input.as_ref()
    }

    /// Where it stands in a line: (from, to) in bytes.
    pub(super) fn hits(&self, line: &str) -> Vec<(usize, usize)> {
        if self.needle.is_empty() {
            return Vec::new();
        }
        let folded = self.folded(line);
        folded.match_indices(&self.needle).map(|(at, found)| (at, at + found.len())).collect()
    }

    /// Upper case finds upper case only; lower case finds both. Keeps every byte where it is.
    fn folded<'a>(&self, line: &'a str) -> std::borrow::Cow<'a, str> {
        if self.needle.bytes().any(|byte| byte.is_ascii_uppercase()) {
            std::borrow::Cow::Borrowed(line)
        } else {
            std::borrow::Cow::Owned(line.to_ascii_lowercase())
        }
    }
}

impl Editor {
    /// Looks for text from the cursor on; `:42` goes to line 42, and nothing ends looking. Answers whether it is there.
    pub(crate) fn find(&mut self, text: &str) -> bool {
        if let Some(line) = text.strip_prefix(':') {
            if let Ok(line) = line.trim().parse::<usize>() {
                self.goto(line, 1);
            }
            return true;
        }
        text.clone_into(&mut self.find.needle);
        self.needle_is_here() || text.is_empty() || self.go_to_hit(true)
    }

    /// What is looked for.
    pub(crate) fn needle(&self) -> &str {
        &self.find.needle
    }

    /// Puts the cursor on the next hit, or on the one before; round the end. Answers whether there is one.
    pub(crate) fn go_to_hit(&mut self, forward: bool) -> bool {
        let count = self.lines.count();
        let here = self.cursor;
        for step in 0..=count {
            let line = if forward { here.line + step } else { here.line + 2 * count - step } % count;
            let hits = self.find.hits(self.lines.line(line));
            // In its own line, first what is on this side of the cursor, and after going round the rest.
            let on_this_side = |at: usize| step > 0 || if forward { at > here.byte } else { at < here.byte };
            let mut found = hits.into_iter().map(|(from, _)| from).filter(|from| on_this_side(*from));
            let found = if forward { found.next() } else { found.next_back() };
            if let Some(byte) = found {
                let column = self.lines.line(line)[..byte].chars().count();
                self.goto(line + 1, column + 1);
                return true;
            }
        }
        false
    }

    fn needle_is_here(&self) -> bool {
        self.find.hits(self.lines.line(self.cursor.line)).iter().any(|(from, _)| *from == self.cursor.byte)
    }

    /// Opens the line.
    pub(super) fn open_find(&mut self) {
        self.find.from = self.cursor;
        self.find.input = Some(Input::new(self.find.needle.clone()));
    }

    /// A key while it is open: Enter and Down find the next, Up the one before, Esc closes it.
    pub(super) fn typed_in_find(&mut self, key: Key) -> bool {
        match key {
            Key::Esc => self.find.input = None,
            Key::Enter | Key::Down | Key::Ctrl('f') => {
                let is_line = self.find.input().is_some_and(|input| input.text().starts_with(':'));
                if is_line {
                    self.find.input = None;
                } else {
                    self.go_to_hit(true);
                }
            }
            Key::Up => {
                self.go_to_hit(false);
            }
            other => {
                let is_taken = self.find.input.as_mut().is_some_and(|input| input.typed(other));
                self.find_what_is_typed();
                return is_taken;
            }
        }
        true
    }

    /// Text was pasted while it is open.
    pub(super) fn pasted_in_find(&mut self, text: &str) {
        if let Some(input) = &mut self.find.input {
            input.insert(text);
        }
        self.find_what_is_typed();
    }

    fn find_what_is_typed(&mut self) {
        let Some(input) = self.find.input() else { return };
        let text = input.text().to_owned();
        let from = self.find.from;
        self.moved_to(from);
        self.find(&text);
    }
}
