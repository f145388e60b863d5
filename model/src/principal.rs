//! Who asks: a person at the admin socket, an API key, a node or a script.

use crate::scope::Grant;
use serde::{Deserialize, Serialize};

/// What kind of caller a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A local person, known by the credentials of the admin socket.
    Person,
    /// An API key.
    Key,
    /// A machine that runs scripts.
    Node,
    /// A script that acts for nobody else.
    Script,
}

impl PrincipalKind {
    /// The word scripts and answers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Key => "key",
            Self::Node => "node",
            Self::Script => "script",
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Principal {
    /// What kind of caller this is.
    pub kind: PrincipalKind,
    /// The user, key or node name.
    pub name: String,
}

/// Whoever asks, as they are told themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct You {
    /// What kind of caller this is.
    pub kind: PrincipalKind,
    /// The user's or the key's name.
    pub name: String,
    /// What they may do. Whoever asks over the admin socket may do everything.
    pub grants: Vec<Grant>,
}
