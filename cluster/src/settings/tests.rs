//! What does not depend on the table of a program: which file is read, and what errors keep to themselves.

use super::*;
use std::path::Path;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings {
    places: u32,
    token: String,
    database: String,
}

const TABLE: Table<Settings> = Table {
    rows: &[
        SettingRow {
            key: "places",
            expected: "a number from 1 to 9",
            shape: Shape::Number,
            set: |settings, text| number(text, 9).map(|n| settings.places = n),
            ..SettingRow::TEXT
        },
        SettingRow {
            key: "token",
            expected: "a token",
            set: |settings, text| text.starts_with("PC1.").then(|| settings.token = text.to_owned()),
            secret: Secret::Value("what it is"),
            ..SettingRow::TEXT
        },
        SettingRow {
            key: "database",
            expected: "an address",
            set: |settings, text| text.starts_with("postgres:").then(|| settings.database = text.to_owned()),
            secret: Secret::Whole("what was given"),
            ..SettingRow::TEXT
        },
    ],
    foreign_variables: &["PICLOUD_APP"],
    file_expected: "a TOML file in UTF-8",
    named_file_expected: "the path of a TOML file after --config",
};

fn settled(named: Option<&Path>, usual: Option<&Path>) -> Result<Config<Settings>, String> {
    TABLE.read(Settings::default(), ConfigFile { named, usual }, Vec::new()).map_err(|error| error.to_string())
}

#[test]
fn a_file_that_was_named_must_be_there_and_the_usual_one_need_not() {
    let dir = tempfile::tempdir().unwrap();
    let (absent, there) = (dir.path().join("absent.toml"), dir.path().join("there.toml"));
    std::fs::write(&there, "# ours\nplaces = 3\n").unwrap();
    assert_eq!(settled(None, None).unwrap().settings, Settings::default());
    assert_eq!(settled(None, Some(&absent)).unwrap().settings, Settings::default());
    let config = settled(Some(&there), Some(&absent)).unwrap();
    assert_eq!((config.settings.places, config.origin("places")), (3, Origin::File(there.clone(), 2)));
    assert_eq!(config.origin("token"), Origin::Default);
    std::fs::write(&there, b"token = \"\xff\"").unwrap();
    let refusals = [settled(Some(&absent), Some(&there)), settled(None, Some(&there))];
    let refusals = refusals.map(|refused| refused.unwrap_err().replace(&dir.path().display().to_string(), "DIR"));
    insta::assert_snapshot!(refusals.join("\n---\n"));
}

#[test]
fn errors_do_not_repeat_what_is_secret() {
    let refusals = [
        "places = 10",
        "places = \"2\"",
        "token = \"hunter2\"",
        "token = 2",
        "database = \"mysql://hunter2\"",
        "database = 2",
    ]
    .map(|text| {
        let layers = Layers { file: Some((PathBuf::from("node.toml"), text.to_owned())), ..Layers::default() };
        TABLE.load(Settings::default(), &layers).unwrap_err().to_string()
    });
    insta::assert_snapshot!(refusals.join("\n---\n"));
}
