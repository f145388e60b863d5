//! What is counted and measured, for Prometheus.

use crate::admin::access::{May, may};
use crate::admin::refusal::Answer;
use crate::metrics::Form;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use picloud_model::problem::Problem;

/// The metrics as text, in the form of Prometheus or, where `Accept` asks for it, of OpenMetrics.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, content(
        (String = "text/plain; version=0.0.4; charset=utf-8"),
        (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ))),
)]
pub(in crate::admin) async fn metrics(asked: May<may::ReadNodes>, headers: HeaderMap) -> Answer<Response> {
    let form = Form::accepted(headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default());
    let gauges = asked.gauges().await;
    let text = asked.metrics.text(gauges, asked.supervisor.worker_pid(), form);
    let text = text.ok_or_else(Problem::internal)?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(form.content_type()))], text).into_response())
}
