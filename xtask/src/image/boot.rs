//! `cargo xtask image boot STORY`: a finished image in a virtual machine, from power on to the first answer.
//!
//! Nothing of the image is replaced: what a story needs, it puts onto the boot partition, as a person would. A new
//! story is a function and a row in [`STORIES`].

use super::board::{Board, PI_3, VIRT};
use super::machine::{self, Card, Machine};
use super::recipe::Recipe;
use super::tools;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// From power on to what a story waits for; on a busy machine the emulation is several times slower.
pub(crate) const BOOT_WAIT: Duration = Duration::from_secs(15 * 60);
const OFF_WAIT: Duration = Duration::from_secs(2 * 60);
/// As large as a small card: the root has to grow.
const CARD_GIB: u64 = 4;
/// The account of the stories, made by cloud-init as Raspberry Pi Imager would have it made, or by us.
pub(crate) const USER: &str = "tester";
const USAGE: &str = "usage: cargo xtask image boot STORY [--image FILE]";

/// One story: its name, the image it starts, what it shows, and how.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) image: &'static str,
    pub(crate) what: &'static str,
    run: fn(&Place<'_>) -> Result<()>,
}

/// All of them.
pub(crate) const STORIES: &[Story] = &[
    Story {
        name: "appliance",
        image: "appliance",
        what: "flashed with an app beside it, the appliance answers its script on port 80",
        run: |place| first_answer(place, &VIRT),
    },
    Story {
        name: "pi3",
        image: "appliance",
        what: "the same in a Raspberry Pi 3 with its device tree, its SD card's host and its serial port",
        run: |place| first_answer(place, &PI_3),
    },
    Story {
        name: "typo",
        image: "appliance",
        what: "a typing error in picloud.toml is told with its line on the console and on the card",
        run: typo,
    },
    Story {
        name: "cut",
        image: "appliance",
        what: "the plug is pulled during the first boot, and the next one completes it",
        run: cut,
    },
    Story {
        name: "settings",
        image: "appliance",
        what: "name, time zone, account and Wi-Fi come out of picloud.toml alone, and the Wi-Fi finds its network",
        run: super::settings::applied,
    },
    Story {
        name: "restore",
        image: "appliance",
        what: "the backup of a dead appliance comes back with the card, though the plug is pulled twice",
        run: super::restore::restored,
    },
    Story {
        name: "restore-ssh",
        image: "appliance",
        what: "the same from another machine over SSH, which is switched off at first",
        run: super::restore::restored_over_ssh,
    },
    Story { name: "node", image: "node", what: "a node with a join token is let in by itself", run: super::join::node },
    Story {
        name: "plain",
        image: "plain",
        what: "the same Debian without PiCloud: when it can be logged in to",
        run: plain,
    },
];

/// What a story works with.
pub(crate) struct Place<'a> {
    pub(crate) root: &'a Path,
    pub(crate) recipe: &'a Recipe,
    pub(crate) image: PathBuf,
    /// Of the account of the story.
    pub(crate) key: PathBuf,
    folder: PathBuf,
}

impl Place<'_> {
    /// A card with the image, and nothing said to it.
    pub(crate) fn blank_card(&self) -> Result<Card> {
        Card::flash(&self.image, self.recipe, &self.folder, CARD_GIB)
    }

    /// The same with the settings that Raspberry Pi Imager would write.
    pub(crate) fn card(&self, host: &str) -> Result<Card> {
        self.card_for(&VIRT, host)
    }

    /// The same for a board.
    fn card_for(&self, board: &Board, host: &str) -> Result<Card> {
        let card = self.blank_card()?;
        let public = std::fs::read_to_string(self.key.with_extension("pub")).context("read the story's key")?;
        card.write("user-data", &user_data(host, public.trim()))?;
        card.write("meta-data", "instance-id: rpi-imager-1763769600000\n")?;
        card.write("network-config", &network(board.cable))?;
        Ok(card)
    }

    /// Runs a command in the machine as the account of the story.
    pub(crate) fn ssh(&self, machine: &Machine<'_>, command: &str) -> Result<String> {
        machine.ssh(&self.key, USER, command).with_context(|| format!("run `{command}` in the machine"))
    }

    /// Waits until the account of the story is let in.
    pub(crate) fn wait_for_login(&self, machine: &mut Machine<'_>) -> Result<()> {
        machine.wait("a login over SSH", BOOT_WAIT, |machine| self.ssh(machine, "true").ok())?;
        say(machine, "somebody can log in over SSH");
        Ok(())
    }

    /// Has the machine switch itself off, so that its card can be read.
    pub(crate) fn off(&self, machine: &mut Machine<'_>) -> Result<()> {
        // The connection may end before the answer, so what it says counts only when the machine goes on.
        let said = self.ssh(machine, "sudo systemctl poweroff");
        machine.wait_off(OFF_WAIT).with_context(|| format!("it was told to, and answered: {said:?}"))
    }
}

/// A cable alone: `wlan0` would be waited for, and the machine has none.
fn network(cable: &str) -> String {
    format!("version: 2\nethernets:\n  {cable}:\n    dhcp4: true\n    optional: true\n")
}

fn user_data(host: &str, key: &str) -> String {
    format!(
        "#cloud-config\nhostname: {host}\nmanage_etc_hosts: true\ntimezone: Etc/UTC\nuser:\n  name: {USER}\n  \
         shell: /bin/bash\n  lock_passwd: true\n  ssh_authorized_keys:\n    - {key}\n  sudo: ALL=(ALL) NOPASSWD:ALL\n\
         ssh_pwauth: false\nruncmd:\n  - [ systemctl, enable, --now, ssh ]\n"
    )
}

/// Says what has happened, with the seconds since power on.
pub(crate) fn say(machine: &Machine<'_>, what: &str) {
    println!("   {:>6.1} s  {what}", machine.up_s());
}

fn names() -> String {
    STORIES.iter().map(|story| story.name).collect::<Vec<_>>().join(", ")
}

fn find(name: &str) -> Result<&'static Story> {
    let found = STORIES.iter().find(|story| story.name == name);
    found.with_context(|| format!("there is no story `{name}`; there are: {}\n\n{USAGE}", names()))
}

/// Runs the story that `args` name.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let (name, image) = match args {
        [name] => (name, None),
        [name, option, image] if option == "--image" => (name, Some(PathBuf::from(image))),
        _ => bail!("which story? There are: {}\n\n{USAGE}", names()),
    };
    let story = find(name)?;
    let folder = super::target_dir(root).join("image");
    let image = image.unwrap_or_else(|| folder.join(format!("picloud-{}.img", story.image)));
    ensure!(
        image.is_file(),
        "no image is at `{}`\n\nhint: make it with `cargo xtask image {}`",
        image.display(),
        story.image
    );
    tools::check(tools::TOOLS)?;
    tools::check(machine::TOOLS)?;
    let recipe = Recipe::read(root)?;
    let folder = image.parent().context("an image is in a folder")?.to_path_buf();
    let keys = tempfile::tempdir().context("make a folder for the key")?;
    let key = keys.path().join("key");
    tools::run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "story", "-f"]).arg(&key))?;
    println!("== {}: {}", story.name, story.what);
    (story.run)(&Place { root, recipe: &recipe, image, key, folder })
}

fn first_answer(place: &Place<'_>, board: &Board) -> Result<()> {
    let card = place.card_for(board, "kitchen")?;
    card.write("picloud.toml", "host_name = \"kitchen\"\n")?;
    let apps = card.path("picloud-apps");
    std::fs::create_dir(&apps)?;
    tools::run(Command::new("cp").arg("-r").args([&place.root.join("examples/quickstart"), &apps]))?;
    card.put(&[&apps])?;
    let mut machine = card.start_in(board, "")?;
    machine.wait("the appliance on port 80", BOOT_WAIT, |machine| machine.get(80, "/.picloud/health").ok())?;
    say(&machine, "the appliance answers");
    wait_for_script(&mut machine)?;
    ensure!(machine.get(8080, "/quickstart/hello")?.0 == 200, "port 8080 does not answer what port 80 does");
    place.wait_for_login(&mut machine)?;
    settled(place, &mut machine)?;
    place.off(&mut machine)?;
    drop(machine);
    told_of_success(&card).map(drop)
}

/// Waits until the script of the quickstart answers.
pub(crate) fn wait_for_script(machine: &mut Machine<'_>) -> Result<()> {
    let answer = machine.wait("the script's answer on port 80", BOOT_WAIT, |machine| {
        machine.get(80, "/quickstart/hello").ok().filter(|(status, _)| *status == 200)
    })?;
    say(machine, &format!("the script answers: {}", answer.1.trim()));
    Ok(())
}

/// The report on the card, which tells of success and nothing else.
pub(crate) fn told_of_success(card: &Card) -> Result<String> {
    let report = card.read("picloud-report.txt")?;
    println!("   picloud-report.txt:\n{report}");
    ensure!(
        report.contains("was applied") && !report.contains("NOT"),
        "the report on the card does not tell of success"
    );
    Ok(report)
}

/// What is true of a machine after its first boot.
pub(crate) fn settled(place: &Place<'_>, machine: &mut Machine<'_>) -> Result<()> {
    settled_but_for(place, machine, &[])
}

/// The same where these units are to fail, and no others.
fn settled_but_for(place: &Place<'_>, machine: &mut Machine<'_>, failing: &[&str]) -> Result<()> {
    machine.wait("cloud-init to end", BOOT_WAIT, |machine| {
        place.ssh(machine, "cloud-init status; true").ok().filter(|said| !said.contains("running"))
    })?;
    say(machine, "cloud-init has ended");
    let root_mib: u64 =
        place.ssh(machine, "df --output=size -B 1M / | tail -n 1")?.trim().parse().context("read df")?;
    let card_mib = CARD_GIB << 10;
    ensure!(
        root_mib * 10 > (card_mib - place.recipe.disk.boot_mib) * 9,
        "the root has {root_mib} MiB of a card of {card_mib}"
    );
    let failed = place.ssh(machine, "systemctl list-units --failed --plain --no-legend")?;
    let units: Vec<&str> = failed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    ensure!(units == failing, "units have failed: {units:?}, and these were to: {failing:?}");
    let seen = place.ssh(
        machine,
        "hostname; free -m | awk '/^Mem/ {print $3 \" MiB of memory used\"}'; systemd-analyze time | head -n 1; \
         awk '{print int($7 / 2048) \" MiB written since power on\"}' \
         /sys/block/$(lsblk -n -o PKNAME $(findmnt -n -o SOURCE /))/stat; \
         tr -d '\\0' < /proc/device-tree/model; echo; findmnt -n -o FSTYPE /tmp; \
         /usr/sbin/swapon --noheadings | wc -l; sudo journalctl --header | grep -c /var/log/journal; true",
    )?;
    println!(
        "   root grown to {root_mib} MiB; units that failed: {failing:?}\n      {}",
        seen.trim().replace('\n', "\n      ")
    );
    Ok(())
}

fn typo(place: &Place<'_>) -> Result<()> {
    let card = place.card("kitchen")?;
    card.write("picloud.toml", "host_name = \"kitchen\"\n\n[wifi]\nsid = \"home\"\ncountry = \"DX\"\n")?;
    let mut machine = card.start()?;
    for part in ["picloud.toml line 4", "picloud.toml line 5"] {
        machine.wait(&format!("`{part}` on the console"), BOOT_WAIT, |machine| {
            machine.console().contains(part).then_some(())
        })?;
    }
    say(&machine, "the console tells what is wrong");
    machine.wait("the appliance", BOOT_WAIT, |machine| machine.get(80, "/.picloud/health").ok())?;
    say(&machine, "and the appliance runs all the same");
    place.wait_for_login(&mut machine)?;
    // That it was not applied is seen in the list of units as well.
    settled_but_for(place, &mut machine, &["picloud-first-boot.service"])?;
    place.off(&mut machine)?;
    drop(machine);
    let report = card.read("picloud-report.txt")?;
    println!("   picloud-report.txt:\n{report}");
    for part in ["picloud.toml line 4", "ssid", "picloud.toml line 5", "DX"] {
        ensure!(report.contains(part), "the report on the card does not say `{part}`");
    }
    Ok(())
}

fn cut(place: &Place<'_>) -> Result<()> {
    let card = place.card("kitchen")?;
    card.write("picloud.toml", "host_name = \"kitchen\"\n")?;
    // Early in the root, while the partition grows, and while keys and accounts are made.
    for moment in ["Run /init", "cloud-init-local.service", "cloud-init-network.service", "OpenBSD Secure Shell"] {
        let mut machine = card.start()?;
        let seen = machine.wait(&format!("`{moment}`"), BOOT_WAIT, |machine| {
            let console = machine.console();
            (console.contains(moment) || console.contains("login:")).then_some(console.contains(moment))
        })?;
        let said = if seen { "" } else { ", which it did not say" };
        say(&machine, &format!("the plug is pulled at `{moment}`{said}"));
        drop(machine);
    }
    let mut machine = card.start()?;
    place.wait_for_login(&mut machine)?;
    settled(place, &mut machine)?;
    place.off(&mut machine)
}

fn plain(place: &Place<'_>) -> Result<()> {
    let card = place.card("plain")?;
    let mut machine = card.start()?;
    place.wait_for_login(&mut machine)?;
    settled(place, &mut machine)?;
    place.off(&mut machine)
}
