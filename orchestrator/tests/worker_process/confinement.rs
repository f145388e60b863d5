//! What is left to a worker once it has confined itself, tried out in a process of its own.

use picloud_orchestrator::confine::confine;
use std::process::ExitCode;

/// The main of the process that is confined: prints one line a thing it could still do.
pub(crate) fn check(args: &[String]) -> ExitCode {
    let readable = std::env::current_exe().unwrap();
    for sentence in confine(None) {
        crate::print(&format!("unconfined: {sentence}\n"));
    }
    if std::fs::File::open(readable).is_ok() {
        crate::print("opened a file\n");
    }
    if std::fs::write("/tmp/picloud-confine-check", b"x").is_ok() {
        crate::print("wrote a file\n");
    }
    if std::net::TcpStream::connect(&args[0]).is_ok() {
        crate::print("connected\n");
    }
    // A service may be forbidden to leave the network's namespace: then no socket is made at all.
    match std::net::UdpSocket::bind("127.0.0.1:0") {
        Ok(_made) => crate::print("made a socket\n"),
        Err(error) => crate::print(&format!("no socket: {error}\n")),
    }
    if std::process::Command::new("/bin/true").status().is_ok() {
        crate::print("ran a program\n");
    }
    if nix::unistd::geteuid().is_root() && nix::unistd::setuid(nix::unistd::Uid::from_raw(0)).is_ok() {
        crate::print("is root\n");
    }
    let core = rustix::process::getrlimit(rustix::process::Resource::Core);
    crate::print(&format!("core {:?}\n", core.maximum));
    ExitCode::SUCCESS
}

pub(crate) async fn a_worker_can_open_no_file_and_reach_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let program = std::env::current_exe().unwrap();
    let output = tokio::process::Command::new(program).args(["confine-check", &address]).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    crate::print(&said);
    let refused = |what: &str| said.contains(&format!("unconfined: {what}"));
    assert!(said.ends_with("core Some(0)\n"), "{said}");
    // A kernel may lack a means, but then the worker must have said so.
    assert!(!said.contains("made a socket") || refused("system calls"), "{said}");
    assert!(!said.contains("ran a program") || refused("system calls"), "{said}");
    assert!(!said.contains("connected") || (refused("network") && refused("files")), "{said}");
    assert!(!said.contains("opened a file") || refused("files"), "{said}");
    assert!(!said.contains("is root") || refused("user"), "{said}");
}
