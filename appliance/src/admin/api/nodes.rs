//! `/nodes`: machines that run scripts, and those that ask to; approved, labelled, drained, replaced, removed.
//!
//! A node is named by its id or its name, one that waits also by the beginning of its fingerprint.

use super::paging::page_of;
use crate::admin::access::{May, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{Json, JsonOrNothing, done, json, ok};
use crate::admin::openapi::{Conflict, Invalid, NotFound};
use crate::admin::refusal::Answer;
use axum::response::Response;
use http::StatusCode;
use picloud_model::limits::Limits;
use picloud_model::node::{ApproveInput, Node, NodePatch, NodeState};
use picloud_model::page::{Page, PageRequest};
use serde::Deserialize;

/// Which nodes, and which part of the list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct NodesQuery {
    /// Only those in this state.
    #[param(inline)]
    state: Option<NodeState>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `cursor` of the page before.
    cursor: Option<String>,
}

/// Which node takes the place of one.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct ReplaceInput {
    /// The one that waits: its id, what it calls itself, or the beginning of its fingerprint.
    by: String,
    /// The fingerprint that was compared: where given, another is refused.
    #[serde(default)]
    fingerprint: Option<String>,
}

/// All nodes by name: appliances, those that joined, and strangers that ask to.
#[utoipa::path(get, path = "/nodes", responses((status = 200, body = Page<Node>)))]
pub(in crate::admin) async fn list(asked: May<may::ReadNodes>, Asked(query): Asked<NodesQuery>) -> Answer<Response> {
    let NodesQuery { state, limit, cursor } = query;
    let nodes = asked.cluster.nodes().await?;
    // Strangers call themselves whatever they like, so that a name alone is no place in the list; those that are no more
    // come last.
    let place = |node: &Node| format!("{}/{}/{}", u8::from(node.state == NodeState::Retired), node.name, node.id);
    let wanted = nodes.into_iter().filter(|node| state.is_none_or(|state| node.state == state));
    let mut placed: Vec<(String, Node)> = wanted.map(|node| (place(&node), node)).collect();
    placed.sort_by(|(one, _), (other, _)| one.cmp(other));
    let page = page_of(placed, &PageRequest { limit, cursor }, &Limits::default(), |(place, _node)| place)?;
    Ok(ok(&page.map(|(_place, node)| node)))
}

/// One node.
#[utoipa::path(get, path = "/nodes/{node}", responses((status = 200, body = Node, headers(("ETag"))), Conflict))]
pub(in crate::admin) async fn get(asked: May<may::ReadNodes>, Named(name): Named<String>) -> Answer<Response> {
    Ok(shown(&asked.cluster.node(&name).await?))
}

/// Changes a node's name or labels. Its labels are all of those that people gave it; what it says of itself stays.
#[utoipa::path(
    patch,
    path = "/nodes/{node}",
    responses((status = 200, body = Node, headers(("ETag"))), Conflict, Invalid),
)]
pub(in crate::admin) async fn patch(
    asked: May<may::AdminNodes>,
    Named(name): Named<String>,
    seen: Seen,
    Json(patch): Json<NodePatch>,
) -> Answer<Response> {
    let node = asked.cluster.node(&name).await?;
    let expected = seen.expected_at(Some(node.revision_of_record))?;
    let node = asked.cluster.change(node.id.as_str(), patch, expected, &asked.act()).await?;
    tracing::info!(node = %node.id, name = %node.name, by = %asked.principal().name, "a node was changed");
    Ok(shown(&node))
}

/// Removes a node: its connections end, and its key is not let in again. One that waits is forgotten.
#[utoipa::path(delete, path = "/nodes/{node}", responses((status = 204), Conflict))]
pub(in crate::admin) async fn delete(
    asked: May<may::AdminNodes>,
    Named(name): Named<String>,
    seen: Seen,
) -> Answer<Response> {
    let node = asked.cluster.node(&name).await?;
    let expected = seen.expected_at(Some(node.revision_of_record))?;
    asked.cluster.remove(node.id.as_str(), expected, &asked.act()).await?;
    tracing::info!(node = %node.id, name = %node.name, by = %asked.principal().name, "a node was removed");
    Ok(done())
}

/// Lets a node in that waits, or that will come: by its id, or by its whole fingerprint.
#[utoipa::path(
    post,
    path = "/nodes/{node}/approve",
    responses((status = 200, body = Node, headers(("ETag"))), Conflict, Invalid),
)]
pub(in crate::admin) async fn approve(
    asked: May<may::AdminNodes>,
    Named(name): Named<String>,
    seen: Seen,
    JsonOrNothing(how): JsonOrNothing<ApproveInput>,
) -> Answer<Response> {
    // One that has not come yet is at no version.
    seen.expected_at(asked.cluster.node(&name).await.ok().map(|node| node.revision_of_record))?;
    let node = asked.cluster.approve(&name, how, &asked.act()).await?;
    tracing::info!(node = %node.id, name = %node.name, by = %asked.principal().name, "a node was approved");
    Ok(shown(&node))
}

/// Has a node take no new work, while it finishes what it has; its `/.picloud/health` answers 503 from now on.
#[utoipa::path(
    post,
    path = "/nodes/{node}/drain",
    responses((status = 200, body = Node, headers(("ETag"))), Conflict),
)]
pub(in crate::admin) async fn drain(
    asked: May<may::AdminNodes>,
    Named(name): Named<String>,
    seen: Seen,
) -> Answer<Response> {
    set_draining(&asked, &name, &seen, true).await
}

/// Has a node take work again.
#[utoipa::path(
    post,
    path = "/nodes/{node}/resume",
    responses((status = 200, body = Node, headers(("ETag"))), Conflict),
)]
pub(in crate::admin) async fn resume(
    asked: May<may::AdminNodes>,
    Named(name): Named<String>,
    seen: Seen,
) -> Answer<Response> {
    set_draining(&asked, &name, &seen, false).await
}

/// Lets a node in that waits, in the place of another: it gets that one's name and labels, and that one is removed.
#[utoipa::path(
    post,
    path = "/nodes/{node}/replace",
    responses((status = 200, body = Node, headers(("ETag"))), Conflict, Invalid, NotFound),
)]
pub(in crate::admin) async fn replace(
    asked: May<may::AdminNodes>,
    Named(name): Named<String>,
    seen: Seen,
    Json(ReplaceInput { by, fingerprint }): Json<ReplaceInput>,
) -> Answer<Response> {
    let old = asked.cluster.node(&name).await?;
    seen.expected_at(Some(old.revision_of_record))?;
    let how = ApproveInput { fingerprint, replaces: Some(old.id.to_string()), ..ApproveInput::default() };
    let node = asked.cluster.approve(&by, how, &asked.act()).await?;
    tracing::info!(node = %node.id, old = %old.id, by = %asked.principal().name, "a node took the place of another");
    Ok(shown(&node))
}

async fn set_draining(asked: &May<may::AdminNodes>, name: &str, seen: &Seen, draining: bool) -> Answer<Response> {
    let node = asked.cluster.node(name).await?;
    seen.expected_at(Some(node.revision_of_record))?;
    let node = asked.cluster.drain(node.id.as_str(), draining, &asked.act()).await?;
    tracing::info!(node = %node.id, draining, by = %asked.principal().name, "a node drains, or takes work again");
    Ok(shown(&node))
}

fn shown(node: &Node) -> Response {
    json(StatusCode::OK, node, Some(node.revision_of_record))
}
