//! A host: namespaces with a name and one cable.

use super::{DOCKER, Process, address, done, ip};
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// What the process that holds the namespaces does: it names the host, makes it ready for a cable, and waits.
const HOLD: &str = "\
hostname \"$1\"
for which in all default; do echo 0 > /proc/sys/net/ipv6/conf/$which/accept_dad; done
ip link set lo up
echo ready
exec cat";

/// A host of the laboratory.
pub(crate) struct Host {
    number: u8,
    holder: Child,
    /// Closed at the end.
    _stdin: ChildStdin,
}

impl Host {
    pub(super) fn plug_in(name: &str, number: u8) -> Self {
        // What is mounted in the namespaces around this one shows nowhere else already.
        let mut holder = Command::new("unshare")
            .args(["--net", "--uts", "--mount", "--propagation", "unchanged", "sh", "-ec", HOLD, "sh", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "host {name} has no namespaces");
        let host = Self { number, _stdin: holder.stdin.take().unwrap(), holder };
        host.connect();
        host
    }

    fn connect(&self) {
        let (number, holder) = (self.number, self.holder.id());
        let mut batch = format!("link add eth0 netns {holder} type veth peer name p{number}\n");
        writeln!(batch, "link set p{number} master br0").unwrap();
        writeln!(batch, "link set p{number} addrgenmode none up").unwrap();
        ip(None, &batch);
        let mut batch = format!("address add {}/24 brd + dev eth0\n", address(number));
        writeln!(batch, "address add fd31:7::{number}/64 dev eth0 nodad").unwrap();
        batch += "link set eth0 up\nroute add default dev eth0\n";
        ip(Some(holder), &batch);
    }

    /// Its address.
    pub(crate) fn address(&self) -> Ipv4Addr {
        address(self.number)
    }

    /// A program on this host; what it says goes to `log`.
    pub(crate) fn spawn(
        &self,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        log: &Path,
    ) -> Process {
        Process::spawn(self.command(program).args(arguments).envs(environment.iter().copied()), log)
    }

    /// A command on this host, without any environment but where programs are.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.holder.id().to_string(), "--net", "--uts", "--mount", "--root", "--"])
            .arg(program);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// Gives it an interface as a program for containers makes it, with an address that leads nowhere else.
    pub(crate) fn add_docker(&self) {
        ip(Some(self.holder.id()), DOCKER);
    }

    /// Runs a shell line that works on this host.
    pub(crate) fn shell(&self, line: &str) {
        done(self.command(Path::new("/bin/sh")).args(["-ec", line]), "");
    }
}
