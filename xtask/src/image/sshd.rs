//! A machine that keeps backups, as far as SSH knows: an sshd on this machine's loopback, with a key of its own and one that
//! it lets in.

use super::tools;
use anyhow::{Context, Result};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = "/usr/sbin/sshd";

/// Not listening yet.
pub(crate) struct Sshd {
    folder: PathBuf,
    /// Who is let in: whoever runs this.
    pub(crate) user: String,
    /// Where it will listen.
    pub(crate) port: u16,
}

/// Listening; it ends when this is dropped, or when whoever started it ends.
pub(crate) struct Listening(Child);

impl Sshd {
    /// Makes its keys and its settings in a new folder.
    pub(crate) fn on_loopback(folder: &Path) -> Result<Self> {
        fs::create_dir(folder).context("make a folder for sshd")?;
        for name in ["host", "key"] {
            let key = folder.join(name);
            tools::run(
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "story", "-f"]).arg(key),
            )?;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr())?.port();
        let at = folder.display();
        let settings = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nPidFile none\nAuthorizedKeysFile {at}/key.pub\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        );
        fs::write(folder.join("settings"), settings).context("write the settings of sshd")?;
        let user = String::from_utf8(tools::output(Command::new("id").arg("-un"))?)?.trim().to_owned();
        Ok(Self { folder: folder.to_owned(), user, port })
    }

    /// The private key that it lets in.
    pub(crate) fn key(&self) -> Result<String> {
        fs::read_to_string(self.folder.join("key")).context("read the key that is let in")
    }

    /// Its own public key.
    pub(crate) fn host_key(&self) -> Result<String> {
        fs::read_to_string(self.folder.join("host.pub")).context("read the key of sshd")
    }

    /// Starts it.
    pub(crate) fn listen(&self) -> Result<Listening> {
        // Where it parts with its privileges; its package's service would have made it.
        drop(fs::create_dir_all("/run/sshd"));
        let log = fs::File::create(self.folder.join("log"))?;
        let mut sshd = Command::new("setpriv");
        sshd.args(["--pdeathsig", "KILL", PROGRAM, "-D", "-e", "-f"]).arg(self.folder.join("settings"));
        let started = sshd.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        started.map(Listening).context("start sshd")
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
