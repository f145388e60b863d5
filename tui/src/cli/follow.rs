//! Following what an appliance tells, over lost connections.

use super::Session;
use crate::client::{Ask, Events};
use crate::failure::Failure;
use crate::path::ApiPath;
use http::{HeaderName, Method, header};
use serde_json::Value;
use std::time::Duration;

/// The header that says where to go on.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long until the first new attempt; each further wait is twice as long.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait between attempts.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What to follow.
pub(super) struct Source {
    /// The URL.
    pub(super) path: ApiPath,
    /// Whether it goes on where it was when the connection was lost.
    pub(super) resumes: bool,
    /// The last event that was seen.
    pub(super) last_id: Option<String>,
}

/// Hands every event to `show`, for ever; ends only where asking again would not help.
pub(super) async fn follow(
    session: &Session<'_>,
    mut source: Source,
    show: impl Fn(&str, &Value),
) -> Result<(), Failure> {
    let mut is_first = true;
    let mut wait = WAIT_MIN;
    loop {
        let lost = match open(session, &source).await {
            Ok(mut events) => {
                if !is_first {
                    session.output.note("connected again");
                }
                is_first = false;
                wait = WAIT_MIN;
                read(&mut events, &mut source, &show).await
            }
            // What cannot be reached at all is told at once; later it may come back.
            Err(failure) if is_first || !may_pass(&failure) => return Err(failure),
            Err(failure) => failure.problem().detail,
        };
        let missed = if source.resumes { "" } else { "; what comes meanwhile is not shown" };
        session.output.aside(&format!("{lost}; trying again in {} s{missed}", wait.as_secs()));
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// Whether a later attempt may do better: the appliance is away or starting, rather than saying no.
fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. } => true,
        Failure::Answered(problem) => problem.status == 429 || problem.status >= 500,
        _ => false,
    }
}

async fn open(session: &Session<'_>, source: &Source) -> Result<Events, Failure> {
    let mut ask = Ask::new(Method::GET, source.path.clone()).header(header::ACCEPT, "text/event-stream");
    if let Some(id) = source.last_id.as_ref().filter(|_| source.resumes) {
        ask = ask.header(LAST_EVENT_ID, id);
    }
    Ok(Events::of(session.client.stream(ask).await?))
}

/// Reads until the connection is lost; answers why it was.
async fn read(events: &mut Events, source: &mut Source, show: &impl Fn(&str, &Value)) -> String {
    loop {
        match events.next().await {
            Ok(Some(event)) => {
                // What is no JSON is of another version; it is passed over.
                if let Ok(data) = serde_json::from_str(&event.data) {
                    show(&event.name, &data);
                }
                source.last_id = event.id.or(source.last_id.take());
            }
            Ok(None) => return "the appliance ended the connection".to_owned(),
            Err(failure) => return failure.problem().detail,
        }
    }
}
