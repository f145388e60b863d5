//! `time`: moments as milliseconds since 1970 or as RFC 3339 text, and the calendar of any time zone.
//!
//! The clock is the port's; time zones come with the program, for a worker has no files.

use super::Namespace;
use super::options::{Options, arg, short};
use crate::error::RhaiError;
use crate::run_state::RunState;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, Zoned};
use picloud_model::clock::rfc3339;
use rhai::{Dynamic, Map, NativeCallContext};
use std::sync::LazyLock;

/// Longest pattern of `time::format`.
const PATTERN_BYTES_MAX: usize = 256;

const EXAMPLE: &str = r#"
let at = time::parse("2026-03-29T00:30:00Z");
let tomorrow = time::add(at, #{ days: 1 }, "Europe/Berlin");
[
    time::format(at),                                            // "2026-03-29T00:30:00.000Z"
    time::format(at, "Europe/Berlin"),                           // "2026-03-29T01:30:00+01:00"
    time::format(tomorrow, "Europe/Berlin", "%A, %d.%m. %H:%M"), // "Monday, 30.03. 01:30"
    time::parts(at, "Europe/Berlin").weekday,                    // 7
]
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new(
        "time",
        "Moments, as whole milliseconds since 1970 (`int`) or as RFC 3339 text; wherever `at` is an argument, either will \
         do. Time zones have IANA names such as `Europe/Berlin`.",
    )
    .example(EXAMPLE)
    .function("now() -> string", "Now, as RFC 3339 in UTC with milliseconds.", |context: NativeCallContext| {
        rfc3339(RunState::of(&context).services.clock.now_ms())
    })
    .function("now_ms() -> int", "Now, in milliseconds since 1970.", |context: NativeCallContext| {
        RunState::of(&context).services.clock.now_ms()
    })
    .function("parse(text: string) -> int", "Milliseconds since 1970 of an RFC 3339 text.", |text: Dynamic| {
        parse("time::parse", "text", &text)
    })
    .function("format(at: int|string) -> string", "RFC 3339 in UTC with milliseconds.", |at: Dynamic| {
        moment("time::format", &at).map(|at| rfc3339(at.as_millisecond()))
    })
    .function("format(at: int|string, timezone: string) -> string", "RFC 3339 with the zone's offset.", format_in)
    .function(
        "format(at: int|string, timezone: string, pattern: string) -> string",
        "As strftime writes it: `%Y-%m-%d %H:%M:%S`, `%A`, `%j`, `%z` ….",
        format_as,
    )
    .function(
        "parts(at: int|string, timezone: string) -> map",
        "`#{year, month, day, hour, minute, second, millisecond, weekday, day_of_year, offset_s}`; Monday is 1.",
        parts,
    )
    .function("parts(at: int|string) -> map", "The same in UTC.", |at: Dynamic| parts(at, Dynamic::from("UTC")))
    .function(
        "add(at: int|string, span: map) -> int",
        "Adds `#{years, months, weeks, days, hours, minutes, seconds, milliseconds}`, each a whole number that may be \
         negative, in UTC.",
        |at: Dynamic, span: Dynamic| add(at, span, Dynamic::from("UTC")),
    )
    .function(
        "add(at: int|string, span: map, timezone: string) -> int",
        "The same on the calendar of a zone: a day later is the same time of day, also when the clocks change.",
        add,
    )
}

/// The zones' rules: those that were compiled in.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(|| {
    let _cache = crate::alloc::Exempt::begin();
    TimeZoneDatabase::bundled()
});

fn zone(function: &'static str, timezone: &Dynamic) -> Result<TimeZone, RhaiError> {
    let zone_arg = arg(function, "timezone");
    let name = zone_arg.text(timezone)?;
    // The database keeps what it has read.
    let _cache = crate::alloc::Exempt::begin();
    ZONES.get(&name).map_err(|_unknown| {
        zone_arg.fault(format_args!("there is no time zone `{}`; names are like `Europe/Berlin`", short(&name)))
    })
}

fn parse(function: &'static str, argument: &'static str, text: &Dynamic) -> Result<i64, RhaiError> {
    let text_arg = arg(function, argument);
    let text = text_arg.text(text)?;
    let parsed: Result<Timestamp, _> = text.parse();
    parsed.map(|at| at.as_millisecond()).map_err(|_unreadable| {
        text_arg.malformed(format_args!("`{}` is not RFC 3339, like 2026-03-29T01:30:00+01:00", short(&text)))
    })
}

pub(super) fn moment(function: &'static str, at: &Dynamic) -> Result<Timestamp, RhaiError> {
    let at_arg = arg(function, "at");
    let ms = match at.as_int() {
        Ok(ms) => ms,
        Err(_other_type) if at.is_string() => parse(function, "at", at)?,
        Err(_other_type) => return Err(at_arg.fault("must be milliseconds since 1970 or RFC 3339 text")),
    };
    Timestamp::from_millisecond(ms).map_err(|_out_of_range| at_arg.fault(format_args!("{ms} ms is beyond year 9999")))
}

fn zoned(function: &'static str, at: &Dynamic, timezone: &Dynamic) -> Result<Zoned, RhaiError> {
    Ok(moment(function, at)?.to_zoned(zone(function, timezone)?))
}

fn format_in(at: Dynamic, timezone: Dynamic) -> Result<String, RhaiError> {
    let zoned = zoned("time::format", &at, &timezone)?;
    Ok(zoned.timestamp().display_with_offset(zoned.offset()).to_string())
}

fn format_as(at: Dynamic, timezone: Dynamic, pattern: Dynamic) -> Result<String, RhaiError> {
    let zoned = zoned("time::format", &at, &timezone)?;
    let pattern_arg = arg("time::format", "pattern");
    let pattern = pattern_arg.text(&pattern)?;
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(pattern_arg.fault(format_args!("is longer than {PATTERN_BYTES_MAX} bytes")));
    }
    jiff::fmt::strtime::format(pattern.as_str(), &zoned).map_err(|why| pattern_arg.fault(why))
}

fn parts(at: Dynamic, timezone: Dynamic) -> Result<Map, RhaiError> {
    let zoned = zoned("time::parts", &at, &timezone)?;
    let parts: [(&str, i64); 10] = [
        ("year", zoned.year().into()),
        ("month", zoned.month().into()),
        ("day", zoned.day().into()),
        ("hour", zoned.hour().into()),
        ("minute", zoned.minute().into()),
        ("second", zoned.second().into()),
        ("millisecond", zoned.millisecond().into()),
        ("weekday", zoned.weekday().to_monday_one_offset().into()),
        ("day_of_year", zoned.day_of_year().into()),
        ("offset_s", zoned.offset().seconds().into()),
    ];
    Ok(parts.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}

fn add(at: Dynamic, span: Dynamic, timezone: Dynamic) -> Result<i64, RhaiError> {
    const UNITS: &[&str] = &["years", "months", "weeks", "days", "hours", "minutes", "seconds", "milliseconds"];
    let zoned = zoned("time::add", &at, &timezone)?;
    let options = Options::new("time::add", span, UNITS)?;
    let mut span = Span::new();
    for unit in UNITS {
        let Some(count) = options.int(unit)? else { continue };
        let with = match *unit {
            "years" => span.try_years(count),
            "months" => span.try_months(count),
            "weeks" => span.try_weeks(count),
            "days" => span.try_days(count),
            "hours" => span.try_hours(count),
            "minutes" => span.try_minutes(count),
            "seconds" => span.try_seconds(count),
            _ => span.try_milliseconds(count),
        };
        span = with.map_err(|_out_of_range| arg("time::add", unit).fault(format_args!("{count} is too far away")))?;
    }
    match zoned.checked_add(span) {
        Ok(later) => Ok(later.timestamp().as_millisecond()),
        Err(_out_of_range) => Err(arg("time::add", "span").fault("leads beyond the years -9999 to 9999")),
    }
}
