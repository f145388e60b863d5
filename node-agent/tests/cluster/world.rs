//! An appliance on host 1, agents on the others, the ledger deployed, and a person with `picloud`.

use crate::lab::{LOOK_EVERY, Lab, PATIENCE, Process, program};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a request may take: longer than a script may run.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Everything that runs.
pub(crate) struct World {
    pub(crate) appliance: Process,
    pub(crate) nodes: BTreeMap<String, Process>,
    /// The data folder of the appliance that `picloud` asks.
    pub(crate) asked: String,
    // After the processes, which are ended first.
    pub(crate) lab: Lab,
}

/// How an agent is started.
pub(crate) struct Agent<'a> {
    /// Its name: of its data folder and its log, and what it calls itself where the host has no better one.
    pub(crate) name: &'a str,
    /// On which host.
    pub(crate) host: u8,
    /// At which port it answers requests.
    pub(crate) port: u16,
    /// Further flags.
    pub(crate) flags: &'a [&'a str],
    /// Further environment.
    pub(crate) environment: &'a [(&'a str, &'a str)],
}

impl<'a> Agent<'a> {
    /// On this host, at the usual port.
    pub(crate) fn on(host: u8, name: &'a str, flags: &'a [&'a str]) -> Self {
        Self { name, host, port: 8080, flags, environment: &[] }
    }
}

impl World {
    /// An appliance on the first of these hosts, with the ledger.
    pub(crate) fn of(hosts: &[&str]) -> Self {
        Self::with(hosts, &[])
    }

    /// The same with further flags for the appliance.
    pub(crate) fn with(hosts: &[&str], flags: &[&str]) -> Self {
        let lab = Lab::of(hosts);
        let appliance = start_appliance(&lab, 1, flags);
        let world = Self { appliance, nodes: BTreeMap::new(), asked: data_of(1), lab };
        world.ok(&["deploy", ledger().to_str().unwrap()]);
        world
    }

    /// The same, with an agent on each further host that has joined by token and is up, called as its host is.
    pub(crate) fn joined(hosts: &[&str]) -> Self {
        let mut world = Self::of(hosts);
        world.join(&hosts[1..]);
        world
    }

    /// Starts an agent on host 2 and so on, which join by token, and waits until they are up.
    pub(crate) fn join(&mut self, names: &[&str]) {
        let token = self.token(u32::try_from(names.len()).unwrap());
        for (name, host) in names.iter().zip(2..) {
            self.start(&Agent::on(host, name, &["--join-token", &token]));
        }
        for name in names {
            self.until_up(name);
        }
    }

    /// A join token that lets in so many.
    pub(crate) fn token(&self, uses: u32) -> String {
        let made = self.json(&["join-tokens", "create", "--uses", &uses.to_string()]);
        made["token"].as_str().unwrap().to_owned()
    }

    /// Starts an agent, or starts it again.
    pub(crate) fn start(&mut self, agent: &Agent<'_>) {
        let (data, log) = (self.data(agent.name), self.lab.folder("logs").join(agent.name));
        let address = format!("0.0.0.0:{}", agent.port);
        let data = data.to_str().unwrap();
        let mut arguments = vec!["run", "--data-dir", data, "--ingress-addr", &address];
        arguments.extend(agent.flags);
        let host = self.lab.host(agent.host);
        let process = host.spawn(&program("picloud-node"), &arguments, agent.environment, &log);
        self.nodes.insert(agent.name.to_owned(), process);
    }

    /// The data folder of the agent that was started with this name.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.lab.folder(&format!("data/{name}"))
    }

    /// The running agent.
    pub(crate) fn node(&mut self, name: &str) -> &mut Process {
        self.nodes.get_mut(name).unwrap()
    }

    /// Starts the appliance again, after it ended.
    pub(crate) fn restart_appliance(&mut self) {
        self.appliance = start_appliance(&self.lab, 1, &[]);
    }

    /// What `picloud-node status` says of the agent.
    pub(crate) fn status(&self, name: &str) -> Value {
        let data = self.data(name);
        let mut command = Command::new(program("picloud-node"));
        let out = command.args(["status", "--json", "--data-dir"]).arg(data).env_clear().output().unwrap();
        serde_json::from_slice(&out.stdout).unwrap_or(Value::Null)
    }

    /// Waits until the appliance says that the node is up and answers from all that was deployed.
    pub(crate) fn until_up(&self, name: &str) -> Value {
        self.until_node(name, serves)
    }

    /// Waits until the appliance says this of a node.
    pub(crate) fn until_node(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.until(&["nodes", "list"], |nodes| {
            nodes["items"].as_array()?.iter().find(|node| node["name"] == name && is_so(node)).cloned()
        })
    }

    /// Runs a command again and again until its JSON is as it is wanted.
    pub(crate) fn until<T>(&self, arguments: &[&str], wanted: impl Fn(&Value) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let out = self.picloud(&[arguments, &["--json"]].concat());
            if let Some(found) = serde_json::from_slice(&out.stdout).ok().as_ref().and_then(&wanted) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{arguments:?}: it does not come to that: {out:?}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Runs `picloud` at the appliance's socket.
    pub(crate) fn picloud(&self, arguments: &[&str]) -> Output {
        let socket = socket(&self.data(&self.asked));
        let mut command = Command::new(program("picloud"));
        command.env_clear().env("HOME", self.lab.folder("home")).env("PICLOUD_SOCKET", socket);
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// A command that works.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let out = self.picloud(arguments);
        assert!(out.status.success(), "{arguments:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// The JSON of a command that works.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let out = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }

    /// All entries of a collection of the ledger, read from the store.
    pub(crate) fn entries(&self, collection: &str) -> BTreeMap<String, Value> {
        let mut entries = BTreeMap::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut arguments = vec!["--app", "ledger", "kv", "list", collection, "--limit", "1000"];
            arguments.extend(cursor.as_deref().iter().flat_map(|cursor| ["--cursor", cursor]));
            let listed = self.json(&arguments);
            for entry in listed["items"].as_array().unwrap() {
                entries.insert(entry["key"].as_str().unwrap().to_owned(), entry["value"].clone());
            }
            match listed["cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return entries,
            }
        }
    }

    /// Waits until every one of these publishes was noted.
    pub(crate) fn until_noted(&self, said: &[String]) -> BTreeMap<String, Value> {
        self.until_noted_after(said, "")
    }

    /// The same; where it does not come to that, what happened before is told.
    pub(crate) fn until_noted_after(&self, said: &[String], story: &str) -> BTreeMap<String, Value> {
        let begun = Instant::now();
        loop {
            let noted = self.entries("noted");
            if said.iter().all(|n| noted.contains_key(n)) {
                return noted;
            }
            let missing: Vec<_> = said.iter().filter(|n| !noted.contains_key(*n)).collect();
            assert!(begun.elapsed() < PATIENCE, "not noted: {missing:?} {story}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Asks a host's ledger.
    pub(crate) fn get(&self, host: u8, path: &str) -> Answer {
        ask(self.lab.host(host).address(), 8080, "GET", path).unwrap()
    }

    /// Waits until a host's ledger answers.
    pub(crate) fn until_answers(&self, host: u8) {
        let begun = Instant::now();
        while !ask(self.lab.host(host).address(), 8080, "GET", "/who").is_ok_and(|answer| answer.status == 200) {
            assert!(begun.elapsed() < PATIENCE, "host {host} does not answer");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Tells a host's ledger.
    pub(crate) fn post(&self, host: u8, path: &str) -> Answer {
        ask(self.lab.host(host).address(), 8080, "POST", path).unwrap()
    }

    /// Publishes each of these at a host, one after the other; all are acknowledged.
    pub(crate) fn say(&self, host: u8, said: &[String]) {
        for n in said {
            let answer = self.post(host, &format!("/say/{n}"));
            assert_eq!(answer.status, 200, "{n}: {}", answer.body);
        }
    }
}

/// Whether the appliance says that the node is up and answers from all that was deployed: being connected comes first.
pub(crate) fn serves(node: &Value) -> bool {
    node["state"] == "up" && node["in_step"] == true
}

/// Names that go on counting: `a-000`, `a-001` …
pub(crate) fn numbered(prefix: &str, count: u32) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n:03}")).collect()
}

/// What a URL answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Its body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asks a ledger.
pub(crate) fn ask(host: Ipv4Addr, port: u16, method: &str, path: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&(host, port).into(), ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    write!(
        stream,
        "{method} /ledger{path} HTTP/1.1\r\nhost: ledger\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// An appliance on this host, once it answers.
pub(crate) fn start_appliance(lab: &Lab, host: u8, flags: &[&str]) -> Process {
    start_appliance_with(lab, host, flags, &[])
}

/// The same with further environment.
pub(crate) fn start_appliance_with(lab: &Lab, host: u8, flags: &[&str], environment: &[(&str, &str)]) -> Process {
    let name = data_of(host);
    let (data, log) = (lab.folder(&format!("data/{name}")), lab.folder("logs").join(&name));
    let socket = socket(&data);
    let mut arguments = vec!["serve", "--data-dir", data.to_str().unwrap(), "--admin-socket", socket.to_str().unwrap()];
    arguments.extend(flags);
    let before = std::fs::read_to_string(&log).map_or(0, |said| said.lines().count());
    let mut process = lab.host(host).spawn(&program("picloud-appliance"), &arguments, environment, &log);
    process.until_said_after(before, "answers on http");
    process
}

/// The name of the data folder of the appliance on this host.
pub(crate) fn data_of(host: u8) -> String {
    format!("appliance-{host}")
}

fn socket(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// The app.
pub(crate) fn ledger() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/ledger")
}
