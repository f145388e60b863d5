//! `/files/sweep`: the files of all apps, compared with what is on the disk.

use crate::admin::access::{May, may};
use crate::admin::asked::Asked;
use crate::admin::body::ok;
use crate::admin::refusal::{Answer, Refusal, from_store};
use crate::files::rules;
use crate::tasks::blob_sweep::{SweepError, SweepReport, compare};
use axum::response::Response;
use picloud_model::problem::Problem;
use serde::Deserialize;

/// How to go about it.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct SweepQuery {
    /// Only tell; remove nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Removes bytes that are no file's and older than an hour, and tells of files whose bytes are gone or cut off. The
/// appliance does this at every start by itself.
#[utoipa::path(post, path = "/files/sweep", responses((status = 200, body = SweepReport)))]
pub(in crate::admin) async fn sweep(asked: May<may::SweepFiles>, Asked(query): Asked<SweepQuery>) -> Answer<Response> {
    let (appliance, act) = (asked.appliance(), asked.act());
    // As a task of its own: it is done to its end, and noted, where the client goes away meanwhile.
    let swept = tokio::spawn(async move {
        let report = compare(appliance.store.as_ref(), &appliance.blobs, query.dry_run).await?;
        if report.removed {
            let after = serde_json::json!({ "orphans": report.orphans, "orphan_bytes": report.orphan_bytes });
            appliance.store.audit_done(&act, None, "files.sweep", "files", after).await?;
        }
        Ok(report)
    });
    match swept.await {
        Ok(Ok(report)) => Ok(ok::<SweepReport>(&report)),
        Ok(Err(SweepError::Store(error))) => Err(Refusal(from_store(error))),
        Ok(Err(SweepError::Blobs(error))) => Err(Refusal(rules::from_blob(error))),
        Err(error) => {
            tracing::error!(%error, "the sweep of files panicked");
            Err(Refusal(Problem::internal()))
        }
    }
}
