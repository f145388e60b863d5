//! A real appliance in a folder of its own, with a few of everything in it.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Apps whose parts may be taken away, so many that some are whole for a while.
const APPS: &[&str] =
    &["kitchen", "garden", "cellar", "attic", "garage", "hall", "porch", "study", "shed", "stable", "tower", "yard"];
/// Nodes that were let in and have not come.
const NODES: &[&str] = &["pi-one", "pi-two", "pi-three", "pi-four"];
/// The key that the generator has; the scopes are all there are.
const SCOPES: &[&str] =
    &["script:read", "script:write", "invoke", "app:admin", "node:read", "node:admin", "instance:admin"];

/// The running program; it ends with this.
pub(super) struct Appliance {
    child: Child,
    /// `https://127.0.0.1:PORT`
    pub(super) url: String,
    ingress: String,
    socket: PathBuf,
}

/// What is in it.
pub(super) struct Known {
    /// The generator's key.
    pub(super) key: String,
    key_id: i64,
    routes: Vec<i64>,
    executions: Vec<String>,
}

impl Appliance {
    /// Starts it on free ports.
    pub(super) fn start(programs: &Path, folder: &Path) -> Result<Self> {
        let (data, socket) = (folder.join("data"), folder.join("admin.sock"));
        let log = File::create(folder.join("appliance.log")).context("make the log")?;
        let mut command = Command::new(programs.join("picloud-appliance"));
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(&data)
            .arg("--admin-socket")
            .arg(&socket)
            .args(["--ingress-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PICLOUD_")) {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn().context("start the appliance")?;
        let said = child.stdout.take().context("its output is piped")?;
        let mut appliance = Self { child, url: String::new(), ingress: String::new(), socket };
        for line in BufReader::new(said).lines() {
            let line = line.context("read what the appliance says")?;
            if let Some((_, rest)) = line.split_once(" answers on http://") {
                appliance.ingress = rest.split(' ').next().unwrap_or_default().to_owned();
            }
            if let Some((_, rest)) = line.split_once("admin API on ") {
                appliance.url = rest.split(' ').next().unwrap_or_default().to_owned();
                break;
            }
        }
        ensure!(!appliance.url.is_empty(), "the appliance did not say where its admin API is: see its log");
        Ok(appliance)
    }

    /// Puts apps, scripts, values, keys and runs into it.
    pub(super) fn fill(&self) -> Result<Known> {
        for app in APPS {
            self.admin("POST", &format!("/apps/{app}/deploy"), &bundle(app))?;
            self.admin("PUT", &format!("/apps/{app}/kv/things/a"), &json!({"n": 1}))?;
            self.admin("PUT", &format!("/apps/{app}/kv/things/b%2Fc"), &json!("text"))?;
            self.admin("PUT", &format!("/apps/{app}/secrets/TOKEN"), &json!({"value": "a secret value"}))?;
            let source = json!({"kind": "endpoint", "source": "\"another version\"", "message": "shorter"});
            self.admin("PUT", &format!("/apps/{app}/scripts/plain"), &source)?;
            for path in ["hello", "fails"] {
                let stream = TcpStream::connect(&self.ingress).context("connect to the ingress")?;
                stream.set_read_timeout(Some(PATIENCE))?;
                exchange(stream, "GET", &format!("/{app}/{path}"), "")?;
            }
        }
        for (node, digit) in NODES.iter().zip(["a", "b", "c", "d"]) {
            let approve = format!("/nodes/{}/approve", digit.repeat(64));
            self.admin("POST", &approve, &json!({"name": node, "labels": {"camera": ""}}))?;
            self.admin("POST", "/join-tokens", &json!({"labels": {"room": node}, "uses": 3}))?;
        }
        let key = self.admin("POST", "/keys", &json!({"name": "generator", "scopes": SCOPES}))?;
        self.admin("POST", "/keys", &json!({"name": "other", "scopes": ["script:read@kitchen"]}))?;
        let mut known = Known {
            key: key["key"].as_str().context("a new key is shown")?.to_owned(),
            key_id: key["id"].as_i64().context("a key has an id")?,
            routes: Vec::new(),
            executions: Vec::new(),
        };
        for app in APPS {
            let routes = self.admin("GET", &format!("/apps/{app}/routes"), &Value::Null)?;
            known.routes.extend(items(&routes).filter_map(|route| route["id"].as_i64()));
            let runs = self.admin("GET", &format!("/apps/{app}/executions"), &Value::Null)?;
            known.executions.extend(items(&runs).filter_map(|run| run["id"].as_str().map(str::to_owned)));
        }
        Ok(known)
    }

    fn admin(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let stream = UnixStream::connect(&self.socket).context("connect to the admin socket")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = exchange(stream, method, &format!("/api/v1{path}"), &body)?;
        ensure!(status < 300, "{method} {path} was answered with {status}: {answer}");
        Ok(serde_json::from_str(&answer).unwrap_or(Value::Null))
    }

    /// Fails where the generator's key is gone: every answer after that was 401, and the run proves nothing.
    pub(super) fn check_key(&self, known: &Known) -> Result<()> {
        let key = self.admin("GET", &format!("/keys/{}", known.key_id), &Value::Null);
        key.map(drop).context("the generator has revoked its own key")
    }

    /// Fails where the program has ended.
    pub(super) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("ask after the appliance")? {
            bail!("the appliance ended by itself: {status}; see its log");
        }
        Ok(())
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // It may have ended already, which is said elsewhere.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn bundle(app: &str) -> Value {
    json!({
        "name": app,
        "routes": [
            {"methods": ["GET"], "path": "/hello", "script": "hello"},
            {"path": "/fails", "script": "fails"},
            {"path": "/closed/{id}", "script": "plain", "auth": "key"},
        ],
        "env": {"city": "Berlin"},
        "scripts": {
            "hello": "import \"units\" as u; log::info(\"hello\"); #{two: u::double(1)}",
            "fails": "throw \"on purpose\"",
            "plain": "\"plain\"",
        },
        "modules": {"units": "fn double(x) { x * 2 }"},
    })
}

/// One request on a connection of its own: status and body.
fn exchange(mut stream: impl Read + Write, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .context("send a request")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("read the answer to {method} {path}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer has a status")?;
    Ok((status, body.to_owned()))
}

impl Known {
    /// The generator's settings: which values stand for something that is there.
    pub(super) fn settings(&self) -> String {
        let numbers = |ids: &[i64]| format!("{ids:?}");
        let mut settings = String::new();
        let mut words = |name: &str, values: String| {
            writeln!(settings, "[dictionaries.{name}]\nvalues = {values}\n").expect("a string takes all");
        };
        words("apps", format!("{APPS:?}"));
        words("scripts", format!("{:?}", ["hello", "fails", "plain", "units"]));
        words("versions", numbers(&[1, 2, 3]));
        words("routes", numbers(&self.routes));
        words("collections", format!("{:?}", ["things", "others"]));
        words("values", format!("{:?}", ["a", "b/c"]));
        words("secrets", format!("{:?}", ["TOKEN"]));
        words("executions", format!("{:?}", self.executions));
        words("nodes", format!("{NODES:?}"));
        settings.push_str("[parameters]\n");
        for (parameter, dictionary) in [
            ("path.app", "apps"),
            ("path.script", "scripts"),
            ("path.version", "versions"),
            ("path.id", "routes"),
            ("path.collection", "collections"),
            ("path.key", "values"),
            ("path.name", "secrets"),
            ("path.execution", "executions"),
            ("path.node", "nodes"),
        ] {
            writeln!(settings, "\"{parameter}\" = {{ dictionary = \"{dictionary}\", probability = 0.7 }}")
                .expect("a string takes all");
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_name_what_is_there() {
        let known = Known { key: String::new(), key_id: 1, routes: vec![7, 8], executions: vec!["x".to_owned()] };
        let settings = known.settings();
        assert!(settings.contains("[dictionaries.routes]\nvalues = [7, 8]\n"), "{settings}");
        assert!(settings.contains("\"path.id\" = { dictionary = \"routes\", probability = 0.7 }\n"), "{settings}");
    }
}
