//! Through a real sshd, as people come: without a command the terminal UI, with one the command line.

use crate::program::{PATIENCE, Ran, run};
use crate::terminal::Terminal;
use crate::world::World;
use portable_pty::CommandBuilder;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const SSHD: &str = "/usr/sbin/sshd";

/// How sshd calls `picloud`.
#[derive(Clone, Copy)]
enum As {
    /// `ForceCommand picloud`.
    Forced,
    /// What it does with a login shell: `picloud -c COMMAND`, or `-picloud` without one.
    Shell,
}

/// An sshd of the test's own, for the person who tests. It is started by each client, and needs no port.
struct Door<'a> {
    world: &'a World,
    folder: PathBuf,
}

impl<'a> Door<'a> {
    fn new(world: &'a World, called: As) -> Self {
        assert!(Path::new(SSHD).exists(), "{SSHD} does not exist: `cargo xtask test` installs openssh-server");
        let folder = world.folder().join("ssh");
        fs::create_dir(&folder).unwrap();
        for key in ["host", "person"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(key)).status();
            assert!(made.unwrap().success());
        }
        // What the service's start makes where sshd runs as root.
        if nix::unistd::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let door = Self { world, folder };
        door.write_config(called);
        door
    }

    fn write_config(&self, called: As) {
        let picloud = env!("CARGO_BIN_EXE_picloud");
        let forced = match called {
            As::Forced => picloud.to_owned(),
            As::Shell => format!(
                "if [ \"$SSH_ORIGINAL_COMMAND\" ]; then exec {picloud} -c \"$SSH_ORIGINAL_COMMAND\"; \
                 else exec -a -picloud {picloud}; fi"
            ),
        };
        let at = |name: &str| self.folder.join(name).display().to_string();
        let socket = self.world.served().join(".picloud/admin.sock");
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\nPidFile none\nSubsystem sftp internal-sftp\n\
             AcceptEnv LANG LC_* COLORTERM NO_COLOR\nSetEnv PICLOUD_SOCKET={} XDG_CONFIG_HOME={} XDG_STATE_HOME={} \
             LANG=C.UTF-8\nForceCommand {forced}\nInclude {}\n",
            at("host"),
            at("person.pub"),
            socket.display(),
            self.folder.display(),
            self.folder.display(),
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../systemd/sshd-picloud.conf")
                .canonicalize()
                .unwrap()
                .display(),
        );
        fs::write(self.folder.join("sshd_config"), config).unwrap();
    }

    /// The client's arguments, without the command.
    fn arguments(&self) -> Vec<String> {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let proxy = format!("ProxyCommand={SSHD} -i -f {} -E {}", at("sshd_config"), at("sshd.log"));
        let options = [
            proxy,
            "StrictHostKeyChecking=no".to_owned(),
            format!("UserKnownHostsFile={}", at("known_hosts")),
            "BatchMode=yes".to_owned(),
            "LogLevel=ERROR".to_owned(),
        ];
        let mut arguments = vec!["-F".to_owned(), "none".to_owned(), "-i".to_owned(), at("person")];
        arguments.extend(options.into_iter().flat_map(|option| ["-o".to_owned(), option]));
        arguments
    }

    /// Runs a command through ssh, to its end.
    fn command(&self, more: &[&str]) -> Ran {
        let mut command = Command::new("ssh");
        command.args(self.arguments()).args(more);
        let ran = run(command, "");
        assert_ne!(ran.code, 255, "ssh itself failed: {ran:?}\n{}", self.log());
        ran
    }

    /// Opens a terminal through ssh.
    fn terminal(&self, size: (u16, u16)) -> Terminal {
        let mut command = CommandBuilder::new("ssh");
        command.args(self.arguments());
        command.arg("pi");
        command.env("TERM", "xterm-256color");
        Terminal::run(command, size)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("sshd.log")).unwrap_or_default()
    }

    /// The processes that were let in here.
    fn inside(&self) -> Vec<String> {
        let mark = format!("XDG_STATE_HOME={}", self.folder.display());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let of_here = processes.filter(|entry| {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        });
        of_here.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

#[test]
fn without_a_command_it_is_the_terminal_ui_and_with_one_the_command_line() {
    for called in [As::Forced, As::Shell] {
        let world = World::quickstart();
        let door = Door::new(&world, called);
        let mut terminal = door.terminal((80, 24));
        terminal.until_text("live");
        terminal.resize(100, 30);
        terminal.until("footer on the new last line", |screen| {
            screen.rows(0, 100).nth(29).is_some_and(|line| line.contains("? keys"))
        });
        terminal.keys("q");
        assert_eq!(terminal.ended(), 0);
        terminal.assert_restored();

        let list = door.command(&["pi", "apps list --json"]);
        assert_eq!(list.code, 0, "{list:?}");
        let apps: serde_json::Value = serde_json::from_str(&list.out).unwrap();
        assert_eq!(apps["items"][0]["name"], "quickstart");
        assert_eq!(door.command(&["pi", "picloud apps get nowhere"]).code, 3);
        assert_eq!(door.command(&["pi", "apps list; id"]).code, 2);
    }
}

#[test]
fn files_are_refused_with_a_word_and_a_code() {
    let world = World::quickstart();
    let door = Door::new(&world, As::Forced);
    let scp = door.command(&["pi", "scp -t /tmp"]);
    assert_eq!((scp.code, scp.out.as_str()), (4, ""), "{scp:?}");
    assert!(scp.err.contains("takes no files"), "{scp:?}");
    // sshd does not pass on what a subsystem says on standard error.
    let sftp = door.command(&["-s", "pi", "sftp"]);
    assert_eq!((sftp.code, sftp.out.as_str()), (4, ""), "{sftp:?}");
}

#[test]
fn a_client_that_is_killed_ends_it() {
    let world = World::quickstart();
    let door = Door::new(&world, As::Forced);
    let terminal = door.terminal((80, 24));
    terminal.until_text("live");
    assert!(!door.inside().is_empty(), "nobody is inside");
    drop(terminal);
    let end = Instant::now() + PATIENCE;
    while !door.inside().is_empty() {
        assert!(Instant::now() < end, "still inside: {:?}\n{}", door.inside(), door.log());
        std::thread::yield_now();
    }
}

#[test]
fn without_a_terminal_it_says_how_to_get_one() {
    let world = World::quickstart();
    let door = Door::new(&world, As::Forced);
    let ran = door.command(&["-T", "pi"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("ssh -t"), "{ran:?}");
}
