//! `picloud publish`: says something on a topic, as a script would.

use super::Session;
use super::source::read_argument;
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::Args;
use http::Method;
use serde_json::{Value, json};

/// Publish a value on a topic: every trigger that takes it runs
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  picloud publish orders/new '{\"id\": 7, \"total\": 12.5}'
  picloud publish doors/front open --string --delay-ms 60000")]
pub(crate) struct Publish {
    /// Segments with `/` between
    topic: String,
    /// The value as JSON; @FILE is a file's content, `-` standard input
    value: String,
    /// The value is text, not JSON
    #[arg(long)]
    string: bool,
    /// Deliver no sooner than so long from now
    #[arg(long, value_name = "MS")]
    delay_ms: Option<u64>,
    /// A second publish with the same key within a day does nothing
    #[arg(long, value_name = "KEY")]
    dedup_key: Option<String>,
}

impl Publish {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = session.settings.app()?;
        let bytes = read_argument(&self.value)?;
        let value: Value = if self.string {
            String::from_utf8_lossy(&bytes).into_owned().into()
        } else {
            serde_json::from_slice(&bytes)
                .map_err(|error| Failure::usage(format!("the value is no JSON: {error}"), "text: add --string"))?
        };
        let mut input = json!({ "topic": self.topic, "value": value });
        if let Some(delay_ms) = self.delay_ms {
            input["delay_ms"] = delay_ms.into();
        }
        if let Some(dedup_key) = self.dedup_key {
            input["dedup_key"] = dedup_key.into();
        }
        let ask = Ask::new(Method::POST, ApiPath::of_app(&app, &["publish"])).json(&input);
        let answer: Value = session.client.send(ask).await?.value()?;
        let sentence = match (answer["deliveries"].as_u64(), answer["event_id"].as_str()) {
            (Some(0), Some(_)) => format!("published on {}; no trigger takes it", self.topic),
            (Some(0), None) => format!("nothing was published on {}: no trigger takes it, or it was there", self.topic),
            (Some(1), _) => format!("published on {}: 1 trigger takes it", self.topic),
            (count, _) => format!("published on {}: {} triggers take it", self.topic, count.unwrap_or(0)),
        };
        session.done(&answer, &sentence);
        Ok(())
    }
}
