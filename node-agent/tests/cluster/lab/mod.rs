//! A laboratory of several hosts on one machine: network namespaces on one bridge.
//!
//! Each test runs once more in namespaces of its own ([`inside`]), where it is root, stands on the bridge itself, and
//! takes everything it started with it when it ends. So it needs no root where the kernel lets users have namespaces,
//! nothing outlives it, and several can run side by side. A machine that cannot do this fails, and says what it lacks.

mod host;
mod inside;
mod process;

pub(crate) use host::Host;
pub(crate) use inside::inside;
pub(crate) use process::{LOOK_EVERY, PATIENCE, Process};

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The test's own last number; hosts have 1, 2, …
const OWN: u8 = 254;

/// An interface as programs for containers make it, with an address that leads nowhere else.
const DOCKER: &str = "link add docker0 type bridge\naddress add 172.17.0.1/16 brd + dev docker0\nlink set docker0 up\n";

/// The hosts, the cable between them, and a folder for what they write.
pub(crate) struct Lab {
    hosts: Vec<Host>,
    folder: TempDir,
}

impl Lab {
    /// Hosts with these names, numbered from 1; two may have the same name.
    pub(crate) fn of(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Nothing in the test's own namespace is in the way: it is new.
        let mut batch = String::from("link set lo up\n");
        batch += "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n";
        writeln!(batch, "address add {}/24 brd + dev br0", address(OWN)).unwrap();
        batch += "link set br0 up\n";
        ip(None, &batch);
        nft("add table bridge lab");
        nft("add chain bridge lab cuts { type filter hook forward priority 0; policy accept; }");
        let hosts = names.iter().zip(1..).map(|(name, number)| Host::plug_in(name, number)).collect();
        Self { hosts, folder }
    }

    /// The host with this number.
    pub(crate) fn host(&self, number: u8) -> &Host {
        &self.hosts[usize::from(number) - 1]
    }

    /// A folder of the test's.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Silently drops all that other hosts send this one and it sends them; the test still reaches it.
    pub(crate) fn partition(&self, number: u8) {
        drop_all(&format!("iifname p{number}"));
        drop_all(&format!("oifname p{number}"));
    }

    /// Silently drops what goes from one to the other.
    pub(crate) fn one_way(&self, from: u8, to: u8) {
        drop_all(&format!("iifname p{from} oifname p{to}"));
    }

    /// Gives the test's own machine an interface as a program for containers makes it.
    pub(crate) fn add_docker_here(&self) {
        ip(None, DOCKER);
    }

    /// Gives the test's own machine this address instead of the one it has.
    pub(crate) fn readdress_here(&self, address: &str) {
        ip(None, &format!("address flush dev br0 scope global\naddress add {address}/24 brd + dev br0\n"));
    }

    /// Ends all of that.
    pub(crate) fn heal(&self) {
        nft("flush chain bridge lab cuts");
    }
}

/// A host's address.
pub(crate) fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 31, 7, number)
}

fn drop_all(what: &str) {
    nft(&format!("add rule bridge lab cuts {what} drop"));
}

fn nft(rule: &str) {
    done(Command::new("nft").arg(rule), "");
}

/// Runs lines of `ip` here, or on a host.
fn ip(on: Option<u32>, batch: &str) {
    let mut command = match on {
        None => Command::new("ip"),
        Some(holder) => {
            let mut command = Command::new("nsenter");
            command.args(["--target", &holder.to_string(), "--net", "ip"]);
            command
        }
    };
    done(command.args(["-batch", "-"]), batch);
}

/// Runs a command that works.
fn done(command: &mut Command, input: &str) {
    use std::io::Write;
    let running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut running = running.unwrap_or_else(|error| panic!("{command:?}: {error}: `cargo xtask test` installs it"));
    running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = running.wait_with_output().unwrap();
    assert!(out.status.success(), "{command:?}: {}\n{input}", String::from_utf8_lossy(&out.stderr));
}

/// A program of this workspace, which is built beside the agent.
pub(crate) fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_picloud-node")).with_file_name(name);
    assert!(
        program.exists(),
        "{} does not exist: test the whole workspace, or build it with `cargo build --workspace --bins`",
        program.display()
    );
    program
}
