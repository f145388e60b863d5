//! `pubsub`: topics of the app. Triggers of kind `pubsub` start scripts for what is published.

use super::Namespace;
use super::options::{Options, arg};
use crate::error::{RhaiError, failed};
use crate::run_state::{Calls, RunState};
use picloud_model::publish::{DEDUP_KEY_BYTES_MAX, DELAY_MS_MAX, Publish, check_topic};
use rhai::{Dynamic, NativeCallContext};

const EXAMPLE: &str = r#"
pubsub::publish("orders/new", #{ item: "tea", count: 2 });

// In ten minutes, and once however often this script is tried again:
pubsub::publish("orders/remind", 7, #{ delay_ms: 600000, dedup_key: "order-7" });

// For whoever is looking right now:
pubsub::publish_ephemeral("orders/live", #{ count: 3 });
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new(
        "pubsub",
        "Topics of this app: names with `/` between their segments, up to 256 bytes. A published value is on the disk, with \
         a delivery for every trigger whose `topic` matches (`+` is one segment, `#` at the end the rest), when the call \
         returns; nobody is asked to be there. A value is anything JSON can hold, up to `event_value_bytes`.",
    )
    .example(EXAMPLE)
    .function(
        "publish(topic: string, value: any) -> string",
        "Publishes, durably; answers with the event's id.",
        |context: NativeCallContext, topic: Dynamic, value: Dynamic| {
            let run = RunState::of(&context);
            let publish = publish_of(&run, "pubsub::publish", &topic, &value, &Options::none("pubsub::publish"))?;
            published(&run, publish)
        },
    )
    .function(
        "publish(topic: string, value: any, options: map) -> any",
        "Options: `delay_ms` (deliver no sooner), `dedup_key` (a second publish on this topic with the same key within 24 \
         hours does nothing and answers `()`).",
        |context: NativeCallContext, topic: Dynamic, value: Dynamic, options: Dynamic| {
            let run = RunState::of(&context);
            let options = Options::new("pubsub::publish", options, PUBLISH_OPTIONS)?;
            let publish = publish_of(&run, "pubsub::publish", &topic, &value, &options)?;
            published(&run, publish)
        },
    )
    .function(
        "publish_ephemeral(topic: string, value: any)",
        "Tells live listeners of the app's topics and nobody else: nothing is kept, and no trigger starts.",
        publish_ephemeral,
    )
}

/// What [`publish_of`] takes.
pub(super) const PUBLISH_OPTIONS: &[&str] = &["delay_ms", "dedup_key"];

/// The publish that the arguments mean.
pub(super) fn publish_of(
    run: &RunState,
    function: &'static str,
    topic: &Dynamic,
    value: &Dynamic,
    options: &Options,
) -> Result<Publish, RhaiError> {
    let topic = topic_of(function, topic)?;
    let value = arg(function, "value").json(run, value, "event_value_bytes", run.call.limits.event_value_bytes)?;
    let delay_ms = options.within("delay_ms", 0..=DELAY_MS_MAX)?.unwrap_or(0);
    let dedup_key = options.text("dedup_key")?.map(String::from);
    if let Some(key) = &dedup_key
        && !(1..=DEDUP_KEY_BYTES_MAX).contains(&key.len())
    {
        let message = format!("must be 1 to {DEDUP_KEY_BYTES_MAX} bytes long, not {}", key.len());
        return Err(arg(function, "dedup_key").fault(message));
    }
    Ok(Publish { topic, value, delay_ms, dedup_key })
}

fn topic_of(function: &'static str, topic: &Dynamic) -> Result<String, RhaiError> {
    let topic_arg = arg(function, "topic");
    let topic = topic_arg.text(topic)?;
    check_topic(&topic).map_err(|why| topic_arg.fault(why))?;
    Ok(topic.to_string())
}

fn published(run: &RunState, publish: Publish) -> Result<Dynamic, RhaiError> {
    run.count(Calls::Publish, 1)?;
    run.before_wait();
    let published = run.services.pubsub.publish(&run.call, publish);
    let published = published.map_err(|failure| failed(run, "pubsub::publish", &failure))?;
    Ok(published.event.map_or(Dynamic::UNIT, |id| id.to_string().into()))
}

fn publish_ephemeral(context: NativeCallContext, topic: Dynamic, value: Dynamic) -> Result<(), RhaiError> {
    const FUNCTION: &str = "pubsub::publish_ephemeral";
    let run = RunState::of(&context);
    let topic = topic_of(FUNCTION, &topic)?;
    let value = arg(FUNCTION, "value").json(&run, &value, "event_value_bytes", run.call.limits.event_value_bytes)?;
    run.count(Calls::Publish, 1)?;
    run.before_wait();
    let told = run.services.pubsub.publish_ephemeral(&run.call, &topic, value);
    told.map_err(|failure| failed(&run, FUNCTION, &failure))
}
