//! `/apps/{app}/dead-letters`: deliveries that were given up are listed, shown, sent again, and discarded.

use crate::admin::access::{InApp, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{JsonOrNothing, done, json, ok};
use crate::admin::openapi::{Conflict, Invalid};
use crate::admin::refusal::Answer;
use crate::appliance::Appliance;
use crate::host::check_event_value;
use axum::response::Response;
use http::StatusCode;
use picloud_model::app::App;
use picloud_model::dead_letter::{DeadLetter, DeadLetterDetail, DeadLetterQuery, RetryInput};
use picloud_model::ids::{DeadLetterId, EventId};
use picloud_model::page::Page;
use picloud_model::problem::{Code, Problem};
use serde::{Deserialize, Serialize};

/// Letters that are sent again in one transaction.
const BATCH: u32 = 500;
/// The version of every letter: it does not change.
const LETTER_VERSION: i64 = 1;

/// Which letters are sent again.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::admin) struct RetryAllInput {
    /// Only those of this trigger.
    trigger: Option<String>,
}

/// What came of it.
#[derive(Serialize, utoipa::ToSchema)]
struct Retried {
    /// The event, with the same id as before.
    event_id: EventId,
}

/// What came of it.
#[derive(Serialize, utoipa::ToSchema)]
struct RetriedAll {
    /// So many are sent again. Those whose script is gone stay.
    retried: u64,
}

/// The app's dead letters, newest first.
#[utoipa::path(get, path = "/apps/{app}/dead-letters", responses((status = 200, body = Page<DeadLetter>)))]
pub(in crate::admin) async fn list(
    asked: InApp<may::ReadDeadLetters>,
    Asked(query): Asked<DeadLetterQuery>,
) -> Answer<Response> {
    query.limit.map_or(Ok(()), crate::kv::check_page)?;
    Ok(ok(&asked.store.dead_letters(asked.app.id, &query).await?))
}

/// One dead letter: the event, the error with its line, every attempt, and the runs that led to it.
#[utoipa::path(
    get,
    path = "/apps/{app}/dead-letters/{id}",
    responses((status = 200, body = DeadLetterDetail, headers(("ETag")))),
)]
pub(in crate::admin) async fn get(
    asked: InApp<may::ReadDeadLetters>,
    Named((_app, id)): Named<(String, i64)>,
) -> Answer<Response> {
    let letter = find(&asked, &asked.app, id).await?;
    Ok(json(StatusCode::OK, &letter, Some(LETTER_VERSION)))
}

/// Removes a dead letter for good.
#[utoipa::path(delete, path = "/apps/{app}/dead-letters/{id}", responses((status = 204)))]
pub(in crate::admin) async fn delete(
    asked: InApp<may::WriteDeadLetters>,
    Named((_app, id)): Named<(String, i64)>,
    seen: Seen,
) -> Answer<Response> {
    find(&asked, &asked.app, id).await?;
    seen.expected_at(Some(LETTER_VERSION))?;
    if asked.store.discard_dead_letter(asked.app.id, DeadLetterId(id), &asked.act()).await? {
        Ok(done())
    } else {
        Err(absent(&asked.app, id).into())
    }
}

/// Sends a dead letter again, as it is, with other fields, or to another version of the script.
#[utoipa::path(
    post,
    path = "/apps/{app}/dead-letters/{id}/retry",
    responses((status = 202, body = Retried), Conflict, Invalid),
)]
pub(in crate::admin) async fn retry(
    asked: InApp<may::WriteDeadLetters>,
    Named((_app, id)): Named<(String, i64)>,
    seen: Seen,
    JsonOrNothing(input): JsonOrNothing<RetryInput>,
) -> Answer<Response> {
    find(&asked, &asked.app, id).await?;
    seen.expected_at(Some(LETTER_VERSION))?;
    check(&input)?;
    if let Some(event) = &input.event {
        check_event_value("the event", event.to_string().as_bytes(), &asked.app.limits.resolve())?;
    }
    let retried = asked.store.retry_dead_letter(asked.app.id, DeadLetterId(id), &input, &asked.act()).await?;
    let event_id = retried.ok_or_else(|| absent(&asked.app, id))?;
    Ok(json(StatusCode::ACCEPTED, &Retried { event_id }, None))
}

/// Sends all dead letters again, or all of one trigger.
#[utoipa::path(post, path = "/apps/{app}/dead-letters/retry", responses((status = 202, body = RetriedAll), Invalid))]
pub(in crate::admin) async fn retry_all(
    asked: InApp<may::WriteDeadLetters>,
    JsonOrNothing(input): JsonOrNothing<RetryAllInput>,
) -> Answer<Response> {
    let (app, act) = (asked.app.id, asked.act());
    // What dies again meanwhile is not sent a second time.
    let there = u64::try_from(asked.store.queued(app).await?.dead_letters).unwrap_or(0);
    let mut retried = 0;
    while retried < there {
        let batch = u32::try_from(there - retried).unwrap_or(BATCH).min(BATCH);
        let sent = asked.store.retry_dead_letters(app, input.trigger.as_deref(), batch, &act).await?;
        retried += sent;
        if sent < u64::from(batch) {
            break;
        }
    }
    Ok(json(StatusCode::ACCEPTED, &RetriedAll { retried }, None))
}

fn check(input: &RetryInput) -> Result<(), Problem> {
    if input.event.as_ref().is_some_and(|event| !event.is_object()) {
        let problem = Problem::new(Code::Invalid, "`event` is no object");
        return Err(problem.hint("send the fields of ctx.event that are to be others: {\"value\": 1}"));
    }
    match input.version {
        Some(..1) => Err(Problem::new(Code::Invalid, "`version` is below 1, and versions count from 1")),
        _ => Ok(()),
    }
}

async fn find(state: &Appliance, app: &App, id: i64) -> Answer<DeadLetterDetail> {
    Ok(state.store.dead_letter(app.id, DeadLetterId(id)).await?.ok_or_else(|| absent(app, id))?)
}

fn absent(app: &App, id: i64) -> Problem {
    Problem::not_found("dead letter", format_args!("{id}` of app `{}", app.name))
}
