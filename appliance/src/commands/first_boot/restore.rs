//! `first-boot --restore`: brings the backup back that the card asks for, before the appliance serves.
//!
//! It is in its place in one step, or nothing is: until then everything is beside the data folder. What a new appliance
//! has made there in the meantime is set aside for that long, and kept where the backup does not come.

use super::super::backup::caller;
use super::super::serve::runtime;
use super::super::{Stopped, terminal};
use super::PROGRAM;
use crate::backup::restore::{give_to, sync_folder};
use crate::config::{self, Mode, Settings};
use crate::repository::{Repository, RepositoryError, RepositoryRestored, RestorePlan, Target};
use picloud_cluster::first_boot::later::{self, Note};
use picloud_cluster::first_boot::restore::{self, Wanted};
use picloud_cluster::first_boot::{Machine, SERVICE_USER};
use picloud_cluster::private_file;
use picloud_cluster::settings::Layers;
use picloud_model::audit::Act;
use picloud_model::clock::{Clock, SystemClock, rfc3339};
use picloud_store::{OpenSettings, Store};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is added to the name of the data folder of an appliance that nobody has used yet, while the backup comes.
const ASIDE: &str = ".before-restore";
/// The file of the password in the data folder of whatever came out of a repository.
const PASSWORD_FILE: &str = "backup.password";
/// What the other machine is called among known hosts, whatever its address.
const HOST_ALIAS: &str = "repository";
/// So long it may take to answer, in seconds; three times as long, and the connection counts as broken.
const SSH_CONNECT_S: u32 = 30;
/// Words of SSH for what a card can mend: what is wrong, and what to do.
const SSH_REFUSALS: &[(&str, &str, &str)] = &[
    (
        "Host key verification failed",
        "has another key than `ssh_host_key` says",
        "is that the machine? Then write what `ssh-keyscan` prints of it below [restore]",
    ),
    (
        "Permission denied (",
        "does not let the key of [restore] in",
        "add its public half to the account's ~/.ssh/authorized_keys there",
    ),
];
/// Longest password file.
const PASSWORD_BYTES_MAX: u64 = 64 * 1024;
/// What is told beside why it did not come.
const AFTERWARDS: &str = "The machine runs without it. The next start tries again, unless somebody has used it by then. \
                          What is wrong with [restore] in picloud.toml can be mended on any computer.";

/// Does it, and puts what came of it into the report.
pub(super) fn run(machine: &Machine) -> Result<(), Stopped> {
    let Some(wanted) = restore::wanted(machine)? else {
        terminal::say("the card asks for no backup, or it came back before");
        return Ok(());
    };
    let ended = attempt(machine, &wanted);
    let (said, is_wrong) = match &ended {
        Ok((_snapshot, said)) => (said.clone(), false),
        Err(Stopped(why)) => (format!("{why}\n{AFTERWARDS}"), true),
    };
    later::add(&PROGRAM, machine, Note { about: "restore".to_owned(), said, is_wrong })?;
    let (snapshot, said) = ended?;
    restore::done(machine, &snapshot)?;
    terminal::say(&said);
    Ok(())
}

/// Answers which backup came back, and what is said of it.
fn attempt(machine: &Machine, wanted: &Wanted) -> Result<(String, String), Stopped> {
    let work = restore::work_folder(machine)?;
    let config_file = below(machine, Path::new(config::CONFIG_FILE));
    let settings = settings(machine, wanted, &work, &config_file)?;
    let place = Place::of(&settings.data_dir, &work);
    if place.has_come_back(&wanted.password) {
        place.finish()?;
        return Ok(("whole".to_owned(), format!("the backup of `{}` is in its place", wanted.repository)));
    }
    let restored = runtime()?.block_on(async {
        place.clear(machine).await?;
        bring_back(&settings, &config_file, wanted).await.map_err(|error| Stopped(told(&error, wanted)))
    });
    match restored {
        Ok(done) => {
            place.finish()?;
            let (node, at) = (&done.inventory.node, rfc3339(done.inventory.created_at));
            let said = format!("backup {} of `{node}`, taken at {at}, is in its place", done.snapshot);
            Ok((done.snapshot, said))
        }
        Err(stopped) => {
            place.put_back()?;
            Err(stopped)
        }
    }
}

async fn bring_back(
    settings: &Settings,
    config_file: &Path,
    wanted: &Wanted,
) -> Result<RepositoryRestored, RepositoryError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let act = Act { who: caller(), from: "first boot".to_owned(), at: clock.now_ms(), message: None };
    let plan = RestorePlan {
        snapshot: wanted.snapshot.as_deref(),
        dir: &settings.data_dir,
        files_root: settings.files_root.as_deref(),
        config: config_file,
        clock,
        act: &act,
    };
    Repository::of(settings)?.restore(&plan).await
}

/// Why it did not come, in the words of the card.
fn told(error: &RepositoryError, wanted: &Wanted) -> String {
    match error {
        RepositoryError::WrongPassword { .. } => format!(
            "the password of [restore] does not open `{}`\nhint: write it again, as the recovery sheet has it",
            wanted.repository
        ),
        RepositoryError::NotThere { place } => format!(
            "there is no repository in `{place}`\nhint: is its disk plugged in and mounted? Else mend `repository` below \
             [restore]"
        ),
        other => {
            let text = other.to_string();
            let of_ssh = SSH_REFUSALS.iter().find(|(words, ..)| text.contains(words));
            let Some((_words, message, hint)) = of_ssh.filter(|_found| wanted.ssh_key.is_some()) else { return text };
            format!("`{}` {message}\nhint: {hint}", wanted.repository)
        }
    }
}

/// The machine's own settings, with the card's repository.
fn settings(machine: &Machine, wanted: &Wanted, work: &Path, config_file: &Path) -> Result<Settings, Stopped> {
    let text = match std::fs::read_to_string(config_file) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.map_err(|error| format!("read {}: {error}", config_file.display()))?,
    };
    let layers = Layers { file: Some((config_file.to_owned(), text)), ..Layers::default() };
    let mut settings = config::load(&Mode::Service, &layers)?.settings;
    if settings.database_url.is_some() {
        let hint = "restore by hand, and move it there with picloud-appliance migrate-store, as docs/backup.md says";
        return Err(Stopped(format!("this appliance keeps its data in Postgres, where no backup goes\nhint: {hint}")));
    }
    let bad = || format!("`{}` is no repository", wanted.repository);
    settings.backup_repository = Some(Target::parse(&wanted.repository).ok_or_else(bad)?);
    settings.data_dir = below(machine, &settings.data_dir);
    settings.files_root = settings.files_root.map(|root| below(machine, &root));
    let (password, env) = (work.join("password"), work.join("env"));
    private_file::write(&password, format!("{}\n", wanted.password).as_bytes())?;
    settings.backup_password_file = Some(password);
    let variables = [
        ("AWS_ACCESS_KEY_ID", &wanted.s3_access_key),
        ("AWS_SECRET_ACCESS_KEY", &wanted.s3_secret_key),
        ("AWS_DEFAULT_REGION", &wanted.s3_region),
    ];
    let lines = variables.iter().filter_map(|(name, value)| Some(format!("{name}={}\n", value.as_deref()?)));
    private_file::write(&env, lines.collect::<String>().as_bytes())?;
    settings.backup_env_file = Some(env);
    if let (Some(target), Some(key), Some(host)) = (&settings.backup_repository, &wanted.ssh_key, &wanted.ssh_host_key)
    {
        let (key_file, known) = (work.join("ssh_key"), work.join("known_hosts"));
        private_file::write(&key_file, key.as_bytes())?;
        private_file::write(&known, format!("{HOST_ALIAS} {host}\n").as_bytes())?;
        let destination = target.ssh_destination().ok_or_else(bad)?;
        settings.backup_sftp_command = Some(destination.command(&ssh_options(&key_file, &known)));
    }
    Ok(settings)
}

/// What SSH is told so that it takes nothing but what the card says, and asks nobody.
fn ssh_options(key: &Path, known: &Path) -> String {
    format!(
        "-F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o HostKeyAlias={HOST_ALIAS} \
         -o GlobalKnownHostsFile=none -o UserKnownHostsFile={} -o ConnectTimeout={SSH_CONNECT_S} \
         -o ServerAliveInterval={SSH_CONNECT_S} -i {}",
        known.display(),
        key.display(),
    )
}

/// A path of the machine, as it is reached from here.
fn below(machine: &Machine, path: &Path) -> PathBuf {
    machine.root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Where the data goes, and how far an attempt came.
struct Place {
    data: PathBuf,
    aside: PathBuf,
    /// There from when the data folder was empty until an attempt is over.
    began: PathBuf,
}

impl Place {
    fn of(data: &Path, work: &Path) -> Self {
        let mut aside = data.as_os_str().to_owned();
        aside.push(ASIDE);
        Self { data: data.to_owned(), aside: aside.into(), began: work.join("began") }
    }

    /// Whether an attempt came to its end, and the power went right after: what is there opens with this password, and
    /// was not there when it began.
    fn has_come_back(&self, password: &str) -> bool {
        let kept = private_file::read(&self.data.join(PASSWORD_FILE), PASSWORD_BYTES_MAX).ok().flatten();
        self.began.exists() && kept.is_some_and(|kept| kept.trim_ascii() == password.as_bytes())
    }

    /// Makes the data folder empty: what nobody has used is set aside, and anything else refused.
    async fn clear(&self, machine: &Machine) -> Result<(), Stopped> {
        if !is_empty(&self.data)? {
            let changes = changes_in(&self.data).await?;
            if changes > 0 {
                let data = self.data.display();
                return Err(Stopped(format!(
                    "`{data}` holds an appliance that was used (entries in its audit log: {changes}): nothing was put in \
                     its place\nhint: to have the backup all the same: systemctl stop picloud-appliance.socket \
                     picloud-appliance, move {data} away, and start the machine again; or take [restore] out of \
                     picloud.toml"
                )));
            }
            remove(&self.aside)?;
            std::fs::rename(&self.data, &self.aside)?;
        }
        private_file::folder(&self.data)?;
        if let Some((uid, gid)) = owner(machine) {
            std::os::unix::fs::chown(&self.data, Some(uid), Some(gid))?;
        }
        sync_folder(self.data.parent().unwrap_or(&self.data))?;
        private_file::write(&self.began, b"")?;
        Ok(())
    }

    /// The backup is there: what nobody has used goes.
    fn finish(&self) -> Result<(), Stopped> {
        remove(&self.aside)
    }

    /// It did not come: what was there is there again.
    fn put_back(&self) -> Result<(), Stopped> {
        if self.aside.is_dir() && is_empty(&self.data)? {
            // Over an empty folder, in one step.
            std::fs::rename(&self.aside, &self.data)?;
            sync_folder(self.data.parent().unwrap_or(&self.data))?;
        }
        private_file::remove(&self.began)?;
        Ok(())
    }
}

fn is_empty(folder: &Path) -> Result<bool, Stopped> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Stopped(format!("look into {}: {error}", folder.display()))),
        Ok(mut entries) => Ok(entries.next().is_none()),
    }
}

fn remove(folder: &Path) -> Result<(), Stopped> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| Stopped(format!("remove {}: {error}", folder.display()))),
    }
}

/// The account of the services, where root does this.
fn owner(machine: &Machine) -> Option<(u32, u32)> {
    let accounts = std::fs::read_to_string(below(machine, Path::new("/etc/passwd"))).ok()?;
    let line = accounts.lines().find(|line| line.split(':').next() == Some(SERVICE_USER))?;
    let id = |index: usize| line.split(':').nth(index).and_then(|id| id.parse().ok());
    nix::unistd::geteuid().is_root().then_some((id(2)?, id(3)?))
}

/// How many changes people have made in a data folder; all of them are in its audit log.
async fn changes_in(data: &Path) -> Result<i64, Stopped> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(data)?;
    let store: Arc<dyn Store> = picloud_store::open(OpenSettings::new(data), Arc::new(SystemClock)).await?;
    let changes = store.audit_last().await?;
    drop(store);
    // Root opened it; it stays whose it was.
    give_to(data, found.uid(), found.gid())?;
    Ok(changes)
}
