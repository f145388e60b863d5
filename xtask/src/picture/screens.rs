//! The pictures of the terminal UI: a real appliance with the examples, some requests, and `picloud` in a tmux of its own.

use super::{Running, screen};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const COLUMNS: usize = 80;
const LINES: usize = 24;
/// The apps that are looked at, below `examples/`.
const APPS: &[&str] = &["guestbook", "orders", "sensors", "shortener"];
/// Answered while the pictures are taken; nobody else may have the port.
const INGRESS: &str = "127.0.0.1:8080";
/// What somebody asked before the picture was taken: the body of a POST, or a GET where it is empty; the path; how often.
const REQUESTS: &[(&str, &str, usize)] = &[
    ("", "/guestbook/", 9),
    (r#"{"customer":"ada","item":"lamp","card":"4711"}"#, "/orders/orders", 4),
    (r#"{"customer":"bob","item":"chair","card":"declined"}"#, "/orders/orders", 2),
    ("{}", "/orders/orders", 1),
    ("", "/orders/problems", 3),
    ("", "/sensors/readings/kitchen", 2),
];
/// How long anything may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Numbers of a live screen are exchanged every few seconds, so as to cost little over SSH.
const NUMBERS_SETTLE: Duration = Duration::from_secs(6);

/// A picture: keys, and what is waited for after each; where it goes, what it is of.
struct Picture {
    keys: &'static [(&'static str, &'static str)],
    file: &'static str,
    title: &'static str,
}

const PICTURES: &[Picture] = &[
    Picture {
        keys: &[("", "dead letter"), ("", "RECENT RUNS")],
        file: "docs/home.svg",
        title: "The terminal UI: what needs a person, machines, the last hour, recent runs",
    },
    Picture {
        keys: &[(":", "Go or do"), ("pay", "pay"), ("Enter", "used by"), ("e", "EDIT")],
        file: "docs/editor.svg",
        title: "The terminal UI: a script in the editor, with what uses it",
    },
];

/// Draws all of them.
pub(super) fn run(root: &Path) -> Result<()> {
    let build = ["build", "--release", "--package", "picloud-appliance", "--package", "picloud"];
    ensure!(Command::new("cargo").args(build).current_dir(root).status()?.success(), "the programs do not build");
    let stage = root.join("target/picture-screens");
    if stage.exists() {
        fs::remove_dir_all(&stage).context("clear the last picture's stage")?;
    }
    fs::create_dir_all(&stage)?;
    let socket = stage.join("admin.sock");
    let program = |name: &str| Command::new(root.join("target/release").join(name));
    let mut serve = program("picloud-appliance");
    serve.arg("serve").arg("--data-dir").arg(stage.join("data")).arg("--admin-socket").arg(&socket);
    serve.args(["--ingress-addr", INGRESS, "--admin-addr", "127.0.0.1:0", "--mdns", "false"]);
    let _appliance = Running(serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    until("the appliance answers", || {
        let asked = program("picloud").args(["status"]).env("PICLOUD_SOCKET", &socket).output();
        asked.is_ok_and(|output| output.status.success())
    })?;
    for app in APPS {
        let folder = root.join("examples").join(app);
        let deployed = program("picloud").arg("deploy").arg(folder).env("PICLOUD_SOCKET", &socket).output()?;
        ensure!(deployed.status.success(), "{app}: {}", String::from_utf8_lossy(&deployed.stderr));
    }
    for (body, path, times) in REQUESTS {
        let url = format!("http://{INGRESS}{path}");
        let mut arguments = vec!["--silent", "--output", "/dev/null", &url];
        if !body.is_empty() {
            arguments.extend(["--data", body]);
        }
        for _ in 0..*times {
            Command::new("curl").args(&arguments).status().context("start curl")?;
        }
    }
    let tmux = Tmux::start(&stage, &root.join("target/release/picloud"), &socket)?;
    for picture in PICTURES {
        for (key, text) in picture.keys {
            if !key.is_empty() {
                tmux.ask(&["send-keys", "-t", "picture", key])?;
            }
            until(text, || tmux.shown(false).is_ok_and(|shown| shown.contains(text)))?;
        }
        std::thread::sleep(NUMBERS_SETTLE);
        let svg = screen::draw(&tmux.shown(true)?, COLUMNS, picture.title);
        fs::write(root.join(picture.file), svg).with_context(|| format!("write `{}`", picture.file))?;
        println!("{}\ndrawn as {}\n", tmux.shown(false)?, picture.file);
    }
    Ok(())
}

fn until(what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        ensure!(Instant::now() < deadline, "{what}: it did not come to that");
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// A tmux server of our own, ended with the pictures.
struct Tmux {
    socket: String,
}

impl Tmux {
    fn start(stage: &Path, program: &Path, socket: &Path) -> Result<Self> {
        let tmux = Self { socket: stage.join("tmux").display().to_string() };
        let command = format!(
            "env LC_ALL=C.UTF-8 PICLOUD_SOCKET={} HOME={} {}",
            socket.display(),
            stage.display(),
            program.display()
        );
        let (columns, lines) = (COLUMNS.to_string(), LINES.to_string());
        tmux.ask(&["-f", "/dev/null", "new-session", "-d", "-s", "picture", "-x", &columns, "-y", &lines, &command])?;
        Ok(tmux)
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output =
            Command::new("tmux").args(["-u", "-S", &self.socket]).args(arguments).stdin(Stdio::null()).output();
        let output = output.context("start tmux")?;
        ensure!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn shown(&self, with_looks: bool) -> Result<String> {
        let looks: &[&str] = if with_looks { &["-e"] } else { &[] };
        self.ask(&[&["capture-pane", "-p", "-t", "picture"], looks].concat())
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It may have ended with its program.
        drop(self.ask(&["kill-server"]));
    }
}
