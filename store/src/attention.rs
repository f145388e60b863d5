//! The trait of what a person should look at, of all apps at once.

use crate::Result;
use async_trait::async_trait;
use picloud_model::clock::UnixMs;
use picloud_model::ids::AppId;
use picloud_model::problem::Problem;
use picloud_model::trigger::Paused;

/// How the reason of a trigger ends that paused itself.
pub(crate) const IN_A_ROW: &str = " dead letters in a row";

/// The dead letters of one trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct LettersOf {
    /// The app.
    pub app: AppId,
    /// The trigger; `None` for timers and requests.
    pub trigger: Option<String>,
    /// How many.
    pub letters: i64,
    /// Why the newest died.
    pub error: Problem,
    /// When it died.
    pub last_at: UnixMs,
}

/// A trigger that paused itself after dead letters in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PausedTrigger {
    /// The app.
    pub app: AppId,
    /// Its name.
    pub trigger: String,
    /// Since when and why.
    pub paused: Paused,
}

/// What a person should look at.
#[async_trait]
pub trait Attention: Send + Sync {
    /// Dead letters of all apps by trigger, those first that died last; up to `triggers_max` triggers.
    async fn letters_by_trigger(&self, triggers_max: u32) -> Result<Vec<LettersOf>>;
    /// Triggers of all apps that paused themselves, the latest first, up to `triggers_max`.
    async fn triggers_that_paused(&self, triggers_max: u32) -> Result<Vec<PausedTrigger>>;
}
