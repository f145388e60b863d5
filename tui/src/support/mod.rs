//! The support bundle: what somebody who helps needs to see of an appliance and its machine, and nothing that is secret.
//!
//! What goes in is named, field by field ([`fields`]); everything else is left out. What is text passes the patterns of
//! [`shapes`] as well, for whatever a name does not tell.
//!
//! To add something: a line in [`gather`], its fields in [`fields`], and a secret of its kind in the test that plants them.

mod archive;
mod fields;
mod log_lines;
mod shapes;

pub(crate) use archive::write;

use crate::client::{Ask, Client};
use crate::doctor::{Machine, NotRun};
use crate::path::ApiPath;
use fields::Document;
use http::Method;
use serde_json::{Value, json};
use shapes::Shapes;
use std::time::Duration;

/// How long one answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Lines of each unit's log.
const LOG_LINES_MAX: &str = "1000";
/// Largest file; of longer ones the end is kept.
const FILE_BYTES_MAX: usize = 1024 * 1024;
/// What stands in the place of something.
pub(crate) const LEFT_OUT: &str = "[left out]";

/// Units whose logs are looked at.
const UNITS: &[&str] = &["picloud-appliance", "picloud-node", "picloud-backup", "picloud-first-boot"];
/// Configurations, and what is left in of them.
const CONFIGS: &[&str] = &["appliance.toml", "node.toml"];

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its name.
    pub(crate) name: String,
    /// What is in it.
    pub(crate) text: String,
}

/// Gathers a bundle; `doctor` is what the doctor found, `key` the secret by which the appliance is asked.
pub(crate) async fn gather(
    client: &Client<'_>,
    machine: Option<&dyn Machine>,
    doctor: &Value,
    key: Option<&str>,
) -> Vec<Piece> {
    let mut shapes = Shapes::new(key);
    let mut pieces = vec![Piece { name: "README.txt".to_owned(), text: README.to_owned() }];
    let mut add = |name: &str, text: String| {
        let text = last(&text, FILE_BYTES_MAX);
        pieces.push(Piece { name: name.to_owned(), text: shapes.redacted(text) });
    };
    add("versions.json", pretty(&versions(client, machine).await));
    add("doctor.json", pretty(doctor));
    for document in fields::DOCUMENTS {
        add(document.file, of_api(client, document).await);
    }
    add("metrics.txt", metrics(client).await);
    if let Some(machine) = machine {
        for config in CONFIGS {
            if let Some(text) = machine.read(&format!("/etc/picloud/{config}")) {
                add(&format!("config/{config}"), fields::config(&text));
            }
        }
        for unit in UNITS {
            if let Some(text) = log(machine, unit) {
                add(&format!("logs/{unit}.txt"), text);
            }
        }
        for (name, program, arguments) in TOOLS {
            if let Ok(text) = machine.run(program, arguments) {
                add(&format!("machine/{name}.txt"), text);
            }
        }
    }
    pieces
}

/// What is said of the machine itself: programs that name no person and no peer.
const TOOLS: &[(&str, &str, &[&str])] = &[
    ("uname", "uname", &["-srvmo"]),
    ("disks", "df", &["-h", "-T", "-x", "tmpfs", "-x", "devtmpfs"]),
    ("files", "df", &["-i", "-x", "tmpfs", "-x", "devtmpfs"]),
    ("memory", "free", &["-m"]),
    ("units", "systemctl", &["list-units", "--all", "--no-pager", "--plain", "picloud*"]),
    ("packages", "dpkg-query", &["--show", "picloud*"]),
];

async fn ask(client: &Client<'_>, segments: &[&str]) -> Result<Vec<u8>, String> {
    let asked = client.send(Ask::new(Method::GET, ApiPath::new(segments)));
    match tokio::time::timeout(ANSWER_TIME_MAX, asked).await {
        Ok(Ok(answer)) => Ok(answer.body.to_vec()),
        Ok(Err(failure)) => Err(failure.problem().detail),
        Err(_elapsed) => Err(format!("no answer within {} s", ANSWER_TIME_MAX.as_secs())),
    }
}

/// One answer of the API, with the fields that are named.
async fn of_api(client: &Client<'_>, document: &Document) -> String {
    match ask(client, document.path).await {
        Ok(body) => match serde_json::from_slice::<Value>(&body) {
            Ok(value) => pretty(&fields::kept(&value, document.fields)),
            Err(_no_json) => pretty(&json!({ "error": "the answer is no JSON" })),
        },
        Err(why) => pretty(&json!({ "error": why })),
    }
}

async fn metrics(client: &Client<'_>) -> String {
    match ask(client, &["metrics"]).await {
        Ok(body) => fields::metrics(&String::from_utf8_lossy(&body)),
        Err(why) => format!("# {why}\n"),
    }
}

async fn versions(client: &Client<'_>, machine: Option<&dyn Machine>) -> Value {
    let appliance = match ask(client, &["version"]).await {
        Ok(body) => {
            fields::kept(&serde_json::from_slice(&body).unwrap_or(Value::Null), &["version", "sdk_version", "api"])
        }
        Err(why) => json!({ "error": why }),
    };
    let line = |path: &str, key: &str| {
        let text = machine?.read(path)?;
        let value = text.lines().find_map(|line| line.strip_prefix(key))?.trim_matches(['"', '=']).to_owned();
        Some(value)
    };
    let model = machine.and_then(|machine| machine.read("/proc/device-tree/model"));
    json!({
        "picloud": env!("CARGO_PKG_VERSION"),
        "appliance": appliance,
        "system": line("/etc/os-release", "PRETTY_NAME"),
        "model": model.map(|model| model.trim_matches('\0').trim().to_owned()),
        "architecture": std::env::consts::ARCH,
    })
}

/// The newest lines of a unit; nothing where it never said anything.
fn log(machine: &dyn Machine, unit: &str) -> Option<String> {
    let name = format!("{unit}.service");
    let arguments =
        ["--unit", &name, "--lines", LOG_LINES_MAX, "--no-pager", "--quiet", "--output=short-iso", "--no-hostname"];
    match machine.run("journalctl", &arguments) {
        Ok(text) if text.trim().is_empty() => None,
        Ok(text) => Some(log_lines::kept(&text)),
        Err(NotRun::Missing) => None,
        Err(NotRun::Failed(why)) => Some(format!("{why}\n")),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value is JSON") + "\n"
}

/// The end of a text that is too long, from the beginning of a line.
fn last(text: &str, bytes_max: usize) -> String {
    let Some(mut from) = text.len().checked_sub(bytes_max).filter(|from| *from > 0) else { return text.to_owned() };
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let cut = &text[from..];
    let whole = cut.split_once('\n').map_or(cut, |(_part, rest)| rest);
    format!("[the beginning is left out: it is longer than {bytes_max} bytes]\n{whole}")
}

const README: &str = "\
What this is: how a PiCloud appliance and its machine are, made by `picloud support-bundle` for whoever helps.

What is in it: versions, what `picloud doctor` found, and of the appliance's answers, metrics, configuration and logs
the fields that are known to be harmless. Names of machines, apps, scripts and triggers are in it, and private network
addresses such as 192.168.1.20.

What is not: sources of scripts, stored keys and values, files, secrets, environment values, API keys, join tokens,
private keys, certificates, passwords, labels, requests and events. Every field that is not known is [left out], and
what looks like a key, a token, a password, a public address, a hardware address or an e-mail address is replaced
wherever it stands. A net, not a wall: read it before you give it away.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_text_that_is_too_long_the_newest_whole_lines_are_kept() {
        assert_eq!(last("short\n", 100), "short\n");
        let long = "first line\nsecond line\nthird\n";
        assert_eq!(last(long, 15), "[the beginning is left out: it is longer than 15 bytes]\nthird\n");
        assert!(last(&"ü".repeat(20), 7).contains('ü'));
    }
}
