//! The one thing that is done on a node: the packages go there over ssh, are checked there, and are given to dpkg.
//!
//! ssh asks nothing (`BatchMode`) and trusts only hosts that it knows: whoever can log in and use sudo there is who may
//! upgrade. The appliance has no part in it.

use super::package::Package;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// How long a connection may take.
const CONNECT_SECONDS_MAX: u32 = 10;
/// How long all of it may take on one node: a slow card, a slow network.
const INSTALL_MAX: Duration = Duration::from_secs(15 * 60);
/// How long it may take to see whether it could be done.
const LOOK_MAX: Duration = Duration::from_secs(30);
/// Of what was said over there, so much is shown.
const SAID_BYTES_MAX: usize = 4_000;

/// What the script ends with where sudo asks for a password.
const NO_SUDO: i32 = 91;
/// Where what came is not what was sent.
const NOT_WHOLE: i32 = 92;
/// Where dpkg refused or failed: from here on the node may have changed.
const DPKG_FAILED: i32 = 93;

/// Who goes there, and how.
pub(super) struct Way {
    /// `user@host`, or `host`.
    pub(super) target: String,
    /// ssh's own configuration, where it is not the usual one.
    pub(super) config: Option<PathBuf>,
}

/// Why it failed, and whether the node may have been changed.
#[derive(Debug)]
pub(super) struct SshError {
    pub(super) message: String,
    pub(super) hint: String,
    pub(super) is_changed: bool,
}

impl Way {
    /// Whether somebody can log in there and install packages.
    pub(super) async fn look(&self) -> Result<(), SshError> {
        let ended =
            self.run("if [ \"$(id -u)\" != 0 ]; then sudo -n true || exit 91; fi", Vec::new(), LOOK_MAX).await?;
        self.judge(&ended)
    }

    /// Installs the packages, in one go.
    pub(super) async fn install(&self, packages: &[&Package]) -> Result<(), SshError> {
        let mut bytes = Vec::new();
        for package in packages {
            let read = tokio::fs::read(&package.path).await;
            let read = read.map_err(|error| self.error(&format!("read {}: {error}", package.path.display()), false))?;
            bytes.extend(read);
        }
        let ended = self.run(&script(packages), bytes, INSTALL_MAX).await?;
        self.judge(&ended)
    }

    async fn run(&self, script: &str, input: Vec<u8>, limit: Duration) -> Result<std::process::Output, SshError> {
        let mut command = Command::new("ssh");
        if let Some(config) = &self.config {
            command.arg("-F").arg(config);
        }
        command.args(["-T", "-o", "BatchMode=yes", "-o", &format!("ConnectTimeout={CONNECT_SECONDS_MAX}")]);
        command.args(["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4", "--", &self.target]);
        // The account's shell may be any; what it runs is always the same one.
        command.arg(format!("exec sh -c {}", quoted(script)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| self.error(&format!("start ssh: {error}"), false))?;
        let mut stdin = child.stdin.take();
        let work = async {
            let write = async {
                if let Some(stdin) = &mut stdin {
                    // Where it ends early, how it ended says why.
                    let _closed = stdin.write_all(&input).await;
                }
                drop(stdin);
            };
            let (ended, ()) = tokio::join!(child.wait_with_output(), write);
            ended
        };
        match tokio::time::timeout(limit, work).await {
            Ok(ended) => ended.map_err(|error| self.error(&format!("wait for ssh: {error}"), !input.is_empty())),
            Err(_elapsed) => {
                let message = format!("ssh {} did not end within {} s", self.target, limit.as_secs());
                Err(self.error(&message, !input.is_empty()))
            }
        }
    }

    fn judge(&self, ended: &std::process::Output) -> Result<(), SshError> {
        let said = said(&ended.stderr, &ended.stdout);
        let target = &self.target;
        let error = |message: String, hint: String, is_changed| Err(SshError { message, hint, is_changed });
        match ended.status.code() {
            Some(0) => Ok(()),
            Some(NO_SUDO) => error(
                format!("sudo on {target} asks for a password"),
                format!("log in as root (--user root), or let that account use dpkg: ssh {target} sudo visudo"),
                false,
            ),
            Some(NOT_WHOLE) => {
                error(format!("what came to {target} is not what was sent: {said}"), "try again".to_owned(), false)
            }
            Some(DPKG_FAILED) => error(
                format!("dpkg on {target} failed:\n{said}"),
                format!("look there: ssh {target} sudo dpkg --audit"),
                true,
            ),
            Some(255) => error(
                format!("ssh does not come to {target}: {said}"),
                format!("`ssh {target}` must work without asking anything: the host's key known, yours taken there"),
                false,
            ),
            code => {
                let code = code.map_or("a signal".to_owned(), |code| code.to_string());
                error(format!("ssh {target} ended with {code}: {said}"), "look there what is wrong".to_owned(), true)
            }
        }
    }

    fn error(&self, message: &str, is_changed: bool) -> SshError {
        let hint = format!("try `ssh {}` yourself", self.target);
        SshError { message: message.to_owned(), hint, is_changed }
    }
}

/// What runs on the node. The files come one behind the other, lie where nobody else can change them, and are gone at the
/// end; dpkg asks nothing and keeps changed settings.
fn script(packages: &[&Package]) -> String {
    let mut script = "umask 077\n\
        if [ \"$(id -u)\" = 0 ]; then as=; else as='sudo -n'; $as true || exit 91; fi\n\
        dir=$(mktemp -d) || exit 92\n\
        trap 'rm -rf \"$dir\"' EXIT\n\
        trap 'exit 92' HUP INT TERM\n"
        .to_owned();
    for (number, Package { size_bytes, sha256, .. }) in packages.iter().enumerate() {
        script.push_str(&format!(
            "head -c {size_bytes} > \"$dir/{number}.deb\" && echo \"{sha256}  $dir/{number}.deb\" | sha256sum --check \
             --quiet || exit 92\n"
        ));
    }
    script.push_str(
        "chmod 755 \"$dir\"; chmod 644 \"$dir\"/*.deb\n\
         $as env DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --install \"$dir\"/*.deb </dev/null \
         || exit 93\n",
    );
    script
}

/// For a shell, as one word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The end of what was said, as text that cannot do anything to a terminal.
fn said(err: &[u8], out: &[u8]) -> String {
    let said = if err.is_empty() { out } else { err };
    let from = said.len().saturating_sub(SAID_BYTES_MAX);
    let text = String::from_utf8_lossy(&said[from..]);
    text.trim().chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(bytes: &str, sha256: &str) -> Package {
        let text = str::to_owned;
        let (name, version, arch) = (text("picloud-node"), text("0.2.0"), text("arm64"));
        Package { path: "x.deb".into(), name, version, arch, size_bytes: bytes.len() as u64, sha256: text(sha256) }
    }

    /// Runs the script here, with a `sudo` and a `dpkg` that only say what they were given.
    fn run_here(packages: &[&Package], input: &str) -> (i32, String) {
        use std::io::Write as _;
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("sudo", "shift; exec \"$@\""), ("dpkg", "shift 3; cat \"$@\""), ("id", "echo 1000")] {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut child = std::process::Command::new("sh")
            .args(["-c", &script(packages)])
            .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
            .env("TMPDIR", dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let _ended_early = child.stdin.take().unwrap().write_all(input.as_bytes());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left behind");
        (ended.status.code().unwrap(), String::from_utf8(ended.stdout).unwrap())
    }

    #[test]
    fn packages_come_whole_one_behind_the_other_and_others_are_not_installed() {
        let one = package("one", "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
        let two = package("two!", "a97b629a5b1da759586c3353a9bc284bf673970d8eca56e11e556b715c329614");
        assert_eq!(run_here(&[&one], "one"), (0, "one".to_owned()));
        assert_eq!(run_here(&[&one, &one], "oneone"), (0, "oneone".to_owned()));
        assert_eq!(run_here(&[&one, &two], "onetwo!"), (0, "onetwo!".to_owned()));
        // The bytes of another package, and too few of the right one.
        assert_eq!(run_here(&[&one, &two], "oneTWO!").0, NOT_WHOLE);
        assert_eq!(run_here(&[&one], "on").0, NOT_WHOLE);
    }

    #[test]
    fn what_was_said_over_there_does_nothing_to_this_terminal() {
        assert_eq!(said(b"bad\x1b[2Jnews\n", b""), "bad [2Jnews");
        assert_eq!(said(b"", b"out"), "out");
    }
}
