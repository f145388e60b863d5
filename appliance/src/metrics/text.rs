//! The metrics as text for Prometheus (and everything else that reads OpenMetrics).

use super::counted::{Counted, Runs};
use super::{Gauges, ProcessUsage, Queue};
use picloud_model::protocol::{DURATION_BUCKETS_US, RunsNow};
use picloud_model::script::SDK_VERSION;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, exemplar::Exemplar};
use prometheus_client::registry::Registry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// The two forms of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// What every scraper reads.
    Prometheus,
    /// What newer ones ask for.
    OpenMetrics,
}

impl Form {
    /// The one that an `Accept` header asks for.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// As it stands in `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Exemplars, which we have none of.
type Exemplars = HashMap<usize, Exemplar<[(&'static str, &'static str); 0], f64>>;

/// Everything at one moment.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) counted: Counted,
    pub(super) gauges: Gauges,
    pub(super) appliance: ProcessUsage,
    pub(super) worker: Option<ProcessUsage>,
}

impl Moment {
    /// As text.
    pub(super) fn text(self, form: Form) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("picloud");
        registry.register_collector(Box::new(self));
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(if form == Form::Prometheus { prometheus(&out) } else { out })
    }

    fn runs(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut runs = out.encode_descriptor("runs", "Runs of scripts", None, MetricType::Counter)?;
        for ((app, script), counted) in &self.counted.scripts {
            let outcomes = [("ok", counted.ok), ("failed", counted.failed), ("worker_lost", counted.worker_lost)];
            for (outcome, count) in outcomes {
                if count > 0 || outcome != "worker_lost" {
                    let labels = [("app", app.as_str()), ("script", script.as_str()), ("outcome", outcome)];
                    ConstCounter::new(count).encode(runs.encode_family(&labels)?)?;
                }
            }
        }
        let help = "How long runs took";
        let mut durations = out.encode_descriptor("run_duration_seconds", help, None, MetricType::Histogram)?;
        for ((app, script), counted) in &self.counted.scripts {
            let labels = [("app", app.as_str()), ("script", script.as_str())];
            let (sum, count, buckets) = histogram(counted);
            durations.encode_family(&labels)?.encode_histogram(sum, count, &buckets, None::<&Exemplars>)?;
        }
        let help = "Most memory that one run of the script held";
        let mut memory = out.encode_descriptor("run_memory_max_bytes", help, None, MetricType::Gauge)?;
        for ((app, script), counted) in &self.counted.scripts {
            let labels = [("app", app.as_str()), ("script", script.as_str())];
            ConstGauge::new(counted.memory_bytes_max).encode(memory.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn written(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests answered without a run: files, no route, refused, too many";
        let statuses = self.counted.statuses.iter().map(|(status, count)| ([("status", status.to_string())], *count));
        counters(out, "requests", help, statuses)?;
        let help = "Bytes of keys and values that were written, by app";
        let written = self.counted.kv_bytes.iter().map(|(app, bytes)| ([("app", app.clone())], *bytes));
        counters(out, "kv_written_bytes", help, written)?;
        let help = "Bytes that scripts wrote: keys and values, publishes, timers, files";
        let written = self.counted.written.iter();
        let written =
            written.map(|((app, script), bytes)| ([("app", app.clone()), ("script", script.clone())], *bytes));
        counters(out, "script_written_bytes", help, written)
    }

    /// Events, from what waits to what became of it.
    fn events(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let by_word = |counts: &BTreeMap<(String, &'static str), u64>| {
            let counts: Vec<_> = counts.iter().map(|((app, word), count)| (app.clone(), *word, *count)).collect();
            counts.into_iter().map(|(app, word, count)| ([("app", app), ("outcome", word.to_owned())], count))
        };
        counters(
            out,
            "deliveries",
            "Attempts of deliveries, by what became of them",
            by_word(&self.counted.deliveries),
        )?;
        let help = "Requests that scripts sent to other servers";
        counters(out, "http_calls", help, by_word(&self.counted.http_calls))?;
        let queues = |value: fn(&Queue) -> u64| {
            self.gauges.queues.iter().map(move |queue| ([("app", queue.app.clone())], value(queue)))
        };
        let help = "Deliveries that wait or are under way, timers included";
        gauges(out, "queued_deliveries", help, queues(|queue| queue.deliveries))?;
        gauges(out, "dead_letters", "Dead letters", queues(|queue| queue.dead_letters))?;
        let help = "For how long the oldest delivery that waits has been due";
        let mut oldest = out.encode_descriptor("oldest_due_seconds", help, None, MetricType::Gauge)?;
        for queue in &self.gauges.queues {
            let seconds = queue.oldest_due_ms as f64 / 1_000.0;
            ConstGauge::new(seconds).encode(oldest.encode_family(&[("app", queue.app.as_str())])?)?;
        }
        let Counted { slots, slots_skipped, slots_late_ms, .. } = self.counted;
        for (name, help, value) in [
            ("schedule_times", "Times of schedules that came", slots),
            ("schedule_times_skipped", "Times that were left out since an earlier one was not over", slots_skipped),
            ("schedule_late_milliseconds", "How late times of schedules were looked at, all together", slots_late_ms),
        ] {
            ConstCounter::new(value).encode(out.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        Ok(())
    }

    fn processes(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let each = [("appliance", Some(self.appliance)), ("worker", self.worker)];
        let each = each.into_iter().filter_map(|(name, usage)| Some(([("process", name)], usage?)));
        let memory = each.clone().filter_map(|(labels, usage)| Some((labels, usage.memory_bytes?)));
        gauges(out, "process_memory_bytes", "Memory in RAM", memory)?;
        let help = "Processor time since the process started";
        let mut cpu = out.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        for (labels, usage) in each.clone() {
            if let Some(seconds) = usage.cpu_s {
                ConstCounter::new(seconds).encode(cpu.encode_family(&labels)?)?;
            }
        }
        let written = each.filter_map(|(labels, usage)| Some((labels, usage.written_bytes?)));
        counters(out, "process_written_bytes", "Bytes that the disk had to write, since the process started", written)
    }

    /// Left out where no worker told.
    fn runs_now(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(RunsNow { in_flight, waiting }) = self.gauges.runs else { return Ok(()) };
        for (name, help, value) in [
            ("runs_in_flight", "Runs under way at this moment", in_flight),
            ("runs_waiting", "Requests that wait at this moment for a run to end", waiting),
        ] {
            ConstGauge::new(value).encode(out.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }

    fn appliance(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Gauges {
            uptime_s,
            history_waiting,
            history_dropped,
            streams,
            audit_entries,
            apps,
            scripts,
            quarantined,
            keys,
            runs: _in_runs_now,
            queues: _in_events,
            nodes: _in_their_own_file,
            backups: _in_theirs,
        } = &self.gauges;
        for (name, help, value) in [
            ("uptime_seconds", "Time since the appliance started", *uptime_s),
            ("history_waiting_runs", "Finished runs that wait to be kept", *history_waiting),
            ("streams", "Open streams of /watch and /logs", *streams),
            ("apps", "Apps", *apps),
            ("scripts", "Scripts and modules", *scripts),
            (
                "quarantined_scripts",
                "Scripts that are not run any more because they took their worker down",
                *quarantined,
            ),
            ("keys", "API keys", *keys),
            ("worker_up", "Whether a worker runs at this moment", u64::from(self.worker.is_some())),
        ] {
            ConstGauge::new(value).encode(out.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        for (name, help, value) in [
            ("history_dropped_runs", "Finished runs that could not be kept", *history_dropped),
            ("audit_entries", "Entries ever written to the audit log", *audit_entries),
            ("refused_requests", "Requests of the admin API that were refused", self.counted.refused),
            ("worker_restarts", "Workers that were started after the first", self.counted.workers.saturating_sub(1)),
        ] {
            ConstCounter::new(value).encode(out.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let build = [("version", env!("CARGO_PKG_VERSION")), ("sdk_version", SDK_VERSION)];
        out.encode_descriptor("build", "What runs here", None, MetricType::Info)?.encode_info(&build)
    }
}

impl Collector for Moment {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        self.runs(&mut out)?;
        self.runs_now(&mut out)?;
        self.backups(&mut out)?;
        self.written(&mut out)?;
        self.events(&mut out)?;
        self.gauges.nodes.encode(&self.counted.forwards, &mut out)?;
        self.processes(&mut out)?;
        self.appliance(&mut out)
    }
}

pub(super) fn counters<L: EncodeLabelSet>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut metric = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        ConstCounter::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

pub(super) fn gauges<L: EncodeLabelSet>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Sum in seconds, count, and the buckets by their upper bounds.
fn histogram(runs: &Runs) -> (f64, u64, Vec<(f64, u64)>) {
    let bounds = DURATION_BUCKETS_US.iter().map(|us| seconds(*us)).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(runs.buckets).collect();
    (seconds(runs.duration_us), runs.buckets.iter().sum(), buckets)
}

fn seconds(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64()
}

/// The older form of the same: a counter is described under the name that its samples have, an info is a gauge, and
/// nothing says where the text ends.
fn prometheus(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            // Under which name is not known before the type.
            (Some("#"), Some("HELP"), Some(_name), text) => help = text,
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    kind => ("", kind),
                };
                let help = help.take().unwrap_or_default();
                out += &format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
            }
            (Some("#"), ..) => {}
            _sample => {
                out += line;
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::NodesNow;
    use super::*;
    use crate::nodes::hub::HubCounts;
    use picloud_model::node::Node;

    #[test]
    fn both_forms_say_the_same() {
        let mut counted = Counted::default();
        let runs = counted.runs("kitchen", "hello");
        (runs.ok, runs.failed, runs.duration_us, runs.memory_bytes_max) = (3, 1, 2_500, 700);
        (runs.buckets[1], runs.buckets[3]) = (3, 1);
        counted.statuses.insert(404, 2);
        counted.add_kv_bytes("kitchen", 45);
        counted.workers = 2;
        counted.add_written("kitchen", "hello", 45);
        counted.deliveries.insert(("kitchen".to_owned(), "done"), 7);
        counted.http_calls.insert(("kitchen".to_owned(), "refused"), 1);
        counted.forwards.insert("ok", 6);
        let node = |state: &str| {
            let mut node: Node = serde_json::from_value(serde_json::json!({
                "id": "0".repeat(20), "name": "garage", "kind": "node", "state": state, "labels": {}, "facts": {},
                "urls": [], "running": 2, "in_step": true, "revision_of_record": 1,
            }))
            .unwrap();
            if state == "up" {
                (node.places, node.round_trip_ms, node.spooled) = (Some(4), Some(12), Some(3));
            }
            node
        };
        (counted.slots, counted.slots_skipped, counted.slots_late_ms) = (5, 1, 9);
        let usage = |n| ProcessUsage { memory_bytes: Some(n), cpu_s: Some(0.5), written_bytes: None };
        let gauges = Gauges {
            uptime_s: 10,
            history_waiting: 0,
            history_dropped: 0,
            streams: 2,
            audit_entries: 4,
            apps: 1,
            scripts: 1,
            quarantined: 0,
            keys: 1,
            runs: Some(RunsNow { in_flight: 3, waiting: 2 }),
            queues: vec![Queue {
                app: "kitchen".to_owned(),
                deliveries: 12,
                oldest_due_ms: 1_500,
                waiting_for_node: 0,
                dead_letters: 3,
            }],
            nodes: NodesNow::of(vec![node("up"), node("away")], HubCounts { leases: 2, calls: 9 }),
            backups: crate::repository::Outcomes {
                success: Some(crate::repository::Outcome {
                    at: 1_800_000_000_000,
                    took_ms: 2_500,
                    size_bytes: 1_000,
                    added_bytes: 10,
                    ..Default::default()
                }),
                failure: Some(crate::repository::Outcome { at: 1_800_000_100_000, ..Default::default() }),
            },
        };
        let text = |form| {
            let (counted, gauges) = (counted.clone(), gauges.clone());
            Moment { counted, gauges, appliance: usage(5), worker: Some(usage(6)) }.text(form).unwrap()
        };
        insta::assert_snapshot!("metrics", text(Form::Prometheus));
        let open = text(Form::OpenMetrics);
        let samples =
            |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(samples(&open), samples(&text(Form::Prometheus)));
        assert!(open.ends_with("# EOF\n"));
    }
}
