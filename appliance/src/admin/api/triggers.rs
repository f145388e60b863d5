//! `/apps/{app}/triggers`: what starts scripts. Each is listed, shown, made, changed, removed, fired, paused, resumed.

use super::made_up;
use crate::admin::access::{InApp, Known, may};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{Json, JsonOrNothing, done, json, ok};
use crate::admin::openapi::{Conflict, Invalid};
use crate::admin::refusal::Answer;
use crate::appliance::Appliance;
use crate::host::check_event_value;
use crate::schedules::{PREVIEW_MAX, Preview, preview};
use axum::response::Response;
use http::StatusCode;
use picloud_model::app::App;
use picloud_model::ids::EventId;
use picloud_model::page::{Page, PageRequest};
use picloud_model::problem::{Code, Problem};
use picloud_model::trigger::{Trigger, TriggerKind, TriggerSpec};
use serde::{Deserialize, Serialize};

/// Times of a schedule that are told where nobody says how many.
const PREVIEW_DEFAULT: usize = 10;
/// Longest reason of a pause, in bytes.
const REASON_BYTES_MAX: usize = 512;

/// How a trigger is fired.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::admin) struct FireInput {
    /// Fields of the event; what is absent is made up.
    #[schema(value_type = Option<Object>)]
    event: Option<serde_json::Value>,
}

/// What came of it.
#[derive(Serialize, utoipa::ToSchema)]
struct Fired {
    /// The event; the run has the same in `ctx.event.id`.
    event_id: EventId,
}

/// Why a trigger is paused.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::admin) struct PauseInput {
    /// In their own words.
    #[schema(max_length = 512)]
    reason: Option<String>,
}

/// How many times of a schedule.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct NextQuery {
    /// So many; 10 where absent.
    #[param(minimum = 1, maximum = 100)]
    count: Option<usize>,
}

/// A schedule to be looked at.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct ScheduleInput {
    /// As a trigger has it.
    schedule: String,
    /// As a trigger has it; UTC where absent.
    #[serde(default)]
    timezone: Option<String>,
    /// So many times; 10 where absent.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    count: Option<usize>,
}

/// The times at which a schedule comes.
#[derive(Serialize, utoipa::ToSchema)]
struct NextTimes {
    /// Soonest first.
    items: Vec<Preview>,
}

/// The app's triggers.
#[utoipa::path(get, path = "/apps/{app}/triggers", responses((status = 200, body = Page<Trigger>)))]
pub(in crate::admin) async fn list(
    asked: InApp<may::ReadTriggers>,
    Asked(page): Asked<PageRequest>,
) -> Answer<Response> {
    super::check_page(&page)?;
    Ok(ok(&asked.store.triggers(asked.app.id, &page).await?))
}

/// Adds a trigger.
#[utoipa::path(
    post,
    path = "/apps/{app}/triggers",
    responses((status = 201, body = Trigger, headers(("ETag"))), Conflict, Invalid),
)]
pub(in crate::admin) async fn create(
    asked: InApp<may::WriteTriggers>,
    seen: Seen,
    Json(spec): Json<TriggerSpec>,
) -> Answer<Response> {
    let now = asked.store.trigger(asked.app.id, &spec.name).await?;
    seen.expected_at(now.as_ref().map(|trigger| trigger.version))?;
    if now.is_some() {
        let title = format!("trigger `{}`", spec.name);
        return Err(Problem::new(Code::Conflict, format!("{title} is there already"))
            .conflicts(vec![title])
            .hint("change it with PUT (picloud triggers put), or give the new one another name")
            .into());
    }
    let trigger = asked.put_trigger(&asked.app, &spec, Some(0), &asked.act()).await?;
    Ok(json(StatusCode::CREATED, &trigger, Some(trigger.version)))
}

/// One trigger.
#[utoipa::path(get, path = "/apps/{app}/triggers/{name}", responses((status = 200, body = Trigger, headers(("ETag")))))]
pub(in crate::admin) async fn get(
    asked: InApp<may::ReadTriggers>,
    Named((_app, name)): Named<(String, String)>,
) -> Answer<Response> {
    let trigger = find(&asked, &asked.app, &name).await?;
    Ok(json(StatusCode::OK, &trigger, Some(trigger.version)))
}

/// Makes a trigger so: adds it, or changes it with its queue and its state kept.
#[utoipa::path(
    put,
    path = "/apps/{app}/triggers/{name}",
    responses((status = 200, body = Trigger, headers(("ETag"))), Conflict, Invalid),
)]
pub(in crate::admin) async fn put(
    asked: InApp<may::WriteTriggers>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
    Json(spec): Json<TriggerSpec>,
) -> Answer<Response> {
    if spec.name != name {
        let detail = format!("the URL names trigger `{name}`, the body trigger `{}`", spec.name);
        return Err(Problem::new(Code::Invalid, detail).hint("write the same name twice").into());
    }
    let now = asked.store.trigger(asked.app.id, &name).await?.map(|trigger| trigger.version);
    let expected = seen.expected_at(now)?;
    let trigger = asked.put_trigger(&asked.app, &spec, expected, &asked.act()).await?;
    Ok(json(StatusCode::OK, &trigger, Some(trigger.version)))
}

/// Removes a trigger with what waits in its queue.
#[utoipa::path(delete, path = "/apps/{app}/triggers/{name}", responses((status = 204)))]
pub(in crate::admin) async fn delete(
    asked: InApp<may::WriteTriggers>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
) -> Answer<Response> {
    let trigger = find(&asked, &asked.app, &name).await?;
    let expected = seen.expected_at(Some(trigger.version))?;
    if asked.delete_trigger(&asked.app, &name, expected, &asked.act()).await? {
        Ok(done())
    } else {
        Err(absent(&asked.app, &name).into())
    }
}

/// Starts a trigger's script with a made-up event, also while the trigger is paused.
#[utoipa::path(post, path = "/apps/{app}/triggers/{name}/fire", responses((status = 202, body = Fired), Invalid))]
pub(in crate::admin) async fn fire(
    asked: InApp<may::WriteTriggers>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
    JsonOrNothing(input): JsonOrNothing<FireInput>,
) -> Answer<Response> {
    let Trigger { spec, version, .. } = find(&asked, &asked.app, &name).await?;
    seen.expected_at(Some(version))?;
    let act = asked.act();
    let given = made_up::object(input.event)?;
    let body = made_up::body(made_up::event_kind(spec.kind), Some(&spec), &given, act.at);
    let body = serde_json::Value::Object(body).to_string();
    check_event_value("the event", body.as_bytes(), &asked.app.limits.resolve())?;
    let fired = asked.fire_trigger(&asked.app, &name, body.as_bytes(), &act).await?;
    let event_id = fired.ok_or_else(|| absent(&asked.app, &name))?;
    Ok(json(StatusCode::ACCEPTED, &Fired { event_id }, None))
}

/// Pauses a trigger: what happens meanwhile is queued.
#[utoipa::path(post, path = "/apps/{app}/triggers/{name}/pause", responses((status = 200, body = Trigger, headers(("ETag"))), Invalid))]
pub(in crate::admin) async fn pause(
    asked: InApp<may::WriteTriggers>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
    JsonOrNothing(input): JsonOrNothing<PauseInput>,
) -> Answer<Response> {
    let reason = input.reason.unwrap_or_else(|| format!("by {}", asked.principal().name));
    if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
        let detail = format!("`reason` is empty or has more than {REASON_BYTES_MAX} bytes");
        return Err(Problem::new(Code::Invalid, detail).into());
    }
    change_pause(&asked, &name, &seen, Some(&reason)).await
}

/// Lets a paused trigger go on, with what was queued meanwhile.
#[utoipa::path(post, path = "/apps/{app}/triggers/{name}/resume", responses((status = 200, body = Trigger, headers(("ETag")))))]
pub(in crate::admin) async fn resume(
    asked: InApp<may::WriteTriggers>,
    Named((_app, name)): Named<(String, String)>,
    seen: Seen,
) -> Answer<Response> {
    change_pause(&asked, &name, &seen, None).await
}

/// When a schedule comes next.
#[utoipa::path(get, path = "/apps/{app}/triggers/{name}/next", responses((status = 200, body = NextTimes), Invalid))]
pub(in crate::admin) async fn next(
    asked: InApp<may::ReadTriggers>,
    Named((_app, name)): Named<(String, String)>,
    Asked(query): Asked<NextQuery>,
) -> Answer<Response> {
    let trigger = find(&asked, &asked.app, &name).await?;
    let Some(schedule) = trigger.spec.schedule.as_deref().filter(|_| trigger.spec.kind == TriggerKind::Cron) else {
        let detail = format!("trigger `{name}` is of kind `{}` and has no schedule", trigger.spec.kind.as_str());
        return Err(Problem::new(Code::Invalid, detail).hint("only triggers of kind `cron` have one").into());
    };
    let now = asked.clock.now_ms();
    times(schedule, trigger.spec.timezone.as_deref(), now, query.count)
}

/// When a schedule would come, without a trigger that has it.
#[utoipa::path(post, path = "/schedules/preview", responses((status = 200, body = NextTimes), Invalid))]
pub(in crate::admin) async fn preview_schedule(asked: Known, Json(input): Json<ScheduleInput>) -> Answer<Response> {
    times(&input.schedule, input.timezone.as_deref(), asked.clock.now_ms(), input.count)
}

fn times(schedule: &str, timezone: Option<&str>, now: i64, count: Option<usize>) -> Answer<Response> {
    let count = count.unwrap_or(PREVIEW_DEFAULT);
    if !(1..=PREVIEW_MAX).contains(&count) {
        let detail = format!("`count` is {count}, and must be from 1 to {PREVIEW_MAX}");
        return Err(Problem::new(Code::Malformed, detail).into());
    }
    let items = preview(schedule, timezone, now, count).map_err(|message| Problem::new(Code::Invalid, message))?;
    Ok(ok(&NextTimes { items }))
}

async fn change_pause(
    asked: &InApp<may::WriteTriggers>,
    name: &str,
    seen: &Seen,
    reason: Option<&str>,
) -> Answer<Response> {
    let trigger = find(asked, &asked.app, name).await?;
    seen.expected_at(Some(trigger.version))?;
    let changed = asked.pause_trigger(&asked.app, name, reason, &asked.act()).await?;
    let changed = changed.ok_or_else(|| absent(&asked.app, name))?;
    Ok(json(StatusCode::OK, &changed, Some(changed.version)))
}

async fn find(state: &Appliance, app: &App, name: &str) -> Answer<Trigger> {
    Ok(state.store.trigger(app.id, name).await?.ok_or_else(|| absent(app, name))?)
}

fn absent(app: &App, name: &str) -> Problem {
    Problem::not_found("trigger", format_args!("{name}` of app `{}", app.name))
}
