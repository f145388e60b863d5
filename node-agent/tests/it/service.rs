//! The agent as a service of systemd: what it says, what it is fed for, and a socket that it is given too early.

use crate::world::{World, ask, program};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Hears what a service says.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        Self { socket, path }
    }

    fn until(&self, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut room = [0; 4_096];
        loop {
            let bytes = self.socket.recv(&mut room).unwrap_or_else(|error| panic!("{error}: no {text:?} in {all:?}"));
            all.push(String::from_utf8(room[..bytes].to_vec()).unwrap());
            if all.last().unwrap().contains(text) {
                return all;
            }
        }
    }
}

/// Killed when it is dropped.
struct Service(Child);

impl Service {
    /// The agent of `data`, with `socket` as systemd hands it down.
    fn start(manager: &Manager, data: &Path, socket: TcpListener) -> Self {
        let script = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=ingress exec \"$0\" \"$@\" 3<&0 </dev/null";
        let mut command = Command::new("/bin/sh");
        command.env_clear().args(["-c", script]).arg(program("picloud-node")).arg("run").arg("--data-dir").arg(data);
        command.args(["--mdns", "false", "--name", "pi2"]).stdin(Stdio::from(OwnedFd::from(socket)));
        command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "6000000");
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        crate::world::signal(&self.0, signal);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to do.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn a_machine_that_belongs_to_no_appliance_is_ready_and_tells_clients_that_it_has_nothing_to_serve() {
    let folder = tempfile::tempdir().unwrap();
    let (manager, socket) = (Manager::new(folder.path()), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = socket.local_addr().unwrap();
    let service = Service::start(&manager, &folder.path().join("data"), socket);
    let said = manager.until("READY=1");
    assert!(said.last().unwrap().contains("STATUS=waits to be let in by an appliance; fingerprint: "), "{said:?}");
    let answer = ask(address, "/").unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("belongs to no appliance") && answer.body.contains("picloud nodes"), "{answer:?}");
    manager.until("WATCHDOG=1");
    service.signal(nix::sys::signal::Signal::SIGTERM);
    manager.until("STOPPING=1");
}

#[test]
fn a_node_is_ready_when_its_routes_are_answered_and_a_worker_that_hangs_is_named() {
    let world = World::new();
    let mut node = world.joined("pi2");
    node.process.stop();
    let (manager, socket) = (Manager::new(world.folder.path()), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = socket.local_addr().unwrap();
    let _service = Service::start(&manager, &node.data, socket);
    let said = manager.until("READY=1");
    assert!(said.last().unwrap().contains(&format!("STATUS=node `pi2` answers on http://{address}; ")), "{said:?}");
    assert_eq!(ask(address, "/led/who").unwrap().body, "pi2!");
    manager.until("WATCHDOG=1");
    let pid = node.until(|status| status["worker_pid"].is_u64())["worker_pid"].as_i64().unwrap();
    let worker = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(worker, nix::sys::signal::Signal::SIGSTOP).unwrap();
    manager.until("STATUS=the worker does not answer: it was asked and said nothing for ");
    nix::sys::signal::kill(worker, nix::sys::signal::Signal::SIGCONT).unwrap();
    let said = manager.until("STATUS=node `pi2` answers");
    assert_eq!(said.iter().filter(|said| said.contains("WATCHDOG=1")).count(), 1, "{said:?}");
}
