//! Starts the servers that are measured, and ends them when they are dropped.

use crate::{admin, load};
use anyhow::{Context, Result, bail, ensure};
use picloud_model::bundle::Bundle;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to listen.
const LISTEN_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to stop when asked to.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// Between two tries to connect.
const RETRY: Duration = Duration::from_micros(500);

/// A process that serves HTTP on `address`.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// The process whose descendants count too.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A plain axum server, with a store in `store` if one is given.
    pub(crate) fn raw(folder: &Path, store: Option<&Path>) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.arg("raw-server").arg(address.to_string());
        if let Some(store) = store {
            command.arg("--store").arg(store);
        }
        Self::start(command, address, folder.join("raw.log"))
    }

    /// An appliance with its data in `data`.
    pub(crate) fn appliance(program: &Path, data: &Path) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--data-dir").arg(data).arg("--ingress-addr").arg(address.to_string());
        command.arg("--admin-socket").arg(admin_socket(data));
        command.args(["--admin-addr", "127.0.0.1:0"]);
        Self::start(command, address, data.join("bench.log"))
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn start(command: Command, address: SocketAddr, log: PathBuf) -> Result<Self> {
        let mut server = Self::begin(command, address, log)?;
        server.wait_for(|server| TcpStream::connect(server.address).is_ok(), LISTEN_WAIT)?;
        Ok(server)
    }

    /// Starts it.
    pub(crate) fn begin(command: Command, address: SocketAddr, log: PathBuf) -> Result<Self> {
        Self::begin_with(command, Stdio::null(), address, log)
    }

    fn begin_with(mut command: Command, input: Stdio, address: SocketAddr, log: PathBuf) -> Result<Self> {
        let output = File::create(&log).with_context(|| format!("create `{}`", log.display()))?;
        command.stdin(input).stdout(output.try_clone()?).stderr(output);
        // The settings of whoever runs this must not change what is measured.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PICLOUD_")) {
                command.env_remove(name);
            }
        }
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        Ok(Self { address, child, log })
    }

    fn wait_for(&mut self, holds: impl Fn(&Self) -> bool, wait: Duration) -> Result<()> {
        let start = Instant::now();
        while !holds(self) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.printed());
            }
            ensure!(start.elapsed() < wait, "the server is not ready after {wait:?}:\n{}", self.printed());
            std::thread::sleep(RETRY);
        }
        Ok(())
    }

    fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        // The shell's own kill: the program of that name is not on every machine.
        let kill = format!("kill -TERM {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().context("start a shell")?;
        ensure!(status.success(), "the server could not be told to stop");
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(start.elapsed() < STOP_WAIT, "the server did not stop within {STOP_WAIT:?}:\n{}", self.printed());
            std::thread::sleep(RETRY);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done about a process that is gone already. A worker ends with its parent.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An appliance with its data folder.
pub(crate) struct Appliance {
    pub(crate) server: Server,
    pub(crate) data: TempDir,
}

impl Appliance {
    /// Starts one and deploys `bundles` to it.
    pub(crate) fn with(program: &Path, bundles: &[Bundle]) -> Result<Self> {
        let data = data_folder()?;
        let mut server = Server::appliance(program, data.path())?;
        let socket = admin_socket(data.path());
        server.wait_for(|_| UnixStream::connect(&socket).is_ok(), LISTEN_WAIT)?;
        for bundle in bundles {
            admin::deploy(&socket, bundle)?;
        }
        Ok(Self { server, data })
    }
}

/// An appliance that is given its socket as systemd gives it; it may still be starting.
pub(crate) fn handed_down(program: &Path, data: &Path, socket: TcpListener) -> Result<Server> {
    let address = socket.local_addr()?;
    let mut command = Command::new("sh");
    // The process that becomes the program is the one that is told so, and its descriptor 3 is the socket.
    command.args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ingress exec \"$0\" \"$@\" 3<&0 </dev/null"]);
    command.arg(program).arg("serve").arg("--data-dir").arg(data);
    command.arg("--admin-socket").arg(admin_socket(data)).args(["--admin-addr", "127.0.0.1:0"]);
    Server::begin_with(command, Stdio::from(std::os::fd::OwnedFd::from(socket)), address, data.join("bench.log"))
}

/// Both answer the same, or the comparison means nothing.
pub(crate) fn same_answer(raw: &Server, ours: &Server, request: &[u8]) -> Result<()> {
    let [limit, own] = [load::once(raw.address, request)?, load::once(ours.address, request)?];
    ensure!(limit == own, "the raw server answers {limit}, PiCloud {own}");
    Ok(())
}

/// A folder on a real disk: in a memory file system nothing is written anywhere.
pub(crate) fn data_folder() -> Result<TempDir> {
    let program = std::env::current_exe().context("find this program")?;
    let folder = program.parent().context("find the folder of this program")?;
    tempfile::Builder::new().prefix("bench-").tempdir_in(folder).context("make a data folder")
}

pub(crate) fn admin_socket(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// An address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?.local_addr()?)
}

/// Builds the appliance and the agent with this program's own profile and answers where the appliance is.
pub(crate) fn build_programs() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    let folder = own.parent().context("find the folder of this program")?;
    let profile = folder.file_name().and_then(|name| name.to_str()).context("read this program's profile")?;
    ensure!(profile != "debug", "an unoptimised build says nothing: run `cargo run --release -p picloud-bench -- all`");
    let status = Command::new("cargo")
        .args(["build", "--package", "picloud-appliance", "--package", "picloud-node", "--bins", "--profile", profile])
        .stdin(Stdio::null())
        .status()
        .context("start cargo")?;
    ensure!(status.success(), "the programs do not build");
    Ok(folder.join("picloud-appliance"))
}
