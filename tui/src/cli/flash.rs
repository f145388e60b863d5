//! `picloud flash`: an image onto a card, with what the machine is to become.

use super::Session;
use super::join_tokens;
use crate::client::Ask;
use crate::failure::Failure;
use crate::flash::card::Card;
use crate::flash::contents::{self, Files};
use crate::flash::device::Disks;
use crate::flash::image::Image;
use crate::flash::progress::{Progress, size};
use crate::output::Output;
use crate::path::ApiPath;
use crate::place::{Place, Url};
use crate::words::label;
use clap::Args;
use http::Method;
use picloud_model::boot_file::{BootFile, BootSecret, SSH_KEYS_MAX, example};
use picloud_model::clock::{Clock, SystemClock};
use picloud_model::join_token::MadeJoinToken;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Largest file with a password or SSH keys.
const SMALL_FILE_BYTES_MAX: usize = 64 * 1024;

/// Write an image to a card, with name, network, keys, token and apps inside, and verify it
///
/// The image is read whole before anything is written, against IMAGE.sha256 or SHA256SUMS beside it. Mounted disks, the
/// disk that this machine runs from, disks of a volume, parts of disks and read-only ones are never written. Every byte
/// is read back from the card. What is to be inside is checked first as the machine will check it.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub(crate) struct Flash {
    /// The image: .img, .img.xz or .img.zst
    #[arg(value_name = "IMAGE", required_unless_present = "example")]
    image: Option<PathBuf>,
    /// The card, as /dev/sdb or /dev/mmcblk0; or a file, which is made
    #[arg(value_name = "TARGET", required_unless_present = "example")]
    target: Option<PathBuf>,
    /// The picloud.toml to put in; flags go before its lines
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The machine's name
    #[arg(long, value_name = "NAME")]
    host_name: Option<String>,
    /// Its time zone, as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// The wireless network
    #[arg(long, value_name = "SSID")]
    wifi_ssid: Option<String>,
    /// Its password; other people of this computer may see it, so rather give the file
    #[arg(long, value_name = "PASSWORD", conflicts_with = "wifi_password_file")]
    wifi_password: Option<String>,
    /// A file with the password in its first line
    #[arg(long, value_name = "FILE")]
    wifi_password_file: Option<PathBuf>,
    /// The country that the radio stands in, as DE, GB or US
    #[arg(long, value_name = "CODE")]
    wifi_country: Option<String>,
    /// As whom one comes in over SSH [default: pi]
    #[arg(long, value_name = "USER")]
    ssh_user: Option<String>,
    /// A file with public SSH keys, as ~/.ssh/id_ed25519.pub; may be given more than once
    #[arg(long = "ssh-key", value_name = "FILE")]
    ssh_keys: Vec<PathBuf>,
    /// For a node: where its appliance is, beside what it finds on the network; with --join the one that makes the token
    #[arg(long, value_name = "HOST[:PORT]")]
    appliance: Option<String>,
    /// For a node: the token that lets it in
    #[arg(long, value_name = "TOKEN", conflicts_with = "join")]
    join_token: Option<String>,
    /// For a node: make a token for it at the appliance, good for one node and seven days, and say where that is
    #[arg(long)]
    join: bool,
    /// For a node: NAME or NAME=VALUE, for scripts that need it; may be given more than once
    #[arg(long = "label", value_name = "LABEL", value_parser = label)]
    labels: Vec<(String, String)>,
    /// For an appliance: an app folder that it deploys when it starts; may be given more than once
    #[arg(long = "app-dir", value_name = "DIR")]
    apps: Vec<PathBuf>,
    /// Check TARGET, and write to this file instead
    #[arg(long, value_name = "FILE")]
    simulate: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Print a picloud.toml to begin with, and do nothing else
    #[arg(long, conflicts_with_all = ["image", "target"])]
    example: bool,
}

const AFTER: &str = "\
Examples:
  picloud flash picloud-appliance.img.xz /dev/sdb --host-name picloud --ssh-key ~/.ssh/id_ed25519.pub --app-dir kitchen
  picloud flash picloud-node.img.xz /dev/mmcblk0 --config garage.toml --join --label room=garage
  picloud flash picloud-node.img.xz /dev/sdb --simulate card.img --config garage.toml
  picloud flash --example > picloud.toml";

/// With what a node joins.
struct Joins {
    /// The token, which names the appliance that the node is to trust.
    made: MadeJoinToken,
    /// Where that is.
    appliance: Option<String>,
}

/// Where it is written.
struct Target {
    path: PathBuf,
    is_device: bool,
    /// What is asked before.
    question: Option<String>,
}

impl Flash {
    /// Does it, where it needs no appliance; gives it back where it does.
    pub(super) fn run_alone(self: Box<Self>, output: &Output) -> Result<Result<(), Failure>, Box<Self>> {
        if self.join && !self.example { Err(self) } else { Ok(self.run_with(output, None)) }
    }

    /// Does it, with a token of the appliance.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        // What is wrong with the rest is found before a token is made.
        self.inside(None)?;
        let appliance = address(session).await?;
        if appliance.is_none() {
            let note = "the appliance's address is not put in, for only this computer would reach it there: \
                        the node looks for it on the network, or give --appliance HOST";
            session.output.note(note);
        }
        let labels = self.labels.clone().into_iter().collect();
        let made = join_tokens::for_a_card(session, labels).await?;
        let id = made.made.id;
        let done = self.run_with(session.output, Some(Joins { made, appliance }));
        if done.is_err() {
            // Nobody will use it. Where that fails, too, it ends by itself.
            let _ends = join_tokens::forget(session, id).await;
        }
        done
    }

    fn run_with(&self, output: &Output, joins: Option<Joins>) -> Result<(), Failure> {
        let (Some(path), Some(target)) = (&self.image, &self.target) else {
            output.text(&example());
            return Ok(());
        };
        let began = Instant::now();
        let files = self.inside(joins)?;
        let length = std::fs::metadata(path).map_err(|error| crate::folder::cannot("read", path, &error))?.len();
        let mut progress = Progress::begin(output, "reading the image", length);
        let image = Image::read(path, &mut |read| progress.at(read))?;
        progress.end();
        match &image.checked_against {
            Some(file) => output.note(&format!("the image is what {} says", file.display())),
            None => output.note("there is no checksum beside the image (IMAGE.sha256): only its form was checked"),
        }
        let target = self.look_at(target, image.bytes)?;
        self.ask(output, &target)?;
        Card::open(&target.path, target.is_device, output)?.write(&image, &files)?;
        let (shown, names) = (target.path.display().to_string(), files.keys().collect::<Vec<_>>());
        if output.json {
            let seconds = began.elapsed().as_secs();
            output.value(
                &json!({ "target": shown, "bytes": image.bytes, "files": names, "verified": true, "seconds": seconds }),
            );
        } else {
            let inside = if names.is_empty() { String::new() } else { format!(", with {} files inside", names.len()) };
            output.text(&format!("{shown} holds the image{inside}: {} written and verified", size(image.bytes)));
        }
        Ok(())
    }

    /// The target, refused where it may not be written.
    fn look_at(&self, path: &Path, image_bytes: u64) -> Result<Target, Failure> {
        let found = std::fs::metadata(path).ok();
        let device = found.as_ref().filter(|found| found.file_type().is_block_device());
        let mut question = None;
        if let Some(device) = device {
            let number = device.rdev();
            let disks = Disks::below(Path::new("/"));
            let disk = disks.check(nix::sys::stat::major(number), nix::sys::stat::minor(number), image_bytes)?;
            question = Some(format!("{}\nAll of that is lost. Write the image to it?", disk.shown()));
        } else if path.starts_with("/dev") {
            // Else a typo would fill the memory that devices' names are kept in.
            let hint = "lsblk shows the disks; the card may have another name after it was taken out";
            return Err(Failure::usage(format!("there is no disk {}", path.display()), hint));
        } else if let Some(found) = &found {
            if !found.is_file() {
                return Err(Failure::usage(
                    format!("{} is neither a disk nor a file", path.display()),
                    "give a disk, or the name of a file to make",
                ));
            }
            question = Some(format!("Replace the file {}?", path.display()));
        }
        let is_device = device.is_some() && self.simulate.is_none();
        let path = self.simulate.clone().unwrap_or_else(|| path.to_owned());
        if self.simulate.is_some() {
            let is_special = std::fs::metadata(&path).is_ok_and(|found| !found.is_file());
            if is_special || path.starts_with("/dev") {
                return Err(Failure::usage("--simulate writes to a file only", "give the name of a file to make"));
            }
            question = None;
        }
        if self.image.as_ref().is_some_and(|image| same_file(image, &path)) {
            return Err(Failure::usage("the image would be written onto itself", "give another file or a disk"));
        }
        Ok(Target { path, is_device, question })
    }

    fn ask(&self, output: &Output, target: &Target) -> Result<(), Failure> {
        let Some(question) = target.question.as_ref().filter(|_question| !self.yes) else { return Ok(()) };
        if target.is_device && !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            let (what, _ask) = question.split_once('\n').unwrap_or((question, ""));
            return Err(Failure::usage(format!("nobody is there to ask: {what}"), "give --yes where that is meant"));
        }
        output.confirm(question)
    }

    /// What goes into the boot partition, all of it checked.
    fn inside(&self, joins: Option<Joins>) -> Result<Files, Failure> {
        let now = SystemClock.now_ms();
        let (original, given) = contents::given(self.config.as_deref(), now)?;
        let mut file = given.clone();
        self.lay_over(&mut file)?;
        if let Some(Joins { made, appliance }) = joins {
            // Where a person said another, that holds.
            file.node.appliance = file.node.appliance.or(appliance);
            file.node.join_token = Some(BootSecret::Given(made.token));
            file.node.join_token_expires = Some(made.made.expires_at);
        }
        let changed = file != given;
        contents::files(original, &file, changed, &self.apps, now)
    }

    /// What the flags say, over what the file says.
    fn lay_over(&self, file: &mut BootFile) -> Result<(), Failure> {
        fn set<T: Clone>(place: &mut Option<T>, flag: &Option<T>) {
            if flag.is_some() {
                place.clone_from(flag);
            }
        }
        set(&mut file.host_name, &self.host_name);
        set(&mut file.time_zone, &self.time_zone);
        set(&mut file.wifi.ssid, &self.wifi_ssid);
        set(&mut file.wifi.country, &self.wifi_country);
        set(&mut file.ssh.user, &self.ssh_user);
        set(&mut file.node.appliance, &self.appliance);
        let from_file =
            self.wifi_password_file.as_ref().map(|path| contents::text_of(path, SMALL_FILE_BYTES_MAX)).transpose()?;
        let from_file = from_file.map(|text| text.lines().next().unwrap_or_default().to_owned());
        if let Some(password) = from_file.or_else(|| self.wifi_password.clone()) {
            (file.wifi.password, file.wifi.psk, file.wifi.open) = (Some(BootSecret::Given(password)), None, false);
        }
        if let Some(token) = &self.join_token {
            (file.node.join_token, file.node.join_token_expires) = (Some(BootSecret::Given(token.clone())), None);
        }
        // With a token of ours they are the token's: then a person said them.
        if !self.join {
            file.node.labels.extend(self.labels.iter().cloned());
        }
        for path in &self.ssh_keys {
            let text = contents::text_of(path, SMALL_FILE_BYTES_MAX)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            for key in lines.take(SSH_KEYS_MAX) {
                if !file.ssh.authorized_keys.iter().any(|there| there == key) {
                    file.ssh.authorized_keys.push(key.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// Where other machines reach the appliance that is asked; nothing where only this one would.
async fn address(session: &Session<'_>) -> Result<Option<String>, Failure> {
    let url = match &session.settings.place {
        Place::Url(url) => url.clone(),
        Place::Socket(_here) => {
            let status: Value = session.client.send(Ask::new(Method::GET, ApiPath::new(&["status"]))).await?.value()?;
            let Some(url) = status["admin_url"].as_str() else {
                let hint = "have it listen for them: admin_addr = \"0.0.0.0:8443\" in /etc/picloud/appliance.toml";
                return Err(Failure::other("the appliance has no HTTPS, over which nodes join", Some(hint)));
            };
            Url::parse(url)?
        }
    };
    Ok(Some(url.authority()).filter(|_address| url.tls && !url.is_loopback()))
}

fn same_file(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    id(one).is_some() && id(one) == id(other)
}
