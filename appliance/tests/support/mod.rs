//! Starts the real program on a folder of its own and talks to it: HTTP on its ingress, HTTP on its socket.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything takes that works, on a machine that does other things as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the program has printed so far, on both outputs.
#[derive(Clone, Default)]
pub(crate) struct Output(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Output {
    fn follow(&self, source: impl Read + Send + 'static) {
        let output = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines() {
                let Ok(line) = line else { return };
                output.0.0.lock().unwrap().push(line);
                output.0.1.notify_all();
            }
        });
    }

    /// Waits for a line after the first `from` that has `text` in it; answers it and its place.
    pub(crate) fn wait_for(&self, from: usize, text: &str) -> (usize, String) {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.0.0.lock().unwrap();
        loop {
            let found = lines.iter().enumerate().skip(from).find(|(_, line)| line.contains(text));
            if let Some((place, line)) = found {
                return (place, line.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no line with {text:?} came; so far:\n{}", lines.join("\n"));
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.0.0.lock().unwrap().join("\n")
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.0.0.lock().unwrap().len()
    }
}

/// A running program; killed at the end of the test if it still runs.
pub(crate) struct Appliance {
    pub(crate) child: Child,
    pub(crate) output: Output,
    pub(crate) ingress: SocketAddr,
    pub(crate) socket: PathBuf,
}

impl Appliance {
    /// `serve` with data and socket in `data`.
    pub(crate) fn serve(data: &Path) -> Self {
        Self::start(serve_command(data))
    }

    /// `dev FOLDER`.
    pub(crate) fn dev(folder: &Path) -> Self {
        let mut command = program();
        command.arg("dev").arg(folder).args(["--ingress-addr", "127.0.0.1:0"]);
        Self::start(command)
    }

    /// Starts what `command` says.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Output::default();
        output.follow(child.stdout.take().unwrap());
        output.follow(child.stderr.take().unwrap());
        // PiCloud 0.1.0 answers on http://127.0.0.1:40123 (admin socket /tmp/x/admin.sock)
        let (_, line) = output.wait_for(0, " answers on http://");
        let after = line.split_once(" answers on http://").unwrap().1;
        let (addr, rest) = after.split_once(" (admin socket ").unwrap();
        Self { child, output, ingress: addr.parse().unwrap(), socket: rest.trim_end_matches(')').into() }
    }

    /// A request to the routes.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    /// A request to the routes.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let ingress = self.ingress;
        exchange(async move { tokio::net::TcpStream::connect(ingress).await }, method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.output.text()))
    }

    /// A request to the routes that may be cut off.
    pub(crate) fn try_get(&self, path: &str) -> Result<Reply, String> {
        let ingress = self.ingress;
        exchange(async move { tokio::net::TcpStream::connect(ingress).await }, "GET", path, &[], b"")
    }

    /// A request to the admin API, below `/api/v1`.
    pub(crate) fn admin(&self, method: &str, path: &str, body: &str) -> Reply {
        self.admin_with(method, path, &[], body)
    }

    /// The same with headers.
    pub(crate) fn admin_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let socket = self.socket.clone();
        let path = format!("/api/v1{path}");
        let connect = async move { tokio::net::UnixStream::connect(socket).await };
        exchange(connect, method, &path, headers, body.as_bytes())
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.output.text()))
    }

    /// Deploys and expects that it works.
    pub(crate) fn deploy(&self, bundle: &serde_json::Value) -> serde_json::Value {
        let app = bundle["name"].as_str().unwrap();
        let reply = self.admin("POST", &format!("/apps/{app}/deploy"), &bundle.to_string());
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// The worker's process id.
    pub(crate) fn worker_pid(&self) -> i32 {
        let status = self.admin("GET", "/status", "").json();
        i32::try_from(status["worker"]["pid"].as_i64().expect("a worker runs")).unwrap()
    }

    /// Sends a signal to the program and waits for its end.
    pub(crate) fn end(&mut self, signal: nix::sys::signal::Signal) -> std::process::ExitStatus {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // It may have ended already; its worker ends with it, for their socket closes.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The program, with no settings from the test's own environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_picloud-appliance"));
    for (name, _value) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PICLOUD_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// `serve` with data and socket in `data`, on a free port.
pub(crate) fn serve_command(data: &Path) -> Command {
    let config = data.join("empty.toml");
    std::fs::create_dir_all(data).unwrap();
    std::fs::write(&config, "").unwrap();
    let mut command = program();
    command.arg("serve").arg("--config").arg(config);
    command.arg("--data-dir").arg(data.join("data")).arg("--admin-socket").arg(data.join("admin.sock"));
    command.args(["--ingress-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
    command
}

/// Runs a program that is expected to end by itself; answers its code and what it said on standard error.
pub(crate) fn fails(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().expect("it ends by itself"), String::from_utf8(output.stderr).unwrap())
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: it did not come to that");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// One request over a connection of its own.
pub(crate) fn exchange<S>(
    connect: impl Future<Output = Result<S, std::io::Error>>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Reply, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut request = http::Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("host", "localhost");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(bytes::Bytes::copy_from_slice(body))).map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let talk = async {
            let stream = connect.await.map_err(|e| e.to_string())?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
            tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes().to_vec();
            Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
        };
        tokio::time::timeout(PATIENCE, talk).await.map_err(|_elapsed| "no answer came".to_owned())?
    })
}
