//! App folders on disk: reads one into a bundle, writes one from a bundle.

use crate::failure::Failure;
use picloud_model::app_folder::{MANIFEST, bundle_from_files, check_static_path, files_from_bundle, is_app_file};
use picloud_model::bundle::Bundle;
use picloud_model::limits::{STATIC_APP_BYTES_MAX, STATIC_FILE_BYTES_MAX};
use picloud_model::name::{check_module_name, check_script_name};
use picloud_model::script::Diagnostic;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders within folders of `static/`; more is a loop or a mistake.
const DEPTH_MAX: usize = 32;

/// The folders of an app folder that belong to the app as a whole.
const PARTS: [&str; 3] = ["scripts", "modules", "static"];

/// The app in `folder`. What is wrong with it is told with paths as the person would type them.
pub(crate) fn read(folder: &Path) -> Result<Bundle, Failure> {
    if !folder.is_dir() {
        let message = format!("{} is not a folder", folder.display());
        return Err(Failure::other(message, Some("give the folder that holds app.toml")));
    }
    let mut files = BTreeMap::new();
    let mut reader = Reader { files: &mut files, bytes: 0 };
    reader.file(folder, MANIFEST)?;
    for part in PARTS {
        reader.below(folder, part, 0)?;
    }
    bundle_from_files(files).map_err(|found| Failure::Broken {
        message: format!("{} is not a working app; nothing was changed", folder.display()),
        found: found.into_iter().map(|diagnostic| with_folder(folder, diagnostic)).collect(),
    })
}

/// The diagnostic with the path of its file as it is reached from here.
pub(crate) fn with_folder(folder: &Path, mut diagnostic: Diagnostic) -> Diagnostic {
    if folder != Path::new(".")
        && let Some(file) = &mut diagnostic.file
    {
        *file = folder.join(&*file).display().to_string();
    }
    diagnostic
}

struct Reader<'f> {
    files: &'f mut BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

impl Reader<'_> {
    fn below(&mut self, folder: &Path, part: &str, depth: usize) -> Result<(), Failure> {
        let path = folder.join(part);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(cannot("read", &path, &error)),
        };
        if depth > DEPTH_MAX {
            let message = format!("{} is more than {DEPTH_MAX} folders deep", path.display());
            return Err(Failure::other(message, Some("is there a link that leads back up?")));
        }
        for entry in entries {
            let entry = entry.map_err(|error| cannot("read", &path, &error))?;
            let Ok(name) = entry.file_name().into_string() else {
                let message = format!("{} is not a UTF-8 file name", entry.path().display());
                return Err(Failure::other(message, Some("rename the file")));
            };
            let relative = format!("{part}/{name}");
            // Follows links: what the person sees in the folder is what is meant.
            match fs::metadata(entry.path()) {
                Ok(kind) if kind.is_dir() => self.below(folder, &relative, depth + 1)?,
                Ok(_) if is_app_file(&relative) => self.file(folder, &relative)?,
                Ok(_) => {}
                // Editors' lock files are links that lead nowhere.
                Err(_) if !is_app_file(&relative) => {}
                Err(error) => return Err(cannot("read", &entry.path(), &error)),
            }
        }
        Ok(())
    }

    fn file(&mut self, folder: &Path, relative: &str) -> Result<(), Failure> {
        let path = folder.join(relative);
        let size = match fs::metadata(&path) {
            Ok(kind) => kind.len(),
            // The reader of the bundle says what a folder without app.toml is.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(cannot("read", &path, &error)),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.bytes = self.bytes.saturating_add(size);
        if size > STATIC_FILE_BYTES_MAX {
            let message = format!("{} has {size} bytes, more than {STATIC_FILE_BYTES_MAX}", path.display());
            return Err(Failure::other(message, Some("serve files of that size from elsewhere")));
        }
        if self.bytes > STATIC_APP_BYTES_MAX {
            let message = format!("{} has files of more than {STATIC_APP_BYTES_MAX} bytes", folder.display());
            return Err(Failure::other(message, Some("serve files of that size from elsewhere")));
        }
        let content = fs::read(&path).map_err(|error| cannot("read", &path, &error))?;
        self.files.insert(relative.to_owned(), content);
        Ok(())
    }
}

/// Makes `folder` the app folder of `bundle`: writes what it has, removes what it has not from `scripts/`,
/// `modules/` and `static/`, and leaves every other file alone. A folder that is no app folder must be empty.
pub(crate) fn write(folder: &Path, bundle: &Bundle) -> Result<usize, Failure> {
    check_names(bundle)?;
    if folder.exists() && !folder.join(MANIFEST).is_file() {
        let mut entries = fs::read_dir(folder).map_err(|error| cannot("read", folder, &error))?;
        if entries.next().is_some() {
            let message = format!("{} is not empty and has no app.toml", folder.display());
            return Err(Failure::other(message, Some("give a new folder, or the folder of an earlier export")));
        }
    }
    let files = files_from_bundle(bundle);
    for part in PARTS {
        remove_stale(folder, part, &files, 0)?;
    }
    for (relative, content) in &files {
        let path = folder.join(relative);
        if fs::read(&path).is_ok_and(|present| present == *content) {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot("make the folder", parent, &error))?;
        }
        // A half-written source must never be what `dev` deploys, so it comes in whole or not at all.
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        fs::write(&temporary, content).map_err(|error| cannot("write", &temporary, &error))?;
        fs::rename(&temporary, &path).map_err(|error| cannot("write", &path, &error))?;
    }
    Ok(files.len())
}

/// An appliance that is not to be trusted must not write outside the folder.
fn check_names(bundle: &Bundle) -> Result<(), Failure> {
    let refuse = |message: String| Failure::other(format!("the export is refused: {message}"), None);
    for name in bundle.scripts.keys() {
        check_script_name(name).map_err(|problem| refuse(problem.detail))?;
    }
    for name in bundle.modules.keys() {
        check_module_name(name).map_err(|problem| refuse(problem.detail))?;
    }
    for path in bundle.static_files.keys() {
        check_static_path(path).map_err(refuse)?;
    }
    Ok(())
}

fn remove_stale(folder: &Path, part: &str, keep: &BTreeMap<String, Vec<u8>>, depth: usize) -> Result<(), Failure> {
    let path = folder.join(part);
    let Ok(entries) = fs::read_dir(&path) else { return Ok(()) };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let relative = format!("{part}/{name}");
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth < DEPTH_MAX {
            remove_stale(folder, &relative, keep, depth + 1)?;
            // Goes only where it is empty now, which is what is wanted.
            let _not_empty = fs::remove_dir(entry.path());
        } else if !is_folder && is_app_file(&relative) && !keep.contains_key(&relative) {
            fs::remove_file(entry.path()).map_err(|error| cannot("remove", &entry.path(), &error))?;
        }
    }
    Ok(())
}

/// The name in the current folder's `app.toml`, if there is one that can be read.
pub(crate) fn name_of_current() -> Option<String> {
    let manifest = fs::read_to_string(PathBuf::from(MANIFEST)).ok()?;
    picloud_model::app_folder::app_name(&manifest)
}

/// A failure to do something with a path.
pub(crate) fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::other(format!("cannot {what} {}: {error}", path.display()), None)
}
