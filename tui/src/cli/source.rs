//! Where a source, body or value on the command line comes from: the argument, a file, or standard input.

use crate::failure::Failure;
use crate::folder::cannot;
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use std::io::{self, IsTerminal, Read, Stdin, Write};
use std::path::Path;

/// Largest thing that is read; the appliance's own limits are lower.
const BYTES_MAX: u64 = 80 * 1024 * 1024;

/// The content of a file; `-` is standard input.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(BYTES_MAX + 1).read_to_end(&mut content)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut content))
    };
    read.map_err(|error| cannot("read", path, &error))?;
    if content.len() as u64 > BYTES_MAX {
        return Err(Failure::other(format!("{} has more than {BYTES_MAX} bytes", path.display()), None));
    }
    Ok(content)
}

/// The text of a file; `-` is standard input.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(path)?).map_err(|_no_text| {
        Failure::other(format!("{} is not UTF-8 text", path.display()), Some("save it in the encoding UTF-8"))
    })
}

/// A value of the command line: `@FILE` is the content of a file, `-` standard input, all else stands for itself.
pub(super) fn read_argument(text: &str) -> Result<Vec<u8>, Failure> {
    match text.strip_prefix('@') {
        Some(path) => read_file(Path::new(path)),
        None if text == "-" => read_file(Path::new("-")),
        None => Ok(text.as_bytes().to_vec()),
    }
}

/// A secret from standard input, without the line end after it; at a terminal it is asked for and not shown.
pub(super) fn read_secret(prompt: &str, bytes_max: usize) -> Result<String, Failure> {
    let input = io::stdin();
    let text = if input.is_terminal() {
        let _hidden = Hidden::on(&input);
        // Nobody is left to be asked where standard error is closed.
        let _closed = write!(io::stderr(), "{prompt}").and_then(|()| io::stderr().flush());
        let mut line = String::new();
        let read = input.read_line(&mut line);
        let _closed = writeln!(io::stderr());
        read.map(|_bytes| line)
    } else {
        let mut text = String::new();
        input.lock().take(bytes_max as u64 + 3).read_to_string(&mut text).map(|_bytes| text)
    };
    let text = text.map_err(|error| Failure::other(format!("cannot read standard input: {error}"), None))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.len() > bytes_max {
        return Err(Failure::other(format!("what was given has more than {bytes_max} bytes"), None));
    }
    Ok(text.to_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden<'t> {
    terminal: &'t Stdin,
    before: Option<Termios>,
}

impl<'t> Hidden<'t> {
    fn on(terminal: &'t Stdin) -> Self {
        let before = termios::tcgetattr(terminal).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_flags.remove(LocalFlags::ECHO);
            // A terminal that cannot hide is used as it is.
            let _shown = termios::tcsetattr(terminal, SetArg::TCSAFLUSH, &hidden);
        }
        Self { terminal, before }
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _gone = termios::tcsetattr(self.terminal, SetArg::TCSANOW, before);
        }
    }
}
