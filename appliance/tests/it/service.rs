//! The appliance as a service of systemd: sockets that are handed down, what it says, and restarts that nobody notices.

use crate::hello;
use crate::managed::{Manager, handed, handed_two, listener};
use crate::support::{Appliance, fails, serve_command, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tempfile::tempdir;

/// A service whose standard output is not read, for it may be a socket.
struct Served(Child);

impl Served {
    /// Started by `command`, and ready.
    fn start(mut command: Command, manager: &Manager) -> Self {
        manager.tell(&mut command, 0);
        let served = Self(command.stderr(Stdio::null()).spawn().unwrap());
        manager.until("READY=1");
        served
    }

    fn end(&mut self) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn it_says_when_it_is_ready_that_it_lives_and_that_it_ends() {
    let data = tempdir().unwrap();
    let manager = Manager::new(data.path());
    let mut command = serve_command(data.path());
    manager.tell(&mut command, 6);
    let mut appliance = Appliance::start(command);
    let said = manager.until("READY=1");
    assert!(said.first().unwrap().starts_with("STATUS=starts: "), "{said:?}");
    assert!(
        said.last().unwrap().contains(&format!("STATUS=answers on http://{} (apps: 0", appliance.ingress)),
        "{said:?}"
    );
    appliance.deploy(&hello("kitchen", "1"));
    manager.until("WATCHDOG=1");
    manager.until("(apps: 1, routes: 1)");
    assert!(appliance.end(Signal::SIGTERM).success());
    assert!(manager.until("STOPPING=1").last().unwrap().contains("STATUS=ends"));
}

#[test]
fn a_worker_that_hangs_is_named_and_the_watchdog_goes_hungry_until_it_answers_again() {
    let data = tempdir().unwrap();
    let manager = Manager::new(data.path());
    let mut command = serve_command(data.path());
    manager.tell(&mut command, 6);
    let appliance = Appliance::start(command);
    manager.until("READY=1");
    let worker = Pid::from_raw(appliance.worker_pid());
    kill(worker, Signal::SIGSTOP).unwrap();
    manager.until("STATUS=the worker does not answer");
    appliance.output.wait_for(0, "the worker does not answer: it was asked and said nothing for 1.1 s");
    // Two rounds more, each of which it is asked again.
    for _round in 0..2 {
        appliance.admin("GET", "/health", "");
    }
    kill(worker, Signal::SIGCONT).unwrap();
    let said = manager.until("STATUS=answers on");
    assert_eq!(said.iter().filter(|said| said.contains("WATCHDOG=1")).count(), 1, "{said:?}");
    appliance.output.wait_for(0, "all parts answer again");
}

#[test]
fn routes_are_answered_at_every_socket_that_is_handed_down() {
    let data = tempdir().unwrap();
    let manager = Manager::new(data.path());
    let (one, two) = (listener(), listener());
    let addrs = [&one, &two].map(|socket| socket.local_addr().unwrap());
    let command = handed_two(data.path(), "ingress:ingress", one, Stdio::from(std::os::fd::OwnedFd::from(two)));
    let _served = Served::start(command, &manager);
    for addr in addrs {
        assert!(ask(addr).unwrap().starts_with("HTTP/1.1 200"), "{addr}");
    }
}

#[test]
fn sockets_that_are_no_use_are_named_with_what_to_do() {
    let data = tempdir().unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let unix = std::os::unix::net::UnixListener::bind(data.path().join("unix")).unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let cases: [(&str, std::os::fd::OwnedFd, &str); 4] = [
        ("web", listener().into(), "a socket called `web` (descriptor 3); `ingress` is the only name"),
        ("ingress", file.into(), "the socket `ingress` (descriptor 3) that systemd hands down is no TCP socket"),
        ("ingress", unix.into(), "(descriptor 3) that systemd hands down is no TCP socket"),
        ("ingress", udp.into(), "(descriptor 3) that systemd hands down is no TCP socket"),
    ];
    for (name, socket, expected) in cases {
        let (code, said) = fails(&mut handed(data.path(), name, socket));
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains(expected) && said.contains("hint:") && said.contains("picloud-appliance.socket"),
            "{said}"
        );
    }
    let mut elsewhere = handed(data.path(), "ingress", listener());
    elsewhere.args(["--ingress-addr", "127.0.0.1:1"]);
    let (code, said) = fails(&mut elsewhere);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("ingress_addr is 127.0.0.1:1 (--ingress-addr), but systemd listens on 127.0.0.1:"), "{said}");
    assert!(!data.path().join("data/keys").exists(), "nothing was begun");
}

#[test]
fn nobody_is_refused_while_it_is_started_anew_under_load() {
    let data = tempdir().unwrap();
    let manager = Manager::new(data.path());
    let socket = listener();
    let addr = socket.local_addr().unwrap();
    let start = || Served::start(handed(data.path(), "ingress", socket.try_clone().unwrap()), &manager);
    let mut served = start();
    let load = Load::begin(addr);
    for _restart in 0..2 {
        load.until_more(200);
        served.end();
        served = start();
    }
    load.until_more(200);
    assert_eq!(load.end(), Vec::<String>::new());
}

/// Sixteen clients, half of which keep their connection for as long as they may.
struct Load {
    answers: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    clients: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn begin(addr: SocketAddr) -> Self {
        let (answers, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let client = |index: usize| {
            let (answers, over) = (Arc::clone(&answers), Arc::clone(&over));
            std::thread::spawn(move || drive(addr, index.is_multiple_of(2), &answers, &over))
        };
        Self { clients: (0..16).map(client).collect(), answers, over }
    }

    fn until_more(&self, answers: u64) {
        let wanted = self.answers.load(Ordering::Relaxed) + answers;
        until("answers come", || self.answers.load(Ordering::Relaxed) >= wanted);
    }

    /// What clients saw that they should not have.
    fn end(self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

fn drive(addr: SocketAddr, keeps: bool, answers: &AtomicU64, over: &AtomicBool) -> Vec<String> {
    let mut seen = Vec::new();
    let mut kept: Option<TcpStream> = None;
    while !over.load(Ordering::Relaxed) {
        let was_kept = kept.is_some();
        let mut stream = match kept.take().map_or_else(|| TcpStream::connect(addr), Ok) {
            Ok(stream) => stream,
            Err(error) => {
                seen.push(format!("refused: {error}"));
                continue;
            }
        };
        match request(&mut stream, keeps) {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
                answers.fetch_add(1, Ordering::Relaxed);
                kept = (keeps && !answer.contains("connection: close")).then_some(stream);
            }
            // A kept connection may be over when it is used again: every client asks again on another then.
            Ok(answer) if answer.is_empty() && was_kept => {}
            Err(_over) if was_kept => {}
            other => seen.push(format!("on a new connection: {other:?}")),
        }
    }
    seen
}

fn request(stream: &mut TcpStream, keeps: bool) -> std::io::Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let close = if keeps { "" } else { "connection: close\r\n" };
    stream.write_all(format!("GET /.picloud/health HTTP/1.1\r\nhost: pi\r\n{close}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut room = [0; 1_024];
    // The answer has no body but a short one that comes with its head.
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let bytes = stream.read(&mut room)?;
        if bytes == 0 {
            break;
        }
        answer.extend(&room[..bytes]);
    }
    Ok(String::from_utf8_lossy(&answer).to_ascii_lowercase().replace("http/1.1", "HTTP/1.1"))
}

fn ask(addr: SocketAddr) -> std::io::Result<String> {
    request(&mut TcpStream::connect(addr)?, false)
}
