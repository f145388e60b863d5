//! Agents are upgraded one after the other over a real ssh and by a real dpkg, with a database and a folder of its own;
//! the package's script starts the agent again, as the unit would.

use crate::world::{Node, World, until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const SSHD: &str = "/usr/sbin/sshd";

/// What the package's script does: the next node in the order ends and starts again.
const POSTINST: &str = r#"#!/bin/sh
set -e
cd "@FOLDER@"
number=$(($(cat number) + 1))
echo "$number" > number
name=$(sed -n "${number}p" order)
pid=$(cat "$name.pid")
kill -TERM "$pid"
while [ -e "/proc/$pid" ] && ! grep -q "^State:.Z" "/proc/$pid/status"; do sleep 0.05; done
setsid env -i "@AGENT@" run --data-dir "@NODES@/$name" --ingress-addr "$(cat "$name.address")" --mdns false --name "$name" \
    < /dev/null >> "$name.log" 2>&1 &
echo "$!" > "$name.pid"
"#;

/// A person with keys to all nodes, and the nodes.
struct Place<'w> {
    world: &'w World,
    folder: PathBuf,
    nodes: Vec<Node>,
}

impl<'w> Place<'w> {
    fn new(world: &'w World, names: &[&str]) -> Self {
        assert!(Path::new(SSHD).exists(), "{SSHD} does not exist: `cargo xtask test` installs openssh-server");
        let folder = world.folder.path().join("upgrade");
        fs::create_dir(&folder).unwrap();
        let nodes: Vec<Node> = names.iter().map(|name| world.joined(name)).collect();
        for (name, node) in names.iter().zip(&nodes) {
            fs::write(folder.join(format!("{name}.pid")), node.process.pid().to_string()).unwrap();
            fs::write(folder.join(format!("{name}.address")), node.address.to_string()).unwrap();
        }
        let place = Self { world, folder, nodes };
        place.write("number", "0");
        place.write("order", &names.join("\n"));
        place.make_ssh();
        place.make_dpkg();
        place
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A server that each client starts, and settings with which it is reached under every name.
    fn make_ssh(&self) {
        for key in ["host", "person"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &self.at(key)]).status();
            assert!(made.unwrap().success());
        }
        // What the service's start makes where sshd runs as root.
        if nix::unistd::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let server = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             SetEnv PATH={}:/usr/sbin:/usr/bin:/sbin:/bin\n",
            self.at("host"),
            self.at("person.pub"),
            self.at("bin"),
        );
        self.write("sshd_config", &server);
        let key = fs::read_to_string(self.folder.join("host.pub")).unwrap();
        self.write("known_hosts", &format!("a-node {key}"));
        let client = format!(
            "Host *\nIdentityFile {}\nUserKnownHostsFile {}\nHostKeyAlias a-node\nStrictHostKeyChecking yes\nLogLevel ERROR\n\
             ProxyCommand {SSHD} -i -f {} -E {}\n",
            self.at("person"),
            self.at("known_hosts"),
            self.at("sshd_config"),
            self.at("sshd.log"),
        );
        self.write("ssh_config", &client);
    }

    /// The real one, with a database of its own, which installs into a folder of its own.
    fn make_dpkg(&self) {
        for name in ["admin/status", "admin/available", "admin/info/.keep", "admin/updates/.keep", "inst/.keep"] {
            self.write(name, "");
        }
        let _kept = fs::remove_file(self.folder.join("admin/updates/.keep"));
        let flags = "--force-script-chrootless --force-not-root --force-bad-path";
        let (admin, inst) = (self.at("admin"), self.at("inst"));
        let text = format!("#!/bin/sh\nexec /usr/bin/dpkg --admindir={admin} --instdir={inst} {flags} \"$@\"\n");
        let dpkg = self.write("bin/dpkg", &text);
        fs::set_permissions(dpkg, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A package of the agent.
    fn package(&self, version: &str, arch: &str) -> String {
        let arch = if arch == "this" { native() } else { arch.to_owned() };
        let folder = format!("package-{version}-{arch}");
        let control = format!(
            "Package: picloud-node\nVersion: {version}\nArchitecture: {arch}\nMaintainer: T <t@example.org>\nDescription: x\n"
        );
        self.write(&format!("{folder}/DEBIAN/control"), &control);
        self.write(&format!("{folder}/usr/share/doc/picloud-node/version"), version);
        let agent = env!("CARGO_BIN_EXE_picloud-node");
        let nodes = self.world.folder.path().display().to_string();
        let text = POSTINST.replace("@FOLDER@", &self.at("")).replace("@AGENT@", agent).replace("@NODES@", &nodes);
        let script = self.write(&format!("{folder}/DEBIAN/postinst"), &text);
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
        let file = self.at(&format!("picloud-node_{version}_{arch}.deb"));
        let made =
            Command::new("dpkg-deb").args(["--root-owner-group", "-b", &self.at(&folder), &file]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        file
    }

    /// `picloud nodes upgrade`: exit code, standard output, standard error.
    fn upgrade(&self, arguments: &[&str]) -> (i32, String, String) {
        let config = self.at("ssh_config");
        let ran = self.world.picloud(&[&["nodes", "upgrade", "--ssh-config", &config], arguments].concat());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
    }

    /// How often a node was started again by a package.
    fn restarts(&self) -> String {
        fs::read_to_string(self.folder.join("number")).unwrap().trim().to_owned()
    }

    fn state(&self, name: &str) -> Value {
        self.world.json(&["nodes", "get", name])["state"].clone()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // Those that were started here; the others are the world's.
        for (node, name) in
            self.nodes.iter().zip(fs::read_to_string(self.folder.join("order")).unwrap_or_default().lines())
        {
            let pid = fs::read_to_string(self.folder.join(format!("{name}.pid"))).unwrap_or_default();
            match pid.trim().parse::<i32>() {
                Ok(pid) if pid != i32::try_from(node.process.pid()).unwrap_or(0) => {
                    let _ended =
                        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
                }
                _ => {}
            }
        }
    }
}

fn native() -> String {
    let said = Command::new("dpkg").arg("--print-architecture").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

#[test]
fn nodes_are_upgraded_one_after_the_other_and_the_first_that_does_not_come_back_well_ends_it() {
    let world = World::new();
    let place = Place::new(&world, &["attic", "garage"]);
    let same = place.package(&format!("{}-1", env!("CARGO_PKG_VERSION")), "this");

    let (code, out, err) = place.upgrade(&[&same, "--plan", "--again"]);
    assert_eq!(code, 0, "{err}");
    let shown: Vec<&str> = out.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(shown, ["attic", "garage"], "{out}");
    let (code, out, err) = place.upgrade(&[&same]);
    assert_eq!((code, out.trim()), (0, "0 nodes have 0.1.0 now, 2 were left"), "{err}: they have this version");
    assert_eq!(place.restarts(), "0");

    let (code, out, err) = place.upgrade(&[&same, "--again"]);
    assert_eq!((code, out.trim()), (0, "2 nodes have 0.1.0 now, 0 were left"), "{err}");
    assert_eq!(place.restarts(), "2");
    for (name, node) in ["attic", "garage"].into_iter().zip(&place.nodes) {
        until(|| (place.state(name) == "up").then_some(()), || place.state(name).to_string());
        assert_eq!(node.get("/led/who").body.trim_matches('"'), format!("{name}!"));
    }
    assert!(place.folder.join("inst/usr/share/doc/picloud-node/version").exists(), "dpkg installed it");

    // The agent in it is still the old one.
    place.write("number", "0");
    let wrong = place.package("0.2.0-1", "this");
    let (code, out, err) = place.upgrade(&[&wrong, "--back-seconds", "3", "--json"]);
    assert_eq!(code, 1, "{out} {err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let results: Vec<&str> =
        told["nodes"].as_array().unwrap().iter().map(|node| node["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["failed", "untouched"], "{told}");
    assert!(err.contains("it has version 0.1.0, not 0.2.0") && err.contains("picloud nodes resume attic"), "{err}");
    assert_eq!(
        (place.restarts().as_str(), place.state("attic"), place.state("garage")),
        ("1", "draining".into(), "up".into())
    );
    world.ok(&["nodes", "resume", "attic"]);
}

#[test]
fn an_upgrade_that_cannot_be_is_refused_before_any_node_is_touched() {
    let world = World::new();
    let place = Place::new(&world, &["attic"]);
    let (far, other) = (place.package("0.9.0", "this"), place.package("0.1.1", "s390x"));
    let next = place.package("0.1.1", "this");
    let not_one = place.write("picloud-node_1.deb", "no package").display().to_string();
    for (arguments, code, said) in [
        (vec![far.as_str()], 1, "version 0.9.0 does not go with the appliance's 0.1.0"),
        (vec![&other], 1, "node attic is "),
        (vec![&not_one], 1, "is no Debian package"),
        (vec!["attic"], 2, "no picloud-node is among the packages"),
        (vec![&next, "cellar"], 2, "there is no node cellar"),
        (vec![&next, "--user=-oProxyCommand=x"], 2, "no name of a user"),
    ] {
        let (ended, out, err) = place.upgrade(&arguments);
        assert_eq!((ended, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
    // A host whose key is not known is not talked to, and nobody is asked.
    place.write("known_hosts", "");
    let (code, _out, err) = place.upgrade(&[&next]);
    assert!(code == 1 && err.contains("ssh does not come to") && err.contains("nothing was changed"), "{err}");
    assert_eq!((place.restarts().as_str(), place.state("attic")), ("0", "up".into()));
}
