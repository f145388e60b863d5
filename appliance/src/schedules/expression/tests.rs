//! When schedules come: the odd nights of time zones, leap days, six fields; and what is said of those that are wrong.

use super::*;

/// The next times of `schedule` after `from`, in its zone, to the second.
fn next(schedule: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let expression = Expression::parse(schedule, Some(zone)).unwrap();
    let tz = TimeZone::get(zone).unwrap();
    let mut at = from.parse::<Timestamp>().unwrap().as_millisecond();
    let mut times = Vec::new();
    while times.len() < count {
        let Some(next) = expression.next(at) else { break };
        assert!(next > at, "{schedule}: slots only grow");
        at = next;
        let zoned = Timestamp::from_millisecond(at).unwrap().to_zoned(tz.clone());
        times.push(zoned.strftime("%m-%d %H:%M:%S %Z").to_string());
    }
    times
}

#[test]
fn every_local_time_comes_once_also_in_the_odd_nights() {
    let berlin = "Europe/Berlin";
    for (schedule, zone, from, expected) in [
        (
            "0 3 * * *",
            berlin,
            "2026-03-28T12:00:00Z",
            ["03-29 03:00:00 CEST", "03-30 03:00:00 CEST", "03-31 03:00:00 CEST"],
        ),
        // 2:30 is not there on the 29th: it comes when the clock goes on to 3:00.
        (
            "30 2 * * *",
            berlin,
            "2026-03-28T12:00:00Z",
            ["03-29 03:00:00 CEST", "03-30 02:30:00 CEST", "03-31 02:30:00 CEST"],
        ),
        // All four quarters of the missing hour are one.
        (
            "*/15 2 * * *",
            berlin,
            "2026-03-28T12:00:00Z",
            ["03-29 03:00:00 CEST", "03-30 02:00:00 CEST", "03-30 02:15:00 CEST"],
        ),
        (
            "0 2,3 * * *",
            berlin,
            "2026-03-28T12:00:00Z",
            ["03-29 03:00:00 CEST", "03-30 02:00:00 CEST", "03-30 03:00:00 CEST"],
        ),
        // 2:30 is there twice on the 25th: the first counts.
        (
            "30 2 * * *",
            berlin,
            "2026-10-24T12:00:00Z",
            ["10-25 02:30:00 CEST", "10-26 02:30:00 CET", "10-27 02:30:00 CET"],
        ),
        (
            "*/30 2 * * *",
            berlin,
            "2026-10-24T12:00:00Z",
            ["10-25 02:00:00 CEST", "10-25 02:30:00 CEST", "10-26 02:00:00 CET"],
        ),
        // Asked in the second of the two hours, the first is over.
        (
            "30 2 * * *",
            berlin,
            "2026-10-25T01:10:00Z",
            ["10-26 02:30:00 CET", "10-27 02:30:00 CET", "10-28 02:30:00 CET"],
        ),
        (
            "30 2 8 3 *",
            "America/New_York",
            "2026-01-01T00:00:00Z",
            ["03-08 03:00:00 EDT", "03-08 02:30:00 EST", "03-08 02:30:00 EST"],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            ["11-01 01:30:00 EDT", "11-02 01:30:00 EST", "11-03 01:30:00 EST"],
        ),
    ] {
        assert_eq!(next(schedule, zone, from, 3), expected, "{schedule} {zone} {from}");
    }
}

#[test]
fn a_schedule_of_every_hour_follows_the_time_that_passes() {
    let berlin = "Europe/Berlin";
    assert_eq!(
        next("30 * * * *", berlin, "2026-03-29T00:00:00Z", 3),
        ["03-29 01:30:00 CET", "03-29 03:30:00 CEST", "03-29 04:30:00 CEST"]
    );
    assert_eq!(
        next("@hourly", berlin, "2026-10-24T23:30:00Z", 4),
        ["10-25 02:00:00 CEST", "10-25 02:00:00 CET", "10-25 03:00:00 CET", "10-25 04:00:00 CET"]
    );
    assert_eq!(
        next("every 90m", berlin, "2026-10-24T23:30:00Z", 2),
        ["10-25 02:00:00 CET", "10-25 03:30:00 CET"],
        "an hour and a half pass, whatever the clock says"
    );
}

#[test]
fn leap_days_seconds_and_names_are_read() {
    for (schedule, expected) in [
        ("0 0 29 2 *", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("*/20 * * * * *", ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z"]),
        ("0 30 9 * * mon-fri", ["2026-01-01T09:30:00Z", "2026-01-02T09:30:00Z"]),
        ("0 12 * jan sun", ["2026-01-04T12:00:00Z", "2026-01-11T12:00:00Z"]),
        ("0 0 L * *", ["2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"]),
        ("@yearly", ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
        ("@Weekly", ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]),
        (" every 90s ", ["2026-01-01T00:01:30Z", "2026-01-01T00:03:00Z"]),
        ("@every 2h", ["2026-01-01T02:00:00Z", "2026-01-01T04:00:00Z"]),
    ] {
        let expression = Expression::parse(schedule, None).unwrap();
        let mut at = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        for expected in expected {
            at = expression.next(at).unwrap();
            assert_eq!(Timestamp::from_millisecond(at).unwrap().to_string(), expected, "{schedule}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_write() {
    let now = 1_800_000_000_000;
    let said: Vec<String> = [
        ("", None),
        ("* * *", None),
        ("0 0 * * * * 2027", None),
        ("61 * * * *", None),
        ("0 3 * * foo", None),
        ("0 3 * * 8", None),
        ("0 0 31 2 *", None),
        ("@reboot", None),
        ("every", None),
        ("every 0s", None),
        ("every 1.5h", None),
        ("every 9999999999999d", None),
        ("0 3 * * *", Some("Europe/Berlinn")),
    ]
    .into_iter()
    .map(|(schedule, zone)| check_text(schedule, zone, now).expect_err(schedule))
    .collect();
    insta::assert_snapshot!("wrong_schedules", said.join("\n"));
}

#[test]
fn only_cron_triggers_have_a_first_time() {
    let mut spec = TriggerSpec::new("nightly", TriggerKind::Cron, "report");
    assert_eq!(check(&spec, 0), Ok(None));
    spec.schedule = Some("@daily".to_owned());
    assert_eq!(check(&spec, 1), Ok(Some(86_400_000)));
    spec.kind = TriggerKind::Kv;
    assert_eq!(check(&spec, 1), Ok(None));
}
