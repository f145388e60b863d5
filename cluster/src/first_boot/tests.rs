//! A first boot on a folder that looks like a machine: what it makes of a card, and that the power may go at any change.

use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

const TOKEN: &str = "PC1.0123456789abcdef0123456789abcdef.7.fedcba9876543210fedcba9876543210";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFBpQ2xvdWRQaUNsb3VkUGlDbG91ZFBpQ2xvdWQxMjM0 me@laptop";
/// More than all changes of any card here.
const CHANGES_MAX: u32 = 400;

const NODE: Program = Program {
    name: "picloud-node",
    section: "node",
    config_file: "/etc/picloud/node.toml",
    data_dir: |_file, _text| Ok(PathBuf::from("/var/lib/picloud-node")),
    join_file: |data_dir, joining| {
        let text =
            format!("{} {}", joining.appliance.clone().unwrap_or_default(), joining.token.clone().unwrap_or_default());
        Some((data_dir.join("identity/join.json"), text.into_bytes()))
    },
    check_app: None,
};

const APPLIANCE: Program = Program {
    name: "picloud-appliance",
    section: "appliance",
    config_file: "/etc/picloud/appliance.toml",
    data_dir: |_file, _text| Ok(PathBuf::from("/var/lib/picloud")),
    join_file: |_data_dir, _joining| None,
    check_app: Some(|folder| {
        let fault = |message: &str| Diagnostic {
            file: Some("scripts/a.rhai".to_owned()),
            line: 3,
            column: 0,
            message: message.to_owned(),
            hint: None,
        };
        if folder.join("broken").exists() { Err(vec![fault("it is broken")]) } else { Ok(()) }
    }),
};

/// A folder that looks like a machine, with a card.
struct Card {
    dir: tempfile::TempDir,
}

impl Card {
    fn new(text: &str) -> Self {
        // Memory where there is such a folder: these tests wait for the disk at every change.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let card = Self { dir: tempfile::tempdir_in(place).unwrap() };
        let me = std::fs::metadata(card.dir.path()).unwrap();
        // The account is there, so that no program of the system is needed: it is whoever runs this test.
        let passwd = format!("root:x:0:0::/root:/bin/sh\npi:x:{}:{}::/home/pi:/bin/sh\n", me.uid(), me.gid());
        for (file, content) in [
            ("root/etc/passwd", passwd.as_str()),
            ("root/etc/hosts", "127.0.0.1 localhost\n"),
            ("root/etc/netplan/50-cloud-init.yaml", "network: {}\n"),
            ("root/etc/cloud/cloud.cfg.d/05.cfg", ""),
            ("root/etc/sudoers.d/README", ""),
            ("root/usr/sbin/netplan", ""),
            ("root/usr/share/zoneinfo/Europe/Berlin", "TZif"),
            ("boot/picloud.toml", text),
        ] {
            card.put(file, content);
        }
        card
    }

    fn put(&self, file: &str, content: &str) {
        let path = self.dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn machine(&self) -> Machine {
        let (boot, root) = (self.dir.path().join("boot"), self.dir.path().join("root"));
        Machine { boot, root, now: 1_900_000_000_000 }
    }

    fn start(&self, program: &Program) -> Result<Ended, FirstBootError> {
        run(program, &self.machine())
    }

    /// Starts, and the power goes after so many changes.
    fn start_with_power_for(&self, program: &Program, changes: u32) -> Result<Ended, FirstBootError> {
        let machine = self.machine();
        run_on(program, &machine, &Disk::with_power_for(&machine, changes), &Commands::of(&machine))
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(file)).unwrap_or_default()
    }

    /// Every file with its mode and content, links with where they lead.
    fn all(&self) -> BTreeMap<String, String> {
        fn walk(base: &Path, folder: &Path, all: &mut BTreeMap<String, String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let meta = std::fs::symlink_metadata(&path).unwrap();
                let name = path.strip_prefix(base).unwrap().display().to_string();
                if meta.is_dir() {
                    walk(base, &path, all);
                } else if meta.is_symlink() {
                    all.insert(name, std::fs::read_link(&path).unwrap().display().to_string());
                } else {
                    let mode = meta.permissions().mode() & 0o777;
                    all.insert(name, format!("{mode:o} {}", String::from_utf8_lossy(&std::fs::read(&path).unwrap())));
                }
            }
        }
        let mut all = BTreeMap::new();
        walk(self.dir.path(), self.dir.path(), &mut all);
        all
    }
}

fn node_card() -> String {
    format!(
        "host_name = \"garage\"\ntime_zone = \"Europe/Berlin\"\n[wifi]\nssid = \"home\"\npassword = \"hunter2hunter2\"\n\
         country = \"DE\"\n[ssh]\nauthorized_keys = [\"{KEY}\"]\n[node]\nappliance = \"pi.local\"\n\
         join_token = \"{TOKEN}\"\nlabels = {{ room = \"garage\" }}\n[node.settings]\nlog = \"debug\"\n"
    )
}

#[test]
fn a_card_makes_a_machine_and_its_secrets_are_gone_afterwards() {
    let card = Card::new(&node_card());
    assert_eq!(card.start(&NODE).unwrap(), Ended::Applied);
    assert_eq!(card.text("root/etc/hostname"), "garage\n");
    assert_eq!(card.text("root/etc/hosts"), "127.0.0.1 localhost\n127.0.1.1 garage\n");
    assert!(card.text("root/etc/netplan/60-picloud.yaml").contains("password: \"hunter2hunter2\""));
    assert_eq!(card.text("root/home/pi/.ssh/authorized_keys"), format!("{KEY}\n"));
    assert_eq!(card.text("root/var/lib/picloud-node/identity/join.json"), format!("pi.local {TOKEN}"));
    let settings = card.text("root/etc/picloud/node.toml");
    assert!(settings.contains("log = \"debug\"") && settings.contains("labels = \"room=garage\""), "{settings}");
    assert_eq!(card.text("root/var/lib/picloud-first-boot/setup"), "ok\n");
    let left = card.text("boot/picloud.toml");
    assert!(!left.contains("hunter2") && !left.contains("PC1.") && left.len() == node_card().len(), "{left}");
    insta::assert_snapshot!(card.text("boot/picloud-report.txt"));
    let (all, zone) = (card.all(), "root/etc/localtime");
    assert_eq!(all[zone], "/usr/share/zoneinfo/Europe/Berlin");
    for (file, mode) in [
        ("etc/netplan/60-picloud.yaml", "600"),
        ("home/pi/.ssh/authorized_keys", "600"),
        ("var/lib/picloud-node/identity/join.json", "600"),
        ("etc/sudoers.d/picloud-pi", "440"),
    ] {
        assert!(all[&format!("root/{file}")].starts_with(mode), "{file}");
    }
    assert_eq!(card.start(&NODE).unwrap(), Ended::NothingNew);
    assert_eq!(card.all(), all, "a second start changes nothing");
}

#[test]
fn wherever_the_power_goes_the_next_start_makes_the_same_machine() {
    let whole = Card::new(&node_card());
    whole.put("boot/picloud-apps/stray/app.toml", "name = \"stray\"\n");
    whole.start(&NODE).unwrap();
    let expected = whole.all();
    let mut cuts = 0;
    for changes in 0..CHANGES_MAX {
        let card = Card::new(&node_card());
        card.put("boot/picloud-apps/stray/app.toml", "name = \"stray\"\n");
        let first = card.start_with_power_for(&NODE, changes);
        let left = card.text("boot/picloud.toml");
        let used = card.text("root/etc/netplan/60-picloud.yaml").contains("hunter2hunter2")
            && card.text("root/var/lib/picloud-node/identity/join.json").contains(TOKEN);
        assert!(used || left == node_card(), "a secret went before it was used, at change {changes}");
        cuts += u32::from(first.is_err());
        card.start(&NODE).unwrap();
        // The machine's own notes name no time; only what was left half may not stay.
        assert_eq!(card.all(), expected, "at change {changes}");
        if first.is_ok() {
            break;
        }
    }
    assert!((30..CHANGES_MAX).contains(&cuts), "{cuts}");
}

fn restore_card() -> String {
    "host_name = \"pi\"\n[restore]\nrepository = \"s3:https://s3.example.org/pi\"\npassword = \"abcde-fghij\"\n\
     s3_access_key = \"AKIA\"\ns3_secret_key = \"topsecret\"\n"
        .to_owned()
}

#[test]
fn a_backup_that_is_to_come_back_is_written_down_for_root_before_its_secrets_go_wherever_the_power_goes() {
    let whole = Card::new(&restore_card());
    whole.start(&APPLIANCE).unwrap();
    let expected = whole.all();
    let wanted = restore::wanted(&whole.machine()).unwrap().unwrap();
    assert_eq!((wanted.password.as_str(), wanted.s3_secret_key.as_deref()), ("abcde-fghij", Some("topsecret")));
    assert!(expected["root/var/lib/picloud-first-boot/restore.toml"].starts_with("600"));
    assert!(
        !whole.text("boot/picloud.toml").contains("fghij") && !whole.text("boot/picloud.toml").contains("topsecret")
    );
    assert!(!format!("{wanted:?}").contains("fghij"));
    let mut cuts = 0;
    for changes in 0..CHANGES_MAX {
        let card = Card::new(&restore_card());
        let first = card.start_with_power_for(&APPLIANCE, changes);
        let has = card.text("root/var/lib/picloud-first-boot/restore.toml").contains("abcde-fghij");
        assert!(has || card.text("boot/picloud.toml") == restore_card(), "at change {changes}");
        cuts += u32::from(first.is_err());
        card.start(&APPLIANCE).unwrap();
        assert_eq!(card.all(), expected, "at change {changes}");
        if first.is_ok() {
            break;
        }
    }
    assert!((10..CHANGES_MAX).contains(&cuts), "{cuts}");
}

#[test]
fn a_backup_comes_back_once_and_what_is_mended_on_the_card_keeps_the_secrets_that_are_gone_from_it() {
    let card = Card::new(&restore_card());
    card.start(&APPLIANCE).unwrap();
    let left = card.text("boot/picloud.toml");
    card.put("boot/picloud.toml", &left.replace("/pi\"", "/other\""));
    card.start(&APPLIANCE).unwrap();
    let wanted = restore::wanted(&card.machine()).unwrap().unwrap();
    assert_eq!(
        (wanted.repository.as_str(), wanted.password.as_str()),
        ("s3:https://s3.example.org/other", "abcde-fghij")
    );
    restore::done(&card.machine(), "1a2b3c4d").unwrap();
    card.put("boot/picloud.toml", &left.replace("host_name = \"pi\"", "host_name = \"pj\""));
    assert_eq!(card.start(&APPLIANCE).unwrap(), Ended::Applied);
    assert_eq!(restore::wanted(&card.machine()).unwrap(), None, "it came back before");
    assert!(card.text("boot/picloud-report.txt").contains("came back before"));
    card.put("boot/picloud.toml", &restore_card());
    card.start(&APPLIANCE).unwrap();
    card.put("boot/picloud.toml", "host_name = \"pi\"\n");
    card.start(&APPLIANCE).unwrap();
    assert_eq!(restore::wanted(&card.machine()).unwrap(), None, "the card asks for it no more");
    // The card in another machine, and in a node.
    let other = Card::new(&left);
    let refused = [other.start(&APPLIANCE), other.start(&NODE)].map(|ended| ended.unwrap_err().to_string());
    insta::assert_snapshot!(refused.join("\n---\n"));
}

#[test]
fn a_token_that_has_ended_and_a_country_that_is_none_are_refused_at_their_lines_and_nothing_is_done() {
    let expired = "\njoin_token_expires = \"2029-12-31T00:00:00Z\"\nlabels";
    for (text, line, said) in [
        (node_card().replace("\nlabels", expired), "line 11", "the join token ended at 2029-12-31"),
        (node_card().replace("\"DE\"", "\"UK\""), "line 6", "\"GB\""),
    ] {
        let card = Card::new(&text);
        let refused = card.start(&NODE).unwrap_err().to_string();
        assert!(refused.contains(line) && refused.contains(said), "{refused}");
        assert!(card.text("boot/picloud-report.txt").contains(said));
        assert!(card.text("root/var/lib/picloud-first-boot/setup").contains(line));
        assert_eq!(card.text("root/etc/hostname"), "");
        assert_eq!(card.text("boot/picloud.toml"), text, "no secret is gone");
    }
}

/// A small disk in place of a folder; it goes when this does.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn over(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs"]).arg(folder).status();
        assert!(mounted.unwrap().success(), "root may mount a small disk");
        Self(folder.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_card_is_told_nothing_is_lost_and_the_next_start_goes_on() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let card = Card::new(&node_card());
    let var = card.dir.path().join("root/var");
    let _disk = SmallDisk::over(&var);
    let _full = std::fs::write(var.join("filler"), vec![0; 128 * 1024]).unwrap_err();
    let error = card.start(&NODE).unwrap_err().to_string();
    assert!(error.contains("No space left") && error.contains("the next start goes on from here"), "{error}");
    assert_eq!(card.text("boot/picloud.toml"), node_card(), "no secret is gone");
    for told in ["boot/picloud-report.txt", "root/etc/issue.d/picloud.issue"] {
        assert!(card.text(told).contains("No space left"), "{told}");
    }
    std::fs::remove_file(var.join("filler")).unwrap();
    assert_eq!(card.start(&NODE).unwrap(), Ended::Applied);
    assert_eq!(card.text("root/etc/hostname"), "garage\n");
}

#[test]
fn a_card_with_a_fault_changes_nothing_but_what_tells_of_it() {
    let text = node_card().replace("host_name", "hostname").replace("Europe/Berlin", "Europe/Berlon");
    let card = Card::new(&text);
    let before = card.all();
    let refused = card.start(&NODE).unwrap_err().to_string();
    assert_eq!(card.text("boot/picloud.toml"), text);
    let told = [
        "boot/picloud-report.txt",
        "root/var/lib/picloud-first-boot/setup",
        "root/var/lib/picloud-first-boot/told",
        "root/etc/issue.d/picloud.issue",
        "root/etc/motd.d/picloud",
    ];
    let mut after = card.all();
    assert!(told.iter().all(|file| after.remove(*file).is_some_and(|text| text.contains("line 1"))), "{after:?}");
    assert_eq!(after, before);
    let setup = card.text("root/var/lib/picloud-first-boot/setup");
    insta::assert_snapshot!(format!("{refused}\n---\n{}---\n{setup}", card.text("boot/picloud-report.txt")));
    // Mended on another computer, it is applied.
    card.put("boot/picloud.toml", &node_card());
    assert_eq!(card.start(&NODE).unwrap(), Ended::Applied);
    assert_eq!(card.text("root/etc/issue.d/picloud.issue"), "");
}

#[test]
fn what_only_the_machine_can_say_is_told_with_its_line() {
    let card = Card::new(
        "time_zone = \"Mars/Base\"\n[wifi]\nssid = \"x\"\npassword = \"********\"\ncountry = \"DE\"\n[appliance.settings]\nmdns = false\n",
    );
    std::fs::remove_file(card.dir.path().join("root/usr/sbin/netplan")).unwrap();
    card.put("boot/picloud-apps/.keep", "");
    insta::assert_snapshot!(card.start(&NODE).unwrap_err());
    let latin = Card::new("");
    std::fs::write(latin.dir.path().join("boot/picloud.toml"), b"# ok\nhost_name = \"k\xfcche\"\n").unwrap();
    let refused = latin.start(&NODE).unwrap_err().to_string();
    assert!(refused.contains("picloud.toml line 2: the text is not in UTF-8"), "{refused}");
    let marked = Card::new(
        "\u{feff}host_name = \"pi\"\r\n[wifi]\r\nssid = \"x\"\r\npassword = \"12345678\"\r\ncountry = \"DE\"\r\n",
    );
    marked.start(&NODE).unwrap();
    assert!(marked.text("boot/picloud.toml").contains("\"********\"\r\n"));
}

#[test]
fn a_changed_card_is_applied_again_and_keeps_the_secret_that_was_erased() {
    let card = Card::new(&node_card());
    card.start(&NODE).unwrap();
    let left = card.text("boot/picloud.toml").replace("garage\"\n", "cellar\"\n");
    card.put("boot/picloud.toml", &left.replace("country = \"DE\"", "country = \"AT\""));
    assert_eq!(card.start(&NODE).unwrap(), Ended::Applied);
    let network = card.text("root/etc/netplan/60-picloud.yaml");
    assert!(network.contains("\"AT\"") && network.contains("hunter2hunter2"), "{network}");
    assert_eq!(card.text("root/etc/hostname"), "cellar\n");
    card.put("boot/picloud.toml", &left.replace("\"home\"", "\"other\""));
    let refused = card.start(&NODE).unwrap_err().to_string();
    assert!(refused.contains("line 5") && refused.contains("write the password again"), "{refused}");
}

#[test]
fn apps_that_are_right_wait_for_the_appliance_and_one_that_is_not_stops_nothing_else() {
    let card = Card::new("host_name = \"pi\"\n");
    for (file, text) in [
        ("good/app.toml", "a"),
        ("good/scripts/x.rhai", "1"),
        ("bad/app.toml", "a"),
        ("bad/broken", ""),
        ("Bad Name/app.toml", ""),
    ] {
        card.put(&format!("boot/picloud-apps/{file}"), text);
    }
    assert_eq!(card.start(&APPLIANCE).unwrap(), Ended::Applied);
    let waiting = "root/var/lib/picloud/first-boot-apps";
    assert_eq!(card.text(&format!("{waiting}/good/scripts/x.rhai")), "1");
    assert!(!card.dir.path().join(waiting).join("bad").exists());
    assert_eq!(card.text("root/etc/hostname"), "pi\n");
    insta::assert_snapshot!(card.text("boot/picloud-report.txt"));
    // The appliance has deployed it; the card has a newer one.
    std::fs::remove_dir_all(card.dir.path().join(waiting).join("good")).unwrap();
    card.put("boot/picloud-apps/good/scripts/x.rhai", "2");
    assert_eq!(card.start(&APPLIANCE).unwrap(), Ended::Applied);
    assert_eq!(card.text(&format!("{waiting}/good/scripts/x.rhai")), "2");
}

#[test]
fn an_account_is_made_where_there_is_none() {
    if !nix::unistd::geteuid().is_root() || !Path::new("/usr/sbin/useradd").exists() {
        return;
    }
    let card = Card::new(&format!("[ssh]\nuser = \"me\"\nauthorized_keys = [\"{KEY}\"]\n"));
    for (file, text) in [
        ("group", "root:x:0:\nsudo:x:27:\npicloud:x:990:\n"),
        ("shadow", "root:*:1::::::\n"),
        ("gshadow", "root:*::\n"),
        ("login.defs", ""),
    ] {
        card.put(&format!("root/etc/{file}"), text);
    }
    card.start(&NODE).unwrap();
    let (passwd, group) = (card.text("root/etc/passwd"), card.text("root/etc/group"));
    assert!(
        passwd.contains("\nme:x:") && group.contains("sudo:x:27:me") && group.contains("picloud:x:990:me"),
        "{group}"
    );
    assert_eq!(card.text("root/home/me/.ssh/authorized_keys"), format!("{KEY}\n"));
    let home = std::fs::metadata(card.dir.path().join("root/home/me/.ssh")).unwrap();
    assert!(home.uid() >= 1_000 && home.permissions().mode() & 0o777 == 0o700);
}
