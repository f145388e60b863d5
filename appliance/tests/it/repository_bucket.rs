//! A repository in a bucket: of OpenStack Swift, which speaks S3 over TLS, with a certificate of its own.

use crate::repository::{Machine, succeeds};
use crate::support::{Appliance, serve_command};
use crate::{card, hello};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::{TempDir, tempdir};

/// Of Debian's own Python: another one knows nothing of Debian's packages.
const PYTHON: &str = "/usr/bin/python3";
const KEY: &str = "pi:backup";
const SECRET: &str = "over-the-sea";

/// The server, gone when it is dropped.
struct Bucket {
    child: Child,
    home: TempDir,
    port: u16,
}

impl Bucket {
    fn start() -> Self {
        let home = tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(home.path().join("certificate.pem"), made.cert.pem()).unwrap();
        std::fs::write(home.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let mut child = Command::new(PYTHON)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/bucket.py"))
            .args([home.path().to_owned(), home.path().join("certificate.pem"), home.path().join("key.pem")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(home.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let log = std::fs::read_to_string(home.path().join("log")).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_none| panic!("Swift did not start:\n{log}"));
        Self { child, home, port }
    }

    fn place(&self, bucket: &str) -> PathBuf {
        PathBuf::from(format!("s3:https://127.0.0.1:{}/{bucket}/pi", self.port))
    }

    /// A `backup_env_file`.
    fn env_file(&self, name: &str, secret: &str, trusts: bool) -> PathBuf {
        use std::io::Write;
        let path = self.home.path().join(name);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        writeln!(file, "AWS_ACCESS_KEY_ID={KEY}\nAWS_SECRET_ACCESS_KEY=\"{secret}\"").unwrap();
        if trusts {
            writeln!(file, "SSL_CERT_FILE={}", self.home.path().join("certificate.pem").display()).unwrap();
        }
        path
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn a_machine_comes_back_out_of_a_bucket_and_old_backups_are_dropped_there() {
    let (home, bucket) = (tempdir().unwrap(), Bucket::start());
    let place = bucket.place("backups");
    let env = bucket.env_file("env", SECRET, true);
    let (old, new) = (Machine::new(&home.path().join("old"), &place), Machine::new(&home.path().join("new"), &place));
    let with_keys = |mut command: Command| succeeds(command.arg("--backup-env-file").arg(&env));
    let mut appliance = Appliance::serve(&old.folder);
    appliance.deploy(&hello("kitchen", "\"kept\""));
    assert!(with_keys(old.command(&["init"])).contains("RECOVERY SHEET"));
    for _time in 0..2 {
        assert!(with_keys(old.command(&["backup", "--prune"])).contains("read back and whole"));
    }
    let list: serde_json::Value = serde_json::from_str(&with_keys(old.command(&["list", "--json"]))).unwrap();
    let list = list.as_array().unwrap();
    assert!(list.iter().all(|backup| backup["verified"] == true), "{list:?}");
    assert_eq!(list.len(), 1, "of a day one is kept: {list:?}");
    with_keys(old.command(&["check", "--all"]));
    assert!(appliance.end(Signal::SIGTERM).success());

    with_keys(new.restore(&old, &[]));
    let restored = Appliance::serve(&new.folder);
    assert_eq!(restored.get("/kitchen").text(), "kept");
    drop(restored);

    // A card brings the keys of the bucket, and they are gone from it afterwards.
    let root = home.path().join("card");
    let password = std::fs::read_to_string(old.data().join("backup.password")).unwrap();
    let card = card::Machine::new(
        &root,
        &format!(
            "[restore]\nrepository = \"{}\"\npassword = \"{}\"\ns3_access_key = \"{KEY}\"\ns3_secret_key = \"{SECRET}\"\n",
            place.display(),
            password.trim()
        ),
    );
    succeeds(&mut card.first_boot(&[]));
    let trust = bucket.home.path().join("certificate.pem");
    succeeds(card.first_boot(&["--restore"]).env("SSL_CERT_FILE", trust));
    assert!(!std::fs::read_to_string(root.join("boot/picloud.toml")).unwrap().contains(SECRET));
    assert_eq!(Appliance::start(serve_command(&root)).get("/kitchen").text(), "kept");
}

#[test]
fn a_bucket_that_is_not_reached_not_trusted_not_opened_or_not_there_is_told_apart() {
    let (home, mut bucket) = (tempdir().unwrap(), Bucket::start());
    let machine = Machine::new(&home.path().join("old"), &bucket.place("backups"));
    let nowhere = Machine::new(&home.path().join("old"), &bucket.place("elsewhere"));
    let _appliance = Appliance::serve(&machine.folder);
    let good = bucket.env_file("good", SECRET, true);
    succeeds(machine.command(&["init"]).arg("--backup-env-file").arg(&good));
    let refused = |machine: &Machine, env: &Path| machine.fails(&["list", "--backup-env-file", env.to_str().unwrap()]);

    let said = refused(&machine, &bucket.env_file("wrong", "under-the-sea", true));
    assert!(said.contains("signature") && said.contains("`backup_env_file`"), "{said}");
    assert!(!said.contains("under-the-sea"), "{said}");
    let said = refused(&machine, &bucket.env_file("distrust", SECRET, false));
    assert!(said.contains("certificate") && said.contains("SSL_CERT_FILE"), "{said}");
    let said = refused(&nowhere, &good);
    assert!(said.contains("there is no repository in") && said.contains("repository init"), "{said}");
    bucket.child.kill().unwrap();
    bucket.child.wait().unwrap();
    let said = refused(&machine, &good);
    assert!(said.contains("connection refused") && said.contains("cannot be reached"), "{said}");
}
