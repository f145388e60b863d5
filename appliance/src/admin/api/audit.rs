//! `/audit`: who did what, who was refused what, and whether the log is whole.

use super::paging;
use crate::admin::access::{May, may};
use crate::admin::asked::Asked;
use crate::admin::body::ok;
use crate::admin::refusal::Answer;
use axum::response::Response;
use picloud_model::audit::{AuditEntry, AuditQuery, AuditVerdict};
use picloud_model::page::{Page, PageRequest};

/// The audit log, newest first.
#[utoipa::path(get, path = "/audit", responses((status = 200, body = Page<AuditEntry>)))]
pub(in crate::admin) async fn list(asked: May<may::ReadAudit>, Asked(query): Asked<AuditQuery>) -> Answer<Response> {
    paging::check(&PageRequest { limit: query.limit, cursor: None })?;
    // Whoever looks right after a refusal looks for that refusal.
    asked.refused_now().await;
    Ok(ok(&asked.store.audit(&query).await?))
}

/// Checks that the audit log is what was written: the whole chain of its entries.
#[utoipa::path(get, path = "/audit/verify", responses((status = 200, body = AuditVerdict)))]
pub(in crate::admin) async fn verify(asked: May<may::ReadAudit>) -> Answer<Response> {
    Ok(ok(&asked.store.verify_audit().await?))
}
