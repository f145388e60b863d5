//! Backups into the repository, as metrics: how old the last good one is, and what it took.

use super::text::Moment;
use crate::repository::Outcome;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// What is told of a backup: name, help, value.
type Told = (&'static str, &'static str, fn(&Outcome) -> f64);

/// Of the last one that went well. Absent where there was none.
const OF_SUCCESS: [Told; 4] = [
    ("backup_last_success_timestamp_seconds", "When the last backup ended that was found whole", seconds),
    ("backup_last_size_bytes", "Bytes of everything in it", |backup| backup.size_bytes as f64),
    ("backup_last_added_bytes", "Bytes that it made the repository grow by", |backup| backup.added_bytes as f64),
    ("backup_last_duration_seconds", "How long it took", |backup| backup.took_ms as f64 / 1_000.0),
];
/// Of the last one that did not, until one does.
const OF_FAILURE: [Told; 1] =
    [("backup_last_failure_timestamp_seconds", "When a backup failed, while none after it went well", seconds)];

fn seconds(backup: &Outcome) -> f64 {
    backup.at as f64 / 1_000.0
}

impl Moment {
    /// Left out where there was none.
    pub(super) fn backups(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let backups = &self.gauges.backups;
        for (told, backup) in [(&OF_SUCCESS[..], &backups.success), (&OF_FAILURE[..], &backups.failure)] {
            let Some(backup) = backup else { continue };
            for (name, help, value) in told {
                ConstGauge::new(value(backup)).encode(out.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
            }
        }
        Ok(())
    }
}
