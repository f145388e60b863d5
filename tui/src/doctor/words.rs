//! Numbers as people read them.

const KIB: f64 = 1024.0;
const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;
/// Seconds of a day.
pub(super) const DAY_S: i64 = 24 * HOUR_S;
/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = DAY_S * 1000;

/// `512 B`, `1.5 MiB`, `29 GiB`.
pub(super) fn size(bytes: f64) -> String {
    let mut value = bytes.max(0.0);
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < KIB {
            let rounded = (value * 10.0).round() / 10.0;
            let digits = usize::from(rounded < 10.0 && rounded.fract() != 0.0);
            return format!("{rounded:.digits$} {unit}");
        }
        value /= KIB;
    }
    format!("{value:.1} TiB")
}

/// `40 s`, `5 minutes`, `3 hours`, `12 days`, `4 years`.
pub(super) fn span(seconds: i64) -> String {
    let years = seconds / (365 * DAY_S);
    match seconds {
        ..MINUTE_S => format!("{seconds} s"),
        _ if seconds < 2 * HOUR_S => format!("{} minutes", seconds / MINUTE_S),
        _ if seconds < 2 * DAY_S => format!("{} hours", seconds / HOUR_S),
        _ if years < 2 => format!("{} days", seconds / DAY_S),
        _ => format!("{years} years"),
    }
}

/// One thing, or several.
pub(super) fn count(number: usize, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {several}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_unit_that_people_would_take() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1536.0, "1.5 KiB"),
            (16.0 * 1_048_576.0, "16 MiB"),
            (2.96 * 1_073_741_824.0, "3 GiB"),
            (29.4 * 1_073_741_824.0, "29 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (seconds, text) in [
            (59, "59 s"),
            (60, "1 minutes"),
            (7_199, "119 minutes"),
            (7_200, "2 hours"),
            (172_800, "2 days"),
            (63_072_000, "2 years"),
        ] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!((count(1, "node", "nodes"), count(0, "node", "nodes")), ("1 node".to_owned(), "0 nodes".to_owned()));
    }
}
