//! Reads an app folder from disk.

use picloud_model::app_folder::{bundle_from_files, is_app_file};
use picloud_model::bundle::Bundle;
use picloud_model::limits::STATIC_APP_BYTES_MAX;
use picloud_model::script::Diagnostic;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Deepest folder below the app's.
const DEPTH_MAX: usize = 32;
/// All files together: what an app may have in `static/`, and its sources.
const FOLDER_BYTES_MAX: u64 = STATIC_APP_BYTES_MAX as u64 + 32 * 1024 * 1024;

/// Why there is no bundle.
pub(crate) enum Unreadable {
    /// The disk.
    Folder(String),
    /// What the files say.
    Files(Vec<Diagnostic>),
}

/// The folder as a bundle.
pub(crate) fn read(folder: &Path) -> Result<Bundle, Unreadable> {
    let mut reading = Reading { files: BTreeMap::new(), bytes: 0 };
    reading.folder(folder, "", 0).map_err(Unreadable::Folder)?;
    bundle_from_files(reading.files).map_err(Unreadable::Files)
}

struct Reading {
    files: BTreeMap<String, Vec<u8>>,
    bytes: u64,
}

impl Reading {
    fn folder(&mut self, at: &Path, below: &str, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("{}: folders are nested more than {DEPTH_MAX} deep", at.display()));
        }
        let entries = std::fs::read_dir(at).map_err(|error| cannot_read(at, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| cannot_read(at, &error))?;
            let name = entry.file_name();
            // A name that is no text is reported where it matters, with the letters that can be shown.
            let name = name.to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            let relative = if below.is_empty() { name.into_owned() } else { format!("{below}/{name}") };
            self.entry(&entry.path(), relative, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &PathBuf, relative: String, depth: usize) -> Result<(), String> {
        let found = match std::fs::metadata(path) {
            Ok(found) => found,
            // Editors move files about while they save.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(cannot_read(path, &error)),
        };
        if found.is_dir() {
            // Only these folders belong to the app: a `node_modules` beside them is not read.
            let top = relative.split('/').next().unwrap_or_default();
            if matches!(top, "scripts" | "modules" | "static") {
                return self.folder(path, &relative, depth + 1);
            }
        } else if found.is_file() && is_app_file(&relative) {
            self.bytes += found.len();
            if self.bytes > FOLDER_BYTES_MAX {
                return Err(format!("{}: the app folder has more than {FOLDER_BYTES_MAX} bytes", path.display()));
            }
            match std::fs::read(path) {
                Ok(bytes) => drop(self.files.insert(relative, bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(cannot_read(path, &error)),
            }
        }
        Ok(())
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}
