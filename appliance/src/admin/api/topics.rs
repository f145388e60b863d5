//! What scripts publish for whoever listens right now, as a stream of events.

use super::stream::{self, Followed, Source};
use crate::admin::access::{MaySome, may};
use crate::admin::asked::{Asked, Named};
use crate::admin::openapi::NotFound;
use crate::admin::refusal::Answer;
use crate::topics::Message;
use axum::response::Response;
use axum::response::sse::Event;
use picloud_model::clock::rfc3339;
use picloud_model::ids::AppId;
use picloud_model::problem::{Code, Problem};
use picloud_model::publish::{check_topic_pattern, topic_matches};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// What stands after `?`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct TopicsQuery {
    /// Only of this topic; `+` stands for one segment, `#` at the end for the rest. All topics where absent.
    topic: Option<String>,
}

/// Events as they happen: `message` with what a script published with `pubsub::publish_ephemeral`; `gap` where messages
/// came faster than they were read.
#[utoipa::path(
    get,
    path = "/apps/{app}/topics",
    responses((status = 200, content_type = "text/event-stream", body = String), NotFound),
)]
pub(in crate::admin) async fn topics(
    asked: MaySome<may::ReadTriggers>,
    Named(app): Named<String>,
    Asked(query): Asked<TopicsQuery>,
) -> Answer<Response> {
    asked.check(&app)?;
    let found = asked.store.app(&app).await?.ok_or_else(|| Problem::not_found("app", &app))?;
    let wanted = query.topic.unwrap_or_else(|| "#".to_owned());
    check_topic_pattern(&wanted).map_err(|message| Problem::new(Code::Malformed, message))?;
    let open = stream::open(&asked)?;
    let messages = asked.topics.follow();
    let first = Event::default().comment("following");
    Ok(stream::answer(Followed { asked, open }, first, Messages { messages, app: found.id, wanted }))
}

struct Messages {
    messages: Receiver<Arc<Message>>,
    app: AppId,
    wanted: String,
}

impl Source<may::ReadTriggers> for Messages {
    async fn next(&mut self, _asked: &MaySome<may::ReadTriggers>) -> Option<Event> {
        loop {
            match self.messages.recv().await {
                Ok(message) if message.app == self.app && topic_matches(&self.wanted, &message.topic) => {
                    let value: serde_json::Value = serde_json::from_slice(&message.value).unwrap_or_default();
                    let data = json!({ "topic": message.topic, "value": value, "at": rfc3339(message.at) });
                    return Some(Event::default().event("message").data(data.to_string()));
                }
                Ok(_of_others) => {}
                Err(RecvError::Lagged(messages)) => {
                    return Some(Event::default().event("gap").data(json!({ "missed": messages }).to_string()));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
