//! What scripts log, as a stream of events.

use super::stream::{self, Followed, Source};
use crate::admin::access::{MaySome, may};
use crate::admin::asked::Asked;
use crate::admin::openapi::NotFound;
use crate::admin::refusal::Answer;
use crate::logs::TailLine;
use axum::response::Response;
use axum::response::sse::Event;
use picloud_model::execution::LogLevel;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// What stands after `?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct LogsQuery {
    /// Only of this app.
    app: Option<String>,
    /// Only of this script.
    script: Option<String>,
    /// Only of this machine.
    node: Option<String>,
    /// Only lines that matter at least so much.
    level: Option<LogLevel>,
}

impl LogsQuery {
    fn wants(&self, line: &TailLine) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
        is(&self.app, &line.app)
            && is(&self.script, &line.script)
            && is(&self.node, &line.node)
            && self.level.is_none_or(|level| line.level >= level)
    }
}

/// Events as they happen: `log` with a line, also one for each run that failed; `dropped` where lines came faster than
/// they were read.
#[utoipa::path(
    get,
    path = "/logs",
    responses((status = 200, content_type = "text/event-stream", body = String), NotFound),
)]
pub(in crate::admin) async fn logs(asked: MaySome<may::ReadLogs>, Asked(query): Asked<LogsQuery>) -> Answer<Response> {
    if let Some(app) = &query.app {
        stream::check_app(&asked, app).await?;
    }
    let open = stream::open(&asked)?;
    let lines = asked.tail.follow();
    let first = Event::default().comment("following");
    Ok(stream::answer(Followed { asked, open }, first, Lines { lines, query }))
}

struct Lines {
    lines: Receiver<Arc<TailLine>>,
    query: LogsQuery,
}

impl Source<may::ReadLogs> for Lines {
    async fn next(&mut self, asked: &MaySome<may::ReadLogs>) -> Option<Event> {
        loop {
            match self.lines.recv().await {
                Ok(line) if self.query.wants(&line) && asked.sees(&line.app) => {
                    return Some(Event::default().event("log").data(json!(*line).to_string()));
                }
                Ok(_of_others) => {}
                Err(RecvError::Lagged(lines)) => {
                    return Some(Event::default().event("dropped").data(json!({ "lines": lines }).to_string()));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
