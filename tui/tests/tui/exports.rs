//! What is written to files of the machine the program runs on.

use crate::terminal::{Terminal, keys};
use crate::world::World;
use std::path::Path;

/// More than come with one answer.
const KEYS: usize = 250;

/// An app whose only script stores them.
fn filling(folder: &Path) {
    std::fs::create_dir_all(folder.join("scripts")).unwrap();
    std::fs::write(folder.join("app.toml"), "name = \"shed\"\n[[routes]]\npath = \"/\"\nscript = \"fill\"\n").unwrap();
    let script = format!("for i in 0..{KEYS} {{ kv::collection(\"solar\").set(`day/${{i}}`, #{{ watt: i }}) }}");
    std::fs::write(folder.join("scripts/fill.rhai"), script).unwrap();
}

#[test]
fn a_collection_is_written_page_by_page_and_never_over_a_file() {
    let world = World::serving(filling);
    assert!(world.get("/shed").0 < 300);
    let mut terminal = Terminal::at_home(&world, "xterm-256color", (80, 24));
    terminal.keys("7");
    terminal.until_text("▸ solar");
    terminal.keys(keys::DOWN);
    terminal.until_quiet();
    terminal.keys("s");
    terminal.until_text("Export solar");
    terminal.until_quiet();
    terminal.keys("\r");
    terminal.until_text(&format!("exported {KEYS} keys to ./solar.ndjson"));
    let written = std::fs::read_to_string(world.work().join("solar.ndjson")).unwrap();
    let lines: Vec<serde_json::Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), KEYS);
    for number in 0..KEYS {
        let line = serde_json::json!({ "key": format!("day/{number}"), "value": { "watt": number } });
        assert!(lines.contains(&line), "{line} is missing");
    }
    terminal.keys("s");
    terminal.until_text("Export solar");
    terminal.until_quiet();
    terminal.keys("\r");
    terminal.until_text("is there already");
    assert_eq!(std::fs::read_to_string(world.work().join("solar.ndjson")).unwrap(), written);
}
