//! A card and the machine that it makes: what came of its apps once the appliance ran, and a backup that it begins with.

use crate::hello;
use crate::support::{Appliance, program, serve_command, until};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::tempdir;

/// A folder that looks like a machine, with a card. Its data folder is where `serve_command` has it.
pub(crate) struct Machine {
    root: PathBuf,
}

impl Machine {
    pub(crate) fn new(root: &Path, boot_file: &str) -> Self {
        let machine = Self { root: root.to_owned() };
        machine.put("boot/picloud.toml", &format!("{boot_file}\n[appliance.settings]\ndata_dir = \"/data\"\n"));
        machine
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.root.join(file)).unwrap_or_default()
    }

    pub(crate) fn report(&self) -> String {
        self.text("boot/picloud-report.txt")
    }

    fn setup(&self) -> String {
        self.text("var/lib/picloud-first-boot/setup")
    }

    pub(crate) fn first_boot(&self, flags: &[&str]) -> Command {
        let mut command = program();
        command.arg("first-boot").args(flags).arg("--boot").arg(self.root.join("boot")).arg("--root").arg(&self.root);
        command
    }

    fn ok(&self, flags: &[&str]) {
        let out = self.first_boot(flags).output().unwrap();
        assert!(out.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&out.stderr));
    }

    fn refused(&self, flags: &[&str]) -> String {
        let out = self.first_boot(flags).output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{out:?}");
        String::from_utf8(out.stderr).unwrap()
    }
}

#[test]
fn an_app_that_only_its_deploy_refuses_stands_in_the_report_with_the_reason_until_it_is_deployed() {
    let home = tempdir().unwrap();
    let machine = Machine::new(home.path(), "host_name = \"pi\"");
    for app in ["bath", "kitchen"] {
        let manifest = format!(
            "name = \"{app}\"\nhosts = [\"home.example.org\"]\n[[routes]]\npath = \"/x\"\nscript = \"hello\"\n"
        );
        machine.put(&format!("boot/picloud-apps/{app}/app.toml"), &manifest);
        machine.put(&format!("boot/picloud-apps/{app}/scripts/hello.rhai"), "\"hello\"\n");
    }
    machine.ok(&[]);
    assert_eq!(machine.setup(), "ok\n", "each by itself is right: {}", machine.report());
    let notes = home.path().join("data/first-boot-report.toml");
    let appliance = Appliance::serve(home.path());
    until("the appliance left its notes", || notes.exists());
    machine.ok(&["--report"]);
    let report = machine.report();
    assert!(report.contains("picloud-appliance: NOT ALL that this card says was applied."), "{report}");
    assert!(report.contains("app bath: it is deployed\n") && report.contains("app kitchen: NOT DONE: "), "{report}");
    assert!(report.contains("home.example.org") || report.contains("/x"), "{report}");
    assert!(machine.setup().starts_with("app kitchen: "), "{}", machine.setup());
    for file in ["etc/issue.d/picloud.issue", "etc/motd.d/picloud"] {
        assert_eq!(machine.text(file), report, "{file}");
    }
    // It is told again at the next start, before the appliance has tried again.
    machine.ok(&[]);
    assert_eq!(machine.report(), report);
    // What was in the way is gone; the next start of the appliance deploys it.
    assert!(appliance.admin("DELETE", "/apps/bath", "").status < 300);
    drop(appliance);
    let before = machine.text("data/first-boot-report.toml");
    let again = Appliance::serve(home.path());
    until("the appliance left other notes", || machine.text("data/first-boot-report.toml") != before);
    machine.ok(&["--report"]);
    assert!(machine.report().contains("app kitchen: it is deployed"), "{}", machine.report());
    assert_eq!((machine.setup().as_str(), machine.text("etc/issue.d/picloud.issue").as_str()), ("ok\n", ""));
    // A copy that was refused before the app was deployed: what is there now stays.
    machine.put("data/first-boot-apps/kitchen/app.toml", "name = \"kitchen\"\n");
    machine.put("data/first-boot-apps/kitchen/.refused", "0");
    drop(again);
    let again = Appliance::serve(home.path());
    let gone = || !home.path().join("data/first-boot-apps/kitchen").exists();
    until("the card's copy is left out", gone);
    assert_eq!(again.admin("GET", "/apps/kitchen", "").json()["revision"], 1);
    // Nothing but plain notes reaches the report.
    std::fs::remove_file(&notes).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", &notes).unwrap();
    machine.refused(&["--report"]);
    assert!(!machine.report().contains("root:"));
}

/// Runs `repository COMMAND` on an appliance's data; answers where the repository and its password are.
fn repository(home: &Path, arguments: &[&str]) -> (PathBuf, PathBuf) {
    let (place, data) = (home.join("repository"), home.join("old/data"));
    let mut command: Command = program();
    command.arg("repository").args(arguments).arg("--config").arg(home.join("old/empty.toml"));
    command.arg("--data-dir").arg(&data).arg("--admin-socket").arg(home.join("old/admin.sock"));
    let out = command.arg("--backup-repository").arg(&place).output().unwrap();
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    (place, data.join("backup.password"))
}

fn restore_section(place: &Path, password: &str) -> String {
    format!("host_name = \"pi\"\n[restore]\nrepository = \"{}\"\npassword = \"{password}\"\n", place.display())
}

#[test]
fn a_card_with_a_backup_makes_the_old_appliance_and_a_wrong_password_an_empty_one_that_can_still_have_it() {
    let home = tempdir().unwrap();
    let old = Appliance::serve(&home.path().join("old"));
    old.deploy(&hello("kitchen", "\"from before\""));
    let (place, password) = repository(home.path(), &["init"]);
    repository(home.path(), &["backup"]);
    let ca = std::fs::read(home.path().join("old/data/keys/ca.crt")).unwrap();
    drop(old);
    let password = std::fs::read_to_string(password).unwrap().trim().to_owned();

    let root = home.path().join("new");
    let machine = Machine::new(&root, &restore_section(&place, "wrong-password"));
    machine.put("boot/picloud-apps/stray/app.toml", "name = \"stray\"\n");
    machine.ok(&[]);
    let card = machine.text("boot/picloud.toml");
    assert!(!card.contains("wrong-password") && card.contains("**"), "{card}");
    let report = machine.report();
    assert!(report.contains("the newest backup of `"), "{report}");
    assert!(report.contains("the backup that comes back has apps of its own"), "{report}");
    std::fs::remove_dir_all(root.join("boot/picloud-apps")).unwrap();

    // A wrong password: the machine comes up, empty, and says so.
    let said = machine.refused(&["--restore"]);
    assert!(said.contains("the password of [restore] does not open"), "{said}");
    assert!(machine.report().contains("restore: NOT DONE: the password of [restore] does not open"));
    let empty = Appliance::serve(&root);
    assert_eq!(empty.get("/kitchen/").status, 404);
    drop(empty);
    let fresh = std::fs::read(root.join("data/keys/ca.crt")).unwrap();
    // A place that is not there: what the new appliance has made is there again afterwards.
    let elsewhere = home.path().join("nowhere");
    machine.put("boot/picloud.toml", &card.replace(&place.display().to_string(), &elsewhere.display().to_string()));
    machine.ok(&[]);
    let said = machine.refused(&["--restore"]);
    assert!(said.contains("there is no repository in") && said.contains("plugged in"), "{said}");
    assert_eq!(std::fs::read(root.join("data/keys/ca.crt")).unwrap(), fresh);
    assert!(!root.join("data.before-restore").exists());

    // Mended, it becomes the old one. The power goes right after the backup was in its place.
    machine.put("boot/picloud.toml", &card.replace(&"*".repeat("wrong-password".len()), &password));
    machine.ok(&[]);
    let wanted = machine.text("var/lib/picloud-first-boot/restore.toml");
    machine.ok(&["--restore"]);
    assert!(machine.report().contains("restore: backup "), "{}", machine.report());
    assert!(!root.join("var/lib/picloud-first-boot/restore.toml").exists(), "nothing is wanted any more");
    assert!(!root.join("var/lib/picloud-first-boot/restoring").exists(), "nor is its password left there");
    machine.put("var/lib/picloud-first-boot/restore.toml", &wanted);
    machine.put("var/lib/picloud-first-boot/restoring/began", "");
    machine.ok(&["--restore"]);
    let second = Appliance::start(serve_command(&root));
    assert_eq!(second.get("/kitchen/").text(), "from before");
    assert_eq!(std::fs::read(root.join("data/keys/ca.crt")).unwrap(), ca, "nodes trust the same authority");
    drop(second);

    // It is used: a card that asks again does not take it away, and one whose secret is gone asks for nothing.
    machine.ok(&[]);
    machine.ok(&["--restore"]);
    machine.put("boot/picloud.toml", &format!("# again\n{}", restore_section(&place, &password)));
    machine.put(
        "boot/picloud.toml",
        &(machine.text("boot/picloud.toml") + "[appliance.settings]\ndata_dir = \"/data\"\n"),
    );
    machine.ok(&[]);
    let said = machine.refused(&["--restore"]);
    assert!(said.contains("holds an appliance that was used") && said.contains("hint: "), "{said}");
    assert_eq!(Appliance::start(serve_command(&root)).get("/kitchen/").text(), "from before");
}
