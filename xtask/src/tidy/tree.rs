//! The tree as tidy reads it: every file of the repository, by path from its root.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Folders that are built or made by running, not written.
const NOT_OURS: &[&str] = &["target", ".git", ".picloud"];
/// Files above this are not text that anybody wrote.
const TEXT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// All files; `None` for those that are no text.
#[derive(Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, Option<String>>,
}

impl Tree {
    /// Reads everything below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        let mut folders = vec![(root.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("list `{}`", folder.display()))? {
                let entry = entry?;
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
                let path = format!("{prefix}{name}");
                let kind = entry.file_type()?;
                if kind.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                    folders.push((entry.path(), format!("{path}/")));
                } else if kind.is_file() {
                    let is_small = entry.metadata()?.len() <= TEXT_BYTES_MAX;
                    let text = if is_small { String::from_utf8(fs::read(entry.path())?).ok() } else { None };
                    tree.files.insert(path, text);
                }
            }
        }
        Ok(tree)
    }

    /// A tree of what a test says.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned()))).collect() }
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// The files that are text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    /// Whether a file or a folder is there; an empty path is the root.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.files.contains_key(path) || self.names_below(&format!("{path}/")).next().is_some()
    }

    /// The files whose path begins with `prefix`.
    pub(crate) fn names_below(&self, prefix: &str) -> impl Iterator<Item = &str> {
        let prefix = prefix.to_owned();
        self.files
            .range(prefix.clone()..)
            .map(|(path, _)| path.as_str())
            .take_while(move |path| path.starts_with(&prefix))
    }

    /// Whether any file's path ends with `/tail` or is `tail`.
    pub(crate) fn has_tail(&self, tail: &str) -> bool {
        let tail = format!("/{tail}");
        self.files.keys().any(|path| path.ends_with(&tail) || path == &tail[1..])
    }
}
