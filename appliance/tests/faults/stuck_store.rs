//! A database that does not answer any more: the watchdog is not fed, and both log and status say why.

use crate::managed::Manager;
use crate::support::{Appliance, serve_command};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

#[test]
fn a_database_that_hangs_is_named_and_the_watchdog_goes_hungry() {
    let data = tempfile::tempdir().unwrap();
    let manager = Manager::new(data.path());
    let mut command = serve_command(data.path());
    manager.tell(&mut command, 6);
    let appliance = Appliance::start(command);
    manager.until("READY=1");
    manager.until("WATCHDOG=1");
    // Every lock that a read takes: as on a card that answers no more.
    let mut strace = Command::new("strace")
        .args(["-f", "-e", "trace=fcntl", "-e", "inject=fcntl:delay_enter=20000000", "-p"])
        .arg(appliance.child.id().to_string())
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace is installed");
    let mut said = BufReader::new(strace.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().contains("attached"));
    // It must go on reading, or strace would stop at a full pipe.
    std::thread::spawn(move || said.for_each(drop));
    let said = manager.until("STATUS=the database does not answer");
    appliance.output.wait_for(0, "the database does not answer: a read was not answered within 1.1 s");
    assert!(!said.last().unwrap().contains("WATCHDOG=1"));
    kill(Pid::from_raw(i32::try_from(strace.id()).unwrap()), Signal::SIGINT).unwrap();
    strace.wait().unwrap();
    manager.until("STATUS=answers on");
}
