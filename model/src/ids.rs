//! Ids as newtypes, so that one cannot be passed where another is meant.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// An app, the unit of isolation. Given by the store, never reused.
    AppId
);
number_id!(
    /// A script or module of one app. Given by the store, never reused.
    ScriptId
);
number_id!(
    /// A route of one app. Given by the store, never reused.
    RouteId
);

number_id!(
    /// An API key. Given by the store, never reused.
    KeyId
);

number_id!(
    /// A trigger of one app. Given by the store, never reused.
    TriggerId
);
number_id!(
    /// One event for one trigger, until it is done or dead. Given by the store, never reused.
    DeliveryId
);
number_id!(
    /// A delivery that will not be tried again. Given by the store, never reused.
    DeadLetterId
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[schema(value_type = String, format = "uuid")]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// A new id of this moment.
            #[expect(clippy::new_without_default, reason = "every one is another")]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// One thing that happened: the same at every attempt of every delivery of it.
    EventId
);
uuid_id!(
    /// A timer, until it has fired or was cancelled.
    TimerId
);
uuid_id!(
    /// A file of one app: the same over all its versions.
    FileId
);
uuid_id!(
    /// A request that is answered later. Whoever knows it may read the answer, so it is no time but chance.
    AsyncRequestId
);

/// One run of a script: a version 7 UUID, so that ids sort by the time they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(value_type = String, format = "uuid")]
#[serde(transparent)]
pub struct ExecutionId(pub uuid::Uuid);

impl ExecutionId {
    /// A new id of this moment (its 48 bits of time only make ids sortable; nothing reads them back).
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7())
    }
}

impl Default for ExecutionId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for ExecutionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
