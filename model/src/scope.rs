//! What a caller may do: seven scopes, and the one table that says which of them each capability needs.
//!
//! A handler names its capability and nothing else; to add one: a line in `capabilities!`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The seven scopes an API key may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Scope {
    /// Scripts, routes, triggers, KV, files, runs and logs: read.
    #[serde(rename = "script:read")]
    ScriptRead,
    /// The same: write; and run scripts.
    #[serde(rename = "script:write")]
    ScriptWrite,
    /// Routes with `auth = "key"`.
    #[serde(rename = "invoke")]
    Invoke,
    /// Apps: create, change, delete, deploy; their secrets.
    #[serde(rename = "app:admin")]
    AppAdmin,
    /// Nodes and their state: read.
    #[serde(rename = "node:read")]
    NodeRead,
    /// Nodes: approve, drain, label, remove.
    #[serde(rename = "node:admin")]
    NodeAdmin,
    /// Keys, audit, backup, settings.
    #[serde(rename = "instance:admin")]
    InstanceAdmin,
}

impl Scope {
    /// All of them, in the order they are shown.
    pub const ALL: &[Self] = &[
        Self::ScriptRead,
        Self::ScriptWrite,
        Self::Invoke,
        Self::AppAdmin,
        Self::NodeRead,
        Self::NodeAdmin,
        Self::InstanceAdmin,
    ];

    /// The scope as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScriptRead => "script:read",
            Self::ScriptWrite => "script:write",
            Self::Invoke => "invoke",
            Self::AppAdmin => "app:admin",
            Self::NodeRead => "node:read",
            Self::NodeAdmin => "node:admin",
            Self::InstanceAdmin => "instance:admin",
        }
    }

    /// Whether it can be given for single apps; the others are about the whole instance.
    pub fn is_of_apps(self) -> bool {
        matches!(self, Self::ScriptRead | Self::ScriptWrite | Self::Invoke | Self::AppAdmin)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no scope; the scopes are {all}", word = .0, all = Scope::ALL.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", "))]
pub struct UnknownScope(pub String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == text).ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

macro_rules! capabilities {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal needs $scope:ident;)*) => {
        /// What a handler does, as far as permission is concerned.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Capability { $($(#[doc = $doc])* $name,)* }

        impl Capability {
            /// All of them, in the table's order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name, for the audit log and refusals.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The scope it needs.
            pub fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)* }
            }
        }
    };
}

capabilities! {
    /// See apps, their hosts, limits and env.
    ReadApps = "apps.read" needs ScriptRead;
    /// Make an app.
    CreateApps = "apps.create" needs AppAdmin;
    /// Change hosts, env and limits.
    ChangeApps = "apps.change" needs AppAdmin;
    /// Remove an app.
    DeleteApps = "apps.delete" needs AppAdmin;
    /// Deploy a whole app, or plan to.
    Deploy = "apps.deploy" needs AppAdmin;
    /// See scripts, modules, their sources and versions; export.
    ReadScripts = "scripts.read" needs ScriptRead;
    /// Save, roll back, release and remove scripts and modules.
    WriteScripts = "scripts.write" needs ScriptWrite;
    /// Run a script, saved or not.
    RunScripts = "scripts.run" needs ScriptWrite;
    /// See routes.
    ReadRoutes = "routes.read" needs ScriptRead;
    /// Add and remove routes.
    WriteRoutes = "routes.write" needs ScriptWrite;
    /// See triggers, their queues and timers.
    ReadTriggers = "triggers.read" needs ScriptRead;
    /// Add, change, remove, pause, resume and fire triggers; publish.
    WriteTriggers = "triggers.write" needs ScriptWrite;
    /// See dead letters.
    ReadDeadLetters = "dead_letters.read" needs ScriptRead;
    /// Send dead letters again, and discard them.
    WriteDeadLetters = "dead_letters.write" needs ScriptWrite;
    /// See files and their bytes.
    ReadFiles = "files.read" needs ScriptRead;
    /// Make, change and remove files.
    WriteFiles = "files.write" needs ScriptWrite;
    /// See keys and values.
    ReadKv = "kv.read" needs ScriptRead;
    /// Set and remove keys and values.
    WriteKv = "kv.write" needs ScriptWrite;
    /// See the names of secrets and whom they are granted to.
    ReadSecrets = "secrets.read" needs AppAdmin;
    /// Set, grant and remove secrets.
    WriteSecrets = "secrets.write" needs AppAdmin;
    /// See what is kept of runs.
    ReadExecutions = "executions.read" needs ScriptRead;
    /// Follow logs as they are written.
    ReadLogs = "logs.read" needs ScriptRead;
    /// Follow what changes.
    Watch = "watch" needs ScriptRead;
    /// See the state of the appliance and its nodes, and its metrics.
    ReadNodes = "nodes.read" needs NodeRead;
    /// Let nodes in, change, drain, replace and remove them; make and revoke join tokens.
    AdminNodes = "nodes.admin" needs NodeAdmin;
    /// See, make and revoke API keys.
    AdminKeys = "keys.admin" needs InstanceAdmin;
    /// See and verify the audit log.
    ReadAudit = "audit.read" needs InstanceAdmin;
    /// Take a backup.
    Backup = "backup" needs InstanceAdmin;
    /// Compare files with what is on the disk, and remove what is no file's.
    SweepFiles = "files.sweep" needs InstanceAdmin;
}

/// One scope, for all apps or for named ones. Written `script:read` or `script:read@kitchen,garden`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The scope.
    pub scope: Scope,
    /// Only in these apps; `None` for all of them, also those to come.
    pub apps: Option<Vec<String>>,
}

impl Grant {
    /// The scope in every app.
    pub fn everywhere(scope: Scope) -> Self {
        Self { scope, apps: None }
    }

    /// Whether it gives `scope` in `app` (`None`: in every app, or where no app is concerned).
    pub fn gives(&self, scope: Scope, app: Option<&str>) -> bool {
        self.scope == scope
            && match (&self.apps, app) {
                (None, _) => true,
                (Some(apps), Some(app)) => apps.iter().any(|named| named == app),
                (Some(_), None) => false,
            }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.apps {
            None => self.scope.fmt(f),
            Some(apps) => write!(f, "{}@{}", self.scope, apps.join(",")),
        }
    }
}

/// Why a text is no grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Its first part.
    #[error(transparent)]
    Scope(#[from] UnknownScope),
    /// `node:read@kitchen`
    #[error("scope `{0}` is about the whole instance and cannot be given for single apps")]
    NotOfApps(Scope),
    /// An app that cannot exist.
    #[error("`{0}` is no name of an app")]
    AppName(String),
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let Some((scope, apps)) = text.split_once('@') else { return Ok(Self::everywhere(text.parse()?)) };
        let scope: Scope = scope.parse()?;
        if !scope.is_of_apps() {
            return Err(GrantError::NotOfApps(scope));
        }
        let mut named = Vec::new();
        for app in apps.split(',') {
            crate::name::check_app_name(app).map_err(|_problem| GrantError::AppName(app.to_owned()))?;
            named.push(app.to_owned());
        }
        Ok(Self { scope, apps: Some(named) })
    }
}

impl Serialize for Grant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether any of `grants` gives `scope` in `app`.
pub fn allows(grants: &[Grant], scope: Scope, app: Option<&str>) -> bool {
    grants.iter().any(|grant| grant.gives(scope, app))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_written_as_it_is_read_and_holds_where_it_says() {
        for text in ["script:read", "invoke@kitchen", "app:admin@kitchen,garden", "instance:admin"] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
        let grants = ["script:read@kitchen".parse().unwrap(), "node:read".parse().unwrap()];
        assert!(allows(&grants, Scope::ScriptRead, Some("kitchen")));
        assert!(!allows(&grants, Scope::ScriptRead, Some("garden")));
        assert!(!allows(&grants, Scope::ScriptRead, None), "named apps are not all apps");
        assert!(!allows(&grants, Scope::ScriptWrite, Some("kitchen")));
        assert!(allows(&grants, Scope::NodeRead, None));
        for bad in ["script:reed", "node:read@kitchen", "invoke@", "invoke@Kitchen"] {
            assert!(bad.parse::<Grant>().is_err(), "{bad}");
        }
    }
}
