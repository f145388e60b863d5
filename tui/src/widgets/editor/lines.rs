//! The text as lines.

/// A place between two characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pos {
    /// Counting from 0.
    pub(super) line: usize,
    /// In bytes from the line's beginning.
    pub(super) byte: usize,
}

/// The lines; there is always one.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    lines: Vec<String>,
    /// Of the whole text, with one byte for the end of each line but the last.
    bytes: usize,
    /// Whether every line ended with `\r\n`: they do again in [`Lines::text`].
    has_crlf: bool,
}

/// Ends of lines as `\n` only: terminals paste `\r`, others copy `\r\n`.
pub(super) fn plain_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

impl Lines {
    /// Of a text.
    pub(super) fn new(text: &str) -> Self {
        let ends = text.matches('\n').count();
        let has_crlf = ends > 0 && text.matches("\r\n").count() == ends;
        let text = if has_crlf { text.replace("\r\n", "\n") } else { text.to_owned() };
        Self { bytes: text.len(), lines: text.split('\n').map(str::to_owned).collect(), has_crlf }
    }

    /// The whole text.
    pub(super) fn text(&self) -> String {
        self.lines.join(if self.has_crlf { "\r\n" } else { "\n" })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lines.len()
    }

    /// How long the text is, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// One of them, without its end.
    pub(super) fn line(&self, line: usize) -> &str {
        &self.lines[line]
    }

    /// All from one on.
    pub(super) fn from(&self, line: usize) -> &[String] {
        &self.lines[line..]
    }

    /// The end of the text.
    pub(super) fn end(&self) -> Pos {
        let line = self.lines.len() - 1;
        Pos { line, byte: self.lines[line].len() }
    }

    /// What stands between two places.
    pub(super) fn between(&self, from: Pos, to: Pos) -> String {
        if from.line == to.line {
            return self.lines[from.line][from.byte..to.byte].to_owned();
        }
        let mut text = self.lines[from.line][from.byte..].to_owned();
        for line in &self.lines[from.line + 1..to.line] {
            text.push('\n');
            text += line;
        }
        text.push('\n');
        text += &self.lines[to.line][..to.byte];
        text
    }

    /// Puts text in place of what stands between two places; answers where it ends.
    pub(super) fn replace(&mut self, from: Pos, to: Pos, with: &str) -> Pos {
        let removed = if from.line == to.line { to.byte - from.byte } else { self.between(from, to).len() };
        self.bytes = self.bytes - removed + with.len();
        if from.line == to.line && !with.contains('\n') {
            self.lines[from.line].replace_range(from.byte..to.byte, with);
            return Pos { line: from.line, byte: from.byte + with.len() };
        }
        let rest = self.lines[to.line][to.byte..].to_owned();
        let mut put: Vec<String> = with.split('\n').map(str::to_owned).collect();
        put[0].insert_str(0, &self.lines[from.line][..from.byte]);
        let last = put.len() - 1;
        let end = Pos { line: from.line + last, byte: put[last].len() };
        put[last] += &rest;
        self.lines.splice(from.line..=to.line, put);
        end
    }
}

/// Where a text ends that begins at `from`.
pub(super) fn end_of(from: Pos, text: &str) -> Pos {
    match text.rfind('\n') {
        None => Pos { line: from.line, byte: from.byte + text.len() },
        Some(last) => Pos { line: from.line + text.matches('\n').count(), byte: text.len() - last - 1 },
    }
}
