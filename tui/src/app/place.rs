//! Where one can go: a screen, and a thing on it.

use super::ScreenId;

/// A screen, and what to show there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The screen.
    pub(crate) screen: ScreenId,
    /// The app, where the thing belongs to one.
    pub(crate) app: Option<String>,
    /// What within it: a script's name, a trigger's, `collection/key`, a node's name, an execution's id; for Settings the
    /// page (`keys`, `join-tokens`, `secrets`, `env`, `backups`, `audit`, `limits`, `theme`).
    pub(crate) thing: Option<String>,
    /// The line of a script, counting from 1.
    pub(crate) line: Option<usize>,
    /// The request that the script is to be tried with: method and path.
    pub(crate) request: Option<(String, String)>,
}

impl Place {
    /// A screen as it was left.
    pub(crate) fn of(screen: ScreenId) -> Self {
        Self { screen, app: None, thing: None, line: None, request: None }
    }

    /// A screen for one app.
    #[must_use]
    pub(crate) fn app(mut self, app: impl Into<String>) -> Self {
        self.app = Some(app.into());
        self
    }

    /// A thing on it.
    #[must_use]
    pub(crate) fn thing(mut self, thing: impl Into<String>) -> Self {
        self.thing = Some(thing.into());
        self
    }

    /// A line of a script.
    #[must_use]
    pub(crate) fn line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// To be tried there with this request.
    #[must_use]
    pub(crate) fn tried_with(mut self, method: impl Into<String>, path: impl Into<String>) -> Self {
        self.request = Some((method.into(), path.into()));
        self
    }
}
