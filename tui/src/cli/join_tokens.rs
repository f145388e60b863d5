//! `picloud join-tokens`: with which nodes join without anybody there to approve them.

use super::show::time;
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use crate::words::{label, labels_text, span_ms};
use clap::{Args, Subcommand};
use http::Method;
use picloud_model::join_token::{JoinToken, MadeJoinToken, NewJoinToken};
use picloud_model::placement::Labels;
use serde::Deserialize;
use serde_json::{Value, json};

/// How long the token of a card holds.
const CARD_HOLDS_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// List, make and delete tokens that let nodes in without anybody there
///
/// A token names the appliance that the node is to trust, carries labels, and ends by itself. It is shown once, when it
/// is made; the appliance keeps only its hash.
#[derive(Args, Debug)]
pub(crate) struct JoinTokens {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the tokens: how many nodes each lets in yet, and until when
    #[command(after_help = "Example:\n  picloud join-tokens list")]
    List(PageArgs),
    /// Make a token and print it, this once
    #[command(after_help = CREATE_HELP)]
    Create {
        /// A label of the nodes that join with it: NAME or NAME=VALUE; may be given more than once
        #[arg(long = "label", value_name = "LABEL", value_parser = label)]
        labels: Vec<(String, String)>,
        /// For how long it is good: 30m, 24h, 7d [default: 1h]
        #[arg(long = "for", value_name = "SPAN", value_parser = span)]
        span_ms: Option<i64>,
        /// How many nodes it lets in [default: 1]
        #[arg(long, value_name = "N")]
        uses: Option<u32>,
    },
    /// Delete a token; the nodes that joined with it stay
    #[command(after_help = "Example:\n  picloud join-tokens delete 3")]
    Delete {
        /// Its id, from `picloud join-tokens list`
        id: i64,
    },
}

const CREATE_HELP: &str = "\
On the node it goes into /etc/picloud/node.toml (join_token = \"…\"), PICLOUD_JOIN_TOKEN, or picloud-node join TOKEN.

Examples:
  picloud join-tokens create
  picloud join-tokens create --label room=garage --for 24h --uses 5
  TOKEN=$(picloud join-tokens create --for 30m)";

impl JoinTokens {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let path = ApiPath::new(&["join-tokens"]);
        match self.verb {
            Verb::List(page) => session.list(path, &page, &HEADINGS, row, "there are no join tokens").await,
            Verb::Create { labels, span_ms, uses } => {
                let new = NewJoinToken { labels: labels.into_iter().collect(), expires_in_ms: span_ms, uses };
                let answer: Value = session.client.send(Ask::new(Method::POST, path).json(&new)).await?.value()?;
                print_made(session, &answer)
            }
            Verb::Delete { id } => {
                session.client.send(Ask::new(Method::DELETE, path.below(&[&id.to_string()]))).await?;
                session.done(&json!({ "deleted": id }), &format!("join token {id} is deleted"));
                Ok(())
            }
        }
    }
}

/// A token for one card, which may lie in a drawer for a few days.
pub(super) async fn for_a_card(session: &Session<'_>, labels: Labels) -> Result<MadeJoinToken, Failure> {
    let new = NewJoinToken { labels, expires_in_ms: Some(CARD_HOLDS_MS), uses: None };
    let ask = Ask::new(Method::POST, ApiPath::new(&["join-tokens"])).json(&new);
    let answer: Value = session.client.send(ask).await?.value()?;
    MadeJoinToken::deserialize(&answer).map_err(|error| {
        let hint = Some("picloud join-tokens list");
        Failure::other(format!("a token was made, but the answer cannot be read: {error}"), hint)
    })
}

/// Deletes a token that nobody will use.
pub(super) async fn forget(session: &Session<'_>, id: i64) -> Result<(), Failure> {
    let path = ApiPath::new(&["join-tokens", &id.to_string()]);
    session.client.send(Ask::new(Method::DELETE, path)).await.map(drop)
}

/// The token alone on standard output, for `TOKEN=$(…)`.
fn print_made(session: &Session<'_>, answer: &Value) -> Result<(), Failure> {
    if session.output.json {
        session.output.value(answer);
        return Ok(());
    }
    let MadeJoinToken { made, token } = MadeJoinToken::deserialize(answer).map_err(|error| {
        let hint = Some("picloud join-tokens list");
        Failure::other(format!("a token was made, but the answer cannot be read: {error}"), hint)
    })?;
    session.output.text(&token);
    let nodes = if made.uses_left == 1 { "1 node".to_owned() } else { format!("{} nodes", made.uses_left) };
    let until = time(made.expires_at);
    session.output.note(&format!("token {} lets {nodes} in until {until}; it is not shown again", made.id));
    Ok(())
}

const HEADINGS: [&str; 6] = ["id", "labels", "nodes left", "made by", "made", "good until"];

fn row(token: &JoinToken) -> Vec<String> {
    vec![
        token.id.to_string(),
        labels_text(&token.labels),
        token.uses_left.to_string(),
        token.created_by.clone(),
        time(token.created_at),
        time(token.expires_at),
    ]
}

fn span(text: &str) -> Result<i64, String> {
    span_ms(text).filter(|ms| *ms > 0).ok_or_else(|| "write 30m, 24h or 7d".to_owned())
}
