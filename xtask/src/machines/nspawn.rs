//! A machine without a kernel of its own: systemd as process 1 of a container, with a network that only it is on.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Booting takes a second or two; on a busy machine more.
const BOOT_MAX: Duration = Duration::from_secs(90);
/// How often is looked at what nothing announces.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A machine that runs. It is killed when it is dropped.
pub(super) struct Container {
    nspawn: Child,
    /// Its process 1, as seen from here.
    leader: u32,
    root: PathBuf,
}

impl Container {
    /// Boots `root`, and waits until all that is to be started is started.
    pub(super) fn boot(root: &Path) -> Result<Self> {
        let mut nspawn = Command::new("systemd-nspawn")
            .arg("--directory")
            .arg(root)
            // Without a systemd of this machine to tell; with a cgroup tree as on today's machines; with no network but `lo`.
            .args([
                "--quiet",
                "--boot",
                "--register=no",
                "--keep-unit",
                "--link-journal=no",
                "--console=pipe",
                "--private-network",
            ])
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start systemd-nspawn (only root can)")?;
        let leader = until("systemd answers in the machine", BOOT_MAX, || {
            ensure!(nspawn.try_wait()?.is_none(), "systemd-nspawn ended at once: run it by hand to see why");
            process_1_below(nspawn.id())
        });
        let leader = match leader {
            Ok(leader) => leader,
            Err(error) => {
                let _gone = nspawn.kill();
                let _reaped = nspawn.wait();
                return Err(error);
            }
        };
        let container = Self { nspawn, leader, root: root.to_owned() };
        let state = container.output("systemctl is-system-running --wait || true")?;
        ensure!(
            matches!(state.trim(), "running" | "degraded"),
            "the machine came up `{}`:\n{}",
            state.trim(),
            container.output("systemctl --failed --no-legend --plain; systemctl list-jobs --no-legend")?
        );
        Ok(container)
    }

    /// What a line of shell prints, in the machine, as root.
    pub(super) fn output(&self, line: &str) -> Result<String> {
        let said = self.shell(line).output().context("start nsenter")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        ensure!(
            said.status.success(),
            "`{line}` failed ({}): {} {}",
            said.status,
            text(&said.stdout),
            text(&said.stderr)
        );
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    /// Whether a line of shell succeeds there.
    pub(super) fn succeeds(&self, line: &str) -> Result<bool> {
        Ok(self.shell(line).output().context("start nsenter")?.status.success())
    }

    /// Runs a line of shell there until it succeeds.
    pub(super) fn until_succeeds(&self, line: &str, wait_max: Duration) -> Result<()> {
        until(&format!("`{line}` succeeds"), wait_max, || Ok(self.succeeds(line)?.then_some(())))
    }

    /// A program of this machine, on the network of that one.
    pub(super) fn on_its_network(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.leader.to_string()).arg("--net").arg("--").arg(program).stdin(Stdio::null());
        command
    }

    /// Pulls its plug: everything in it is gone at once. What was not yet on the disk of this machine is still in its
    /// memory, so this is less than a power cut.
    pub(super) fn cut(mut self) -> Result<()> {
        self.kill()
    }

    /// Switches it off in order.
    pub(super) fn power_off(mut self) -> Result<()> {
        // The shell that asks for it may be ended by it.
        let _cut_off = self.succeeds("systemctl poweroff")?;
        until("the machine is off", BOOT_MAX, || Ok(self.nspawn.try_wait()?.map(drop)))
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg("--target")
            .arg(self.leader.to_string())
            .args([
                "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd", "--", "/bin/sh", "-c",
                line,
            ])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        command
    }

    fn kill(&mut self) -> Result<()> {
        if self.nspawn.try_wait()?.is_none() {
            // Process 1 takes all others of its machine with it.
            let _gone = Command::new("kill").args(["-KILL", &self.leader.to_string()]).stderr(Stdio::null()).status();
            self.nspawn
                .wait()
                .with_context(|| format!("wait for the end of the machine in {}", self.root.display()))?;
        }
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _said_nowhere = self.kill();
    }
}

/// Looks until there is something, for a bounded time.
pub(super) fn until<T>(what: &str, wait_max: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() > wait_max {
            bail!("waited {} s until {what}", wait_max.as_secs());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The child that is process 1 of its own, and already listens. Others are only steps on the way there.
fn process_1_below(pid: u32) -> Result<Option<u32>> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let own = fs::read_link("/proc/self/ns/pid").context("find the process namespace of this machine")?;
    let is_it = |child: &&str| {
        let has_its_own = fs::read_link(format!("/proc/{child}/ns/pid")).is_ok_and(|namespace| namespace != own);
        has_its_own && Path::new(&format!("/proc/{child}/root/run/systemd/private")).exists()
    };
    children
        .split_whitespace()
        .find(is_it)
        .map(|child| child.parse().context("read the number of a process"))
        .transpose()
}
