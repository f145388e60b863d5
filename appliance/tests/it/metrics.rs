//! `/metrics`: text that every scraper reads, and numbers that are true.

use crate::hello;
use crate::support::{Appliance, until};
use serde_json::json;
use std::collections::BTreeMap;
use tempfile::tempdir;

/// Samples by name and labels; every line must be a comment of a known kind or a sample of a described metric.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut described: Option<(String, String)> = None;
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# TYPE ") {
            let (name, kind) = comment.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{line}");
            described = Some((name.to_owned(), kind.to_owned()));
            continue;
        }
        if line.starts_with('#') {
            assert!(line == "# EOF" || line.starts_with("# HELP picloud_"), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let (described, kind) = described.as_ref().unwrap();
        assert!(name.starts_with(described.as_str()), "{name} is described as {described}");
        assert!(kind != "counter" || name.ends_with("_total"), "{line}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
        let labels = labels.strip_suffix('}').unwrap();
        for label in labels.split("\",").filter(|label| !label.is_empty()) {
            let (key, value) = label.split_once("=\"").unwrap();
            assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !value.is_empty(), "{line}");
        }
        let value = value.parse().unwrap_or_else(|_no_number| panic!("{line}"));
        assert!(samples.insert(series.to_owned(), value).is_none(), "{series} stands twice");
    }
    samples
}

#[test]
fn runs_requests_and_written_bytes_are_counted() {
    let data = tempdir().unwrap();
    let appliance = Appliance::serve(data.path());
    let mut bundle = hello(
        "kitchen",
        "if ctx.request.query.fail == \"yes\" { throw \"broken\"; } kv::collection(\"c\").set(\"key\", \"12345\"); 1",
    );
    bundle["scripts"]["quiet"] = json!("1");
    bundle["routes"].as_array_mut().unwrap().push(json!({ "path": "/quiet", "script": "quiet" }));
    appliance.deploy(&bundle);
    for _run in 0..5 {
        assert_eq!(appliance.get("/kitchen").status, 200);
    }
    assert_eq!(appliance.get("/kitchen?fail=yes").status, 500);
    assert_eq!(appliance.get("/kitchen/nowhere").status, 404);
    assert_eq!(appliance.get("/kitchen/quiet").status, 200);
    let scrape = || {
        let reply = appliance.admin("GET", "/metrics", "");
        assert_eq!((reply.status, reply.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
        parse(&reply.text())
    };
    let runs = |outcome| format!("picloud_runs_total{{app=\"kitchen\",script=\"hello\",outcome=\"{outcome}\"}}");
    // Whatever has ended is in the first scrape that the worker answers in time.
    let mut now = scrape();
    until("the worker tells in time", || {
        now = scrape();
        now.contains_key("picloud_runs_in_flight")
    });
    let of = |series: &str| *now.get(series).unwrap_or_else(|| panic!("{series} is not there: {now:#?}"));
    assert_eq!((of(&runs("ok")), of(&runs("failed"))), (5.0, 1.0));
    assert_eq!(of("picloud_runs_total{app=\"kitchen\",script=\"quiet\",outcome=\"ok\"}"), 1.0);
    assert_eq!((of("picloud_runs_in_flight"), of("picloud_runs_waiting")), (0.0, 0.0));
    assert_eq!(of("picloud_run_duration_seconds_count{app=\"kitchen\",script=\"hello\"}"), 6.0);
    assert_eq!(of("picloud_run_duration_seconds_bucket{le=\"+Inf\",app=\"kitchen\",script=\"hello\"}"), 6.0);
    assert!(of("picloud_run_duration_seconds_sum{app=\"kitchen\",script=\"hello\"}") > 0.0);
    assert_eq!(of("picloud_requests_total{status=\"404\"}"), 1.0);
    assert_eq!(of("picloud_kv_written_bytes_total{app=\"kitchen\"}"), 5.0 * (3.0 + 7.0));
    assert!(of("picloud_process_memory_bytes{process=\"appliance\"}") > 1e6);
    assert!(of("picloud_process_memory_bytes{process=\"worker\"}") > 1e6);
    assert!(of("picloud_process_cpu_seconds_total{process=\"appliance\"}") >= 0.0);
    assert!(of("picloud_process_written_bytes_total{process=\"appliance\"}") > 0.0);
    assert_eq!(of("picloud_worker_up"), 1.0);
    assert_eq!(of("picloud_scripts"), 2.0);
    assert_eq!(of("picloud_audit_entries_total"), 1.0);
    let open = appliance.admin_with("GET", "/metrics", &[("accept", "application/openmetrics-text;q=0.9,*/*")], "");
    assert!(open.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.text().ends_with("# EOF\n"));
    assert!(parse(&open.text()).keys().any(|series| *series == runs("ok")));
    let status = appliance.admin("GET", "/status", "").json();
    assert_eq!((&status["runs"], &status["keys"]), (&json!({ "ok": 6, "failed": 1 }), &json!(0)));
    assert!(status["bytes_written"].as_u64().unwrap() > 0);
}
