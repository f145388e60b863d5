//! `picloud metrics`: the appliance's metrics, as Prometheus reads them.

use super::Session;
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::Args;
use http::Method;
use serde_json::json;

/// Print the metrics as Prometheus reads them
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  picloud metrics | grep kitchen")]
pub(crate) struct Metrics {}

impl Metrics {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let answer = session.client.send(Ask::new(Method::GET, ApiPath::new(&["metrics"]))).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        session.done(&json!({ "text": text }), &text);
        Ok(())
    }
}
