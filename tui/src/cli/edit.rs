//! JSON in the editor of whoever sits at the terminal.

use crate::failure::Failure;
use crate::folder::cannot;
use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

/// What `value` is after it was edited; `name` is part of the name of the file, which only its owner reads.
pub(super) fn edit(name: &str, value: &Value) -> Result<Value, Failure> {
    let path = std::env::temp_dir().join(format!("picloud-{name}-{}.json", std::process::id()));
    let text = serde_json::to_string_pretty(value).expect("a value is JSON") + "\n";
    let mut options = std::fs::OpenOptions::new();
    let written = options.write(true).create_new(true).mode(0o600).open(&path);
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| cannot("write", &path, &error))?;
    let edited = run_editor(&path).and_then(|()| super::source::read_text(&path));
    // A file that is left behind is the owner's own.
    let _left = std::fs::remove_file(&path);
    let edited = edited?;
    serde_json::from_str(&edited)
        .map_err(|error| Failure::other(format!("what was edited is no JSON: {error}"), Some("nothing was sent")))
}

/// What the shell starts: an editor may be a command with arguments, such as `code --wait`.
const EDITOR: &str = r#"eval "${VISUAL:-${EDITOR:-vi}} \"\$1\"""#;

fn run_editor(path: &Path) -> Result<(), Failure> {
    let hint = Some("set EDITOR to an editor that waits until it is closed; nothing was sent");
    match Command::new("sh").args(["-c", EDITOR, "sh"]).arg(path).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::other(format!("the editor ended with {status}"), hint)),
        Err(error) => Err(Failure::other(format!("cannot start an editor: {error}"), hint)),
    }
}
