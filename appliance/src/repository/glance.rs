//! What a repository in a folder tells without its password: names of files are ids. Each question to restic costs half
//! a second of a processor, for the password is made hard to guess; what a look answers is not asked.
//!
//! The format is documented, and every program that keeps such a repository relies on these names:
//! <https://restic.readthedocs.io/en/stable/100_references.html>.

use super::Target;
use std::collections::BTreeSet;
use std::path::Path;

/// Letters of an id.
const ID_LETTERS: usize = 64;

/// What was seen in the folder of a repository.
pub(super) struct Glance {
    snapshots: BTreeSet<String>,
    locked: bool,
}

impl Glance {
    /// Looks; `None` where the repository is elsewhere, or the folder cannot be read: then restic is asked.
    pub(super) fn at(target: &Target) -> Option<Self> {
        let Target::Folder(folder) = target else { return None };
        Some(Self { snapshots: ids_in(&folder.join("snapshots"))?, locked: !ids_in(&folder.join("locks"))?.is_empty() })
    }

    /// Whether somebody has locked it, or was killed before it was unlocked.
    pub(super) fn is_locked(&self) -> bool {
        self.locked
    }

    /// Whether nobody has ever taken a backup into it.
    pub(super) fn has_none(&self) -> bool {
        self.snapshots.is_empty()
    }

    /// The one whose id begins so, where there is exactly one.
    pub(super) fn find(&self, beginning: &str) -> Option<&str> {
        let mut found = self.snapshots.iter().filter(|id| !beginning.is_empty() && id.starts_with(beginning));
        found.next().filter(|_one| found.next().is_none()).map(String::as_str)
    }

    /// The one that was not there before, where there is exactly one.
    pub(super) fn new_since<'s>(&'s self, before: &'s Self) -> Option<&'s str> {
        let mut new = self.snapshots.difference(&before.snapshots);
        new.next().filter(|_one| new.next().is_none()).map(String::as_str)
    }
}

fn ids_in(folder: &Path) -> Option<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for entry in std::fs::read_dir(folder).ok()? {
        let name = entry.ok()?.file_name().into_string().unwrap_or_default();
        // Beside them is what is being written.
        if name.len() == ID_LETTERS && name.bytes().all(|letter| letter.is_ascii_hexdigit()) {
            ids.insert(name);
        }
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_names_of_files_and_what_is_being_written_is_none() {
        let place = tempfile::tempdir().unwrap();
        let target = Target::Folder(place.path().to_owned());
        assert!(Glance::at(&target).is_none(), "there is no repository");
        assert!(Glance::at(&Target::Sftp("sftp:vault:x".to_owned())).is_none());
        for folder in ["snapshots", "locks"] {
            std::fs::create_dir(place.path().join(folder)).unwrap();
        }
        let id = |letter: &str| letter.repeat(ID_LETTERS);
        let write = |path: String| std::fs::write(place.path().join(path), "").unwrap();
        let empty = Glance::at(&target).unwrap();
        assert!(empty.has_none() && !empty.is_locked());
        write(format!("snapshots/{}", id("a")));
        write(format!("snapshots/{}-tmp-7", id("b")));
        write(format!("locks/{}", id("c")));
        let one = Glance::at(&target).unwrap();
        assert!(!one.has_none() && one.is_locked());
        assert_eq!(one.new_since(&empty), Some(id("a").as_str()));
        assert_eq!((one.find("aaaa"), one.find("bbbb"), one.find("")), (Some(id("a").as_str()), None, None));
        write(format!("snapshots/{}", id("d")));
        write(format!("snapshots/a{}", &id("e")[1..]));
        let several = Glance::at(&target).unwrap();
        assert_eq!((several.find("a"), several.new_since(&one)), (None, None));
    }
}
