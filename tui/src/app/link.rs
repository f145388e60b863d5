//! Whether the appliance answers, and how old what is shown is.

use super::{Answered, Now, StreamState};
use picloud_model::problem::Code;

/// The connection, as the stream of changes shows it.
#[derive(Debug, Default)]
pub(crate) struct Link {
    state: State,
    /// When something was answered last, by [`Now::unix_ms`].
    answered_unix_ms: Option<i64>,
    /// What is being sent or saved, for the title.
    pub(super) busy: Option<String>,
}

#[derive(Debug, Default)]
enum State {
    /// Not connected yet.
    #[default]
    Connecting,
    /// Changes come as they are made.
    Live,
    /// Nobody answers; tried again at this time.
    Lost { why: String, retry_at_ms: u64 },
    /// Changes may not be followed with this key.
    Deaf,
}

impl Link {
    /// The stream of changes is so.
    pub(super) fn stream(&mut self, now: Now, state: &StreamState) {
        self.state = match state {
            StreamState::Live => {
                self.answered_unix_ms = Some(now.unix_ms);
                State::Live
            }
            StreamState::Lost { why, retry_at_ms } => State::Lost { why: why.clone(), retry_at_ms: *retry_at_ms },
            StreamState::Refused { .. } => State::Deaf,
        };
    }

    /// Something was answered, or nobody was there.
    pub(super) fn answered(&mut self, now: Now, answered: &Answered) {
        let is_away = answered.as_ref().is_err_and(|problem| problem.code == Code::NodeAway);
        if !is_away {
            self.answered_unix_ms = Some(now.unix_ms);
        }
    }

    /// Whether nobody answers.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost { .. })
    }

    /// What line 2 says at its right: `live`, or since when not and when it is tried again.
    pub(super) fn told(&self, now: Now, zone: &jiff::tz::TimeZone) -> String {
        let as_of = || match self.answered_unix_ms {
            Some(at) => format!("data of {}", crate::widgets::text::time_of_day(at, zone)),
            None => "no data yet".to_owned(),
        };
        match &self.state {
            State::Connecting => "connecting".to_owned(),
            State::Live => "live".to_owned(),
            State::Deaf => format!("{}, r reloads", as_of()),
            State::Lost { retry_at_ms, .. } => {
                let wait_s = retry_at_ms.saturating_sub(now.mono_ms).div_ceil(1000);
                format!("LOST, {}, again in {wait_s} s", as_of())
            }
        }
    }

    /// Why nobody answers, if so.
    pub(super) fn why_lost(&self) -> Option<&str> {
        match &self.state {
            State::Lost { why, .. } => Some(why),
            _ => None,
        }
    }
}
