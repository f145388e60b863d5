//! `picloud limits`: every limit with its default and how far an app may raise it.

use super::Session;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::Args;
use serde_json::Value;

/// Show every limit: what holds by default, and the most an app may set in app.toml
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  picloud limits")]
pub(crate) struct Limits {}

impl Limits {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let value: Value = session.client.get(ApiPath::new(&["limits"])).await?;
        let Some(rows) = rows(&value).filter(|_| !session.output.json) else {
            session.show(&value);
            return Ok(());
        };
        session.output.table(&["limit", "default", "ceiling", "what it bounds"], &rows, "there are no limits");
        Ok(())
    }
}

fn rows(value: &Value) -> Option<Vec<Vec<String>>> {
    let items = value.get("items").unwrap_or(value).as_array()?;
    let row = |item: &Value| {
        let text = |key: &str| item[key].as_str().unwrap_or_default().trim().to_owned();
        vec![text("name"), item["default"].to_string(), item["ceiling"].to_string(), text("doc")]
    };
    Some(items.iter().map(row).collect())
}
