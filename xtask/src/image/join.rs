//! The story of a node: its card carries a join token, an appliance runs on this machine, and nobody approves.

use super::appliance::Appliance;
use super::boot::{BOOT_WAIT, Place, say, settled, told_of_success, wait_for_script};
use super::machine::THIS_MACHINE;
use anyhow::{Context, Result, ensure};

/// From power on to a node that is up and answers a script of the appliance.
pub(crate) fn node(place: &Place<'_>) -> Result<()> {
    let appliance = Appliance::start(place)?;
    let app = place.root.join("examples/quickstart");
    appliance.ask(&["deploy", &app.to_string_lossy()])?;
    let made = appliance.ask(&["join-tokens", "create", "--label", "room=garage"])?;
    let token = made["token"].as_str().context("`picloud join-tokens create` told no token")?;
    let card = place.card("garage")?;
    card.write(
        "picloud.toml",
        &format!(
            "host_name = \"garage\"\n\n[node]\nappliance = \"{THIS_MACHINE}:{}\"\njoin_token = \"{token}\"\n",
            appliance.port
        ),
    )?;
    let mut machine = card.start()?;
    let node = machine.wait("a node that is up", BOOT_WAIT, |_| {
        let nodes = appliance.ask(&["nodes", "list"]).ok()?;
        nodes["items"].as_array()?.iter().find(|node| node["name"] == "garage" && node["state"] == "up").cloned()
    })?;
    say(&machine, &format!("the appliance lets the node in: {}, {}", node["name"], node["state"]));
    wait_for_script(&mut machine)?;
    place.wait_for_login(&mut machine)?;
    settled(place, &mut machine)?;
    place.off(&mut machine)?;
    drop(machine);
    ensure!(!card.read("picloud.toml")?.contains(token), "the join token is still on the card");
    told_of_success(&card).map(drop)
}
