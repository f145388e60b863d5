//! What all parts of the agent know: who this node is, whom it belongs to, and what time it is.

use crate::apps::Apps;
use crate::config::Settings;
use crate::identity::{Belonging, IdentityFileError, IdentityFiles, Member, Told};
use crate::outgoing::Outgoing;
use crate::slot::Slot;
use picloud_cluster::identity::NodeKey;
use picloud_model::clock::Clock;
use picloud_model::join_token::TokenParts;
use picloud_model::placement::Labels;
use picloud_model::protocol::node::Enrol;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// All of it.
pub struct Context {
    /// The settings.
    pub settings: Settings,
    /// The node's key.
    pub key: NodeKey,
    /// Its files.
    pub files: IdentityFiles,
    /// What this machine says of itself.
    pub facts: Labels,
    /// What it calls itself where nobody has named it.
    pub own_name: String,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The appliance, when it answers.
    pub slot: Slot,
    /// What is served.
    pub apps: Arc<Apps>,
    /// What is to be told.
    pub outgoing: Arc<Outgoing>,
    /// Whom it belongs to.
    pub belonging: watch::Sender<Belonging>,
    /// Told when `picloud-node join` has said something.
    pub told: Notify,
    /// Told when a call waits for too long.
    pub doubt: Arc<Notify>,
    /// Whom it asks to be let in, and what came of it.
    pub asked: Mutex<BTreeMap<String, Asked>>,
}

/// An appliance that was asked to let this node in.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Asked {
    /// The fingerprint of its CA, for people; empty until it answers.
    pub ca: String,
    /// What came of it.
    pub says: String,
}

impl Context {
    /// Writes down whom it belongs to, and tells everybody.
    pub fn belongs(&self, belonging: Belonging) -> Result<(), IdentityFileError> {
        let written = self.files.set_belonging(&belonging);
        // In memory it holds in any case; where it could not be written, the next start knows nothing of it.
        self.belonging.send_replace(belonging);
        written
    }

    /// The membership, if it is a member.
    pub fn member(&self) -> Option<Member> {
        match &*self.belonging.borrow() {
            Belonging::Member(member) => Some(member.clone()),
            Belonging::Nobody | Belonging::Retired { .. } => None,
        }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        self.member().map_or_else(|| self.own_name.clone(), |member| member.name)
    }

    /// Where to ask, and with which token: what `join` was told goes before the settings.
    pub fn told(&self) -> Result<(Vec<String>, Option<TokenParts>), IdentityFileError> {
        let told = self.files.told()?.unwrap_or(Told { appliance: Vec::new(), token: None });
        let mut addresses = told.appliance;
        addresses.extend(self.settings.appliance.iter().cloned());
        let token = match (told.token.or_else(|| self.settings.join_token.clone()), &self.settings.join_token_file) {
            // Both were checked when they were set.
            (Some(token), _) => token.parse().ok(),
            (None, Some(file)) => Some(crate::identity::token_in(file)?),
            (None, None) => None,
        };
        Ok((addresses, token))
    }

    /// What it says to be let in.
    pub fn enrol(&self, token: Option<&TokenParts>) -> Result<Enrol, picloud_cluster::identity::IdentityError> {
        Ok(Enrol {
            csr: self.key.csr_pem()?,
            name: self.name(),
            facts: self.facts.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            token: token.map(TokenParts::text),
        })
    }

    /// Whom it asks.
    pub fn asked(&self) -> MutexGuard<'_, BTreeMap<String, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A random part of `longest`, so that a hundred nodes do not all come at once.
pub fn jitter(longest: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    longest.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
