//! The story of a node: its card carries a join token, an appliance runs on this machine, and nobody approves.

use super::boot::{Place, say, settled};
use super::tools;
use crate::cross;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What QEMU calls this machine, seen from inside.
const THIS_MACHINE: &str = "10.0.2.2";
const APPLIANCE_WAIT: Duration = Duration::from_secs(60);
const NODE_WAIT: Duration = Duration::from_secs(15 * 60);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// An appliance on this machine's loopback; ended when it is dropped.
struct Appliance {
    child: Child,
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
}

impl Appliance {
    fn start(place: &Place<'_>) -> Result<Appliance> {
        let programs = cross::as_tests(place.root)?;
        let folder = tempfile::tempdir().context("make a folder for the appliance")?;
        let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let (ingress, admin) = (free()?, free()?);
        let log = fs::File::create(folder.path().join("log"))?;
        let child = Command::new(programs.join("picloud-appliance"))
            .arg("serve")
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .arg("--admin-socket")
            .arg(folder.path().join("admin.sock"))
            .args(["--ingress-addr", &ingress.to_string(), "--admin-addr", &admin.to_string(), "--mdns", "false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start the appliance")?;
        let mut appliance = Appliance { child, folder, programs, port: admin.port() };
        let deadline = Instant::now() + APPLIANCE_WAIT;
        while appliance.ask(&["status"]).is_err() {
            let log = fs::read_to_string(appliance.folder.path().join("log")).unwrap_or_default();
            ensure!(appliance.child.try_wait()?.is_none(), "the appliance ended:\n{log}");
            ensure!(Instant::now() < deadline, "the appliance does not answer:\n{log}");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(appliance)
    }

    /// What `picloud` answers, as JSON.
    fn ask(&self, args: &[&str]) -> Result<Value> {
        let out = tools::output(
            Command::new(self.programs.join("picloud"))
                .args(args)
                .arg("--json")
                .env("PICLOUD_SOCKET", self.folder.path().join("admin.sock"))
                .env("HOME", self.folder.path()),
        )?;
        serde_json::from_slice(&out).with_context(|| format!("`picloud {}` answered no JSON", args.join(" ")))
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// From power on to a node that is up and answers a script of the appliance.
pub(crate) fn node(place: &Place<'_>) -> Result<()> {
    let appliance = Appliance::start(place)?;
    let app = place.root.join("examples/quickstart");
    appliance.ask(&["deploy", &app.to_string_lossy()])?;
    let made = appliance.ask(&["join-tokens", "create", "--label", "room=garage"])?;
    let token = made["token"].as_str().context("`picloud join-tokens create` told no token")?;
    let card = place.card("garage")?;
    card.write(
        "picloud.toml",
        &format!(
            "host_name = \"garage\"\n\n[node]\nappliance = \"{THIS_MACHINE}:{}\"\njoin_token = \"{token}\"\n",
            appliance.port
        ),
    )?;
    let mut machine = card.start()?;
    let node = machine.wait("a node that is up", NODE_WAIT, |_| {
        let nodes = appliance.ask(&["nodes", "list"]).ok()?;
        nodes["items"].as_array()?.iter().find(|node| node["name"] == "garage" && node["state"] == "up").cloned()
    })?;
    say(&machine, &format!("the appliance lets the node in: {}, {}", node["name"], node["state"]));
    let answer = machine.wait("the script's answer by the node", NODE_WAIT, |machine| {
        machine.get(80, "/quickstart/hello").ok().filter(|(status, _)| *status == 200)
    })?;
    say(&machine, &format!("the node answers a script: {}", answer.1.trim()));
    place.wait_for_login(&mut machine)?;
    settled(place, &mut machine)?;
    place.off(&mut machine)?;
    drop(machine);
    ensure!(!card.read("picloud.toml")?.contains(token), "the join token is still on the card");
    println!("   picloud-report.txt:\n{}", card.read("picloud-report.txt")?);
    Ok(())
}
