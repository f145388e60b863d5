//! The part of systemd that a service speaks to: a socket that is handed down, and one that hears what it says.

use crate::support::{PATIENCE, program};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Hears what a service says.
pub(crate) struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path }
    }

    /// The variables that tell a service of it.
    pub(crate) fn tell<'c>(&self, command: &'c mut Command, watchdog_s: u32) -> &'c mut Command {
        command.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", (watchdog_s * 1_000_000).to_string())
    }

    /// What is said next.
    pub(crate) fn next(&self) -> String {
        let mut room = [0; 4_096];
        let bytes = self.socket.recv(&mut room).expect("the service says something in time");
        String::from_utf8(room[..bytes].to_vec()).unwrap()
    }

    /// All that is said until something has `text` in it, with that.
    pub(crate) fn until(&self, text: &str) -> Vec<String> {
        let mut all = vec![self.next()];
        while !all.last().unwrap().contains(text) {
            all.push(self.next());
        }
        all
    }
}

/// `serve` with data and socket in `data`, and `socket` as its descriptor 3, by this name.
pub(crate) fn handed(data: &Path, name: &str, socket: impl Into<OwnedFd>) -> Command {
    handed_two(data, name, socket, Stdio::null())
}

/// The same with a second one as descriptor 4.
pub(crate) fn handed_two(data: &Path, names: &str, first: impl Into<OwnedFd>, second: impl Into<Stdio>) -> Command {
    let count = names.split(':').count();
    let mut command = Command::new("sh");
    // As systemd does it: the process that becomes the program is the one that is told so. The second socket comes as
    // standard output, which no shell would have another way to get.
    let script =
        format!("LISTEN_PID=$$ LISTEN_FDS={count} LISTEN_FDNAMES={names} exec \"$0\" \"$@\" 3<&0 4<&1 </dev/null >&2");
    command.args(["-c", &script]).arg(program().get_program()).args(["serve", "--config"]);
    std::fs::create_dir_all(data).unwrap();
    std::fs::write(data.join("empty.toml"), "").unwrap();
    command.arg(data.join("empty.toml")).arg("--data-dir").arg(data.join("data"));
    command.arg("--admin-socket").arg(data.join("admin.sock")).args(["--admin-addr", "127.0.0.1:0"]);
    for (name, _value) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PICLOUD_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::from(first.into())).stdout(second);
    command
}

/// A socket on a free port, as systemd would hold it.
pub(crate) fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}
