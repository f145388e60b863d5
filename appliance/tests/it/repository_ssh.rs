//! A repository on another machine: a real sshd on loopback, with a key of its own and one that it lets in.

use crate::repository::{Killed, Machine, succeeds};
use crate::support::{Appliance, fails, serve_command, until};
use crate::{card, hello};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::tempdir;

/// A machine of its own, as far as SSH knows: an sshd on loopback that lets one key in, and only to files.
struct Vault {
    folder: PathBuf,
    user: String,
    port: u16,
    _daemon: Killed,
}

impl Vault {
    fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        for name in ["host", "key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.join(name))
                .status();
            assert!(made.unwrap().success());
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::copy(folder.join("key.pub"), folder.join("authorized")).unwrap();
        let at = folder.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nPidFile none\nAuthorizedKeysFile {at}/authorized\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        );
        std::fs::write(folder.join("config"), config).unwrap();
        // Where it parts with its privileges; a package would have made it.
        let _there = std::fs::create_dir_all("/run/sshd");
        let mut daemon = Command::new("/usr/sbin/sshd");
        daemon.arg("-D").arg("-e").arg("-f").arg(folder.join("config")).stdin(Stdio::null());
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let daemon = Killed(daemon.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        until("sshd answers", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
        Self { folder: folder.to_owned(), user: format!("{user}@127.0.0.1"), port, _daemon: daemon }
    }

    fn command(&self) -> String {
        let (at, user, port) = (self.folder.display(), &self.user, self.port);
        format!(
            "ssh -F none -p {port} -i {at}/key -o StrictHostKeyChecking=no -o UserKnownHostsFile={at}/known -o BatchMode=yes \
             {user} -s sftp"
        )
    }
}

#[test]
fn a_repository_on_another_machine_is_reached_over_ssh() {
    let home = tempdir().unwrap();
    let vault = Vault::start(&home.path().join("vault"));
    let machine = Machine {
        place: format!("sftp:{}:{}", vault.user, vault.folder.join("repository").display()),
        ..Machine::new(&home.path().join("pi"), Path::new("/"))
    };
    let mut appliance = Appliance::serve(&machine.folder);
    appliance.deploy(&hello("kitchen", "\"kept\""));
    let reached = vault.command();
    let command = |arguments: &[&str]| {
        let mut command = machine.command(arguments);
        command.arg("--backup-sftp-command").arg(&reached);
        command
    };
    succeeds(&mut command(&["init"]));
    let said = succeeds(&mut command(&["backup"]));
    assert!(said.contains("read back and whole"), "{said}");
    assert!(appliance.end(Signal::SIGTERM).success());
    let new = Machine { place: machine.place.clone(), ..Machine::new(&home.path().join("new"), Path::new("/")) };
    succeeds(new.restore(&machine, &[]).arg("--backup-sftp-command").arg(&reached));
    assert_eq!(Appliance::serve(&new.folder).get("/kitchen").text(), "kept");
    drop(vault);
    let said = fails(&mut command(&["list"])).1;
    assert!(said.contains("onnection refused") && said.contains("cannot be reached"), "{said}");
}

#[test]
fn a_card_brings_the_key_that_fetches_its_backup_over_ssh() {
    let home = tempdir().unwrap();
    let vault = Vault::start(&home.path().join("vault"));
    let machine = Machine::new(&home.path().join("pi"), &vault.folder.join("repository"));
    let mut appliance = Appliance::serve(&machine.folder);
    appliance.deploy(&hello("kitchen", "\"kept\""));
    machine.ok(&["init"]);
    machine.ok(&["backup"]);
    assert!(appliance.end(Signal::SIGTERM).success());
    let text = |name: &str| std::fs::read_to_string(vault.folder.join(name)).unwrap();
    let password = std::fs::read_to_string(machine.data().join("backup.password")).unwrap();
    let section = |key: &str, host: &str| {
        format!(
            "[restore]\nrepository = \"sftp://{}:{}/{}\"\npassword = \"{}\"\nssh_key = \"\"\"\n{}\"\"\"\nssh_host_key = \"{}\"\n",
            vault.user,
            vault.port,
            machine.place,
            password.trim(),
            text(key),
            text(host).trim()
        )
    };
    // Another machine at that address, and a key that it does not know.
    for (key, host, words) in [
        ("key", "key.pub", "another key than `ssh_host_key`"),
        ("host", "host.pub", "does not let the key of [restore] in"),
    ] {
        let root = home.path().join(format!("refused-{key}-{host}"));
        let card = card::Machine::new(&root, &section(key, host));
        succeeds(&mut card.first_boot(&[]));
        let said = fails(&mut card.first_boot(&["--restore"])).1;
        assert!(said.contains(words) && said.contains("hint:"), "{said}");
        assert!(card.report().contains(words), "{}", card.report());
    }
    let root = home.path().join("card");
    let card = card::Machine::new(&root, &section("key", "host.pub"));
    succeeds(&mut card.first_boot(&[]));
    succeeds(&mut card.first_boot(&["--restore"]));
    let left = std::fs::read_to_string(root.join("boot/picloud.toml")).unwrap();
    assert!(!left.contains("PRIVATE KEY") && left.contains("ssh-ed25519"), "{left}");
    assert!(!root.join("var/lib/picloud-first-boot/restoring").exists(), "the key is gone");
    assert_eq!(Appliance::start(serve_command(&root)).get("/kitchen").text(), "kept");
}
