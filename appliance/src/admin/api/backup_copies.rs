//! `/backup/copies`: the data at one moment, held while a program of this machine saves it; and `/backup/outcome`: what
//! came of that.

use crate::admin::access::{May, may};
use crate::admin::body::{Json, done, ok};
use crate::admin::openapi::{Conflict, StorageFull};
use crate::admin::refusal::Answer;
use crate::repository::{Holding, Outcome, Outcomes};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::header::CONTENT_TYPE;
use picloud_model::problem::Problem;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is said that it goes on; so fast is noticed that nobody listens any more.
const BEAT: Duration = Duration::from_secs(2);
/// Longest time that copies are held: what is removed meanwhile takes room until then.
const HELD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Copies the databases into a folder of this machine, and keeps them and every file of an app in its place for as long
/// as the answer is read: a first line with the folder, then an empty line every two seconds. For `picloud-appliance
/// repository backup`.
#[utoipa::path(
    post,
    path = "/backup/copies",
    responses((status = 200, content_type = "application/x-ndjson", body = String), Conflict, StorageFull),
)]
pub(in crate::admin) async fn hold(asked: May<may::Backup>) -> Answer<Response> {
    let (appliance, act) = (asked.appliance(), asked.act());
    // As a task of its own: where the client goes away meanwhile, the copies are still removed in the end.
    let gathering = appliance.clone();
    let gathered = tokio::spawn(async move { gathering.back_up(&act).await }).await;
    let contents = gathered.map_err(|error| {
        tracing::error!(%error, "gathering a backup panicked");
        Problem::internal()
    })?;
    let contents = contents.map_err(crate::backup::BackupError::into_problem)?;
    let copies = std::path::absolute(contents.copies()).unwrap_or_else(|_unknown| contents.copies().to_owned());
    let (node, created_at_ms) = (contents.node.clone(), contents.created_at);
    let holding = Holding { copies: copies.display().to_string(), node, created_at_ms };
    let mut first = serde_json::to_vec(&holding).expect("it has only plain fields");
    first.push(b'\n');
    let until = Instant::now() + HELD_MAX;
    let lines = unfold((Some(Bytes::from(first)), contents), move |(first, contents)| {
        let appliance = appliance.clone();
        async move {
            if let Some(first) = first {
                return Some((Ok::<_, Infallible>(first), (None, contents)));
            }
            tokio::select! {
                () = appliance.ended() => None,
                () = tokio::time::sleep_until(until) => None,
                () = tokio::time::sleep(BEAT) => Some((Ok(Bytes::from_static(b"\n")), (None, contents))),
            }
        }
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// What came of the last backups into the repository.
#[utoipa::path(get, path = "/backup/outcome", responses((status = 200, body = Outcomes)))]
pub(in crate::admin) async fn outcome(asked: May<may::ReadNodes>) -> Response {
    ok(&Outcomes::read(asked.data_dir()))
}

/// Writes down what came of a backup into the repository.
#[utoipa::path(put, path = "/backup/outcome", responses((status = 204)))]
pub(in crate::admin) async fn set_outcome(asked: May<may::Backup>, Json(outcome): Json<Outcome>) -> Answer<Response> {
    crate::repository::outcome::record(asked.store.as_ref(), asked.data_dir(), &asked.act(), &outcome).await?;
    Ok(done().into_response())
}
