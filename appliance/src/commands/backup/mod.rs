//! `backup`: everything durable into one file, through the running appliance or, where none runs, by itself.

mod running;

use super::serve::runtime;
use super::{Stopped, terminal};
use crate::appliance::node_name;
use crate::backup::contents::{Contents, Source, Turn};
use crate::backup::pack::pack;
use crate::backup::{Manifest, read};
use crate::config::Config;
use picloud_model::audit::Act;
use picloud_model::clock::{Clock, SystemClock};
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_store::{OpenError, OpenSettings};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that stands for standard output.
const STDOUT: &str = "-";
/// Bytes read from the archive at once.
const READ_BYTES: usize = 256 * 1024;

/// Takes a backup into `file`.
pub(super) fn run(config: &Config, file: &Path, force: bool) -> Result<(), Stopped> {
    terminal::start_log(&config.settings.log, false);
    if file == Path::new(STDOUT) {
        take(config, terminal::output())?;
        return Ok(());
    }
    let target = Target::begin(file, force)?;
    take(config, &target.file)?;
    let manifest = target.finish()?;
    terminal::say(&format!(
        "{}: {} files, {} of data as of {}",
        file.display(),
        manifest.files.len(),
        terminal::size(manifest.size_bytes()),
        picloud_model::clock::rfc3339(manifest.created_at),
    ));
    Ok(())
}

/// Writes the archive to `out`.
fn take(config: &Config, out: impl Write) -> Result<(), Stopped> {
    let settings = &config.settings;
    let mut progress = terminal::Progress::new("written");
    let mut out = Counted { inner: out, progress: &mut progress };
    runtime()?.block_on(async {
        if !settings.data_dir.is_dir() {
            return Err(Stopped(format!(
                "`{}` does not exist: there is nothing to back up\nhint: name the data folder: --data-dir DIR",
                settings.data_dir.display()
            )));
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let at = OpenSettings::new(&settings.data_dir).with_database(settings.database_url.clone());
        match picloud_store::open(at, Arc::clone(&clock)).await {
            Ok(store) => {
                let act = Act { who: caller(), from: "backup".to_owned(), at: clock.now_ms(), message: None };
                let source = Source::of(settings, &node_name(), None);
                let contents = Contents::gather(source, store.as_ref(), &Turn::default(), &act).await?;
                pack(&contents, &mut out)?;
                Ok(())
            }
            Err(OpenError::Taken { .. }) => running::take(config, &mut out).await,
            Err(error) => Err(Stopped(format!("{}\nhint: {}", crate::appliance::with_sources(&error), error.hint()))),
        }
    })
}

/// Whoever runs this.
pub(super) fn caller() -> Principal {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let name = user.map_or_else(|| format!("uid {}", nix::unistd::getuid()), |user| user.name);
    Principal { kind: PrincipalKind::Person, name }
}

/// Shows how far it is.
struct Counted<'p, W> {
    inner: W,
    progress: &'p mut terminal::Progress,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.progress.add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// The file while it is not whole: it has another name, and is removed where it does not become whole.
struct Target {
    path: PathBuf,
    part: PathBuf,
    file: File,
    force: bool,
    done: bool,
}

impl Target {
    fn begin(path: &Path, force: bool) -> Result<Self, Stopped> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        refuse_existing(path, force)?;
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&part);
        let file = opened.map_err(|error| {
            Stopped(format!(
                "write `{}`: {error}\nhint: choose a file in a folder that this user may write",
                part.display()
            ))
        })?;
        file.try_lock().map_err(|error| {
            Stopped(format!("`{}`: {error}\nhint: another backup writes this file; choose another", part.display()))
        })?;
        // What a backup that was killed has left behind.
        file.set_len(0)?;
        Ok(Self { path: path.to_owned(), part, file, force, done: false })
    }

    /// Reads all of it again, and gives it its name.
    fn finish(mut self) -> Result<Manifest, Stopped> {
        let stopped = |error: std::io::Error| Stopped(format!("finish `{}`: {error}", self.part.display()));
        self.file.sync_all().map_err(stopped)?;
        let written = File::open(&self.part).map_err(stopped)?;
        let mut progress = terminal::Progress::new("checked");
        let manifest = read::read(BufReader::with_capacity(READ_BYTES, written), |_path, content| {
            let bytes = std::io::copy(content, &mut std::io::sink());
            progress.add(bytes.map_err(|error| crate::backup::BackupError::Damaged(error.to_string()))?);
            Ok(())
        });
        let manifest = manifest.map_err(|error| format!("what was written to `{}`: {error}", self.part.display()))?;
        refuse_existing(&self.path, self.force)?;
        std::fs::rename(&self.part, &self.path).map_err(stopped)?;
        self.done = true;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(stopped)?;
        Ok(manifest)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.done {
            let _already_gone = std::fs::remove_file(&self.part);
        }
    }
}

fn refuse_existing(path: &Path, force: bool) -> Result<(), Stopped> {
    if !force && std::fs::symlink_metadata(path).is_ok() {
        return Err(Stopped(format!(
            "`{}` is there already\nhint: choose another name, or replace it: --force",
            path.display()
        )));
    }
    Ok(())
}
