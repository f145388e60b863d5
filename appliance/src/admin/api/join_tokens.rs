//! `/join-tokens`: with which nodes join without anybody there to approve them. A token is seen once, in the answer to
//! making it.

use crate::admin::access::{May, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{JsonOrNothing, done, json, ok};
use crate::admin::openapi::{Conflict, Invalid};
use crate::admin::refusal::Answer;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use picloud_model::join_token::{JoinToken, MadeJoinToken, NewJoinToken, TOKENS_MAX};
use picloud_model::page::{Page, PageRequest};

/// All join tokens, newest first.
#[utoipa::path(get, path = "/join-tokens", responses((status = 200, body = Page<JoinToken>)))]
pub(in crate::admin) async fn list(asked: May<may::AdminNodes>, Asked(page): Asked<PageRequest>) -> Answer<Response> {
    super::check_page(&page)?;
    Ok(ok(&asked.cluster.tokens(&page).await?))
}

/// Makes a join token; the answer is the only place where the token itself is seen.
#[utoipa::path(post, path = "/join-tokens", responses((status = 201, body = MadeJoinToken), Conflict, Invalid))]
pub(in crate::admin) async fn create(
    asked: May<may::AdminNodes>,
    seen: Seen,
    JsonOrNothing(new): JsonOrNothing<NewJoinToken>,
) -> Answer<Response> {
    seen.expected_at(None)?;
    let made = asked.cluster.create_token(new, &asked.act()).await?;
    tracing::info!(id = made.made.id, by = %asked.principal().name, "a join token was made");
    let mut response = json(StatusCode::CREATED, &made, None);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Removes a join token; whoever joined with it stays.
#[utoipa::path(delete, path = "/join-tokens/{id}", responses((status = 204)))]
pub(in crate::admin) async fn delete(
    asked: May<may::AdminNodes>,
    Named(id): Named<i64>,
    seen: Seen,
) -> Answer<Response> {
    let all = PageRequest { limit: Some(TOKENS_MAX), cursor: None };
    let is_there = asked.cluster.tokens(&all).await?.items.iter().any(|token| token.id == id);
    // A token that lets nobody in any more is at the version it was made with: people change nothing about it.
    seen.expected_at(is_there.then_some(1))?;
    asked.cluster.delete_token(id, &asked.act()).await?;
    tracing::info!(id, by = %asked.principal().name, "a join token was removed");
    Ok(done())
}
