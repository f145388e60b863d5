//! What may be in a bundle, by name. What is not named here is left out, whatever it is.

use super::LEFT_OUT;
use serde_json::{Map, Value};

/// One answer of the admin API.
pub(super) struct Document {
    /// The file's name.
    pub(super) file: &'static str,
    /// Where it is asked for.
    pub(super) path: &'static [&'static str],
    /// The fields that are kept, at whatever depth they stand.
    pub(super) fields: &'static [&'static str],
}

/// The answers that are in a bundle.
pub(super) const DOCUMENTS: &[Document] = &[
    Document { file: "status.json", path: &["status"], fields: STATUS },
    Document { file: "cluster.json", path: &["cluster"], fields: CLUSTER },
    Document { file: "nodes.json", path: &["nodes"], fields: NODES },
    Document { file: "apps.json", path: &["apps"], fields: APPS },
    Document { file: "limits.json", path: &["limits"], fields: &["items", "name", "default", "ceiling"] },
];

const STATUS: &[&str] = &[
    "worker",
    "runs",
    "queues",
    "version",
    "node",
    "uptime_s",
    "ingress_addr",
    "admin_socket",
    "admin_url",
    "tls",
    "data_dir",
    "pid",
    "apps",
    "scripts",
    "routes",
    "quarantined",
    "keys",
    "ok",
    "failed",
    "bytes_written",
    "app",
    "deliveries",
    "oldest_due_ms",
    "waiting_for_node",
    "dead_letters",
];

const CLUSTER: &[&str] = &[
    "appliances",
    "nodes",
    "name",
    "state",
    "here",
    "up",
    "slow",
    "away",
    "draining",
    "lost",
    "retired",
    "waiting",
    "revision",
    "behind",
    "certificates_ending",
    "running",
    "places",
    "spooled",
    "store",
];

const NODES: &[&str] = &[
    "items",
    "facts",
    "id",
    "name",
    "kind",
    "state",
    "since",
    "arch",
    "os",
    "cores",
    "memory_mb",
    "model",
    "version",
    "urls",
    "in_step",
    "applied_revision",
    "revision",
    "running",
    "places",
    "spooled",
    "round_trip_ms",
    "appliance",
    "joined_at",
    "last_seen_at",
    "certificate_expires_at",
    "revision_of_record",
];

const APPS: &[&str] = &[
    "items",
    "name",
    "revision",
    "created_at",
    "updated_at",
    "deployed_at",
    "scripts",
    "modules",
    "routes",
    "triggers",
];

/// Settings whose value is shown; of all others only that they are set.
const SETTINGS: &[&str] = &[
    "data_dir",
    "ingress_addr",
    "admin_addr",
    "admin_socket",
    "mdns",
    "files_root",
    "appliance",
    "name",
    "caddy_admin",
    "caddy_upstreams",
    "module_cache_size",
    "concurrency",
    "worker_user",
    "log",
    "versions_min",
    "versions_max",
    "versions_days",
    "letters_days",
    "letters_max",
    "tls_cert",
    "backup_keep_daily",
    "backup_keep_weekly",
    "backup_keep_monthly",
];

/// Labels of metrics whose value is shown.
const METRIC_LABELS: &[&str] =
    &["app", "script", "outcome", "process", "state", "node", "status", "version", "sdk_version", "le", "result"];

/// A document with the named fields only. A map or list is gone into where its own name is known: what is in another may
/// have names that somebody chose, such as those of `[env]`.
pub(super) fn kept(value: &Value, fields: &[&str]) -> Value {
    match value {
        Value::Object(map) => {
            let kept = |(name, value): (&String, &Value)| {
                let is_known = fields.contains(&name.as_str());
                (name.clone(), if is_known { inner(value, fields) } else { Value::from(LEFT_OUT) })
            };
            Value::Object(map.iter().map(kept).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| kept(item, fields)).collect()),
        // A value that stands alone has no name that would allow it.
        _ => Value::from(LEFT_OUT),
    }
}

/// What is in a field whose name is known: plain values as they are, also those of a list.
fn inner(value: &Value, fields: &[&str]) -> Value {
    match value {
        Value::Object(_) => kept(value, fields),
        Value::Array(items) => Value::Array(items.iter().map(|item| inner(item, fields)).collect()),
        plain => plain.clone(),
    }
}

/// A configuration with the named settings only.
pub(super) fn config(text: &str) -> String {
    let Ok(table) = text.parse::<toml::Table>() else {
        return "# it is no TOML, so nothing of it is shown; `picloud-appliance check-config` tells the line\n"
            .to_owned();
    };
    let shown = table.iter().map(|(name, value)| {
        let is_known = SETTINGS.contains(&name.as_str());
        let value = if is_known && !value.is_table() { value.to_string() } else { format!("\"{LEFT_OUT}\"") };
        // A name that is none of ours may be a secret in the wrong place.
        let is_name = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        format!("{} = {value}\n", if is_name { name } else { LEFT_OUT })
    });
    shown.collect()
}

/// Metrics with the named labels only.
pub(super) fn metrics(text: &str) -> String {
    text.lines()
        .filter(|line| line.starts_with("picloud_") || line.starts_with("# "))
        .map(|line| metric(line) + "\n")
        .collect()
}

fn metric(line: &str) -> String {
    let (Some((name, rest)), false) = (line.split_once('{'), line.starts_with('#')) else { return line.to_owned() };
    let Some((labels, value)) = rest.rsplit_once('}') else { return format!("{name}{{{LEFT_OUT}}}") };
    let labels = labels.split("\",").map(|label| {
        let label = label.trim_end_matches('"');
        match label.split_once("=\"") {
            Some((name, value)) if METRIC_LABELS.contains(&name) => format!("{name}=\"{value}\""),
            Some((name, _)) => format!("{name}=\"{LEFT_OUT}\""),
            None => LEFT_OUT.to_owned(),
        }
    });
    format!("{name}{{{}}}{value}", labels.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_named_fields_are_kept_at_every_depth() {
        let value = json!({
            "version": "1", "new_field": "hunter2", "runs": {"ok": 3, "note": "hunter2"},
            "queues": [{"app": "a", "value": {"pw": "hunter2"}}],
            "env": {"app": "hunter2", "hunter2": "x"}, "behind": ["n1"], "notes": ["hunter2", {"app": "hunter2"}],
        });
        let kept = kept(&value, &["version", "runs", "ok", "queues", "app", "behind"]);
        assert!(!kept.to_string().contains("hunter2"), "{kept:#}");
        let is = |pointer: &str, value: Value| assert_eq!(kept.pointer(pointer), Some(&value), "{pointer}: {kept:#}");
        is("/version", json!("1"));
        is("/runs/ok", json!(3));
        is("/queues/0/app", json!("a"));
        is("/behind/0", json!("n1"));
        is("/env", json!(LEFT_OUT));
    }

    #[test]
    fn of_settings_that_may_hold_a_secret_only_their_name_is_kept() {
        let text = "data_dir = \"/srv\"\njoin_token = \"hunter2\"\nmdns = false\n\"hunter2\" = 1\n[x]\ndata_dir = \"hunter2\"\n";
        let shown = config(text);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("data_dir = \"/srv\"\n") && shown.contains("join_token = \"[left out]\"\n"), "{shown}");
        assert!(!config("password hunter2").contains("hunter2"));
    }

    #[test]
    fn metrics_keep_their_numbers_and_known_labels() {
        let text = "# HELP picloud_x What\npicloud_x{app=\"a\",peer=\"hunter2\"} 4\npicloud_y 5\nother_hunter2 6\npicloud_z{hunter2\n";
        assert_eq!(
            metrics(text),
            "# HELP picloud_x What\npicloud_x{app=\"a\",peer=\"[left out]\"} 4\npicloud_y 5\npicloud_z{[left out]}\n"
        );
    }
}
