//! What README.md and docs/ show of files is read as the programs read it: every block of `toml` is an app's manifest, a
//! card's `picloud.toml` or settings, and every block of `rhai` compiles. Command lines are tested where they are parsed.

use crate::config::{self, Mode, TABLE};
use crate::deploy::check::check;
use picloud_cluster::settings::Layers;
use picloud_model::app_folder::bundle_from_files;
use picloud_model::boot_file;
use picloud_model::script::Diagnostic;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Keys of `app.toml` in its first lines and sections.
const APP_KEYS: &[&str] = &["name", "hosts", "routes", "triggers", "placement", "env", "http", "limits"];

/// A block of a document.
struct Block {
    place: String,
    language: String,
    text: String,
}

fn blocks(name: &str, document: &str) -> Vec<Block> {
    let (mut all, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (index, line) in document.lines().enumerate() {
        match (line.trim().strip_prefix("```"), &mut open) {
            (Some(_end), Some(_)) => all.extend(open.take()),
            (Some(language), None) => {
                let place = format!("{name}:{}", index + 1);
                open = Some(Block { place, language: language.to_owned(), text: String::new() });
            }
            (None, Some(block)) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    all
}

/// The blocks of each document.
fn documents() -> Vec<Vec<Block>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push(root.join("README.md"));
    files.sort();
    let pages = files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "md"));
    let name = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
    pages.map(|file| blocks(&name(file), &std::fs::read_to_string(file).unwrap())).collect()
}

fn told(found: &[Diagnostic]) -> String {
    found.iter().map(|it| format!("line {}: {}", it.line, it.message)).collect::<Vec<_>>().join("; ")
}

/// What is wrong with an app of these files.
fn app(files: &[(String, String)]) -> Result<(), String> {
    let files = files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect();
    let bundle = bundle_from_files(files).map_err(|found| told(&found))?;
    check(bundle, 0).map(drop).map_err(|problem| format!("{}: {}", problem.detail, told(&problem.errors)))
}

/// A manifest, or a part of one, with the scripts that it names.
fn manifest(text: &str, table: &toml::Table) -> Result<(), String> {
    // Of a trigger only the pattern is shown.
    let whole = if table.contains_key("match") {
        format!("[[triggers]]\nname = \"t\"\nkind = \"kv\"\ncollection = \"c\"\nscript = \"s\"\n{text}")
    } else {
        text.to_owned()
    };
    let whole = if table.contains_key("name") { whole } else { format!("name = \"kitchen\"\n{whole}") };
    let table: toml::Table = whole.parse().map_err(|error| format!("{error}"))?;
    let items = ["routes", "triggers"].into_iter().filter_map(|key| table.get(key)?.as_array()).flatten();
    let mut scripts: BTreeSet<String> = items.filter_map(|it| it.get("script")?.as_str()).map(str::to_owned).collect();
    scripts
        .extend(table.get("placement").and_then(toml::Value::as_table).into_iter().flat_map(|it| it.keys().cloned()));
    let scripts = scripts.into_iter().map(|name| (format!("scripts/{name}.rhai"), "1".to_owned()));
    app(&[("app.toml".to_owned(), whole)].into_iter().chain(scripts).collect::<Vec<_>>())
}

fn settings(text: &str) -> Result<(), String> {
    let layers = Layers { file: Some(("appliance.toml".into(), text.to_owned())), ..Layers::default() };
    config::load(&Mode::Service, &layers).map(drop).map_err(|error| error.to_string())
}

fn toml_block(text: &str) -> Result<(), String> {
    let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
    let all_of = |is: &dyn Fn(&str) -> bool| table.keys().all(|key| is(key));
    let is_boot =
        |key: &str| boot_file::KEYS.iter().any(|it| it.section == key || (it.section.is_empty() && it.key == key));
    if all_of(&|key| APP_KEYS.contains(&key) || key == "match") {
        manifest(text, &table)
    } else if all_of(&|key| is_boot(key) || key == "appliance") {
        boot_file::read(text, None).map(drop).map_err(|found| told(&found))
    } else if all_of(&|key| TABLE.rows.iter().any(|row| row.key == key)) {
        settings(text)
    } else {
        Err("it is of no file that is known: app.toml, picloud.toml, appliance.toml".to_owned())
    }
}

/// A script, or several with `// or` between; modules of the same document can be imported.
fn rhai_block(text: &str, modules: &BTreeMap<String, String>) -> Result<(), String> {
    for part in text.split("// or\n") {
        let mut files: Vec<(String, String)> = modules.clone().into_iter().collect();
        if !files.iter().any(|(_path, module)| module == part) {
            files.push(("scripts/shown.rhai".to_owned(), part.to_owned()));
        }
        files.push(("app.toml".to_owned(), "name = \"kitchen\"\n".to_owned()));
        app(&files)?;
    }
    Ok(())
}

#[test]
fn every_file_that_the_documents_show_is_taken_by_the_program_that_reads_it() {
    let (mut counts, mut wrong) = (BTreeMap::<String, usize>::new(), Vec::new());
    for document in documents() {
        let name = |block: &Block| Some(block.text.lines().next()?.strip_prefix("// modules/")?.to_owned());
        let modules =
            document.iter().filter_map(|block| Some((format!("modules/{}", name(block)?), block.text.clone())));
        let modules: BTreeMap<String, String> = modules.collect();
        for block in &document {
            let read = match block.language.as_str() {
                "toml" => toml_block(&block.text),
                "rhai" => rhai_block(&block.text, &modules),
                _other => continue,
            };
            *counts.entry(block.language.clone()).or_default() += 1;
            wrong.extend(read.err().map(|why| format!("{}: {why}", block.place)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(counts["toml"] > 10 && counts["rhai"] > 20, "is this test blind? {counts:?}");
    for bad in ["nonsense = 1", "[[routes]]\npath = 3", "[wifi]\nssid = \"x\"", "data_dir = 7", "a ="] {
        assert!(toml_block(bad).is_err(), "{bad}");
    }
}
