//! Pub/sub: what is published on a topic, durably or to whoever listens right now.

use crate::ids::EventId;
use serde::{Deserialize, Serialize};

/// Longest topic, in bytes.
pub const TOPIC_BYTES_MAX: usize = 256;
/// Longest key that makes a second publish of the same thing none, in bytes.
pub const DEDUP_KEY_BYTES_MAX: usize = 256;
/// How long a `dedup_key` is remembered.
pub const DEDUP_WINDOW_MS: i64 = 24 * 60 * 60 * 1000;
/// Longest delay of a publish and farthest timer: one year.
pub const DELAY_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;

/// One publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Publish {
    /// Segments with `/` between, no wildcard.
    pub topic: String,
    /// JSON.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
    /// Deliver no sooner than so long from now.
    pub delay_ms: u64,
    /// A second publish on this topic with the same key within [`DEDUP_WINDOW_MS`] does nothing.
    pub dedup_key: Option<String>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The event; `None` where a publish with the same key was there before.
    pub event: Option<EventId>,
    /// Deliveries that came of it: one a trigger that matches.
    pub deliveries: u32,
}

/// What is wrong with a topic to publish on, if anything.
pub fn check_topic(topic: &str) -> Result<(), String> {
    check_segments(topic)?;
    if topic.split('/').any(|segment| matches!(segment, "+" | "#" | "*" | "**")) {
        return Err(format!("the topic {topic:?} has a wildcard, which only triggers may have"));
    }
    Ok(())
}

/// What is wrong with the topic of a trigger, if anything: `+` (or `*`) is one segment, `#` (or `**`) at the end the
/// rest, also none.
pub fn check_topic_pattern(pattern: &str) -> Result<(), String> {
    check_segments(pattern)?;
    let mut segments = pattern.split('/').rev();
    let _last_may_be_the_rest = segments.next();
    if segments.any(|segment| matches!(segment, "#" | "**")) {
        return Err(format!("`#` stands for all the rest and is only allowed at the end of {pattern:?}"));
    }
    Ok(())
}

fn check_segments(topic: &str) -> Result<(), String> {
    if topic.is_empty() {
        Err("the topic is empty".to_owned())
    } else if topic.len() > TOPIC_BYTES_MAX {
        Err(format!("the topic has {} bytes, more than {TOPIC_BYTES_MAX}", topic.len()))
    } else if topic.split('/').any(str::is_empty) {
        Err(format!("the topic {topic:?} has an empty segment"))
    } else if topic.chars().any(char::is_control) {
        Err(format!("the topic {topic:?} has a control character"))
    } else {
        Ok(())
    }
}

/// Whether a trigger's `pattern` takes what is published on `topic`.
pub fn topic_matches(pattern: &str, topic: &str) -> bool {
    let (mut pattern, mut topic) = (pattern.split('/'), topic.split('/'));
    loop {
        match (pattern.next(), topic.next()) {
            (Some("#" | "**"), _) | (None, None) => return true,
            (Some("+" | "*"), Some(_)) => {}
            (Some(wanted), Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_the_topics_it_says() {
        for (pattern, topic, taken) in [
            ("orders", "orders", true),
            ("orders", "orders/new", false),
            ("orders/+", "orders/new", true),
            ("orders/*", "orders/new", true),
            ("orders/+", "orders", false),
            ("orders/#", "orders/new/eu", true),
            ("orders/#", "orders", true),
            ("#", "anything/at/all", true),
            ("+/new", "orders/new", true),
            ("+/new", "orders/old", false),
        ] {
            assert_eq!(topic_matches(pattern, topic), taken, "{pattern} {topic}");
        }
        for bad in ["", "a//b", "/a", "a/#/b", "a\n"] {
            assert!(check_topic_pattern(bad).is_err(), "{bad:?}");
        }
        assert!(check_topic("a/+").is_err() && check_topic("a/b").is_ok());
    }
}
