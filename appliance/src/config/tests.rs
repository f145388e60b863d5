//! Every message of the settings, and which layer wins.

use super::*;

fn file(text: &str) -> Layers {
    Layers { file: Some((PathBuf::from("/etc/picloud/appliance.toml"), text.to_owned())), ..Layers::default() }
}

fn variable(name: &str, value: &str) -> Layers {
    Layers { environment: vec![(name.to_owned(), value.to_owned())], ..Layers::default() }
}

fn refusal(layers: &Layers) -> String {
    load(&Mode::Service, layers).unwrap_err().to_string()
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_defaults() {
    let mut layers = file("ingress_addr = \"127.0.0.1:1\"\nmodule_cache_size = 1\nconcurrency = 3\nmdns = false\n");
    layers.environment = vec![
        ("PICLOUD_INGRESS_ADDR".to_owned(), "127.0.0.1:2".to_owned()),
        ("PICLOUD_MODULE_CACHE_SIZE".to_owned(), "2".to_owned()),
        ("PICLOUD_APP".to_owned(), "is the command line's".to_owned()),
    ];
    layers.flags = vec![("ingress_addr", "127.0.0.1:3".to_owned())];
    let config = load(&Mode::Dev(PathBuf::from("app")), &layers).unwrap();
    let shown: Vec<String> = SETTINGS
        .iter()
        .map(|row| format!("{} = {} ({})", row.key, (row.show)(&config.settings), config.origin(row.key)))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn an_unknown_key_names_file_line_and_the_nearest_key() {
    insta::assert_snapshot!(refusal(&file("# ours\nmdns = true\ningres_addr = \"127.0.0.1:1\"\n")));
    insta::assert_snapshot!(refusal(&variable("PICLOUD_DATADIR", "/x")));
}

#[test]
fn a_bad_value_names_the_key_and_what_was_expected() {
    let refusals = [
        file("ingress_addr = \"8080\""),
        file("ingress_addr = 8080"),
        file("module_cache_size = \"512\""),
        file("module_cache_size = 0"),
        file("log = \"lo=ud=er\""),
        file("mdns = \"yes\""),
        file("data_dir = \"/x"),
        file("data_dir = \"/x\"\ndata_dir = \"/y\""),
        file("database_url = \"mysql://picloud:secret@db/picloud\""),
        variable("PICLOUD_CONCURRENCY", "many"),
        Layers { flags: vec![("concurrency", "0".to_owned())], ..Layers::default() },
    ]
    .map(|layers| refusal(&layers));
    insta::assert_snapshot!(refusals.join("\n---\n"));
}

#[test]
fn the_defaults_of_every_setting_are_values_it_accepts() {
    let defaults = Settings::defaults(&Mode::Service);
    for row in SETTINGS {
        let shown = (row.show)(&defaults);
        let mut again = defaults.clone();
        assert!(shown.is_empty() || (row.set)(&mut again, &shown).is_some(), "{}: {shown}", row.key);
    }
}
