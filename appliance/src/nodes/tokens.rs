//! Join tokens: how machines are let in with nobody there.

use super::Cluster;
use super::approval::check_labels;
use crate::admin::from_store;
use picloud_model::audit::Act;
use picloud_model::hash::ContentHash;
use picloud_model::join_token::{
    CA_DIGITS, HOLDS_MS_DEFAULT, HOLDS_MS_MAX, JoinToken, MadeJoinToken, NewJoinToken, SECRET_DIGITS, TokenParts,
    USES_MAX,
};
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::{Code, Problem};
use picloud_store::JoinTokenWrite;

/// Tokens that ended are dropped so many at a time, when one is made.
const EXPIRED_AT_ONCE_MAX: u32 = 1_000;

impl Cluster {
    /// Makes a join token.
    pub async fn create_token(&self, token: NewJoinToken, act: &Act) -> Result<MadeJoinToken, Problem> {
        let ca = self.tls()?.ca_fingerprint().to_string();
        check_labels(&token.labels)?;
        let holds_ms = token.expires_in_ms.unwrap_or(HOLDS_MS_DEFAULT);
        if !(1..=HOLDS_MS_MAX).contains(&holds_ms) {
            let detail = format!("`expires_in_ms` is {holds_ms}, and must be from 1 to {HOLDS_MS_MAX}");
            return Err(Problem::new(Code::Invalid, detail).hint("a year is the most"));
        }
        let uses = token.uses.unwrap_or(1);
        if !(1..=USES_MAX).contains(&uses) {
            let detail = format!("`uses` is {uses}, and must be from 1 to {USES_MAX}");
            return Err(Problem::new(Code::Invalid, detail).limit("uses", u64::from(USES_MAX)));
        }
        let mut random = [0; SECRET_DIGITS / 2];
        getrandom::fill(&mut random).map_err(|error| {
            tracing::error!(%error, "the system gives no random bytes");
            Problem::internal()
        })?;
        let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        // Here rather than by a clock: they matter only to whoever looks.
        if let Err(error) = self.shared.store.expire_join_tokens(act.at, EXPIRED_AT_ONCE_MAX).await {
            tracing::debug!(%error, "join tokens that ended could not be dropped");
        }
        let write = JoinTokenWrite {
            hash: ContentHash::of(secret.as_bytes()),
            labels: token.labels,
            uses,
            expires_at: act.at.saturating_add(holds_ms),
        };
        let made = self.shared.store.create_join_token(&write, act).await.map_err(from_store)?;
        let token = TokenParts { ca: ca[..CA_DIGITS].to_owned(), id: made.id, secret }.text();
        Ok(MadeJoinToken { made, token })
    }

    /// Tokens, newest first.
    pub async fn tokens(&self, page: &PageRequest) -> Result<Page<JoinToken>, Problem> {
        self.shared.store.join_tokens(page).await.map_err(from_store)
    }

    /// Removes one.
    pub async fn delete_token(&self, id: i64, act: &Act) -> Result<(), Problem> {
        let deleted = self.shared.store.delete_join_token(id, act).await.map_err(from_store)?;
        if deleted { Ok(()) } else { Err(Problem::not_found("join token", id)) }
    }
}
