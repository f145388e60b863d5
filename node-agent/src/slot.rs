//! Whether an appliance answers right now: the link to it, or since when there is none.

use crate::appliance::Link;
use picloud_model::clock::{UnixMs, rfc3339};
use picloud_model::problem::Code;
use picloud_model::protocol::ServiceFailure;
use tokio::sync::watch;

/// What is in the slot.
#[derive(Clone)]
pub enum State {
    /// No appliance answers.
    Away {
        /// Since when.
        since: UnixMs,
        /// What was tried last, and what came of it.
        why: String,
    },
    /// One answers.
    Up(Link),
}

/// The slot of the one link that a node has. Cheap to clone.
#[derive(Clone)]
pub struct Slot(watch::Sender<State>);

impl Slot {
    /// Empty since `now`.
    pub fn new(now: UnixMs) -> Self {
        Self(watch::channel(State::Away { since: now, why: "it has just started".to_owned() }).0)
    }

    /// The link, if there is one.
    pub fn link(&self) -> Option<Link> {
        match &*self.0.borrow() {
            State::Up(link) => Some(link.clone()),
            State::Away { .. } => None,
        }
    }

    /// What is in it.
    pub fn state(&self) -> State {
        self.0.borrow().clone()
    }

    /// An appliance answers.
    pub fn up(&self, link: Link) {
        self.0.send_replace(State::Up(link));
    }

    /// None answers any more, or still none does.
    pub fn away(&self, now: UnixMs, why: String) {
        self.0.send_modify(|state| {
            let since = match state {
                State::Away { since, .. } => *since,
                State::Up(_) => now,
            };
            *state = State::Away { since, why };
        });
    }

    /// Waits until there is a link.
    pub async fn wait(&self) -> Link {
        let mut changes = self.0.subscribe();
        loop {
            if let State::Up(link) = &*changes.borrow_and_update() {
                return link.clone();
            }
            if changes.changed().await.is_err() {
                // This end holds the sender as well, so it is never gone.
                std::future::pending::<()>().await;
            }
        }
    }

    /// What a script is told whose call needs an appliance, and was not sent.
    pub fn failure(&self) -> ServiceFailure {
        match self.state() {
            State::Away { since, .. } => {
                let message = format!("no appliance answers (since {})", rfc3339(since));
                ServiceFailure { code: Code::NodeAway, message }
            }
            State::Up(_) => unanswered(),
        }
    }
}

/// What a script is told whose call was under way when the appliance went away.
pub fn unanswered() -> ServiceFailure {
    let message = "the appliance went away before it answered; what was asked may have been done".to_owned();
    ServiceFailure { code: Code::NodeAway, message }
}
