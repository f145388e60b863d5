//! `/backup`: everything durable as one archive.

use crate::admin::access::{May, may};
use crate::admin::openapi::{Conflict, StorageFull};
use crate::admin::refusal::Answer;
use crate::backup::stream::stream;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use picloud_model::clock::rfc3339;
use picloud_model::problem::Problem;

/// Takes a backup: a tar archive that holds everything, also the keys that secrets are sealed with. It is whole only
/// with its last entry; a connection that ends early leaves none.
#[utoipa::path(
    post,
    path = "/backup",
    responses(
        (status = 200, content(("application/x-tar")), headers(("Content-Disposition"))),
        Conflict,
        StorageFull,
    ),
)]
pub(in crate::admin) async fn take(asked: May<may::Backup>) -> Answer<Response> {
    let (appliance, act) = (asked.appliance(), asked.act());
    // The colons of the time are no part of a file name everywhere.
    let name = format!("picloud-{}.tar", rfc3339(act.at)[..19].replace([':', '-'], ""));
    // As a task of its own: where the client goes away meanwhile, the copies are still removed in the end.
    let gathered = tokio::spawn(async move { appliance.back_up(&act).await }).await;
    let contents = gathered.map_err(|error| {
        tracing::error!(%error, "gathering a backup panicked");
        Problem::internal()
    })?;
    let contents = contents.map_err(crate::backup::BackupError::into_problem)?;
    let head = [
        (CONTENT_TYPE, "application/x-tar".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((head, stream(contents)).into_response())
}
