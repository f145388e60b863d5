//! `/apps/{app}/publish`: publishes on a topic as a script would, by hand.

use crate::admin::access::{InApp, may};
use crate::admin::body::{Json, ok};
use crate::admin::openapi::{Invalid, StorageFull};
use crate::admin::refusal::Answer;
use crate::host::check_publish;
use axum::response::Response;
use picloud_model::event::Cause;
use picloud_model::ids::EventId;
use picloud_model::publish::Publish;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is published.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct PublishInput {
    /// Segments with `/` between, no wildcard.
    topic: String,
    /// Any JSON value: `ctx.event.value`.
    #[schema(value_type = Value)]
    value: Value,
    /// Deliver no sooner than so long from now.
    #[serde(default)]
    #[schema(minimum = 0)]
    delay_ms: u64,
    /// A second publish on this topic with the same key within a day does nothing.
    #[serde(default)]
    #[schema(max_length = 256)]
    dedup_key: Option<String>,
}

/// What came of it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Published)]
struct Done {
    /// The event; absent where a publish with the same key was there before, or no trigger takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    /// Deliveries that came of it: one a trigger that takes it.
    deliveries: u32,
}

/// Publishes on a topic.
#[utoipa::path(post, path = "/apps/{app}/publish", responses((status = 200, body = Done), Invalid, StorageFull))]
pub(in crate::admin) async fn publish(
    asked: InApp<may::WriteTriggers>,
    Json(input): Json<PublishInput>,
) -> Answer<Response> {
    let PublishInput { topic, value, delay_ms, dedup_key } = input;
    let publish = Publish { topic: topic.clone(), value: value.to_string().into_bytes(), delay_ms, dedup_key };
    let limits = asked.app.limits.resolve();
    check_publish(&publish, &limits)?;
    let act = asked.act();
    let cause = Cause::first(act.at, &limits);
    let published = asked.store.publish(asked.app.id, publish, &cause).await?;
    let (event_id, deliveries) = (published.event, published.deliveries);
    let after = serde_json::json!({ "event_id": event_id, "deliveries": deliveries });
    asked.store.audit_done(&act, Some(&asked.app.name), "event.publish", &topic, after).await?;
    Ok(ok(&Done { event_id, deliveries }))
}
