//! A virtual machine that starts an image as it is: the kernel, the initrd and the disk are the image's own.
//!
//! The machine works on a copy of the image; it ends with the value that stands for it.

use super::board::{Board, PI_3, VIRT};
use super::check::Image;
use super::recipe::Recipe;
use super::tools;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often is looked whether what is waited for has happened.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long one HTTP answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Of an answer, this much is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// What QEMU itself says: of a Raspberry Pi's USB it complains all the time.
const COMPLAINTS: &str = "qemu.log";
/// What the console says when a machine will not come up any more.
const HOPELESS: &[&str] = &["Kernel panic", "emergency mode", "emergency shell", "(initramfs)"];

/// What QEMU calls this machine, seen from inside.
pub(crate) const THIS_MACHINE: &str = "10.0.2.2";

/// Programs beside those that make an image.
pub(crate) const TOOLS: &[(&str, &str, &str)] = &[
    ("qemu-system-aarch64", "qemu-system-arm", "the machine that an image is started in"),
    ("setpriv", "util-linux", "ends it with whoever started it"),
    ("ssh", "openssh-client", "looks around in it"),
    ("ssh-keygen", "openssh-client", "makes the key that is let in"),
    ("sshd", "openssh-server", "keeps a backup that it asks for"),
];

/// A disk of its own for one story: a copy of an image as large as a card, with what was written onto it.
pub(crate) struct Card {
    folder: tempfile::TempDir,
    boot: String,
    command_line: String,
}

impl Card {
    /// Copies the image and makes the copy `card_gib` large, as flashing it onto a card would.
    pub(crate) fn flash(image: &Path, recipe: &Recipe, folder: &Path, card_gib: u64) -> Result<Card> {
        let folder = tempfile::Builder::new().prefix(".machine-").tempdir_in(folder).context("make a folder")?;
        let disk = folder.path().join("disk.img");
        tools::run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).args([image, &disk]))?;
        fs::OpenOptions::new().write(true).open(&disk)?.set_len(card_gib << 30).context("make the card larger")?;
        let opened = Image::open(&disk, recipe)?;
        let config = String::from_utf8_lossy(&opened.boot_file("config.txt")?).into_owned();
        let take = |file: &str, name: &str| -> Result<()> {
            fs::write(folder.path().join(name), opened.boot_file(file)?).with_context(|| format!("take `{file}` out"))
        };
        for (key, name) in [("kernel=", "vmlinuz"), ("initramfs ", "initrd.img")] {
            let file = config.lines().find_map(|line| line.strip_prefix(key)).context("config.txt names no kernel")?;
            take(file.trim(), name)?;
        }
        for file in [VIRT, PI_3].iter().filter_map(|board| board.device_tree) {
            take(file, file)?;
        }
        let command_line = String::from_utf8_lossy(&opened.boot_file("cmdline.txt")?).trim().to_owned();
        Ok(Card { boot: opened.boot(), folder, command_line })
    }

    /// Puts files or folders onto the boot partition.
    pub(crate) fn put(&self, files: &[&Path]) -> Result<()> {
        tools::run(
            Command::new("mcopy")
                .env("MTOOLS_SKIP_CHECK", "1")
                .args(["-o", "-s", "-i", &self.boot])
                .args(files)
                .arg("::"),
        )
        .context("write onto the boot partition")
    }

    /// Writes one text onto the boot partition.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join(name);
        fs::write(&path, text)?;
        self.put(&[&path])
    }

    /// Reads a file of the boot partition, while no machine runs on it.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let bytes = tools::output(Command::new("mcopy").env("MTOOLS_SKIP_CHECK", "1").args([
            "-n",
            "-i",
            &self.boot,
            &format!("::{name}"),
            "-",
        ]))
        .with_context(|| format!("read `{name}` of the boot partition"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Where a file of this story lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts QEMU's own board with this card in it.
    pub(crate) fn start(&self) -> Result<Machine<'_>> {
        self.start_in(&VIRT, "")
    }

    /// Starts a board with this card in it, and with more said to its kernel than the card says.
    pub(crate) fn start_in(&self, board: &Board, kernel: &str) -> Result<Machine<'_>> {
        let ports = [free_port()?, free_port()?, free_port()?];
        let forwards: Vec<String> = [80, 8080, 22]
            .iter()
            .zip(ports)
            .map(|(inside, port)| format!("hostfwd=tcp:127.0.0.1:{port}-:{inside}"))
            .collect();
        let log = self.path("console.log");
        fs::write(&log, "").context("make the console's log")?;
        let command_line = format!("{} {kernel}", self.command_line);
        let mut qemu = board.qemu(self.folder.path(), &log, command_line.trim_end(), &forwards.join(","));
        let complaints = fs::File::create(self.path(COMPLAINTS)).context("make a file for what QEMU complains of")?;
        let child = qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints).spawn().context("start QEMU")?;
        Ok(Machine { card: self, child, ports, started: Instant::now(), log })
    }
}

/// A running machine; to drop it is to pull its plug.
pub(crate) struct Machine<'a> {
    card: &'a Card,
    child: Child,
    /// On this machine's loopback, for ports 80, 8080 and 22 inside.
    ports: [u16; 3],
    started: Instant,
    log: PathBuf,
}

impl Machine<'_> {
    /// Seconds since power came on.
    pub(crate) fn up_s(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// What the console has said so far.
    pub(crate) fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until `look` gives something; ends early when the machine has stopped or says that it will not come up.
    pub(crate) fn wait<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            let console = self.console();
            let last: Vec<&str> = console.lines().rev().take(25).collect();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
            if let Some(word) = HOPELESS.iter().find(|word| console.contains(**word)) {
                bail!("waiting for {what}, the console says `{word}`:\n{last}");
            }
            if let Some(status) = self.child.try_wait()? {
                let complaints = fs::read_to_string(self.card.path(COMPLAINTS)).unwrap_or_default();
                bail!("waiting for {what}, the machine stopped ({status}):\n{last}\n{}", complaints.trim_end());
            }
            ensure!(
                Instant::now() < deadline,
                "{what}: not within {} s. The console's last lines:\n{last}",
                limit.as_secs()
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// One HTTP request to the port inside, 80 or 8080: the status and the body.
    pub(crate) fn get(&self, port: u16, path: &str) -> Result<(u16, String)> {
        let forwarded = self.ports[usize::from(port == 8080)];
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, forwarded)), ANSWER_WAIT)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: picloud.local\r\nConnection: close\r\n\r\n")?;
        let mut bytes = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no HTTP answer")?;
        Ok((status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
    }

    /// Runs a command inside over SSH, with the key that the story put in.
    pub(crate) fn ssh(&self, key: &Path, user: &str, command: &str) -> Result<String> {
        let out = tools::output(
            Command::new("ssh")
                .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"])
                .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-p", &self.ports[2].to_string(), "-i"])
                .arg(key)
                .arg(format!("{user}@127.0.0.1"))
                .arg(command),
        )?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// Waits until the machine has switched itself off.
    pub(crate) fn wait_off(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "the machine did not switch itself off within {} s", limit.as_secs());
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        // It may have stopped by itself.
        drop(self.child.kill());
        drop(self.child.wait());
        // What it said stays for whoever looks why a test failed.
        let kept = self.card.folder.path().parent().map(|folder| folder.join("console.log"));
        if let Some(kept) = kept {
            drop(fs::copy(&self.log, kept));
        }
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?.port())
}
