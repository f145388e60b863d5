//! HTTPS: whom `picloud` trusts, what it remembers, and what it refuses.

use crate::support::https::{Authority, FakeHttps};
use crate::support::{Answer, Ran, picloud, run};
use insta::assert_snapshot;
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

/// Somebody with a home.
struct Person(TempDir);

impl Person {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn picloud(&self, arguments: &[&str]) -> Ran {
        self.with_input(arguments, "")
    }

    fn with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = picloud(self.0.path());
        command.env("HOME", self.0.path()).args(arguments);
        run(command, input)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(".config/picloud").join(name)
    }

    fn pins(&self) -> Option<String> {
        fs::read_to_string(self.file("pins.toml")).ok()
    }
}

fn apps() -> Answer {
    (200, "", json!({ "items": [], "cursor": null }).to_string())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_ca_met_first_is_pinned_and_no_other_is_trusted_from_then_on() {
    let (person, authority) = (Person::new(), Authority::new());
    let appliance = FakeHttps::answering(&authority, &["localhost", "127.0.0.1"], apps());
    let url = appliance.url("localhost");
    let place = format!("localhost:{}", appliance.port);
    let known = authority.fingerprint();
    let file = person.file("pins.toml").display().to_string();

    let first = person.picloud(&["apps", "list", "--url", &url, "--key", "picloud_secret"]);
    assert_eq!(first.code, 0, "{first:?}");
    let said = format!("first contact with {place}: its CA has the fingerprint SHA256 {known}; pinned in {file}\n");
    assert!(first.err.starts_with(&said), "{}", first.err);
    assert_eq!(mode(&person.file("pins.toml")), 0o600);
    assert!(person.pins().unwrap().contains(&format!("\"{place}\" = \"{known}\"")));

    let again = person.picloud(&["apps", "list", "--url", &url]);
    assert_eq!((again.code, again.err.as_str()), (0, "there are no apps yet: picloud deploy DIR\n"));
    let seen = appliance.seen();
    assert!(seen[0].headers.contains(&"authorization: Bearer picloud_secret".to_owned()), "{seen:?}");
    assert!(seen[0].headers.contains(&format!("host: {place}")), "{seen:?}");

    // Somebody else answers at the same place.
    let port = appliance.port;
    drop(appliance);
    let other = Authority::new();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let impostor = FakeHttps::at(listener, &other, &["localhost"], apps());
    let refused = person.picloud(&["apps", "list", "--url", &url, "--key", "picloud_secret"]);
    assert_eq!((refused.code, refused.out.as_str()), (4, ""));
    let err = refused.err.replace(&known, "KNOWN").replace(&other.fingerprint(), "OTHER").replace(&place, "PLACE");
    assert_snapshot!(err.replace(&file, "FILE"), @"
    error: PLACE is not the appliance it was: its CA has the fingerprint SHA256 OTHER, the one pinned in FILE is SHA256 KNOWN
    hint: somebody may be reading along. If the appliance was set up anew, compare with `picloud status` on it, then give --fingerprint OTHER
    ");
    assert_eq!(impostor.seen(), [], "nothing was said to it, the key least of all");
    assert!(person.pins().unwrap().contains(&known));

    // The person compared, and says so.
    let told = person.picloud(&["apps", "list", "--url", &url, "--fingerprint", &other.fingerprint()]);
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(person.picloud(&["apps", "list", "--url", &url]).code, 0);
}

#[test]
fn a_fingerprint_that_is_named_is_the_only_one_trusted() {
    let (person, authority) = (Person::new(), Authority::new());
    let appliance = FakeHttps::answering(&authority, &["localhost"], apps());
    let url = appliance.url("localhost");
    let wrong = Authority::new().fingerprint();
    let refused = person.picloud(&["apps", "list", "--url", &url, "--fingerprint", &wrong]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.err.contains(&wrong) && refused.err.contains(&authority.fingerprint()), "{}", refused.err);
    assert_eq!((person.pins(), appliance.seen()), (None, vec![]));
    // Without a home, nothing can be pinned, so nothing is trusted that is not named.
    let homeless = |fingerprint: &str| {
        let mut command = picloud(person.0.path());
        command.env("PICLOUD_FINGERPRINT", fingerprint).args(["apps", "list", "--url", &url]);
        run(command, "")
    };
    assert_eq!(homeless(&authority.fingerprint().to_uppercase()).code, 0);
    let mut command = picloud(person.0.path());
    command.args(["apps", "list", "--url", &url]);
    let ran = run(command, "");
    assert!(ran.code == 1 && ran.err.contains("PICLOUD_FINGERPRINT"), "{ran:?}");
}

#[test]
fn an_authority_that_this_machine_trusts_needs_no_pin() {
    let (person, authority) = (Person::new(), Authority::new());
    let appliance = FakeHttps::answering(&authority, &["localhost"], apps());
    let trusted = person.0.path().join("trusted.pem");
    fs::write(&trusted, authority.pem()).unwrap();
    let apps = |url: &str, more: &[&str]| {
        let mut command = picloud(person.0.path());
        command
            .env("HOME", person.0.path())
            .env("SSL_CERT_FILE", &trusted)
            .args(["apps", "list", "--url", url])
            .args(more);
        run(command, "")
    };
    let ran = apps(&appliance.url("localhost"), &[]);
    assert_eq!((ran.code, ran.err.contains("first contact"), person.pins()), (0, false, None), "{ran:?}");
    // Not for another name, and not where the person named another.
    assert_eq!((apps(&appliance.url("127.0.0.1"), &[]).code, person.pins()), (4, None));
    let other = Authority::new().fingerprint();
    assert_eq!(apps(&appliance.url("localhost"), &["--fingerprint", &other]).code, 4);
    assert_eq!(appliance.seen().len(), 1);
}

#[test]
fn a_key_that_is_typed_at_a_terminal_is_not_shown() {
    let (person, authority) = (Person::new(), Authority::new());
    let appliance = FakeHttps::answering(&authority, &["localhost"], apps());
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = picloud(person.0.path());
    command.env("HOME", person.0.path()).args(["login", "--url", &appliance.url("localhost")]);
    let mut child = command.stdin(terminal.slave).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The slave is the child's alone.
    drop(command);
    let mut asked = Vec::new();
    let mut said = child.stderr.take().unwrap();
    while !asked.ends_with(b": ") {
        let mut byte = [0];
        said.read_exact(&mut byte).unwrap();
        asked.push(byte[0]);
    }
    let mut keyboard = fs::File::from(terminal.master);
    keyboard.write_all(b"picloud_typed\n").unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert!(fs::read_to_string(person.file("config.toml")).unwrap().contains("picloud_typed"));
    let mut shown = Vec::new();
    // Ends with an error where nobody has the other end any more.
    let _hung_up = keyboard.read_to_end(&mut shown);
    assert!(!String::from_utf8_lossy(&shown).contains("picloud_typed"), "{shown:?}");
}

#[test]
fn a_certificate_for_another_name_is_refused_with_the_names_it_is_for() {
    let (person, authority) = (Person::new(), Authority::new());
    let appliance = FakeHttps::answering(&authority, &["pi.local", "10.1.2.3"], apps());
    let ran = person.picloud(&["apps", "list", "--url", &appliance.url("127.0.0.1")]);
    assert_eq!((ran.code, person.pins()), (4, None), "{ran:?}");
    let err = ran.err.replace(&appliance.port.to_string(), "PORT");
    assert_snapshot!(err, @"
    error: the certificate of 127.0.0.1:PORT is not for `127.0.0.1` but for `pi.local`, `10.1.2.3`
    hint: use one of these in --url
    ");
    assert_eq!(appliance.seen(), []);
}

#[test]
fn a_chain_that_does_not_hold_is_no_first_contact() {
    // A certificate of one authority, shown with the certificate of another.
    let (person, real) = (Person::new(), Authority::new());
    let forged = real.shown_with_another();
    let appliance = FakeHttps::answering(&forged, &["localhost"], apps());
    let pinned = forged.fingerprint();
    for arguments in [&[][..], &["--fingerprint", &pinned]] {
        let url = appliance.url("localhost");
        let ran = person.picloud(&[&["apps", "list", "--url", &url], arguments].concat());
        assert_eq!((ran.code, person.pins()), (4, None), "{ran:?}");
        assert!(ran.err.contains("proves nothing"), "{}", ran.err);
    }
    assert_eq!(appliance.seen(), []);
}

#[test]
fn what_speaks_no_https_is_told_from_what_does_not_answer() {
    let person = Person::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = std::thread::spawn(move || {
        let (mut stream, _from) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").unwrap();
        let _until_it_hangs_up = stream.read_to_end(&mut Vec::new());
    });
    let ran = person.picloud(&["apps", "list", "--url", &format!("https://127.0.0.1:{port}")]);
    assert!(ran.code == 5 && ran.err.contains("does not speak HTTPS"), "{ran:?}");
    plain.join().unwrap();
    let ran = person.picloud(&["apps", "list", "--url", &format!("https://127.0.0.1:{port}")]);
    assert!(ran.code == 5 && ran.err.contains("no appliance answers"), "{ran:?}");
}

#[test]
fn a_login_is_remembered_with_its_key_until_the_logout() {
    let (person, authority) = (Person::new(), Authority::new());
    let appliance = FakeHttps::answering(&authority, &["localhost"], apps());
    let url = appliance.url("localhost");
    let ran = person.with_input(&["login", "--url", &url], "picloud_secret\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.starts_with(&format!("logged in to {url}; kept in ")), "{}", ran.out);
    assert!(ran.err.contains(&authority.fingerprint()), "{}", ran.err);
    assert_eq!(mode(&person.file("config.toml")), 0o600);

    assert_eq!(person.picloud(&["apps", "list"]).code, 0);
    // Another place is not shown the key.
    let other = FakeHttps::answering(&authority, &["localhost"], apps());
    assert_eq!(person.picloud(&["apps", "list", "--url", &other.url("localhost")]).code, 0);
    let keys = |appliance: &FakeHttps| {
        let seen = appliance.seen().into_iter().flat_map(|seen| seen.headers);
        seen.filter(|header| header.starts_with("authorization")).collect::<Vec<_>>()
    };
    assert_eq!(keys(&appliance), ["authorization: Bearer picloud_secret"; 2]);
    assert_eq!(keys(&other), [""; 0]);

    assert_eq!(person.picloud(&["logout"]).out, "logged out\n");
    assert!(!person.file("config.toml").exists());
    assert_eq!(person.picloud(&["logout"]).out, "nobody was logged in\n");
    assert!(person.picloud(&["apps", "list"]).err.contains("/run/picloud/admin.sock"));
}

#[test]
fn a_login_that_does_not_work_is_not_remembered() {
    let (person, authority) = (Person::new(), Authority::new());
    let refused = json!({"code": "unauthenticated", "status": 401, "title": "t", "detail": "the key is unknown"});
    let appliance = FakeHttps::answering(&authority, &["localhost"], (401, "", refused.to_string()));
    let ran = person.with_input(&["login", "--url", &appliance.url("localhost")], "picloud_wrong\n");
    assert_eq!((ran.code, person.file("config.toml").exists()), (4, false), "{ran:?}");
    for (url, input) in
        [("http://10.0.0.1:8080", "k"), (appliance.url("localhost").as_str(), ""), ("https://localhost", "a b")]
    {
        let ran = person.with_input(&["login", "--url", url], input);
        assert_eq!((ran.code, person.file("config.toml").exists()), (2, false), "{url}: {ran:?}");
    }
    // A file that cannot be understood is told, and can be removed.
    fs::create_dir_all(person.file("")).unwrap();
    fs::write(person.file("config.toml"), "url = 7\n").unwrap();
    let ran = person.picloud(&["apps", "list"]);
    assert!(ran.code == 1 && ran.err.contains("picloud logout"), "{ran:?}");
    assert_eq!(person.picloud(&["logout"]).code, 0);
}
