//! Colours of a text. Only what a line begins in the middle of (a comment, a string) is remembered for each line; the
//! colours of a line are found anew when it is drawn.

mod json;
mod rhai;

use crate::theme::Ink;

/// Longest line that is coloured, in bytes; generated text has longer ones, and nobody reads them by colour.
const LINE_BYTES_MAX: usize = 4096;
/// How deep strings, their code and comments are looked into.
const DEPTH_MAX: usize = 32;

/// What a text is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    /// Nothing that has colours.
    #[default]
    Plain,
    /// A script.
    Rhai,
    /// A value.
    Json,
}

/// A piece of a line that looks the same: from the end of the one before to here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// In bytes.
    pub(super) end: usize,
    /// What it means.
    pub(super) ink: Ink,
}

/// What a line begins in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// A comment, within so many others.
    Comment(u16),
    /// A string with `"` that goes on after a `\` at the line's end.
    Text,
    /// A string with backticks.
    Backtick,
    /// A string that ends with `"` and so many `#`.
    Raw(u16),
    /// Code in a string with backticks, within so many `{`.
    Code(u16),
}

/// All of that, outermost first.
type State = Vec<Mode>;

/// What every line begins in the middle of, as far as it was needed.
#[derive(Clone, Debug)]
pub(super) struct Lexed {
    language: Language,
    states: Vec<State>,
    /// So many of `states` are right.
    good: usize,
    /// So many were, before lines up to `edited` were edited: once a line behind those begins as it did, all of them are
    /// right again.
    was_good: usize,
    edited: usize,
}

impl Lexed {
    /// Of so many lines.
    pub(super) fn new(language: Language, lines: usize) -> Self {
        Self { language, states: vec![State::new(); lines], good: 1, was_good: 1, edited: 0 }
    }

    /// Lines `from` to `old_last` are other ones now: `from` to `new_last`.
    pub(super) fn edited(&mut self, from: usize, old_last: usize, new_last: usize) {
        let kept = self.was_good.max(self.good);
        self.states.splice(from + 1..=old_last, std::iter::repeat_n(State::new(), new_last - from));
        let moved = |line: usize| if line > old_last { line - old_last + new_last } else { line.min(from + 1) };
        self.was_good = moved(kept);
        self.edited = if self.good < kept { moved(self.edited).max(new_last) } else { new_last };
        self.good = self.good.min(from + 1);
    }

    /// The colours of a line, where `lines` are all of them.
    pub(super) fn tokens(&mut self, lines: &[String], line: usize) -> Vec<Token> {
        self.find_state(lines, line);
        let mut state = self.states[line].clone();
        let mut tokens = Vec::new();
        self.lex(&mut state, &lines[line], &mut tokens);
        tokens
    }

    /// Finds out what a line begins in the middle of.
    fn find_state(&mut self, lines: &[String], line: usize) {
        let mut tokens = Vec::new();
        while self.good <= line {
            let mut state = self.states[self.good - 1].clone();
            tokens.clear();
            self.lex(&mut state, &lines[self.good - 1], &mut tokens);
            if self.good > self.edited && self.good < self.was_good && self.states[self.good] == state {
                self.good = self.was_good;
            } else {
                self.states[self.good] = state;
                self.good += 1;
            }
        }
        self.was_good = self.was_good.max(self.good);
    }

    fn lex(&self, state: &mut State, line: &str, tokens: &mut Vec<Token>) {
        if line.len() > LINE_BYTES_MAX {
            return;
        }
        match self.language {
            Language::Plain => {}
            Language::Rhai => rhai::lex(state, line, tokens),
            Language::Json => json::lex(line, tokens),
        }
    }
}

/// A piece of a line is over; it goes on with what came before where that looks the same.
fn push(tokens: &mut Vec<Token>, end: usize, ink: Ink) {
    match tokens.last_mut() {
        Some(last) if last.ink == ink => last.end = end,
        _ => tokens.push(Token { end, ink }),
    }
}

/// Where a number ends that begins at `from`.
fn number_end(line: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(byte) = line.get(at) {
        let is_part = match byte {
            b'.' => line.get(at + 1).is_some_and(u8::is_ascii_digit),
            b'+' | b'-' => matches!(line[at - 1], b'e' | b'E') && line[from] != b'0',
            other => other.is_ascii_alphanumeric() || *other == b'_',
        };
        if !is_part {
            break;
        }
        at += 1;
    }
    at
}
