//! The app folder: `app.toml`, `scripts/`, `modules/` and `static/` as a [`Bundle`], and back.
//!
//! Pure: whoever reads or writes a disk hands over file contents by path. `picloud deploy`, `picloud export`
//! and `dev` all go through here, so a folder means the same to each of them. `manifest` reads `app.toml`,
//! `canonical` writes it; a new key stands in both.

mod canonical;
mod manifest;
mod placements;
mod triggers;

pub(crate) use manifest::known_hint;

use crate::bundle::Bundle;
use crate::name::{check_app_name, check_module_name, check_script_name};
use crate::problem::Problem;
use crate::script::Diagnostic;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

/// The file that makes a folder an app folder.
pub const MANIFEST: &str = "app.toml";
/// The extension of sources, with its dot.
const SOURCE: &str = ".rhai";

/// What a path within an app folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'p> {
    /// `app.toml`.
    Manifest,
    /// Below `scripts/`, without it.
    Script(&'p str),
    /// Below `modules/`, without it.
    Module(&'p str),
    /// Below `static/`, without it.
    Static(&'p str),
}

/// What `path` (with `/` between segments) is; `None` for what no app folder is made of: other files, hidden
/// files and what editors leave behind while they save.
fn part(path: &str) -> Option<Part<'_>> {
    if path == MANIFEST {
        return Some(Part::Manifest);
    }
    let (folder, rest) = path.split_once('/')?;
    if rest.split('/').any(is_ignored) {
        return None;
    }
    match folder {
        "scripts" => Some(Part::Script(rest)),
        "modules" => Some(Part::Module(rest)),
        "static" => Some(Part::Static(rest)),
        _ => None,
    }
}

fn is_ignored(segment: &str) -> bool {
    // Vim probes a folder with a file called 4913; `.d.rhai` are definition files for editors.
    segment.starts_with(['.', '#'])
        || segment.ends_with('~')
        || segment == "4913"
        || [".swp", ".tmp", ".d.rhai"].iter().any(|end| segment.ends_with(end))
}

/// Whether a change of the file at `path` (relative to the folder, with `/`) can change the app.
pub fn is_app_file(path: &str) -> bool {
    part(path).is_some()
}

/// What is wrong with a path below `static/`, if anything: it is a relative path of plain segments that
/// [`bundle_from_files`] would give and that is safe to write below a folder.
pub fn check_static_path(path: &str) -> Result<(), String> {
    let plain = |segment: &str| !segment.is_empty() && segment != "." && segment != "..";
    if path.len() > 512 {
        Err(format!("the static path `{path}` has {} bytes, more than 512", path.len()))
    } else if !path.split('/').all(plain) {
        Err(format!("the static path `{path}` has an empty, `.` or `..` segment"))
    } else if path.contains('\\') || path.chars().any(char::is_control) {
        Err(format!("the static path {path:?} has a backslash or a control character"))
    } else if path.split('/').any(is_ignored) {
        Err(format!("the static path `{path}` is a hidden or temporary file, which app folders leave out"))
    } else {
        Ok(())
    }
}

/// The app that `files` (relative path with `/` → content) make. All that is wrong is reported at once.
pub fn bundle_from_files(files: BTreeMap<String, Vec<u8>>) -> Result<Bundle, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let mut bundle = Bundle::default();
    let mut manifest = None;
    for (path, content) in files {
        match part(&path) {
            None => {}
            Some(Part::Manifest) => manifest = text(&path, content, &mut found),
            Some(Part::Script(rest)) => {
                if let Some((name, source)) = source(&path, rest, content, check_script_name, &mut found) {
                    bundle.scripts.insert(name, source);
                }
            }
            Some(Part::Module(rest)) => {
                if let Some((name, source)) = source(&path, rest, content, check_module_name, &mut found) {
                    bundle.modules.insert(name, source);
                }
            }
            Some(Part::Static(rest)) => match check_static_path(rest) {
                Ok(()) => {
                    bundle.static_files.insert(rest.to_owned(), STANDARD.encode(content));
                }
                Err(message) => found.push(whole_file(&path, message, "rename the file")),
            },
        }
    }
    for name in bundle.modules.keys().filter(|name| bundle.scripts.contains_key(*name)) {
        let path = format!("modules/{name}.rhai");
        found.push(whole_file(&path, format!("`{name}` is a script already"), "a script and a module need two names"));
    }
    match manifest {
        Some(manifest) => manifest::read(&manifest, &mut bundle, &mut found),
        // A manifest that is no text was reported above.
        None if found.iter().any(|diagnostic| diagnostic.file.as_deref() == Some(MANIFEST)) => {}
        None => found.insert(
            0,
            whole_file(
                MANIFEST,
                "the folder has no app.toml".to_owned(),
                "write one that begins with: name = \"my-app\"",
            ),
        ),
    }
    if found.is_empty() { Ok(bundle) } else { Err(found) }
}

/// The files that make `bundle`: what [`bundle_from_files`] turns into the same bundle again (without its
/// message, which belongs to one deploy and not to the app). Content that is no base64 counts as empty.
pub fn files_from_bundle(bundle: &Bundle) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    files.insert(MANIFEST.to_owned(), canonical::write(bundle).into_bytes());
    for (name, source) in &bundle.scripts {
        files.insert(format!("scripts/{name}{SOURCE}"), source.clone().into_bytes());
    }
    for (name, source) in &bundle.modules {
        files.insert(format!("modules/{name}{SOURCE}"), source.clone().into_bytes());
    }
    for (path, content) in &bundle.static_files {
        files.insert(format!("static/{path}"), STANDARD.decode(content).unwrap_or_default());
    }
    files
}

/// The app's name in the text of an `app.toml`, whatever else is wrong with it.
pub fn app_name(manifest: &str) -> Option<String> {
    manifest::name(manifest).filter(|name| check_app_name(name).is_ok())
}

fn whole_file(path: &str, message: String, hint: &str) -> Diagnostic {
    Diagnostic { file: Some(path.to_owned()), line: 0, column: 0, message, hint: Some(hint.to_owned()) }
}

fn text(path: &str, content: Vec<u8>, found: &mut Vec<Diagnostic>) -> Option<String> {
    match String::from_utf8(content) {
        Ok(text) => Some(text),
        Err(bad) => {
            let good = &bad.as_bytes()[..bad.utf8_error().valid_up_to()];
            let (line, column) = place(&String::from_utf8_lossy(good), good.len());
            found.push(Diagnostic {
                file: Some(path.to_owned()),
                line,
                column,
                message: "the file is not UTF-8 text".to_owned(),
                hint: Some("save it in the encoding UTF-8".to_owned()),
            });
            None
        }
    }
}

/// The source at `path`, which is `rest` below its folder, with its name.
fn source(
    path: &str,
    rest: &str,
    content: Vec<u8>,
    check_name: impl Fn(&str) -> Result<(), Problem>,
    found: &mut Vec<Diagnostic>,
) -> Option<(String, String)> {
    let Some(name) = rest.strip_suffix(SOURCE).filter(|name| !name.contains('/')) else {
        let message = "only files called NAME.rhai stand here".to_owned();
        found.push(whole_file(path, message, "move it to static/ or out of the folder"));
        return None;
    };
    if let Err(problem) = check_name(name) {
        found.push(whole_file(path, problem.detail, problem.hint.as_deref().unwrap_or("rename the file")));
        return None;
    }
    Some((name.to_owned(), text(path, content, found)?))
}

/// Line and column, both from 1, of the byte at `offset` of `text`.
pub(crate) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |index| index + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
