//! The next times of a schedule, as people look at them before they trust it.

use super::expression::Expression;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use picloud_model::clock::UnixMs;
use serde::{Deserialize, Serialize};

/// Most times that are shown.
pub const PREVIEW_MAX: usize = 100;

/// One time that a schedule comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Preview {
    /// When.
    #[serde(with = "picloud_model::clock::as_rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: UnixMs,
    /// The same as the clock of its time zone shows it: `2026-03-29 03:00:00 CEST`.
    pub local: String,
    /// What is odd about that night, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The next `count` times of a schedule after `now`.
pub fn preview(schedule: &str, timezone: Option<&str>, now: UnixMs, count: usize) -> Result<Vec<Preview>, String> {
    let expression = Expression::parse(schedule, timezone)?;
    // `every` follows no local time, and is shown in the zone all the same.
    let zone = match (expression.zone(), timezone) {
        (Some(zone), _) => zone.clone(),
        (None, Some(name)) => TimeZone::get(name).unwrap_or(TimeZone::UTC),
        (None, None) => TimeZone::UTC,
    };
    let mut times = Vec::new();
    let mut at = now;
    while times.len() < count.min(PREVIEW_MAX) {
        let Some(next) = expression.next(at) else { break };
        let note = changes(&zone, at, next).filter(|_note| expression.zone().is_some());
        times.push(Preview { at: next, local: local(&zone, next), note });
        at = next;
    }
    if times.is_empty() {
        return Err(format!("the schedule `{schedule}` never comes: no day is like that"));
    }
    Ok(times)
}

fn local(zone: &TimeZone, at: UnixMs) -> String {
    let time = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// What the clock does within the day before `at`, and after the last time.
fn changes(zone: &TimeZone, last: UnixMs, at: UnixMs) -> Option<String> {
    /// A change of the clock is told of so long before.
    const NEAR_MS: i64 = 3 * 60 * 60 * 1_000;
    let from = Timestamp::from_millisecond(last.max(at - NEAR_MS)).ok()?;
    let change = zone.following(from).next().filter(|change| change.timestamp().as_millisecond() <= at)?;
    let before = zone.to_offset(change.timestamp() - jiff::SignedDuration::from_secs(1));
    let shift_s = change.offset().seconds() - before.seconds();
    let (word, minutes) = if shift_s > 0 { ("forward", shift_s / 60) } else { ("back", -shift_s / 60) };
    (minutes != 0).then(|| format!("the clock goes {word} by {minutes} minutes before it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(schedule: &str, zone: &str, from: &str, count: usize) -> Vec<(String, Option<String>)> {
        let now = from.parse::<Timestamp>().unwrap().as_millisecond();
        let times = preview(schedule, Some(zone), now, count).unwrap();
        times.into_iter().map(|time| (time.local, time.note)).collect()
    }

    #[test]
    fn the_odd_nights_are_marked() {
        let spring = shown("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3);
        let forward = Some("the clock goes forward by 60 minutes before it".to_owned());
        assert_eq!(
            spring,
            [
                ("2026-03-28 02:30:00 CET".to_owned(), None),
                ("2026-03-29 03:00:00 CEST".to_owned(), forward),
                ("2026-03-30 02:30:00 CEST".to_owned(), None),
            ]
        );
        let autumn = shown("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 2);
        assert_eq!(autumn[0], ("2026-10-25 02:00:00 CEST".to_owned(), None));
        assert!(autumn[1].1.as_ref().unwrap().contains("back by 60"), "{autumn:?}");
    }

    #[test]
    fn so_many_and_no_more() {
        assert_eq!(preview("every 1s", None, 0, usize::MAX).unwrap().len(), PREVIEW_MAX);
        assert!(preview("0 0 30 2 *", None, 0, 10).unwrap_err().contains("never"));
    }
}
