//! Which script.

use crate::path::ApiPath;
use std::fmt;

/// What begins the ids of drafts of scripts.
const DRAFTS: &str = "scripts/";

/// A script or module of an app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    /// The app.
    pub(super) app: String,
    /// Its name within it.
    pub(super) name: String,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.name)
    }
}

impl Id {
    /// Of `app/name`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (app, name) = text.split_once('/')?;
        Some(Self { app: app.to_owned(), name: name.to_owned() })
    }

    /// Where it is, and what is below it.
    pub(super) fn path(&self, below: &[&str]) -> ApiPath {
        ApiPath::of_app(&self.app, &[&["scripts", self.name.as_str()], below].concat())
    }

    /// What a draft of it is kept under: the version that it began with is part of it.
    pub(super) fn draft_id(&self, base: i64) -> String {
        format!("{DRAFTS}{self}@{base}")
    }

    /// The script and the version of a draft.
    pub(super) fn of_draft(id: &str) -> Option<(Self, i64)> {
        let (script, base) = id.strip_prefix(DRAFTS)?.rsplit_once('@')?;
        Some((Self::parse(script)?, base.parse().ok()?))
    }
}
