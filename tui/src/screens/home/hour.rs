//! The last hour as numbers and small charts.

use crate::theme::Signs;
use crate::widgets::text;
use picloud_model::activity::{Activity, MinuteCounts};
use picloud_model::clock::UnixMs;

/// A minute.
const MINUTE_MS: i64 = 60_000;
/// Columns of a chart: three minutes each.
pub(super) const CHART_COLUMNS: usize = 20;
const STEP_MS: i64 = 60 / CHART_COLUMNS as i64 * MINUTE_MS;

/// A line: what, how much in the hour, and how it went.
pub(super) struct Told {
    pub(super) what: &'static str,
    pub(super) value: String,
    pub(super) chart: String,
}

/// Runs, failures and times of the hour.
pub(super) fn told(activity: &Activity, signs: &Signs) -> [Told; 3] {
    let minutes = &activity.hour;
    let runs: u64 = minutes.iter().map(|minute| minute.runs).sum();
    let failed: u64 = minutes.iter().map(|minute| minute.failed).sum();
    let p95 = minutes.iter().filter_map(|minute| minute.p95_ms).fold(0.0, f64::max);
    let chart = |value: fn(&MinuteCounts) -> f64, sums: bool| chart(minutes, activity.at, signs, value, sums);
    [
        Told { what: "runs", value: grouped(runs), chart: chart(|minute| minute.runs as f64, true) },
        Told { what: "failed", value: grouped(failed), chart: chart(|minute| minute.failed as f64, true) },
        Told {
            what: "p95 max",
            value: if runs == 0 { String::new() } else { text::duration((p95 * 1_000.0) as u64) },
            chart: chart(|minute| minute.p95_ms.unwrap_or(0.0), false),
        },
    ]
}

/// What started the runs: `http 8 412  cron 240`.
pub(super) fn causes(activity: &Activity) -> String {
    let causes = activity.causes.iter().map(|count| {
        let word = count.cause.as_str().replace('_', " ");
        format!("{word} {}", grouped(count.runs))
    });
    causes.collect::<Vec<_>>().join("  ")
}

/// A bar for three minutes each; they end at whole times, so that all of them move once in three minutes.
fn chart(minutes: &[MinuteCounts], now: UnixMs, signs: &Signs, value: fn(&MinuteCounts) -> f64, sums: bool) -> String {
    let newest = now.div_euclid(STEP_MS);
    let mut bars = [0.0_f64; CHART_COLUMNS];
    for minute in minutes {
        let back = newest - minute.minute.div_euclid(STEP_MS);
        let Some(bar) = usize::try_from(back).ok().and_then(|back| (CHART_COLUMNS - 1).checked_sub(back)) else {
            continue;
        };
        bars[bar] = if sums { bars[bar] + value(minute) } else { bars[bar].max(value(minute)) };
    }
    let highest = bars.iter().copied().fold(0.0, f64::max);
    let top = signs.chart.len() - 1;
    let sign = |bar: f64| {
        // What is there at all is seen.
        let height = if bar <= 0.0 { 0 } else { ((bar / highest * top as f64).round() as usize).clamp(1, top) };
        signs.chart[height]
    };
    bars.iter().map(|bar| sign(*bar)).collect()
}

/// `8 412`: digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(' ');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
    }
}
