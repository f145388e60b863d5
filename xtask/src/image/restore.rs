//! The story of a dead appliance: a card brings its backup, the plug is pulled while that comes, and once it is there.
//! What starts then is the old appliance.

use super::appliance::Appliance;
use super::boot::{BOOT_WAIT, Place, say, settled, told_of_success, wait_for_script};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;

/// On the boot partition; a name that its file system stores as it is.
const REPOSITORY: &str = "backup";
/// What systemd says when it begins to bring the backup back, and what it says then.
const BEGINS: &str = "PiCloud restore of the card";
const IN_PLACE: &str = "is in its place";

pub(crate) fn restored(place: &Place<'_>) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder for the backup")?;
    let repository = folder.path().join(REPOSITORY);
    let (password, before) = dead_appliance(place, &repository)?;
    let name = before["name"].as_str().context("the appliance has no name")?;
    let card = place.card(name)?;
    card.put(&[&repository])?;
    let wanted = format!(
        "host_name = \"{name}\"\n\n[restore]\nrepository = \"/boot/firmware/{REPOSITORY}\"\npassword = \"{password}\"\n"
    );
    card.write("picloud.toml", &wanted)?;
    for moment in [BEGINS, IN_PLACE] {
        let mut machine = card.start()?;
        machine.wait(&format!("`{moment}`"), BOOT_WAIT, |machine| machine.console().contains(moment).then_some(()))?;
        say(&machine, &format!("the plug is pulled at `{moment}`"));
    }
    let mut machine = card.start()?;
    wait_for_script(&mut machine)?;
    place.wait_for_login(&mut machine)?;
    settled(place, &mut machine)?;
    let mut ask = |command: &str| -> Result<Value> {
        let said = place.ssh(&machine, &format!("sudo picloud {command} --json"))?;
        serde_json::from_str(&said).with_context(|| format!("`picloud {command}` answered no JSON: {said}"))
    };
    let after = identity(&mut ask)?;
    ensure!(after == before, "another appliance came up: {after}, and it was {before}");
    let value = ask("kv get cups tea --app quickstart")?;
    ensure!(value["n"] == 3, "the stored value came back as {value}");
    say(&machine, &format!("it is the old one: {after}"));
    place.off(&mut machine)?;
    drop(machine);
    ensure!(told_of_success(&card)?.contains(IN_PLACE), "the report on the card does not tell of the backup");
    ensure!(!card.read("picloud.toml")?.contains(&password), "the repository's password is still on the card");
    Ok(())
}

/// Runs an appliance until its backup is taken: the password of that, and who it was.
fn dead_appliance(place: &Place<'_>, repository: &Path) -> Result<(String, Value)> {
    let appliance = Appliance::start(place)?;
    let app = place.root.join("examples/quickstart");
    appliance.ask(&["deploy", &app.to_string_lossy()])?;
    appliance.ask(&["kv", "put", "cups", "tea", "{\"n\":3}", "--app", "quickstart"])?;
    let password = appliance.back_up(repository)?;
    let identity = identity(&mut |command| appliance.ask(&command.split(' ').collect::<Vec<_>>()))?;
    Ok((password, identity))
}

/// What nodes and clients know an appliance by.
fn identity(ask: &mut dyn FnMut(&str) -> Result<Value>) -> Result<Value> {
    let nodes = ask("nodes list")?;
    let own = nodes["items"].as_array().and_then(|nodes| nodes.iter().find(|node| node["kind"] == "appliance"));
    let own = own.context("the appliance is no node")?;
    Ok(serde_json::json!({ "name": own["name"], "id": own["id"], "fingerprint": own["fingerprint"] }))
}
