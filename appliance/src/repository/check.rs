//! Looks whether a repository is what was written.

use super::{Repository, RepositoryError};

/// Parts that the bytes of a repository are read in, one a day: after so many days each has been read.
const PARTS: u32 = 30;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// How much of the bytes is read; the structure always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckPart {
    /// None.
    Structure,
    /// The part of the day.
    OfDay(i64),
    /// All.
    All,
}

impl CheckPart {
    /// The part of the day that `now` is in.
    pub fn of(now: picloud_model::clock::UnixMs) -> Self {
        Self::OfDay(now.div_euclid(DAY_MS))
    }

    fn argument(self) -> Option<String> {
        match self {
            Self::Structure => None,
            Self::OfDay(day) => Some(format!("--read-data-subset={}/{PARTS}", day.rem_euclid(i64::from(PARTS)) + 1)),
            Self::All => Some("--read-data".to_owned()),
        }
    }
}

impl Repository {
    /// Reads the structure, and so much of the bytes; an error names what is wrong.
    pub async fn check(&self, part: CheckPart) -> Result<(), RepositoryError> {
        let restic = self.restic().await?;
        let argument = part.argument();
        let arguments: Vec<_> = ["check"].into_iter().chain(argument.as_deref()).map(AsRef::as_ref).collect();
        restic.succeed("check the repository", &arguments, &mut |_words| {}).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn after_thirty_days_all_was_read() {
        let arguments: BTreeSet<_> = (20_000..20_030).map(|day| CheckPart::of(day * DAY_MS).argument()).collect();
        assert_eq!(arguments.len(), 30);
        assert!(arguments.contains(&Some("--read-data-subset=1/30".to_owned())));
        assert!(arguments.contains(&Some("--read-data-subset=30/30".to_owned())));
    }
}
