//! The audit log: who did what, from where, what it was before and is after, and who was refused what.
//!
//! Entries form a chain: each holds the hash of the one before it, so that none can be changed, removed from the
//! middle or slipped in without [`AuditEntry::chain_hash`] telling.

use crate::clock::UnixMs;
use crate::hash::ContentHash;
use crate::principal::{Principal, PrincipalKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Somebody's doing, as every change in the store is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub who: Principal,
    /// From where: `socket`, an address, or `appliance` for what it does by itself.
    pub from: String,
    /// When.
    pub at: UnixMs,
    /// Why, in their own words; kept with versions.
    pub message: Option<String>,
}

impl Act {
    /// What the appliance does by itself.
    pub fn of_appliance(node: &str, at: UnixMs) -> Self {
        let who = Principal { kind: PrincipalKind::Node, name: node.to_owned() };
        Self { who, from: "appliance".to_owned(), at, message: None }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused; nothing changed.
    Refused,
}

impl AuditOutcome {
    /// The word in tables and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// Counts up by one; the id of `/watch` events, too.
    pub seq: i64,
    /// When.
    #[serde(with = "crate::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: UnixMs,
    /// Who.
    pub who: Principal,
    /// From where.
    pub from: String,
    /// What was done: noun and verb, `script.save`, `key.create`, `app.deploy`; of a refusal, the capability.
    pub action: String,
    /// In which app, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// To what: the name or id within the app.
    pub target: String,
    /// What became of it.
    pub outcome: AuditOutcome,
    /// The thing before, as far as may be shown; absent where it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// The thing after; absent where it is gone. Of a refusal: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
    /// Over everything above and the hash of the entry before.
    pub hash: ContentHash,
}

impl AuditEntry {
    /// What `hash` must be after an entry whose hash is `previous`.
    ///
    /// SHA-256 over the previous hash and then the entry as JSON without its own hash, names sorted at every level and
    /// no spaces: the same bytes from every build, and no two entries read the same.
    pub fn chain_hash(&self, previous: &ContentHash) -> ContentHash {
        let mut shown = serde_json::json!(self);
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("hash");
        }
        let mut text = String::new();
        write_sorted(&shown, &mut text);
        let mut bytes = previous.0.to_vec();
        bytes.extend_from_slice(text.as_bytes());
        ContentHash::of(&bytes)
    }
}

/// JSON with sorted names. `serde_json` sorts them or not as whoever else uses it wishes, so it is not asked.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(b.0));
            text.push('{');
            for (index, (name, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_sorted(&Value::String(name.clone()), text);
                text.push(':');
                write_sorted(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_sorted(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// A refusal to be written down.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedAct {
    /// Who and from where.
    pub act: Act,
    /// What was asked for: a capability's name, or the path where none is known.
    pub action: String,
    /// In which app.
    pub app: Option<String>,
    /// To what.
    pub target: String,
    /// Why: code and sentence, and how often since the last entry like this.
    pub reason: serde_json::Value,
}

/// What to list of the audit log, newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only in this app.
    #[serde(default)]
    pub app: Option<String>,
    /// Only by the principal of this name.
    #[serde(default)]
    pub who: Option<String>,
    /// Only this action, or, with a final `.`, all that begin with it.
    #[serde(default)]
    pub action: Option<String>,
    /// Only with this outcome.
    #[serde(default)]
    #[param(inline)]
    pub outcome: Option<AuditOutcome>,
    /// At most so many.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// Where the last page ended.
    #[serde(default)]
    #[param(min_length = 1)]
    pub cursor: Option<String>,
}

/// What came of checking the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditVerdict {
    /// Whether every entry is what it was when it was written.
    pub intact: bool,
    /// How many entries were looked at.
    pub entries: u64,
    /// The oldest entry that is kept.
    pub first_seq: Option<i64>,
    /// The newest.
    pub last_seq: Option<i64>,
    /// The newest entry's hash: written down elsewhere, it proves that nothing was cut off later.
    pub head: Option<ContentHash>,
    /// The first entry that is not what it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<i64>,
    /// What is wrong there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_entry_is_the_same_for_ever() {
        let entry = AuditEntry {
            seq: 7,
            at: 1_767_225_600_000,
            who: Principal { kind: PrincipalKind::Key, name: "ci".to_owned() },
            from: "192.168.1.9".to_owned(),
            action: "script.save".to_owned(),
            app: Some("kitchen".to_owned()),
            target: "hello".to_owned(),
            outcome: AuditOutcome::Done,
            before: None,
            after: Some(serde_json::json!({ "version": 1, "a": [true, null, "x"] })),
            hash: ContentHash::of(b""),
        };
        let hash = entry.chain_hash(&ContentHash([0; 32]));
        // Entries that are stored were hashed like this: a change here breaks every chain there is.
        assert_eq!(hash.to_string(), "295bcdcd2478c810ff619e2a7061877df8a5cb602ef5948515813a0d504a7d0a");
        assert_ne!(hash, entry.chain_hash(&hash));
        assert_ne!(hash, AuditEntry { target: "hallo".to_owned(), ..entry }.chain_hash(&ContentHash([0; 32])));
    }
}
