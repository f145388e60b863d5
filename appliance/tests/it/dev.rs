//! `dev DIR`: a save is what answers next, and a broken save is told and changes nothing.

use crate::support::Appliance;
use nix::sys::signal::Signal;
use std::path::Path;
use tempfile::{TempDir, tempdir};

fn folder() -> TempDir {
    let folder = tempdir().unwrap();
    let toml = "name = \"kitchen\"\n[[routes]]\nmethods = [\"GET\"]\npath = \"/\"\nscript = \"hello\"\n";
    write(folder.path(), "app.toml", toml);
    write(folder.path(), "scripts/hello.rhai", "\"one\"\n");
    folder
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_folder_is_served_and_every_save_is_what_answers_next() {
    let folder = folder();
    let mut appliance = Appliance::dev(folder.path());
    let (_, url) = appliance.output.wait_for(0, "  http://localhost:");
    assert!(url.contains(&format!("{}/kitchen/", appliance.ingress.port())) && url.contains("(GET)"), "{url}");
    assert_eq!(appliance.get("/kitchen").text(), "one");
    assert!(appliance.socket.ends_with(".picloud/admin.sock"));

    let before = appliance.output.len();
    write(folder.path(), "scripts/hello.rhai", "import \"units\" as u;\nu::two()\n");
    let (broken, line) = appliance.output.wait_for(before, "scripts/hello.rhai");
    assert!(line.contains("units"), "{line}");
    appliance.output.wait_for(broken, "the last good version goes on answering");
    assert_eq!(appliance.get("/kitchen").text(), "one");
    // A folder that was not there when it began is watched as well.
    write(folder.path(), "modules/units.rhai", "fn two() { \"two\" }\n");
    appliance.output.wait_for(broken, "deployed kitchen (revision 2)");
    assert_eq!(appliance.get("/kitchen").text(), "two");
    // Editors save by renaming another file over the old one.
    let before = appliance.output.len();
    write(folder.path(), ".hello.new", "log::warn(\"careful\", #{ n: 3 });\n\"three\"\n");
    std::fs::rename(folder.path().join(".hello.new"), folder.path().join("scripts/hello.rhai")).unwrap();
    appliance.output.wait_for(before, "deployed kitchen (revision 3): ~script hello");
    assert_eq!(appliance.get("/kitchen").text(), "three");
    let (_, logged) = appliance.output.wait_for(before, "careful");
    assert!(logged.starts_with("warn") && logged.contains("hello") && logged.contains("{\"n\":3}"), "{logged}");

    assert!(appliance.end(Signal::SIGINT).success(), "{}", appliance.output.text());
    assert_eq!(std::fs::read_to_string(folder.path().join(".picloud/.gitignore")).unwrap(), "*\n");
}

#[test]
fn a_folder_that_is_broken_from_the_start_is_served_once_it_is_mended() {
    let folder = folder();
    write(folder.path(), "scripts/hello.rhai", "let x = 1;\nlet y = ;\n");
    let appliance = Appliance::dev(folder.path());
    appliance.output.wait_for(0, "scripts/hello.rhai:2:");
    appliance.output.wait_for(0, "not deployed: save the file again once it is mended");
    assert_eq!(appliance.get("/kitchen").status, 404);
    write(folder.path(), "scripts/hello.rhai", "\"mended\"\n");
    appliance.output.wait_for(0, "deployed kitchen (revision 1)");
    assert_eq!(appliance.get("/kitchen").text(), "mended");
}

#[test]
fn an_app_that_gets_another_name_leaves_the_old_one_and_says_how_to_remove_it() {
    let folder = folder();
    let appliance = Appliance::dev(folder.path());
    appliance.output.wait_for(0, "deployed kitchen (revision 1)");
    assert!(!appliance.output.text().contains("is still deployed"), "{}", appliance.output.text());
    let toml = std::fs::read_to_string(folder.path().join("app.toml")).unwrap();
    write(folder.path(), "app.toml", &toml.replace("kitchen", "pantry"));
    let (_, line) = appliance.output.wait_for(0, "app `kitchen` is still deployed and goes on answering");
    let socket = folder.path().join(".picloud/admin.sock");
    assert!(line.ends_with(&format!("picloud --socket {} apps delete kitchen", socket.display())), "{line}");
    assert_eq!((appliance.get("/kitchen").text(), appliance.get("/pantry").text()), ("one".into(), "one".into()));

    // The next start says it again: who begins then has not seen the lines of before.
    drop(appliance);
    let appliance = Appliance::dev(folder.path());
    appliance.output.wait_for(0, "app `kitchen` is still deployed");
    assert_eq!(appliance.admin("DELETE", "/apps/kitchen", "").status, 204);
    assert_eq!((appliance.get("/kitchen").status, appliance.get("/pantry").status), (404, 200));
}

#[test]
fn an_app_whose_host_its_old_name_holds_says_what_to_remove() {
    let folder = folder();
    let toml = std::fs::read_to_string(folder.path().join("app.toml")).unwrap();
    let toml = toml.replacen('\n', "\nhosts = [\"kitchen.example.org\"]\n", 1);
    write(folder.path(), "app.toml", &toml);
    let appliance = Appliance::dev(folder.path());
    appliance.output.wait_for(0, "deployed kitchen (revision 1)");
    write(folder.path(), "app.toml", &toml.replacen("kitchen", "pantry", 1));
    let (refused, _) = appliance.output.wait_for(0, "of app `pantry` and route");
    appliance.output.wait_for(refused, "app `kitchen` is still deployed");
    appliance.output.wait_for(refused, "the last good version goes on answering");
}

#[test]
fn a_save_answers_within_300_ms() {
    let folder = folder();
    let appliance = Appliance::dev(folder.path());
    appliance.output.wait_for(0, "deployed kitchen");
    let mut best = std::time::Duration::MAX;
    for round in 0..5 {
        let saved = std::time::Instant::now();
        let text = format!("round {round}");
        write(folder.path(), "scripts/hello.rhai", &format!("\"{text}\"\n"));
        crate::support::until("the save answers", || appliance.get("/kitchen").text() == text);
        best = best.min(saved.elapsed());
    }
    // The best of some, for other tests run at the same time.
    assert!(best.as_millis() <= 300, "{best:?}");
}
