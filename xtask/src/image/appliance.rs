//! An appliance on this machine's loopback, which the stories of other machines need.

use super::boot::Place;
use super::tools;
use crate::cross;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_WAIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// It ends when this is dropped, or when whoever started it ends.
pub(crate) struct Appliance {
    child: Child,
    folder: tempfile::TempDir,
    programs: PathBuf,
    /// Of its admin API.
    pub(crate) port: u16,
}

impl Appliance {
    /// Starts it and waits until it answers.
    pub(crate) fn start(place: &Place<'_>) -> Result<Appliance> {
        let programs = cross::as_tests(place.root)?;
        let folder = tempfile::tempdir().context("make a folder for the appliance")?;
        let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let (ingress, admin) = (free()?, free()?);
        let log = fs::File::create(folder.path().join("log"))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(programs.join("picloud-appliance"))
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
        let deadline = Instant::now() + START_WAIT;
        while appliance.ask(&["status"]).is_err() {
            let log = fs::read_to_string(appliance.folder.path().join("log")).unwrap_or_default();
            ensure!(appliance.child.try_wait()?.is_none(), "the appliance ended:\n{log}");
            ensure!(Instant::now() < deadline, "the appliance does not answer:\n{log}");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(appliance)
    }

    /// Takes a backup into a new repository, `folder`; answers the password that opens it.
    pub(crate) fn back_up(&self, folder: &Path) -> Result<String> {
        let password = self.folder.path().join("backup.password");
        for command in ["init", "backup"] {
            tools::run(
                Command::new(self.programs.join("picloud-appliance"))
                    .args(["repository", command, "--config", "/dev/null", "--data-dir"])
                    .arg(self.folder.path().join("data"))
                    .arg("--admin-socket")
                    .arg(self.folder.path().join("admin.sock"))
                    .arg("--backup-repository")
                    .arg(folder)
                    .arg("--backup-password-file")
                    .arg(&password),
            )?;
        }
        Ok(fs::read_to_string(password).context("read the password that was made")?.trim().to_owned())
    }

    /// What `picloud` answers, as JSON.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<Value> {
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
