//! Every message of the settings, and which layer wins.

use super::*;

fn file(text: &str) -> Layers {
    Layers { file: Some((PathBuf::from("/etc/picloud/node.toml"), text.to_owned())), ..Layers::default() }
}

fn variable(name: &str, value: &str) -> Layers {
    Layers { environment: vec![(name.to_owned(), value.to_owned())], ..Layers::default() }
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_defaults() {
    let mut layers = file("ingress_addr = \"127.0.0.1:1\"\nname = \"one\"\nconcurrency = 3\nmdns = false\n");
    layers.environment = vec![
        ("PICLOUD_INGRESS_ADDR".to_owned(), "127.0.0.1:2".to_owned()),
        ("PICLOUD_NAME".to_owned(), "two".to_owned()),
        ("PICLOUD_APP".to_owned(), "is the command line's".to_owned()),
        ("PICLOUD_APPLIANCE".to_owned(), "pi.local,[fe80::1]".to_owned()),
    ];
    layers.flags = vec![("ingress_addr", "127.0.0.1:3".to_owned())];
    let settings = load(&layers).unwrap();
    let shown: Vec<String> = SETTINGS.iter().map(|row| format!("{} = {}", row.key, (row.show)(&settings))).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_bad_setting_is_refused_with_place_key_and_what_was_expected() {
    let refusals = [
        file("# ours\nmdns = true\nappliances = \"pi.local\"\n"),
        variable("PICLOUD_DATADIR", "/x"),
        file("appliance = \"http//pi\""),
        file("ingress_addr = 8080"),
        file("join_token = \"PC1.secret\""),
        file("name = \"Pi One\""),
        file("data_dir = \"/x"),
        variable("PICLOUD_CONCURRENCY", "many"),
        Layers { flags: vec![("log", "lo=ud=er".to_owned())], ..Layers::default() },
    ]
    .map(|layers| load(&layers).unwrap_err().to_string());
    insta::assert_snapshot!(refusals.join("\n---\n"));
}

#[test]
fn the_defaults_of_every_setting_are_values_it_accepts() {
    let defaults = Settings::default();
    for row in SETTINGS {
        let shown = (row.show)(&defaults);
        let mut again = defaults.clone();
        assert!(shown.is_empty() || (row.set)(&mut again, &shown).is_some(), "{}: {shown}", row.key);
    }
}

#[test]
fn an_address_may_be_typed_as_people_write_it() {
    for (text, address) in [
        ("pi.local", Some("pi.local:8443")),
        ("pi.local:9443", Some("pi.local:9443")),
        ("https://192.168.1.2/", Some("192.168.1.2:8443")),
        ("192.168.1.2:1", Some("192.168.1.2:1")),
        ("fe80::1", Some("[fe80::1]:8443")),
        ("[fe80::1]", Some("[fe80::1]:8443")),
        ("[::1]:9", Some("[::1]:9")),
        ("pi.local:0", None),
        ("pi local", None),
        ("", None),
        ("pi:x", None),
    ] {
        assert_eq!(typed_address(text).as_deref(), address, "{text}");
    }
}
