//! `/apps/{app}/timers`: what scripts asked to be run later.

use crate::admin::access::{InApp, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{done, ok};
use crate::admin::refusal::Answer;
use axum::response::Response;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::Problem;
use picloud_model::timer::Timer;

/// The version of every timer: it does not change.
const TIMER_VERSION: i64 = 1;

/// The app's timers that wait, soonest first.
#[utoipa::path(get, path = "/apps/{app}/timers", responses((status = 200, body = Page<Timer>)))]
pub(in crate::admin) async fn list(
    asked: InApp<may::ReadTriggers>,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    super::check_page(&page)?;
    Ok(ok(&asked.store.timers(asked.app.id, &page).await?))
}

/// Takes a timer back, if it has not fired.
#[utoipa::path(delete, path = "/apps/{app}/timers/{timer}", responses((status = 204)))]
pub(in crate::admin) async fn delete(
    asked: InApp<may::WriteTriggers>,
    Named((_app, timer)): Named<(String, String)>,
    seen: Seen,
) -> Answer<Response> {
    seen.expected_at(Some(TIMER_VERSION))?;
    let cancelled = match timer.parse() {
        Ok(id) => asked.store.cancel_timer(asked.app.id, id).await?,
        // What is no id names nothing.
        Err(_no_id) => false,
    };
    if !cancelled {
        return Err(Problem::not_found("timer", format_args!("{timer}` of app `{}", asked.app.name)).into());
    }
    let (act, app) = (asked.act(), Some(asked.app.name.as_str()));
    asked.store.audit_done(&act, app, "timer.cancel", &timer, serde_json::Value::Null).await?;
    Ok(done())
}
