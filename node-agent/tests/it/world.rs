//! An appliance with a small app, agents beside it, and a person with `picloud`; all ended with the test.

use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(40);
/// How often it is looked at whether what is waited for is so: there is nothing that would tell.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The app: says, notes what was said, and tells of itself.
const APP: &[(&str, &str)] = &[
    (
        "app.toml",
        r#"
name = "led"
[[routes]]
path = "/say/{n}"
script = "say"
[[routes]]
path = "/get/{n}"
script = "get"
[[routes]]
path = "/who"
script = "who"
[[routes]]
path = "/secret"
script = "secret"
[[triggers]]
name = "on-said"
kind = "pubsub"
topic = "said"
script = "note"
"#,
    ),
    ("scripts/say.rhai", "pubsub::publish(\"said\", #{n: ctx.request.params.n})"),
    ("scripts/get.rhai", "try { kv::collection(\"noted\").get(ctx.request.params.n) } catch (e) { return e; }"),
    ("scripts/who.rhai", "import \"units\" as u; u::shout(ctx.node)"),
    ("scripts/secret.rhai", "try { secrets::get(\"door\") } catch (e) { return e.code; }"),
    (
        "scripts/note.rhai",
        "let c = kv::collection(\"noted\"); c.set(ctx.event.value.n, #{at: c.incr(\"count\", 1), event: ctx.event.id})",
    ),
    ("modules/units.rhai", "fn shout(s) { s + \"!\" }"),
    ("static/index.html", "<p>hello</p>"),
];

/// A process with a log, killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(command: &mut Command, log: PathBuf) -> Self {
        let out = File::options().create(true).append(true).open(&log).unwrap();
        let err = out.try_clone().unwrap();
        let child = command.env_clear().stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        Self { child, log }
    }

    /// Everything it has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said this.
    pub(crate) fn until_says(&self, text: &str) -> String {
        until(
            || self.log().lines().find(|line| line.contains(text)).map(str::to_owned),
            || format!("no line with {text:?} in:\n{}", self.log()),
        )
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        signal(&self.child, nix::sys::signal::Signal::SIGTERM);
        let (ended, log) = (self.child.wait().unwrap(), self.log());
        assert!(ended.success(), "{ended}: {log}");
    }

    /// Ends it at once, and waits until its worker has noticed.
    pub(crate) fn kill(&mut self) {
        crate::kill::kill(&mut self.child);
    }

    /// Waits until it ends by itself.
    pub(crate) fn until_ends(&mut self) -> i32 {
        let log = self.log.clone();
        until(
            || self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1)),
            || fs::read_to_string(&log).unwrap_or_default(),
        )
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it stand still, or go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        use nix::sys::signal::Signal;
        signal(&self.child, if frozen { Signal::SIGSTOP } else { Signal::SIGCONT });
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a failing test shows what its processes said")]
    fn drop(&mut self) {
        // Where it has ended already there is nothing to do.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}

pub(crate) fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

/// Everything that runs.
pub(crate) struct World {
    pub(crate) appliance: Process,
    pub(crate) ingress: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) folder: TempDir,
}

impl World {
    /// An appliance with the app.
    pub(crate) fn new() -> Self {
        let world = Self::empty();
        let app = world.folder.path().join("app");
        for (file, text) in APP {
            let path = app.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        world.ok(&["deploy", app.to_str().unwrap()]);
        world
    }

    /// An appliance with nothing.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free at this moment; an appliance that starts again must have the same.
        let [ingress, admin] = [free_address(), free_address()];
        let appliance = start_appliance(folder.path(), ingress, admin);
        Self { appliance, ingress, admin, folder }
    }

    /// Starts the appliance again, after it ended.
    pub(crate) fn restart_appliance(&mut self) {
        self.appliance = start_appliance(self.folder.path(), self.ingress, self.admin);
    }

    /// Runs `picloud` at the appliance's socket.
    pub(crate) fn picloud(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("picloud"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PICLOUD_SOCKET", self.folder.path().join("admin.sock"));
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

    /// A join token for one node.
    pub(crate) fn token(&self) -> String {
        self.json(&["join-tokens", "create"])["token"].as_str().unwrap().to_owned()
    }

    /// An agent that has joined with a token and serves.
    pub(crate) fn joined(&self, name: &str) -> Node {
        let node = self.node(name, &["--join-token", &self.token()]);
        node.until_state("up");
        node.until_serves();
        // From now on it can do without.
        node.until(|status| status["missing"] == 0);
        node
    }

    /// An agent that knows the appliance's address.
    pub(crate) fn node(&self, name: &str, flags: &[&str]) -> Node {
        let address = self.admin.to_string();
        Node::start(self.folder.path(), name, free_address(), &[&["--appliance", &address], flags].concat())
    }

    /// Waits until the appliance says this of a node.
    pub(crate) fn until_node(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let nodes = || self.json(&["nodes", "list"]);
        until(
            || nodes()["items"].as_array()?.iter().find(|node| node["name"] == name && is_so(node)).cloned(),
            || nodes().to_string(),
        )
    }

    /// What was noted, by the appliance's own store.
    pub(crate) fn noted(&self) -> serde_json::Map<String, Value> {
        let listed = self.json(&["--app", "led", "kv", "list", "noted", "--limit", "1000"]);
        let entries = listed["items"].as_array().unwrap().iter();
        entries.map(|entry| (entry["key"].as_str().unwrap().to_owned(), entry["value"].clone())).collect()
    }

    /// Waits until all of these were noted; answers what was.
    pub(crate) fn until_noted(&self, said: &[String]) -> serde_json::Map<String, Value> {
        until(
            || Some(self.noted()).filter(|noted| said.iter().all(|n| noted.contains_key(n))),
            || format!("{said:?} are not all in {:?}", self.noted()),
        )
    }
}

fn start_appliance(folder: &Path, ingress: SocketAddr, admin: SocketAddr) -> Process {
    let mut command = Command::new(program("picloud-appliance"));
    command.arg("serve").arg("--data-dir").arg(folder.join("appliance"));
    command.arg("--admin-socket").arg(folder.join("admin.sock"));
    command.args(["--ingress-addr", &ingress.to_string(), "--admin-addr", &admin.to_string(), "--mdns", "false"]);
    let log = folder.join("appliance.log");
    let said_before = fs::read_to_string(&log).unwrap_or_default().matches("admin API on").count();
    let process = Process::start(&mut command, log);
    until(|| (process.log().matches("admin API on").count() > said_before).then_some(()), || process.log());
    process
}

/// An agent.
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
}

impl Node {
    /// With these flags, and no mDNS.
    pub(crate) fn start(folder: &Path, name: &str, address: SocketAddr, flags: &[&str]) -> Self {
        let data = folder.join(name);
        let mut command = Command::new(program("picloud-node"));
        command.arg("run").arg("--data-dir").arg(&data).args(["--ingress-addr", &address.to_string()]);
        command.args(["--mdns", "false", "--name", name]).args(flags);
        let process = Process::start(&mut command, folder.join(format!("{name}.log")));
        Self { process, address, data }
    }

    /// Starts it again, after it ended.
    pub(crate) fn restart(&mut self, flags: &[&str]) {
        let name = self.data.file_name().unwrap().to_str().unwrap().to_owned();
        let folder = self.data.parent().unwrap().to_owned();
        self.process = Self::start(&folder, &name, self.address, flags).process;
    }

    /// What `picloud-node status` says.
    pub(crate) fn status(&self) -> Value {
        let out = self.run(&["status", "--json"]);
        serde_json::from_slice(&out.stdout).unwrap_or(Value::Null)
    }

    /// Another command of its program.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("picloud-node"));
        command.args(arguments).arg("--data-dir").arg(&self.data).env_clear().stdin(Stdio::null()).output().unwrap()
    }

    /// Waits until it says that it is so.
    pub(crate) fn until_state(&self, state: &str) -> Value {
        self.until(|status| status["state"] == state)
    }

    /// Waits until its status is so.
    pub(crate) fn until(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        until(|| Some(self.status()).filter(&is_so), || self.status().to_string())
    }

    /// Waits until it answers requests.
    pub(crate) fn until_serves(&self) {
        until(|| self.try_get("/led/who").ok().filter(|answer| answer.status == 200), || self.process.log());
    }

    /// GETs.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap()
    }

    /// The same, where it may be that nobody answers.
    pub(crate) fn try_get(&self, path: &str) -> std::io::Result<Answer> {
        ask(self.address, path)
    }

    /// Publishes each of these, one after the other; answers their events.
    pub(crate) fn say(&self, said: &[String]) -> Vec<String> {
        let say = |n: &String| {
            let answer = self.get(&format!("/led/say/{n}"));
            assert_eq!(answer.status, 200, "{n}: {}", answer.body);
            answer.body.trim_matches('"').to_owned()
        };
        said.iter().map(say).collect()
    }
}

/// What a URL answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// GETs a URL.
pub(crate) fn ask(address: SocketAddr, path: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Answer { status, body: body.to_owned() })
}

/// `a-0`, `a-1` …
pub(crate) fn numbered(prefix: &str, count: u32) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n}")).collect()
}

/// Looks until it is so.
pub(crate) fn until<T>(mut look: impl FnMut() -> Option<T>, otherwise: impl Fn() -> String) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not come to that: {}", otherwise());
        std::thread::sleep(LOOK_EVERY);
    }
}

/// An address that nobody else takes: one of the loopback network that is this process's own, for the port of something
/// that ends and starts again could otherwise become somebody's connection meanwhile.
pub(crate) fn free_address() -> SocketAddr {
    let [_high, a, b, c] = std::process::id().to_be_bytes();
    let own = std::net::Ipv4Addr::new(127, a.saturating_add(1), b, c.clamp(1, 254));
    TcpListener::bind((own, 0)).unwrap().local_addr().unwrap()
}

/// A program of this workspace, which is built beside this one.
pub(crate) fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_picloud-node")).with_file_name(name);
    assert!(
        program.exists(),
        "{} does not exist: test the whole workspace, or build it with `cargo build --workspace --bins`",
        program.display()
    );
    program
}
