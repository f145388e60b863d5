//! What changes, as a stream of events: the audit log's entries as they are written.

use super::stream::{self, Followed, Source};
use crate::admin::access::{MaySome, may};
use crate::admin::asked::Asked;
use crate::admin::openapi::NotFound;
use crate::admin::refusal::Answer;
use crate::watch::{Change, Follower, News};
use axum::response::Response;
use axum::response::sse::Event;
use http::HeaderMap;
use picloud_model::problem::{Code, Problem};
use picloud_model::scope::Capability;
use serde::Deserialize;
use serde_json::json;

/// The header with which an event source says what it saw last.
const LAST_EVENT_ID: &str = "last-event-id";

/// What stands after `?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct WatchQuery {
    /// Only changes of this app.
    app: Option<String>,
    /// The `id` of the last event that was seen; everything after it follows. `Last-Event-ID` says the same, and is
    /// what event sources send when they come back.
    #[param(minimum = 0)]
    after: Option<i64>,
}

/// Events as they happen: `change` with an audit entry, whose number is the event's `id`; `gap` where entries were
/// missed that are not to be had any more.
#[utoipa::path(
    get,
    path = "/watch",
    responses((status = 200, content_type = "text/event-stream", body = String), NotFound),
)]
pub(in crate::admin) async fn watch(
    asked: MaySome<may::Watch>,
    Asked(query): Asked<WatchQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    if let Some(app) = &query.app {
        stream::check_app(&asked, app).await?;
    }
    let seen = last_seen(&headers)?.or(query.after);
    let open = stream::open(&asked)?;
    let follower = asked.watch.follow(seen);
    let first = Event::default().id(follower.position().to_string()).comment("following");
    let changes = Changes { follower, wanted: query.app };
    Ok(stream::answer(Followed { asked, open }, first, changes))
}

struct Changes {
    follower: Follower,
    /// Only of this app.
    wanted: Option<String>,
}

impl Source<may::Watch> for Changes {
    async fn next(&mut self, asked: &MaySome<may::Watch>) -> Option<Event> {
        loop {
            match self.follower.next().await? {
                News::Change(change) if shows(asked, self.wanted.as_deref(), &change) => {
                    return Some(Event::default().event("change").id(change.seq.to_string()).data(&change.json));
                }
                News::Change(_of_others) => {}
                News::Gap { missed_from, missed_to } => {
                    let gap = json!({ "missed_from": missed_from, "missed_to": missed_to });
                    let last = missed_to.min(self.follower.position());
                    return Some(Event::default().event("gap").id(last.to_string()).data(gap.to_string()));
                }
            }
        }
    }
}

/// Whether whoever asks may see the change, and wants to.
fn shows(asked: &MaySome<may::Watch>, wanted: Option<&str>, change: &Change) -> bool {
    if !change.done || wanted.is_some_and(|wanted| change.app.as_deref() != Some(wanted)) {
        return false;
    }
    match change.app.as_deref() {
        // Which secrets there are, and whom they are granted to, is not for whoever only reads scripts.
        Some(app) if change.action.starts_with("secret.") => asked.may(Capability::ReadSecrets, Some(app)),
        Some(app) => asked.sees(app),
        None if change.action.starts_with("node.") => {
            asked.may(Capability::ReadNodes, None) || asked.may(Capability::ReadAudit, None)
        }
        None => asked.may(Capability::ReadAudit, None),
    }
}

fn last_seen(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let seen = value.to_str().ok().and_then(|text| text.trim().parse().ok()).filter(|seen| *seen >= 0);
    seen.map(Some).ok_or_else(|| {
        Problem::new(Code::Malformed, "`Last-Event-ID` is no number of an event")
            .hint("send the `id` of the last event")
    })
}
