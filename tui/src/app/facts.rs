//! What is known of the terminal, the person and the appliance: handed to every screen.

use super::request::Answered;
use crate::theme::{Caps, ThemeName};
use picloud_model::app::App as AppRecord;
use picloud_model::page::Page;
use picloud_model::principal::You;
use picloud_model::scope::Scope;
use std::collections::BTreeMap;

/// What is known.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// What the terminal can do.
    pub(crate) caps: Caps,
    /// The colours the person likes.
    pub(crate) theme: ThemeName,
    /// Where the appliance is: its URL, or `this machine`.
    pub(crate) appliance: String,
    /// Whether changes are refused here, whatever the key may do (`--read-only`).
    pub(crate) is_read_only: bool,
    /// Who asks, once that was answered.
    pub(crate) you: Option<You>,
    /// Apps by name, once they were read.
    pub(crate) apps: Option<Vec<AppRecord>>,
    /// Drafts that were written down, by id: read at the start, then kept up to date.
    pub(crate) drafts: BTreeMap<String, String>,
    /// The zone times are shown in.
    pub(crate) zone: jiff::tz::TimeZone,
}

impl Facts {
    /// Names of all apps, in order; none before they were read.
    pub(crate) fn app_names(&self) -> Vec<&str> {
        self.apps.iter().flatten().map(|app| app.name.as_str()).collect()
    }

    /// Why a change that needs `scope` (for an app, where one is named) is not possible, if it is not. The appliance
    /// decides in the end; this only greys what it would refuse.
    pub(crate) fn refuses(&self, scope: Scope, app: Option<&str>) -> Option<String> {
        if self.is_read_only {
            return Some("this is a read-only session (--read-only)".to_owned());
        }
        let you = self.you.as_ref()?;
        // Where no app is meant yet, a scope in any of them will do.
        let gives = you.grants.iter().any(|grant| grant.scope == scope && (app.is_none() || grant.gives(scope, app)));
        (!gives).then(|| format!("your key lacks the scope {scope}"))
    }

    /// Whether nothing at all can be changed, so that the title says so.
    pub(crate) fn only_reads(&self) -> bool {
        const WRITING: [Scope; 4] = [Scope::ScriptWrite, Scope::AppAdmin, Scope::NodeAdmin, Scope::InstanceAdmin];
        let may_write = |you: &You| WRITING.iter().any(|scope| you.grants.iter().any(|grant| grant.scope == *scope));
        self.is_read_only || self.you.as_ref().is_some_and(|you| !may_write(you))
    }

    /// Takes the list of apps.
    pub(super) fn take_apps(&mut self, answered: &Answered) {
        if let Ok(answer) = answered
            && let Ok(page) = answer.json::<Page<AppRecord>>()
        {
            self.apps = Some(page.items);
        }
    }
}
