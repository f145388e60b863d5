//! What a TLS client would say of the certificates, and what is said of files that do not fit.

use super::*;
use picloud_model::clock::ManualClock;
use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{ServerName, UnixTime};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tempfile::TempDir;

const NOW: UnixMs = 1_790_000_000_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

struct World {
    folder: TempDir,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::new(NOW)) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn own(&self) -> Result<Tls, TlsError> {
        Tls::open(self.folder.path(), None, None, "pi", self.clock.clone())
    }

    fn owners(&self) -> Result<Tls, TlsError> {
        let (cert, key) = (self.path("my.crt"), self.path("my.key"));
        Tls::open(&self.path("keys"), Some(&cert), Some(&key), "pi", self.clock.clone())
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// What is wrong, without the folder's name, which is another each time.
    fn refusal(&self, opened: Result<Tls, TlsError>) -> String {
        let error = opened.err().expect("it is refused").to_string();
        error.replace(self.folder.path().to_str().unwrap(), "DIR")
    }
}

/// Whether a client that trusts `root` takes the certificate for `name` at that time.
fn verifies(tls: &Tls, root: &[u8], name: &str, at: UnixMs) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let current = tls.current.lock().unwrap();
    let (leaf, others) = shown(&current).chain.split_first().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let time = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(at).unwrap()));
    verifier.verify_server_cert(leaf, others, &name, &[], time).map(drop)
}

fn leaf(tls: &Tls) -> Vec<u8> {
    shown(&tls.current.lock().unwrap()).chain[0].to_vec()
}

/// What people are shown.
fn shown(current: &Current) -> &Shown {
    current.owners.as_ref().map_or(&current.own.people, |owners| &owners.shown)
}

#[test]
fn a_client_that_trusts_the_authority_takes_the_certificate_by_every_name_of_the_machine() {
    let world = World::new();
    let tls = world.own().unwrap();
    let root = std::fs::read(world.path("ca.crt")).unwrap();
    for name in ["localhost", "picloud.local", "pi", "pi.local", "127.0.0.1", "::1"] {
        assert_eq!(verifies(&tls, &root, name, NOW), Ok(()), "{name}");
    }
    assert!(verifies(&tls, &root, "example.org", NOW).is_err());
    assert!(verifies(&tls, &root, "localhost", NOW + 91 * DAY_MS).is_err(), "it lasts 90 days");
    assert_eq!(verifies(&tls, &root, "localhost", NOW - DAY_MS), Ok(()), "a client's clock may be behind");
    let other = World::new();
    other.own().unwrap();
    let strange = std::fs::read(other.path("ca.crt")).unwrap();
    assert!(verifies(&tls, &strange, "localhost", NOW).is_err(), "another authority does not vouch for it");
    let modes =
        ["ca.crt", "ca.key"].map(|file| std::fs::metadata(world.path(file)).unwrap().permissions().mode() & 0o777);
    assert_eq!(modes, [0o600, 0o600]);
}

#[test]
fn the_authority_stays_the_same_and_the_certificate_is_another_after_a_restart() {
    let world = World::new();
    let (first, second) = (world.own().unwrap(), world.own().unwrap());
    assert_eq!(first.fingerprint(), second.fingerprint());
    assert_ne!(leaf(&first), leaf(&second));
    // Files that others could read are tightened, not refused.
    world.write("ca.key", &std::fs::read_to_string(world.path("ca.key")).unwrap(), 0o644);
    assert_eq!(world.own().unwrap().fingerprint(), first.fingerprint());
    assert_eq!(std::fs::metadata(world.path("ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_certificate_is_renewed_before_its_time_after_a_clock_was_set_and_for_a_new_address() {
    let world = World::new();
    let tls = world.own().unwrap();
    let root = std::fs::read(world.path("ca.crt")).unwrap();
    let home: IpAddr = "127.0.0.1".parse().unwrap();
    let first = leaf(&tls);
    tls.config(home, None);
    assert_eq!(leaf(&tls), first, "nothing has changed");
    world.clock.advance(31 * DAY_MS);
    tls.config(home, None);
    let second = leaf(&tls);
    assert_ne!(second, first);
    assert_eq!(verifies(&tls, &root, "localhost", NOW + 100 * DAY_MS), Ok(()));
    world.clock.advance(-400 * DAY_MS);
    tls.config(home, None);
    assert_eq!(verifies(&tls, &root, "localhost", NOW - 369 * DAY_MS), Ok(()), "the clock was set back");
    assert!(verifies(&tls, &root, "203.0.113.7", NOW - 369 * DAY_MS).is_err());
    tls.config("203.0.113.7".parse().unwrap(), None);
    assert_eq!(verifies(&tls, &root, "203.0.113.7", NOW - 369 * DAY_MS), Ok(()));
    assert_eq!(tls.fingerprint(), world.own().unwrap().fingerprint());
}

#[test]
fn a_first_start_that_was_cut_off_between_its_files_is_finished() {
    let world = World::new();
    let made = world.own().unwrap().fingerprint();
    std::fs::rename(world.path("ca.crt"), world.path("ca.crt.new")).unwrap();
    assert_eq!(world.own().unwrap().fingerprint(), made);
}

#[test]
fn an_authority_that_is_not_whole_is_refused_and_left_as_it_is() {
    let mut refusals = Vec::new();
    let broken = |break_it: &dyn Fn(&World)| {
        let world = World::new();
        world.own().unwrap();
        break_it(&world);
        let before = std::fs::read_dir(world.folder.path()).unwrap().count();
        let refusal = world.refusal(world.own());
        assert_eq!(std::fs::read_dir(world.folder.path()).unwrap().count(), before);
        refusal
    };
    refusals.push(broken(&|world| std::fs::remove_file(world.path("ca.crt")).unwrap()));
    refusals.push(broken(&|world| std::fs::remove_file(world.path("ca.key")).unwrap()));
    refusals.push(broken(&|world| world.write("ca.crt", "notes", 0o600)));
    refusals.push(broken(&|world| world.write("ca.key", "notes", 0o600)));
    refusals.push(broken(&|world| world.write("ca.key", &KeyPair::generate().unwrap().serialize_pem(), 0o600)));
    insta::assert_snapshot!(refusals.join("\n---\n"));
}

fn certificate(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    (cert.pem(), key.serialize_pem())
}

#[test]
fn the_owners_certificate_is_shown_and_read_again_when_its_files_change() {
    let world = World::new();
    let (cert, key) = certificate("house.example.org");
    world.write("my.crt", &cert, 0o644);
    world.write("my.key", &key, 0o640);
    let tls = world.owners().unwrap();
    assert_eq!(tls.kind(), "owner");
    assert_eq!(shown(&tls.current.lock().unwrap()).chain.len(), 1, "the own authority vouches for nothing here");
    let first = leaf(&tls);
    let (cert, key) = certificate("other.example.org");
    world.write("my.crt", &cert, 0o644);
    world.clock.advance(60_000);
    tls.config("127.0.0.1".parse().unwrap(), None);
    assert_eq!(leaf(&tls), first, "a certificate without its key is not shown");
    world.write("my.key", &key, 0o640);
    world.clock.advance(60_000);
    tls.config("127.0.0.1".parse().unwrap(), None);
    assert_ne!(leaf(&tls), first);
    assert_eq!(verifies(&tls, cert.as_bytes(), "other.example.org", NOW), Ok(()));
}

#[test]
fn an_owners_certificate_that_does_not_fit_is_refused_with_the_file_and_what_is_wrong() {
    let world = World::new();
    let (cert, key) = certificate("house.example.org");
    let mut refusals = Vec::new();
    refusals.push(world.refusal(world.owners()));
    world.write("my.crt", "notes", 0o644);
    refusals.push(world.refusal(world.owners()));
    world.write("my.crt", &cert, 0o644);
    refusals.push(world.refusal(world.owners()));
    world.write("my.key", &key, 0o644);
    refusals.push(world.refusal(world.owners()));
    world.write("my.key", &cert, 0o600);
    refusals.push(world.refusal(world.owners()));
    world.write("my.key", &certificate("x").1, 0o600);
    refusals.push(world.refusal(world.owners()));
    let half = Tls::open(&world.path("keys"), Some(&world.path("my.crt")), None, "pi", world.clock.clone());
    refusals.push(world.refusal(half));
    world.write("my.key", &key, 0o600);
    assert!(world.owners().is_ok());
    insta::assert_snapshot!(refusals.join("\n---\n"));
}
