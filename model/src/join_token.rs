//! Join tokens: how a node is let in without anybody there to approve it.
//!
//! `PC1.<first 32 digits of the SHA-256 of the appliance's CA certificate>.<id>.<secret>`: whoever has it knows which
//! appliance to trust, and may join as often as the token says until it expires.

use crate::clock::UnixMs;
use crate::placement::Labels;
use serde::{Deserialize, Serialize};

/// What every token begins with: the first of its kind.
pub const PREFIX: &str = "PC1";
/// Digits of the CA's hash in a token: 128 bits.
pub const CA_DIGITS: usize = 32;
/// Digits of the secret: 128 bits.
pub const SECRET_DIGITS: usize = 32;
/// How long a token holds where nothing is said.
pub const HOLDS_MS_DEFAULT: i64 = 60 * 60 * 1000;
/// How long a token may hold: a year, for images that are written once.
pub const HOLDS_MS_MAX: i64 = 366 * 24 * 60 * 60 * 1000;
/// Most nodes that one token may let in.
pub const USES_MAX: u32 = 1_000;
/// Most tokens at a time.
pub const TOKENS_MAX: u32 = 1_000;

/// A token taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenParts {
    /// The first [`CA_DIGITS`] digits of the hash of the CA's certificate.
    pub ca: String,
    /// Which token.
    pub id: i64,
    /// [`SECRET_DIGITS`] digits. Only its hash is kept.
    pub secret: String,
}

/// The text is no join token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no join token: one looks like PC1.<{CA_DIGITS} digits>.<number>.<{SECRET_DIGITS} digits>, all on one line"
)]
pub struct BadToken;

impl std::str::FromStr for TokenParts {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let is_hex = |part: &str, digits| {
            part.len() == digits && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let mut parts = text.trim().split('.');
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(PREFIX), Some(ca), Some(id), Some(secret), None)
                if is_hex(ca, CA_DIGITS) && is_hex(secret, SECRET_DIGITS) =>
            {
                let id = id.parse().map_err(|_number| BadToken)?;
                Ok(Self { ca: ca.to_owned(), id, secret: secret.to_owned() })
            }
            _other => Err(BadToken),
        }
    }
}

impl TokenParts {
    /// The token as it is shown once.
    pub fn text(&self) -> String {
        format!("{PREFIX}.{}.{}.{}", self.ca, self.id, self.secret)
    }
}

/// A token as the admin API shows it, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JoinToken {
    /// Its id.
    pub id: i64,
    /// The labels of nodes that join with it.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Labels,
    /// How many nodes it lets in yet.
    pub uses_left: u32,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMs,
    /// From when on it is refused.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: UnixMs,
}

/// What a caller says to make one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewJoinToken {
    /// The labels of nodes that join with it.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Labels,
    /// For how long it holds, in milliseconds: an hour where absent, at most a year.
    #[schema(minimum = 1, maximum = 31_622_400_000_i64)]
    pub expires_in_ms: Option<i64>,
    /// How many nodes it lets in: one where absent.
    #[schema(minimum = 1, maximum = 1000)]
    pub uses: Option<u32>,
}

/// A token right after it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MadeJoinToken {
    /// What is kept of it.
    #[serde(flatten)]
    pub made: JoinToken,
    /// The token itself, shown this once.
    pub token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_what_was_written_and_nothing_else_does() {
        let token = TokenParts { ca: "ab".repeat(16), id: 7, secret: "0f".repeat(16) };
        assert!(token.text().parse::<TokenParts>().unwrap() == token);
        for bad in ["", "PC1", "PC2.a.1.b", &token.text()[1..], &format!("{}.x", token.text()), "PC1.zz.1.00"] {
            assert!(bad.parse::<TokenParts>().is_err(), "{bad}");
        }
    }
}
