//! Which CA each appliance has: pinned at the first meeting, or named by its fingerprint.

use crate::config::{ConfigDir, nowhere, read_toml, write_toml};
use crate::failure::Failure;
use picloud_model::ContentHash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The file's name in the folder of what is remembered.
const FILE: &str = "pins.toml";

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pins {
    /// By `host:port`, the SHA-256 of the CA's certificate.
    #[serde(default)]
    pins: BTreeMap<String, ContentHash>,
}

/// What is to be trusted at one place.
#[derive(Clone, Debug)]
pub(super) struct Pin {
    /// `host:port`.
    place: String,
    /// Where it is remembered; `None` where nothing can be.
    path: Option<PathBuf>,
    /// What the file says.
    remembered: Option<ContentHash>,
    /// What the person says.
    named: Option<ContentHash>,
}

impl Pin {
    /// Looks up what is known of `place`.
    pub(super) fn of(place: String, dir: &ConfigDir, named: Option<ContentHash>) -> Result<Self, Failure> {
        let path = dir.file(FILE);
        let remembered = match &path {
            Some(path) => read(path)?.pins.get(&place).copied(),
            None => None,
        };
        Ok(Self { place, path, remembered, named })
    }

    /// The only CA to trust; `None` at a first meeting.
    pub(super) fn expected(&self) -> Option<ContentHash> {
        self.named.or(self.remembered)
    }

    /// Remembers the CA that was met, where that is news; answers what to tell the person.
    pub(super) fn met(&self, ca: ContentHash) -> Result<Option<String>, Failure> {
        if self.remembered == Some(ca) {
            return Ok(None);
        }
        let place = &self.place;
        let Some(path) = &self.path else {
            // Whoever names the fingerprint needs nothing remembered.
            return if self.named.is_some() { Ok(None) } else { Err(nowhere()) };
        };
        let mut pins = read(path)?;
        pins.pins.insert(place.clone(), ca);
        write_toml(
            path,
            "# The CAs of the appliances that `picloud` has met, each by the SHA-256 of its certificate.",
            &pins,
        )?;
        let shown = path.display();
        Ok(Some(match self.named {
            Some(_) => format!("the CA of {place} is the one you named; pinned in {shown}"),
            None => format!("first contact with {place}: its CA has the fingerprint SHA256 {ca}; pinned in {shown}"),
        }))
    }

    /// The appliance shows another CA than the one to trust.
    pub(super) fn differs(&self, shown: ContentHash) -> Failure {
        let place = &self.place;
        let expected = self.expected().map(|pin| pin.to_string()).unwrap_or_default();
        let (whose, hint) = match (&self.named, &self.path) {
            (None, Some(path)) => (
                format!("pinned in {}", path.display()),
                format!(
                    "somebody may be reading along. If the appliance was set up anew, compare with \
                     `picloud status` on it, then give --fingerprint {shown}"
                ),
            ),
            _ => (
                "you named".to_owned(),
                "somebody may be reading along, or the fingerprint is that of another appliance: \
                 `picloud status` on the appliance shows its own"
                    .to_owned(),
            ),
        };
        Failure::Refused {
            message: format!(
                "{place} is not the appliance it was: its CA has the fingerprint SHA256 {shown}, the one {whose} is SHA256 {expected}"
            ),
            hint,
        }
    }
}

fn read(path: &std::path::Path) -> Result<Pins, Failure> {
    Ok(read_toml::<Pins>(path, "remove it; every appliance is then met anew")?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_met_is_remembered_and_another_is_told_with_both_fingerprints() {
        let home = tempfile::tempdir().unwrap();
        let dir = ConfigDir::of(None, Some(home.path().to_owned()));
        let (a, b) = (ContentHash::of(b"a"), ContentHash::of(b"b"));
        let pin = |named| Pin::of("pi:8443".to_owned(), &dir, named).unwrap();
        assert_eq!(pin(None).expected(), None);
        assert!(pin(None).met(a).unwrap().unwrap().contains(&a.to_string()));
        assert_eq!(pin(None).expected(), Some(a));
        assert_eq!(pin(None).met(a).unwrap(), None, "what is known is no news");
        assert_eq!(Pin::of("other:8443".to_owned(), &dir, None).unwrap().expected(), None);
        let told = pin(None).differs(b).problem();
        assert!(told.detail.contains(&a.to_string()) && told.detail.contains(&b.to_string()), "{told:?}");
        assert!(told.detail.contains("pins.toml"), "{told:?}");
        // The person's word counts more than the file's, and becomes the file's.
        assert_eq!(pin(Some(b)).expected(), Some(b));
        assert!(pin(Some(b)).met(b).unwrap().is_some());
        assert_eq!(pin(None).expected(), Some(b));
    }

    #[test]
    fn nothing_is_trusted_where_nothing_can_be_remembered_unless_it_is_named() {
        let dir = ConfigDir::of(None, None);
        let ca = ContentHash::of(b"a");
        assert!(Pin::of("pi:8443".to_owned(), &dir, None).unwrap().met(ca).is_err());
        assert_eq!(Pin::of("pi:8443".to_owned(), &dir, Some(ca)).unwrap().met(ca).unwrap(), None);
    }
}
