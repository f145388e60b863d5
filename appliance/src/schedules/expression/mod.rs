//! What a schedule says: cron with 5 or 6 fields, `@hourly` and its like, `every 90s`; and when it comes next.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use picloud_model::clock::UnixMs;
use picloud_model::trigger::{TriggerKind, TriggerSpec};

/// Longest schedule, in bytes.
const SCHEDULE_BYTES_MAX: usize = 256;
/// Shortest `every`.
const EVERY_MS_MIN: i64 = 1_000;
/// Longest `every`: one year.
const EVERY_MS_MAX: i64 = 366 * 24 * 60 * 60 * 1_000;
/// Local times looked at for one that is to come: more than a doubled stretch of any time zone has seconds.
const LOCAL_TIMES_MAX: usize = 20_000;

/// The `@` forms, and the fields they stand for.
const NAMED: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A schedule that was read.
#[derive(Clone, Debug)]
pub struct Expression(Form);

#[derive(Clone, Debug)]
enum Form {
    /// So many milliseconds apart.
    Every(i64),
    /// At the times of day that it says.
    Fields { cron: Box<Cron>, zone: TimeZone, every_hour: bool },
}

/// Checks what a trigger says of its schedule, and answers when it comes first after `now`. `None` for other kinds.
pub fn check(spec: &TriggerSpec, now: UnixMs) -> Result<Option<UnixMs>, String> {
    match &spec.schedule {
        None => Ok(None),
        Some(_other) if spec.kind != TriggerKind::Cron => Ok(None),
        Some(schedule) => check_text(schedule, spec.timezone.as_deref(), now).map(Some),
    }
}

/// Checks a schedule, and answers when it comes first after `now`.
pub fn check_text(schedule: &str, timezone: Option<&str>, now: UnixMs) -> Result<UnixMs, String> {
    let never = || format!("the schedule `{schedule}` never comes: no day is like that");
    Expression::parse(schedule, timezone)?.next(now).ok_or_else(never)
}

impl Expression {
    /// Reads one; the sentence says what is wrong and what to write instead.
    pub fn parse(schedule: &str, timezone: Option<&str>) -> Result<Self, String> {
        let zone = zone(timezone)?;
        let text = schedule.trim();
        if text.len() > SCHEDULE_BYTES_MAX {
            return Err(format!("the schedule has {} bytes, more than {SCHEDULE_BYTES_MAX}", text.len()));
        }
        let word = text.strip_prefix('@').unwrap_or(text);
        if let Some(span) = word.strip_prefix("every").filter(|rest| rest.starts_with([' ', '\t'])) {
            return every(schedule, span.trim()).map(|ms| Self(Form::Every(ms)));
        }
        let fields = match text.strip_prefix('@') {
            None => text,
            Some(_name) => named(text)?,
        };
        let each: Vec<&str> = fields.split_whitespace().collect();
        if !matches!(each.len(), 5 | 6) {
            return Err(format!(
                "the schedule `{schedule}` has {} fields, not 5 (minute hour day month weekday) or 6 (with seconds \
                 before them); `0 3 * * *` is every day at 3:00, and `every 90s` and `@hourly` are schedules, too",
                each.len()
            ));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(fields).map_err(|error| wrong(schedule, &error))?;
        let every_hour = each[each.len() - 4] == "*";
        Ok(Self(Form::Fields { cron: Box::new(cron), zone, every_hour }))
    }

    /// When it comes next after `after`, if ever.
    pub fn next(&self, after: UnixMs) -> Option<UnixMs> {
        match &self.0 {
            Form::Every(ms) => after.checked_add(*ms),
            Form::Fields { cron, zone, every_hour } => {
                let after = Timestamp::from_millisecond(after).ok()?;
                let next =
                    if *every_hour { by_passing_time(cron, zone, after) } else { by_local_time(cron, zone, after) };
                next.map(Timestamp::as_millisecond)
            }
        }
    }

    /// The distance of an `every`.
    pub(super) fn every_ms(&self) -> Option<i64> {
        match self.0 {
            Form::Every(ms) => Some(ms),
            Form::Fields { .. } => None,
        }
    }

    /// The zone it goes by; `None` for `every`.
    pub(super) fn zone(&self) -> Option<&TimeZone> {
        match &self.0 {
            Form::Every(_) => None,
            Form::Fields { zone, .. } => Some(zone),
        }
    }
}

/// The hour that is not there is left out; of the two that look alike, both count.
fn by_passing_time(cron: &Cron, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let next = cron.find_next_occurrence(&after.to_zoned(zone.clone()), false).ok()?;
    Some(next.timestamp())
}

/// Every local time comes once: a skipped one right after the gap, a doubled one at its first.
fn by_local_time(cron: &Cron, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut local: DateTime = zone.to_datetime(after);
    for _time in 0..LOCAL_TIMES_MAX {
        local = cron.find_next_occurrence(&local, false).ok()?;
        let at = instant(zone, local)?;
        if at > after {
            return Some(at);
        }
    }
    None
}

fn instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_zoned(local);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => {
            // Read with the offset of after the gap, the time lies before it: the next change is the gap's end.
            let before = ambiguous.earlier().ok()?.timestamp();
            zone.following(before).next().map(|change| change.timestamp())
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
            ambiguous.earlier().ok().map(|zoned| zoned.timestamp())
        }
    }
}

fn zone(name: Option<&str>) -> Result<TimeZone, String> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    TimeZone::get(name).map_err(|_unknown| {
        format!("the time zone `{name}` is not known: it is a name such as `Europe/Berlin` or `UTC`")
    })
}

fn every(schedule: &str, span: &str) -> Result<i64, String> {
    let wrong =
        || format!("the schedule `{schedule}` is not read: write `every 90s`, `every 5m`, `every 2h` or `every 1d`");
    let digits = span.bytes().take_while(u8::is_ascii_digit).count();
    let number: i64 = span[..digits].parse().map_err(|_no_number| wrong())?;
    let unit_ms = match span[digits..].trim() {
        "s" | "sec" | "second" | "seconds" => 1_000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _other => return Err(wrong()),
    };
    let ms = number.saturating_mul(unit_ms);
    if !(EVERY_MS_MIN..=EVERY_MS_MAX).contains(&ms) {
        return Err(format!("the schedule `{schedule}` is not between 1 second and 366 days"));
    }
    Ok(ms)
}

fn named(text: &str) -> Result<&'static str, String> {
    let found = NAMED.iter().find(|(name, _fields)| name.eq_ignore_ascii_case(text));
    found.map(|(_name, fields)| *fields).ok_or_else(|| {
        let names: Vec<&str> = NAMED.iter().map(|(name, _fields)| *name).collect();
        format!("there is no schedule `{text}`: there are {}, and `every 90s`", names.join(", "))
    })
}

/// What the parser says, without its own words for itself.
fn wrong(schedule: &str, error: &croner::errors::CronError) -> String {
    use croner::errors::CronError;
    let said = match error {
        CronError::ComponentError(said) | CronError::InvalidPattern(said) => said.trim_end_matches('.').to_owned(),
        CronError::IllegalCharacters(said) => said.trim_end_matches('.').replace("CronPattern contains ", ""),
        other => other.to_string(),
    };
    let said = said.chars().next().map(|first| first.to_lowercase().to_string() + &said[first.len_utf8()..]);
    format!(
        "the schedule `{schedule}` is not read: {}; its fields are minute 0-59, hour 0-23, day 1-31, month 1-12 or \
         jan-dec, weekday 0-7 or sun-sat, and seconds 0-59 before them where there are six",
        said.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests;
