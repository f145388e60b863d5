//! Other programs at the terminal: the person's editor, the shell, and the plain screen.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// The editors that are tried where the person named none.
const EDITORS: [&str; 2] = ["nano", "vi"];
/// Editors that begin at a line where they are told `+LINE`.
const TAKE_A_LINE: [&str; 11] = ["vi", "vim", "nvim", "view", "nano", "rnano", "emacs", "joe", "mg", "micro", "kak"];
/// The largest text that is read back.
const TEXT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// An editor may be a command with arguments: the shell takes it apart.
const RUN: &str = r#"eval "$1 $2 \"\$3\"""#;
/// How the shell says that there is no such program.
const NOT_FOUND: i32 = 127;

/// A text in a file of its own, below a folder that only the person may enter.
pub(super) struct Outside {
    folder: PathBuf,
    path: PathBuf,
    text: String,
}

impl Outside {
    /// Writes the text into a file that is called `name`.
    pub(super) fn new(temp_dir: &Path, name: &str, text: String) -> Result<Self, String> {
        let last = name.rsplit('/').next().unwrap_or_default();
        let name: String = last.chars().filter(|letter| letter.is_alphanumeric() || "._-".contains(*letter)).collect();
        let name = if name.trim_matches('.').is_empty() { "text".to_owned() } else { name };
        let folder = private_folder(temp_dir).map_err(|error| cannot("make a folder in", temp_dir, &error))?;
        let path = folder.join(name);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| cannot("write", &path, &error))?;
        Ok(Self { folder, path, text })
    }

    /// Starts the person's editor on it, or the first there is. It has the terminal until it ends.
    pub(super) fn start(&self, editor: Option<&str>, line: Option<usize>) -> Result<Child, String> {
        let found = editor
            .map(str::to_owned)
            .or_else(|| EDITORS.iter().find(|name| is_there(name)).map(|name| (*name).to_owned()));
        let editor = found.ok_or("there is no editor: set EDITOR, or install nano")?;
        let program = editor.split(' ').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let line = line.filter(|_| TAKE_A_LINE.contains(&program)).map_or_else(String::new, |line| format!("+{line}"));
        let mut command = Command::new("sh");
        command.args(["-c", RUN, "sh", &editor, &line]).arg(&self.path).stdin(Stdio::inherit());
        command.spawn().map_err(|error| format!("cannot start {editor}: {error}"))
    }

    /// The text as it is now, or why there is none to go on with. What cannot be taken stays in its file.
    pub(super) fn read(&self, status: io::Result<std::process::ExitStatus>) -> Result<String, String> {
        let kept = |why: String| format!("{why}; the text is kept in {}", self.path.display());
        match status {
            Ok(status) if status.success() => {}
            Ok(status) if status.code() == Some(NOT_FOUND) => {
                self.forget();
                return Err("the editor was not found: set EDITOR to one that is installed".to_owned());
            }
            Ok(status) => return Err(kept(format!("the editor ended with {status}: nothing was taken"))),
            Err(error) => return Err(kept(format!("the editor is lost: {error}"))),
        }
        let mut bytes = Vec::new();
        let read = fs::File::open(&self.path).and_then(|file| file.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes));
        read.map_err(|error| cannot("read", &self.path, &error))?;
        if bytes.len() as u64 > TEXT_BYTES_MAX {
            return Err(kept(format!("it has more than {TEXT_BYTES_MAX} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_not_utf8| kept("it is not UTF-8".to_owned()))?;
        self.forget();
        if text == self.text { Err("the editor changed nothing".to_owned()) } else { Ok(text) }
    }

    fn forget(&self) {
        // A file that is left behind is the person's own.
        let _left = fs::remove_dir_all(&self.folder);
    }
}

fn private_folder(temp_dir: &Path) -> io::Result<PathBuf> {
    let mut number = 0_u32;
    loop {
        let folder = temp_dir.join(format!("picloud-edit-{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

fn is_there(program: &str) -> bool {
    let found = std::process::Command::new("sh")
        .args(["-c", "command -v \"$1\"", "sh", program])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// Prints on the plain screen, and waits until the person has read it.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.write_all(b"-- Enter goes back --")?;
    out.flush()
}

/// Waits for Enter on a thread of its own.
pub(super) async fn enter() {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line)
    });
    let _over = read.await;
}

/// Stops this program and all that was started with it, until the shell says `fg`. Where there is no shell that could,
/// the system passes over it.
pub(super) fn suspend() -> io::Result<()> {
    use nix::sys::signal::{Signal, kill};
    kill(nix::unistd::Pid::from_raw(0), Signal::SIGTSTP)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    async fn edited(editor: &str, line: Option<usize>) -> (Outside, Result<String, String>) {
        let folder = tempfile::tempdir().unwrap();
        let outside = Outside::new(&folder.keep(), "blog/feed.rhai", "one\n".to_owned()).unwrap();
        let status = outside.start(Some(editor), line).unwrap().wait().await;
        let read = outside.read(status);
        (outside, read)
    }

    #[tokio::test]
    async fn what_the_editor_leaves_is_taken_and_its_file_is_gone() {
        let (outside, read) = edited("sed -i s/one/two/", Some(3)).await;
        assert_eq!(read, Ok("two\n".to_owned()));
        assert!(!outside.folder.exists());
        assert_eq!(outside.path.file_name().unwrap(), "feed.rhai");
    }

    #[tokio::test]
    async fn nothing_changed_is_said_and_a_failing_editor_leaves_the_text_where_it_is() {
        assert_eq!(edited("true", None).await.1, Err("the editor changed nothing".to_owned()));
        let (outside, read) = edited("sh -c 'exit 3'", None).await;
        assert!(read.unwrap_err().contains(&outside.path.display().to_string()));
        assert_eq!(fs::read_to_string(&outside.path).unwrap(), "one\n");
        assert!(edited("no-such-editor-anywhere", None).await.1.unwrap_err().contains("set EDITOR"));
    }

    #[test]
    fn the_file_is_the_persons_own_whatever_the_thing_is_called() {
        let folder = tempfile::tempdir().unwrap();
        for (name, called) in [("../../etc/passwd", "passwd"), ("..", "text"), ("a b;c", "abc"), ("", "text")] {
            let outside = Outside::new(folder.path(), name, String::new()).unwrap();
            assert_eq!(outside.path.file_name().unwrap(), called);
            assert_eq!(outside.path.parent().unwrap(), outside.folder);
            assert_eq!(fs::metadata(&outside.folder).unwrap().permissions().mode() & 0o777, 0o700);
            assert_eq!(fs::metadata(&outside.path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
