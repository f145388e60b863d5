//! `picloud keys`: API keys, for programs and for people who are elsewhere.

use super::show::time;
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use crate::words::{scope_text, span_ms};
use clap::{Args, Subcommand};
use http::Method;
use picloud_model::clock::{Clock, SystemClock, UnixMs, rfc3339};
use picloud_model::key::{ApiKey, CreatedKey, NewKey};
use picloud_model::scope::{Grant, Scope};
use serde::Deserialize;
use serde_json::{Value, json};

/// List, make and revoke API keys
///
/// Whoever is not on the appliance itself shows a key. It is shown once, when it is made; the appliance keeps only
/// its hash. Making one takes the admin socket, or a key with the scope instance:admin.
#[derive(Args, Debug)]
#[command(after_help = scopes_help())]
pub(crate) struct Keys {
    #[command(subcommand)]
    verb: Verb,
}

/// Every scope with what it allows.
fn scopes_help() -> String {
    let mut help = "Scopes:\n".to_owned();
    for scope in Scope::ALL {
        help += &format!("  {:<16}{}\n", scope.as_str(), scope_text(*scope));
    }
    help + "The first four can be given for single apps: script:read@kitchen,garden, or with --app-only"
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the keys: what they may do, until when, and when they were last used
    #[command(after_help = "Example:\n  picloud keys list")]
    List(PageArgs),
    /// Make a key and print it, this once
    #[command(after_help = CREATE_HELP)]
    Create {
        /// What to call it, such as who or what uses it
        name: String,
        /// What it may do; may be given more than once
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Grant>,
        /// Only in this app; may be given more than once
        #[arg(long = "app-only", value_name = "APP")]
        apps: Vec<String>,
        /// Until when it is good: 90d, 12h, 4w, or 2027-01-31T00:00:00Z [default: until it is deleted]
        #[arg(long, value_name = "WHEN", value_parser = expiry)]
        expires: Option<Expiry>,
    },
    /// Revoke a key; it is refused from now on
    #[command(after_help = "Example:\n  picloud keys delete laptop")]
    Delete {
        /// Its name or id
        #[arg(value_name = "NAME")]
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

const CREATE_HELP: &str = "\
Examples:
  picloud keys create laptop --scope app:admin --scope script:read --expires 90d
  picloud keys create doorbell --scope invoke --app-only kitchen
  KEY=$(picloud keys create ci --scope app:admin@kitchen)";

/// Until when a key is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    /// So many milliseconds from now.
    After(i64),
    /// At that time.
    At(UnixMs),
}

impl Keys {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let path = ApiPath::new(&["keys"]);
        match self.verb {
            Verb::List(page) => session.list(path, &page, &HEADINGS, row, "there are no keys").await,
            Verb::Create { name, scopes, apps, expires } => {
                let now = SystemClock.now_ms();
                let expires_at = expires.map(|expires| match expires {
                    Expiry::After(ms) => now.saturating_add(ms),
                    Expiry::At(at) => at,
                });
                if let Some(at) = expires_at.filter(|at| *at <= now) {
                    return Err(Failure::usage(format!("{} is over", rfc3339(at)), "give a time to come, or 90d"));
                }
                let new = NewKey { name, scopes, apps: (!apps.is_empty()).then_some(apps), expires_at };
                let answer: Value = session.client.send(Ask::new(Method::POST, path).json(&new)).await?.value()?;
                print_created(session, &answer)
            }
            Verb::Delete { name, yes } => delete(session, &name, yes).await,
        }
    }
}

/// The key alone on standard output, for `KEY=$(…)`.
fn print_created(session: &Session<'_>, answer: &Value) -> Result<(), Failure> {
    if session.output.json {
        session.output.value(answer);
        return Ok(());
    }
    let created = CreatedKey::deserialize(answer).map_err(|error| {
        Failure::other(format!("a key was made, but the answer cannot be read: {error}"), Some("picloud keys list"))
    })?;
    session.output.text(&created.key);
    let scopes: Vec<String> = created.kept.scopes.iter().map(Grant::to_string).collect();
    let until = created.kept.expires_at.map(|at| format!(", until {}", time(at))).unwrap_or_default();
    let (name, scopes) = (&created.kept.name, scopes.join(" "));
    session.output.note(&format!("key {name} is made for {scopes}{until}; it is not shown again"));
    Ok(())
}

async fn delete(session: &Session<'_>, name: &str, yes: bool) -> Result<(), Failure> {
    let keys: Vec<ApiKey> = session.all(ApiPath::new(&["keys"])).await?;
    let by_name = keys.iter().find(|key| key.name == name);
    let Some(key) = by_name.or_else(|| keys.iter().find(|key| key.id.to_string() == name)) else {
        let problem = picloud_model::Problem::not_found("key", name).hint("picloud keys list shows all of them");
        return Err(Failure::Answered(Box::new(problem)));
    };
    if !yes {
        session.output.confirm(&format!("Revoke the key {}? Whatever uses it stops working.", key.name))?;
    }
    let id = key.id.to_string();
    session.client.send(Ask::new(Method::DELETE, ApiPath::new(&["keys", &id]))).await?;
    session.done(&json!({ "deleted": key.id }), &format!("key {} is revoked", key.name));
    Ok(())
}

const HEADINGS: [&str; 6] = ["id", "name", "scopes", "made", "expires", "last used"];

fn row(key: &ApiKey) -> Vec<String> {
    let scopes: Vec<String> = key.scopes.iter().map(Grant::to_string).collect();
    vec![
        key.id.to_string(),
        key.name.clone(),
        scopes.join(" "),
        time(key.created_at),
        key.expires_at.map_or_else(|| "never".to_owned(), time),
        key.last_used_at.map_or_else(|| "never".to_owned(), time),
    ]
}

/// Reads `90d` or RFC 3339.
fn expiry(text: &str) -> Result<Expiry, String> {
    if let Some(ms) = span_ms(text) {
        return Ok(Expiry::After(ms));
    }
    #[derive(Deserialize)]
    struct Time(#[serde(with = "picloud_model::clock::as_rfc3339")] UnixMs);
    let time = serde_json::from_value::<Time>(text.into());
    time.map(|Time(at)| Expiry::At(at))
        .map_err(|_no_time| "write 90d, 12h or 4w, or a time such as 2027-01-31T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_span_or_a_time() {
        assert_eq!(expiry("90d"), Ok(Expiry::After(90 * 86_400_000)));
        assert_eq!(expiry("12h"), Ok(Expiry::After(12 * 3_600_000)));
        assert_eq!(expiry("1970-01-01T00:00:01Z"), Ok(Expiry::At(1_000)));
        for bad in ["", "d", "-1d", "90", "tomorrow", "2027-01-31", "9999999999999d"] {
            assert!(expiry(bad).is_err(), "{bad}");
        }
    }
}
