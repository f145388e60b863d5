//! The stories of a dead appliance: its card's successor brings its backup, and what starts then is the old appliance. From
//! the card itself, where the plug is pulled while that comes and once it is there; and from another machine over SSH,
//! which is not there at first.

use super::appliance::Appliance;
use super::boot::{BOOT_WAIT, Place, say, settled, told_of_success, wait_for_script};
use super::machine::{Card, Machine, THIS_MACHINE};
use super::sshd::Sshd;
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
    let dead = Dead::backed_up(place, &repository)?;
    let card = place.card(&dead.name)?;
    card.put(&[&repository])?;
    dead.asks_for(&card, &format!("repository = \"/boot/firmware/{REPOSITORY}\"\n"))?;
    for moment in [BEGINS, IN_PLACE] {
        let mut machine = card.start()?;
        machine.wait(&format!("`{moment}`"), BOOT_WAIT, |machine| machine.console().contains(moment).then_some(()))?;
        say(&machine, &format!("the plug is pulled at `{moment}`"));
    }
    let mut machine = card.start()?;
    dead.comes_back(place, &mut machine)?;
    drop(machine);
    dead.is_told_of(&card)
}

pub(crate) fn restored_over_ssh(place: &Place<'_>) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder for the backup")?;
    let repository = folder.path().join(REPOSITORY);
    let dead = Dead::backed_up(place, &repository)?;
    let card = place.card(&dead.name)?;
    let vault = Sshd::on_loopback(&folder.path().join("vault"))?;
    let place_of_it = format!("sftp://{}@{THIS_MACHINE}:{}/{}", vault.user, vault.port, repository.display());
    let (key, host_key) = (vault.key()?, vault.host_key()?);
    dead.asks_for(
        &card,
        &format!(
            "repository = \"{place_of_it}\"\nssh_host_key = \"{}\"\nssh_key = \"\"\"\n{key}\"\"\"\n",
            host_key.trim()
        ),
    )?;
    let mut machine = card.start()?;
    machine.wait("the appliance, without its backup", BOOT_WAIT, |machine| machine.get(80, "/.picloud/health").ok())?;
    say(&machine, "nobody answers where the backup is, and the appliance runs all the same");
    place.wait_for_login(&mut machine)?;
    place.off(&mut machine)?;
    drop(machine);
    let report = card.read("picloud-report.txt")?;
    println!("   picloud-report.txt:\n{report}");
    ensure!(report.contains("onnection refused"), "the report on the card does not say why the backup did not come");
    let listening = vault.listen()?;
    let mut machine = card.start()?;
    dead.comes_back(place, &mut machine)?;
    drop((machine, listening));
    ensure!(!card.read("picloud.toml")?.contains("PRIVATE KEY"), "the key for SSH is still on the card");
    dead.is_told_of(&card)
}

/// An appliance that was, and has a backup.
struct Dead {
    name: String,
    password: String,
    /// What nodes and clients knew it by.
    identity: Value,
}

impl Dead {
    /// Runs one until its backup is taken.
    fn backed_up(place: &Place<'_>, repository: &Path) -> Result<Self> {
        let appliance = Appliance::start(place)?;
        let app = place.root.join("examples/quickstart");
        appliance.ask(&["deploy", &app.to_string_lossy()])?;
        appliance.ask(&["kv", "put", "cups", "tea", "{\"n\":3}", "--app", "quickstart"])?;
        let password = appliance.back_up(repository)?;
        let identity = identity(&mut |command| appliance.ask(&command.split(' ').collect::<Vec<_>>()))?;
        let name = identity["name"].as_str().context("the appliance has no name")?.to_owned();
        Ok(Self { name, password, identity })
    }

    /// Writes a card that asks for the backup which is there.
    fn asks_for(&self, card: &Card, there: &str) -> Result<()> {
        let (name, password) = (&self.name, &self.password);
        card.write("picloud.toml", &format!("host_name = \"{name}\"\n\n[restore]\npassword = \"{password}\"\n{there}"))
    }

    /// Waits until the machine is this one, and switches it off.
    fn comes_back(&self, place: &Place<'_>, machine: &mut Machine<'_>) -> Result<()> {
        wait_for_script(machine)?;
        place.wait_for_login(machine)?;
        settled(place, machine)?;
        let mut ask = |command: &str| -> Result<Value> {
            let said = place.ssh(machine, &format!("sudo picloud {command} --json"))?;
            serde_json::from_str(&said).with_context(|| format!("`picloud {command}` answered no JSON: {said}"))
        };
        let (before, after) = (&self.identity, identity(&mut ask)?);
        ensure!(after == *before, "another appliance came up: {after}, and it was {before}");
        let value = ask("kv get cups tea --app quickstart")?;
        ensure!(value["n"] == 3, "the stored value came back as {value}");
        say(machine, &format!("it is the old one: {after}"));
        place.off(machine)
    }

    /// Looks at the card of a machine that has come back.
    fn is_told_of(&self, card: &Card) -> Result<()> {
        ensure!(told_of_success(card)?.contains(IN_PLACE), "the report on the card does not tell of the backup");
        ensure!(!card.read("picloud.toml")?.contains(&self.password), "the repository's password is still on the card");
        Ok(())
    }
}

/// What nodes and clients know an appliance by.
fn identity(ask: &mut dyn FnMut(&str) -> Result<Value>) -> Result<Value> {
    let nodes = ask("nodes list")?;
    let own = nodes["items"].as_array().and_then(|nodes| nodes.iter().find(|node| node["kind"] == "appliance"));
    let own = own.context("the appliance is no node")?;
    Ok(serde_json::json!({ "name": own["name"], "id": own["id"], "fingerprint": own["fingerprint"] }))
}
