//! Following what an appliance tells, over lost connections.

use super::Session;
use crate::client::{Events, may_pass};
use crate::failure::Failure;
use crate::path::ApiPath;
use serde_json::Value;
use std::time::Duration;

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
        let last_id = source.last_id.as_deref().filter(|_| source.resumes);
        let lost = match session.client.events(source.path.clone(), last_id).await {
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
