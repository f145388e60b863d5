//! `/activity`: how everything is, live.

use super::stream::{self, Followed, Source};
use crate::activity::Eye;
use crate::admin::access::{MaySome, may};
use crate::admin::refusal::Answer;
use axum::response::Response;
use axum::response::sse::Event;
use picloud_model::activity::Activity;
use picloud_model::scope::Capability;

/// How everything is, as events `activity`: at once, and when it is not as it was, at most one a second.
///
/// What is of apps is shown of those whose runs may be read (`script:read`).
#[utoipa::path(
    get,
    path = "/activity",
    responses((status = 200, description = "The data of each event.", content_type = "text/event-stream", body = Activity)),
)]
pub(in crate::admin) async fn activity(asked: MaySome<may::ReadNodes>) -> Answer<Response> {
    let open = stream::open(&asked)?;
    let looks = Looks(Eye::new(&asked));
    let first = Event::default().comment("following");
    Ok(stream::answer(Followed { asked, open }, first, looks))
}

struct Looks(Eye);

impl Source<may::ReadNodes> for Looks {
    async fn next(&mut self, asked: &MaySome<may::ReadNodes>) -> Option<Event> {
        let sees = |app: &str| asked.may(Capability::ReadExecutions, Some(app));
        let activity = self.0.look(asked, sees).await;
        Some(Event::default().event("activity").data(serde_json::json!(activity).to_string()))
    }
}
