//! An appliance that serves a copy of `examples/quickstart`, and a person with another copy and a terminal.

use crate::program::{PATIENCE, Ran, picloud, run};
use serde_json::Value;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;
use tempfile::TempDir;

/// A running appliance, ended with the test.
pub(crate) struct World {
    folder: TempDir,
    child: Child,
    ingress: SocketAddr,
    /// URL and fingerprint.
    https: Option<(String, String)>,
}

impl World {
    /// `picloud-appliance dev quickstart`, once it has deployed the folder.
    pub(crate) fn quickstart() -> Self {
        Self::start(&[], |served| copy(&example(), served))
    }

    /// The same, with the admin API at an HTTPS port, too.
    pub(crate) fn with_https() -> Self {
        Self::start(&["--admin-addr", "127.0.0.1:0"], |served| copy(&example(), served))
    }

    /// `picloud-appliance dev` on the app folder that `make` makes.
    pub(crate) fn serving(make: impl FnOnce(&Path)) -> Self {
        Self::start(&[], make)
    }

    fn start(more: &[&str], make: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("served"));
        copy(&example(), &folder.path().join("work"));
        let mut child = Command::new(appliance())
            .args(["dev", "served", "--ingress-addr", "127.0.0.1:0"])
            .args(more)
            .env_clear()
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        for source in [boxed(child.stdout.take()), boxed(child.stderr.take())] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                // Reads on when nobody listens any more: a full pipe would stop the appliance.
                for line in BufReader::new(source).lines().map_while(Result::ok) {
                    let _nobody = sender.send(line);
                }
            });
        }
        drop(sender);
        // Ended by the drop, also where the lines do not come.
        let mut world = Self { folder, child, ingress: ([127, 0, 0, 1], 0).into(), https: None };
        let ready = wait_for(&lines, " answers on http://");
        let addr = ready.split_once("http://").unwrap().1.split(' ').next().unwrap();
        world.ingress = addr.parse().unwrap();
        if !more.is_empty() {
            let said = wait_for(&lines, "admin API on https://");
            let (url, fingerprint) = said.split_once(" (CA fingerprint SHA256 ").unwrap();
            let url = url.trim_start_matches("admin API on ").to_owned();
            world.https = Some((url, fingerprint.trim_end_matches(')').to_owned()));
        }
        wait_for(&lines, " (revision 1)");
        world
    }

    /// Runs `picloud` in the person's copy of the app folder.
    pub(crate) fn picloud(&self, arguments: &[&str]) -> Ran {
        self.picloud_with_input(arguments, "")
    }

    /// The same, with something on standard input.
    pub(crate) fn picloud_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = picloud(&self.work());
        command.env("PICLOUD_SOCKET", self.socket()).args(arguments);
        run(command, input)
    }

    /// The URL of the admin API, and the fingerprint of its CA.
    pub(crate) fn https(&self) -> (&str, &str) {
        let (url, fingerprint) = self.https.as_ref().unwrap();
        (url, fingerprint)
    }

    /// Runs `picloud` over HTTPS, as somebody with this folder as their home.
    pub(crate) fn afar(&self, home: &Path, key: &str, arguments: &[&str]) -> Ran {
        let mut command = picloud(home);
        command.env("HOME", home).env("PICLOUD_URL", self.https().0).env("PICLOUD_APP", "quickstart").args(arguments);
        if !key.is_empty() {
            command.env("PICLOUD_KEY", key);
        }
        run(command, "")
    }

    /// Runs a command that works; answers what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.picloud(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran.out
    }

    /// Runs a command that works with `--json`; answers the JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let out = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }

    /// Runs a command that ends with `code` and prints nothing; answers what it said on standard error.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let ran = self.picloud(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{arguments:?}: {ran:?}");
        ran.err
    }

    /// The same with `--json`; answers the problem.
    pub(crate) fn problem(&self, code: i32, arguments: &[&str]) -> Value {
        let err = self.fails(code, &[arguments, &["--json"]].concat());
        serde_json::from_str(&err).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {err}"))
    }

    /// The app's revision: the same as before where nothing was changed.
    pub(crate) fn revision(&self) -> i64 {
        self.json(&["apps", "get", "quickstart"])["revision"].as_i64().unwrap()
    }

    /// GETs a URL of a script: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let answer = self.try_get(path).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// GETs a URL whose connection may be cut off: all that comes.
    pub(crate) fn try_get(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.ingress, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Runs a command again and again until its JSON is as expected.
    pub(crate) fn until(&self, arguments: &[&str], expected: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ran = self.picloud(&[arguments, &["--json"]].concat());
            if let Some(value) = serde_json::from_str(&ran.out).ok().filter(&expected) {
                return value;
            }
            assert!(Instant::now() < deadline, "{arguments:?}: it did not come to that: {ran:?}");
        }
    }

    /// What a URL answers with 200.
    pub(crate) fn answer(&self, path: &str) -> String {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Writes a file of the person's copy.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.work().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Changes a file of the person's copy.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{file} has no {from:?}");
        self.write(file, &text.replacen(from, to, 1));
    }

    /// A file of the person's copy.
    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.work().join(file)).unwrap()
    }

    /// Where everything of this test is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The person's copy of the app folder.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The folder that the appliance serves.
    pub(crate) fn served(&self) -> PathBuf {
        self.folder.path().join("served")
    }

    /// Ends the appliance as a failing machine would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Begins a command that goes on; what it prints comes line by line.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Going {
        let mut command = picloud(&self.work());
        command.env("PICLOUD_SOCKET", self.socket()).args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let out = boxed(child.stdout.take());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _nobody = sender.send(line);
            }
        });
        Going { child, lines }
    }

    /// The admin socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.served().join(".picloud/admin.sock")
    }
}

/// A command that goes on until it is dropped.
pub(crate) struct Going {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Going {
    /// The next line with this text.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        wait_for(&self.lines, text)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // It may have ended already; its worker ends with it, for their socket closes.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The appliance's program, which is built beside `picloud`.
fn appliance() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_picloud")).with_file_name("picloud-appliance");
    assert!(
        program.exists(),
        "{} does not exist: build it with `cargo build -p picloud-appliance`, or test the whole workspace",
        program.display()
    );
    program
}

fn boxed(source: Option<impl Read + Send + 'static>) -> Box<dyn Read + Send> {
    Box::new(source.unwrap())
}

fn wait_for(lines: &mpsc::Receiver<String>, text: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => seen.push(line),
            Err(RecvTimeoutError::Timeout) => panic!("no line with {text:?} came; so far:\n{}", seen.join("\n")),
            Err(RecvTimeoutError::Disconnected) => panic!("the appliance ended:\n{}", seen.join("\n")),
        }
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart")
}

/// Copies a folder, without what is hidden in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
