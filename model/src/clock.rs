//! Wall time as an argument: whoever needs "now" is handed a clock.
//!
//! Wall time is only for what people read and for expiry; durations use `std::time::Instant`.

use std::sync::atomic::{AtomicI64, Ordering};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type UnixMs = i64;

/// Where wall time comes from.
pub trait Clock: Send + Sync {
    /// The time now, in milliseconds since the epoch.
    fn now_ms(&self) -> UnixMs;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> UnixMs {
        jiff::Timestamp::now().as_millisecond()
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now_ms`.
    pub fn new(now_ms: UnixMs) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// Moves the clock by `by_ms`, which may be negative.
    pub fn advance(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> UnixMs {
        self.0.load(Ordering::SeqCst)
    }
}

/// `at` as RFC 3339 in UTC with milliseconds, as every answer of ours writes a time.
pub fn rfc3339(at: UnixMs) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_out_of_range| at.to_string(), |time| format!("{time:.3}"))
}

/// `serde(with = "picloud_model::clock::as_rfc3339")`: RFC 3339 for people, a number between processes.
pub mod as_rfc3339 {
    use super::UnixMs;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the time.
    pub fn serialize<S: Serializer>(at: &UnixMs, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&super::rfc3339(*at))
        } else {
            serializer.serialize_i64(*at)
        }
    }

    /// Reads the time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixMs, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let time: jiff::Timestamp = text.parse().map_err(|_not_a_time| {
                serde::de::Error::custom(format!("`{text}` is no time in RFC 3339, such as 2030-01-01T00:00:00Z"))
            })?;
            Ok(time.as_millisecond())
        } else {
            i64::deserialize(deserializer)
        }
    }
}

/// The same for a time that may be absent.
pub mod as_rfc3339_option {
    use super::UnixMs;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Time(#[serde(with = "super::as_rfc3339")] UnixMs);

    /// Writes the time or nothing.
    pub fn serialize<S: Serializer>(at: &Option<UnixMs>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(Time).serialize(serializer)
    }

    /// Reads the time or nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixMs>, D::Error> {
        Ok(Option::<Time>::deserialize(deserializer)?.map(|Time(at)| at))
    }
}
