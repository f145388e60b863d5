//! The snapshots of a repository, and which one is meant.

use super::RepositoryError;
use super::restic::Restic;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// On every snapshot of ours; others in the same repository are left alone.
pub(super) const OURS: &str = "picloud";
/// On those that were read back.
pub(super) const VERIFIED: &str = "verified";
/// Fewest digits of an id.
const ID_DIGITS_MIN: usize = 4;

/// One backup in a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// What it is called; its beginning is enough where it is the only one.
    pub id: String,
    /// When it was taken.
    pub taken_at: String,
    /// The machine.
    pub node: String,
    /// The version of the program that took it.
    pub version: String,
    /// Bytes of everything in it.
    pub size_bytes: u64,
    /// Files in it.
    pub files: u64,
    /// Whether all of it was found after it was written, and what had changed was read back.
    pub verified: bool,
    /// The folder of the databases' copies in it.
    #[serde(skip)]
    pub(super) copies: PathBuf,
    /// The id that it had before it was tagged.
    #[serde(skip)]
    pub(super) original: Option<String>,
}

/// As restic lists them.
#[derive(Deserialize)]
struct Listed {
    id: String,
    time: String,
    hostname: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    paths: Vec<PathBuf>,
    #[serde(default)]
    original: Option<String>,
}

impl From<Listed> for Snapshot {
    fn from(listed: Listed) -> Self {
        let tags = listed.tags.unwrap_or_default();
        let told = |name: &str| tags.iter().find_map(|tag| tag.strip_prefix(name)?.strip_prefix('='));
        let number = |name| told(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        let is_copies = |path: &&PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(crate::backup::contents::COPIES_PREFIX))
        };
        // `2026-11-22T03:19:54.058660270Z`, to the second and without what a terminal would take for a command.
        let taken_at: String = listed.time.chars().take(19).filter(|letter| !letter.is_control()).collect();
        Self {
            taken_at: format!("{taken_at}Z"),
            node: listed.hostname.escape_debug().to_string(),
            version: told("version").unwrap_or_default().escape_debug().to_string(),
            size_bytes: number("bytes"),
            files: number("files"),
            verified: tags.iter().any(|tag| tag == VERIFIED),
            copies: listed.paths.iter().find(is_copies).cloned().unwrap_or_default(),
            original: listed.original,
            id: listed.id,
        }
    }
}

impl Snapshot {
    /// As people write it.
    pub fn short_id(&self) -> &str {
        short(&self.id)
    }
}

/// So much of an id as people write.
pub(super) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// All of ours, oldest first.
pub(super) async fn list(restic: &Restic) -> Result<Vec<Snapshot>, RepositoryError> {
    let arguments = ["snapshots", "--json", "--no-lock", "--tag", OURS].map(AsRef::as_ref);
    let listed: Option<Vec<Listed>> = restic.json("list the backups", &arguments).await?;
    let mut found: Vec<Snapshot> = listed.unwrap_or_default().into_iter().map(Snapshot::from).collect();
    found.sort_by(|one, other| one.taken_at.cmp(&other.taken_at));
    Ok(found)
}

/// The one that is meant: the id's beginning, or the newest that was verified.
pub(super) fn choose<'s>(all: &'s [Snapshot], wanted: Option<&str>) -> Result<&'s Snapshot, RepositoryError> {
    let refused = |what: String| Err(RepositoryError::NoSnapshot(what));
    let wanted = wanted.filter(|wanted| *wanted != "latest");
    let Some(wanted) = wanted else {
        let whole: Vec<&Snapshot> = all.iter().filter(|snapshot| snapshot.verified).collect();
        let Some(newest) = whole.last().copied() else {
            return refused("there is no backup in the repository that is known to be whole".to_owned());
        };
        if let Some(other) = whole.iter().find(|snapshot| snapshot.node != newest.node) {
            return refused(format!(
                "the repository has backups of `{}` and of `{}`: name the one you mean",
                newest.node, other.node
            ));
        }
        return Ok(newest);
    };
    let shown = wanted.escape_debug();
    if wanted.len() < ID_DIGITS_MIN || !wanted.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return refused(format!("`{shown}` is no id of a backup: that is {ID_DIGITS_MIN} digits and letters or more"));
    }
    let found: Vec<&Snapshot> = all.iter().filter(|snapshot| snapshot.id.starts_with(&wanted.to_lowercase())).collect();
    match found.as_slice() {
        [] => refused(format!("there is no backup `{shown}` in the repository")),
        [one] => Ok(one),
        several => refused(format!("{} backups begin with `{shown}`: give more of the id", several.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(id: &str, taken_at: &str, node: &str, verified: bool) -> Snapshot {
        let mut tags = vec!["picloud".to_owned(), "bytes=12".to_owned(), "version=0.1.0".to_owned()];
        tags.extend(verified.then(|| VERIFIED.to_owned()));
        let (time, paths) = (taken_at.to_owned(), vec!["/a/keys".into(), "/a/backup-tmp-7".into()]);
        Snapshot::from(Listed {
            id: id.to_owned(),
            time,
            hostname: node.to_owned(),
            tags: Some(tags),
            paths,
            original: None,
        })
    }

    #[test]
    fn the_newest_whole_one_is_meant_unless_another_is_named() {
        let all = [
            snapshot("aaaa1111", "2026-01-01T00:00:00", "pi", true),
            snapshot("aaaa2222", "2026-01-02T00:00:00", "pi", true),
            snapshot("bbbb3333", "2026-01-03T00:00:00", "pi", false),
        ];
        assert_eq!(choose(&all, None).unwrap().id, "aaaa2222");
        assert_eq!(choose(&all, Some("latest")).unwrap().id, "aaaa2222");
        assert_eq!(choose(&all, Some("BBBB")).unwrap().copies, PathBuf::from("/a/backup-tmp-7"));
        let refusals = [Some("aaaa"), Some("cccc"), Some("a"), Some("--no-lock")];
        let refusals = refusals.map(|wanted| choose(&all, wanted).unwrap_err().to_string());
        for (refused, words) in refusals.iter().zip(["2 backups begin", "no backup `cccc`", "no id", "no id"]) {
            assert!(refused.contains(words) && refused.contains("repository list"), "{refused}");
        }
        assert!(choose(&all[2..], None).unwrap_err().to_string().contains("known to be whole"));
        let two = [all[0].clone(), snapshot("dddd4444", "2026-01-04T00:00:00", "attic", true)];
        assert!(choose(&two, None).unwrap_err().to_string().contains("of `attic` and of `pi`"));
    }
}
