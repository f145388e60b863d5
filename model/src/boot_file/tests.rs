//! Every message of the file, and that what is written is read back.

use super::*;
use crate::script::Diagnostic;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFBpQ2xvdWRQaUNsb3VkUGlDbG91ZFBpQ2xvdWQxMjM0 me@laptop";
const TOKEN: &str = "PC1.0123456789abcdef0123456789abcdef.7.fedcba9876543210fedcba9876543210";

fn told(found: &[Diagnostic]) -> String {
    let line = |it: &Diagnostic| {
        format!("{}:{}: {}\n  hint: {}", it.line, it.column, it.message, it.hint.as_deref().unwrap_or("-"))
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn whole() -> String {
    format!(
        "host_name = \"Garage\"\ntime_zone = \"Europe/Berlin\"\n[wifi]\nssid = 'home \"1\"'\npassword = \"hunter2hunter2\"\n\
         country = \"DE\"\n[ssh]\nauthorized_keys = [\"{KEY}\"]\n[node]\nappliance = \"pi.local\"\njoin_token = \"{TOKEN}\"\n\
         join_token_expires = \"2030-01-01T00:00:00Z\"\nlabels = {{ room = \"garage\", relay = \"\" }}\n\
         [restore]\nrepository = \"s3:https://s3.example.org/pi\"\npassword = \"abcde-fghij\"\nsnapshot = \"1a2b3c4d\"\n\
         s3_access_key = \"AKIA\"\ns3_secret_key = \"topsecret\"\ns3_region = \"eu\"\n\
         [node.settings]\nconcurrency = 4\nlog = \"debug\"\n[appliance.settings]\nmdns = false\n\
         database_url = \"postgres://pi:secret@db/x\"\n"
    )
}

/// A private key of that cipher, in the kind of file that OpenSSH writes.
fn private_key(cipher: &str) -> String {
    let length = u8::try_from(cipher.len()).unwrap();
    let bytes = [b"openssh-key-v1\0\0\0\0", [length].as_slice(), cipher.as_bytes(), &[0; 30]].concat();
    let digits = STANDARD.encode(bytes);
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{digits}\n-----END OPENSSH PRIVATE KEY-----\n")
}

fn over_ssh(key: &str, host: &str) -> String {
    format!(
        "[restore]\nrepository = \"sftp:pi@nas:/b\"\npassword = \"a\"\nssh_key = \"\"\"\n{key}\"\"\"\nssh_host_key = \"{host}\"\n"
    )
}

#[test]
fn a_key_for_ssh_is_taken_with_all_its_lines_and_erased_with_them() {
    let scanned = format!("nas {KEY}");
    let text = over_ssh(&private_key("none"), &scanned);
    let file = read(&text, None).unwrap();
    assert_eq!(file.restore.ssh_key, Some(BootSecret::Given(private_key("none"))));
    assert!(scanned.contains(file.restore.ssh_host_key.as_deref().unwrap()), "{file:?}");
    let again = read(&super::text(&file), None).unwrap();
    assert_eq!(again.restore, file.restore);
    let masked = mask(&text);
    assert!(!masked.contains("OPENSSH") && masked.len() == text.len(), "{masked}");
    assert_eq!(read(&masked, None).unwrap().restore.ssh_key, Some(BootSecret::Erased));
}

#[test]
fn a_whole_file_is_read_and_what_is_written_of_it_says_the_same() {
    let file = read(&whole(), Some(0)).unwrap();
    assert_eq!(file.host_name.as_deref(), Some("garage"));
    assert_eq!(file.wifi.password, Some(BootSecret::Given("hunter2hunter2".to_owned())));
    assert_eq!((file.ssh.user(), file.place("node.settings.log")), ("pi", (23, 1)));
    let again = read(&text(&file), Some(0)).unwrap();
    let without_places = |file: BootFile| BootFile { places: BTreeMap::new(), ..file };
    assert_eq!(without_places(again), without_places(file));
    assert_eq!(read("", None).unwrap(), BootFile::default());
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place_and_what_to_do() {
    let text = format!(
        "hostname = \"x\"\nhost_name = \"my pi.local\"\ntime_zone = \"Berlin time\"\ncountry = \"DE\"\n\
         [wifi]\nssid = \"\"\npassword = \"short\"\npsk = \"12\"\ncountry = \"UK\"\nhidden = \"yes\"\n\
         [ssh]\nuser = \"root\"\nauthorized_keys = [\n  \"-----BEGIN OPENSSH PRIVATE KEY-----\",\n  \"ssh-dss AAAA\",\n  \"{}\",\n  7,\n]\n\
         [node]\nappliance = \"http//pi\"\njoin_token = \"PC1.secret\"\njoin_token_expires = \"tomorrow\"\n\
         [node.labels]\nRoom = \"garage\"\nfloor = 1\n\
         [restore]\nrepository = \"sftp:pi@nas:/srv\"\npassword = \" \"\nsnapshot = \"latest\"\ns3_region = \"eu\"\n\
         [node.settings]\nlist = [1]\n[wlan]\nssid = \"x\"\n",
        &KEY[..60]
    );
    let found = read(&text, None).unwrap_err();
    let told = told(&found);
    assert!(!told.contains("short") && !told.contains("secret"), "a secret is not repeated");
    insta::assert_snapshot!(told);
}

#[test]
fn what_does_not_go_together_is_told_at_the_line_that_it_is_about() {
    let expired = whole().replace("2030-01-01", "2020-01-01");
    let now = 1_900_000_000_000;
    let texts = [
        "[wifi]\n".to_owned(),
        "\n[wifi]\nssid = \"a\"\ncountry = \"DE\"\npassword = \"12345678\"\nopen = true\n".to_owned(),
        "[ssh]\nuser = \"me\"\n".to_owned(),
        expired.clone(),
        "[restore]\n".to_owned(),
        "[restore]\nrepository = \"backup\"\npassword = \"a\"\n".to_owned(),
        "[restore]\nrepository = \"/b\"\npassword = \"a\"\ns3_secret_key = \"x\"\n".to_owned(),
        "[restore]\nrepository = \"s3:https://h/b\"\npassword = \"a\"\ns3_secret_key = \"x\"\n".to_owned(),
        format!("[restore]\nrepository = \"/b\"\npassword = \"a\"\nssh_host_key = \"{KEY}\"\n"),
        "[restore]\nrepository = \"sftp:pi@nas:/b\"\npassword = \"a\"\ns3_region = \"eu\"\n".to_owned(),
        over_ssh(KEY, KEY),
        over_ssh(&private_key("aes256-ctr"), "nas 7"),
        over_ssh(&private_key("none").replace("AAAA", "AA*"), KEY),
        "wifi = true\n".to_owned(),
        "[wifi]\nssid = “home”\n".to_owned(),
        "[wifi\n".to_owned(),
        "#".repeat(BOOT_FILE_BYTES_MAX + 1),
    ];
    let refusals = texts.map(|text| told(&read(&text, Some(now)).unwrap_err()));
    insta::assert_snapshot!(refusals.join("\n---\n"));
    assert!(read(&expired, None).is_ok(), "a clock that is not believed refuses nothing");
    assert!(read(&mask(&expired), Some(now)).is_ok(), "a token that was used may have ended");
}

#[test]
fn secrets_are_taken_out_byte_by_byte_and_what_is_left_is_read_as_used() {
    let text = whole();
    let masked = mask(&text);
    assert_eq!(masked.len(), text.len());
    for secret in ["hunter2", "fedcba", "pi:secret", "fghij", "topsecret"] {
        assert!(text.contains(secret) && !masked.contains(secret), "{secret}");
    }
    let differ = text.bytes().zip(masked.bytes()).filter(|(was, is)| was != is && *is != b'*');
    assert_eq!(differ.count(), 0, "only stars are new");
    assert_eq!(mask(&masked), masked);
    let file = read(&masked, None).unwrap();
    assert_eq!(file.wifi.password, Some(BootSecret::Erased));
    assert_eq!(file.node.join_token, Some(BootSecret::Erased));
    assert!(file.appliance_settings.iter().any(|setting| setting.is_erased && setting.key == "database_url"));
    let quoted = "[wifi]\nssid = \"a\"\ncountry = \"DE\"\npassword = '''12ü45\"678'''\n";
    assert_eq!(mask(quoted), quoted.replace("12ü45\"678", "**********"));
    assert_eq!(mask("[wifi\npassword = \"x\""), "[wifi\npassword = \"x\"");
}

#[test]
fn the_example_is_a_file_of_comments_whose_lines_are_right_once_the_signs_are_gone() {
    let example = example();
    assert_eq!(read(&example, None).unwrap(), BootFile::default());
    insta::assert_snapshot!(example);
    let lines = example.lines().filter_map(|line| line.strip_prefix("# "));
    let lines =
        lines.filter(|line| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')));
    let text = lines.collect::<Vec<_>>().join("\n");
    let found = read(&text, None).unwrap_err();
    // What stands for a secret is none; the three ways into a network and those to a repository are all there.
    let mut at: Vec<_> = found.iter().map(|fault| fault.message.split('`').nth(1).unwrap_or_default()).collect();
    at.dedup();
    let ssh = ["restore.ssh_key", "restore.ssh_host_key"];
    let wanted = [["password", "wifi.psk", "ssh.authorized_keys", "node.join_token"].as_slice(), &ssh].concat();
    assert_eq!(at, wanted, "{}", told(&found));
}

#[test]
fn every_key_and_only_those_are_set_by_the_table() {
    let mut paths: Vec<String> = KEYS.iter().map(Key::path).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), KEYS.len());
    assert!(KEYS.iter().all(|key| !key.doc.is_empty() && !key.expected.is_empty() && !key.example.is_empty()));
}
