//! The program `restic`: found, asked for its version, and run with everything said in its environment.
//!
//! The only place that starts it. Secrets go by file and environment; what it says is read with a bound; it never waits
//! for a person.

use super::hints::hint_of;
use super::{RepositoryError, RepositorySettings, secret, ssh};
use serde::Deserialize;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// The oldest restic whose answers are known: that of Debian 12.
pub(super) const RESTIC_OLDEST: &str = "0.14.0";
/// Longest run; a first backup over a slow line takes its time, and the next run goes on where one was ended.
const RUN_HOURS_MAX: u64 = 24;
/// Of what it says on standard error, so much of the end is told.
const SAID_BYTES_MAX: usize = 4 * 1024;
/// Longest line that it answers; one has a file with its path.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
/// Packs that are read from a folder, or written to it, at once. Its own 2 leave a core waiting for the other: fetching
/// 1 GB took 3.4 s with them, 3.0 s with 4, and no less with 8.
const FOLDER_CONNECTIONS: u32 = 4;
/// How often it says how far it is; 60 times without this.
const PROGRESS_A_SECOND: &str = "0.1";

/// A restic that can be run on the repository.
pub(super) struct Restic {
    settings: RepositorySettings,
    variables: Vec<(String, String)>,
    /// As whom, where that is somebody else.
    run_as: Option<(u32, u32)>,
    /// Where it keeps what it would fetch again; nothing is kept where absent.
    cache: Option<PathBuf>,
}

/// How it ended.
pub(super) struct Ended {
    /// Its exit status.
    pub(super) status: ExitStatus,
    /// The end of what it said.
    pub(super) said: String,
}

impl Restic {
    /// Finds it, and reads the secrets that it needs.
    pub(super) async fn find(
        settings: &RepositorySettings,
        run_as: Option<(u32, u32)>,
        cache: Option<PathBuf>,
    ) -> Result<Self, RepositoryError> {
        let variables = settings.env_file.as_deref().map(secret::variables).transpose()?.unwrap_or_default();
        let cache = cache.filter(|_folder| settings.target.is_remote());
        let restic = Self { settings: settings.clone(), variables, run_as, cache };
        let doing = "ask restic for its version";
        let mut answer = Vec::new();
        restic.run(doing, &["version".as_ref()], &mut |bytes| answer.extend_from_slice(bytes)).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let found = answer.split_whitespace().nth(1).unwrap_or_default();
        if number(found) < number(RESTIC_OLDEST) {
            return Err(RepositoryError::OldRestic { found: found.escape_debug().to_string() });
        }
        Ok(restic)
    }

    /// The file of the password.
    pub(super) fn password_file(&self) -> &Path {
        &self.settings.password_file
    }

    /// Gives a folder of ours, and what lies in it, to whom restic runs as.
    pub(super) fn let_in(&self, folder: &Path) -> Result<(), RepositoryError> {
        match self.run_as {
            Some((uid, gid)) => Ok(crate::backup::restore::give_to(folder, uid, gid)?),
            None => Ok(()),
        }
    }

    /// Where the repository is.
    pub(super) fn place(&self) -> String {
        self.settings.target.to_string()
    }

    /// Runs it to its end; what it answers goes to `take` as it comes.
    pub(super) async fn run(
        &self,
        doing: &'static str,
        arguments: &[&OsStr],
        take: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Ended, RepositoryError> {
        let bound = Duration::from_secs(RUN_HOURS_MAX * 60 * 60);
        let run = tokio::time::timeout(bound, self.run_to_end(doing, arguments, take)).await;
        run.unwrap_or(Err(RepositoryError::TooLong { doing, hours: RUN_HOURS_MAX }))
    }

    async fn run_to_end(
        &self,
        doing: &'static str,
        arguments: &[&OsStr],
        take: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Ended, RepositoryError> {
        let mut child = self.start(doing, arguments)?;
        let out = child.stdout.take().expect("it was asked for");
        let err = child.stderr.take().expect("it was asked for");
        let (read, said, status) = tokio::join!(each_part(out, take), end_of(err), child.wait());
        let status = read.and(status).map_err(|error| failed(doing, error.to_string()))?;
        let said = if status.success() { said } else { self.completed(doing, said).await };
        Ok(Ended { status, said })
    }

    /// What it said, with the words of SSH.
    async fn completed(&self, doing: &'static str, said: String) -> String {
        ssh::complete(&self.settings, self.run_as, doing, said).await
    }

    fn start(&self, doing: &'static str, arguments: &[&OsStr]) -> Result<Child, RepositoryError> {
        self.command(arguments).spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => RepositoryError::NoRestic,
            _ => failed(doing, error.to_string()),
        })
    }

    /// Runs it to its end; `read` reads what it answers as a file, on a thread of its own. Where both fail, restic says
    /// why.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        arguments: &[&OsStr],
        read: impl FnOnce(&mut File) -> Result<T, RepositoryError> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let told = |error: &dyn std::fmt::Display| failed(doing, error.to_string());
        let mut child = self.start(doing, arguments)?;
        let out = child.stdout.take().expect("it was asked for");
        let err = child.stderr.take().expect("it was asked for");
        let mut out = File::from(out.into_owned_fd().map_err(|error| told(&error))?);
        let reading = tokio::task::spawn_blocking(move || {
            let read = read(&mut out);
            // Whoever writes into a pipe that nobody reads is killed by it.
            std::io::copy(&mut out, &mut std::io::sink()).map(|_rest| read)
        });
        let all = async { tokio::join!(reading, end_of(err), child.wait()) };
        let bound = Duration::from_secs(RUN_HOURS_MAX * 60 * 60);
        let Ok((read, said, status)) = tokio::time::timeout(bound, all).await else {
            return Err(RepositoryError::TooLong { doing, hours: RUN_HOURS_MAX });
        };
        if !status.map_err(|error| told(&error))?.success() {
            return Err(self.refused(doing, self.completed(doing, said).await));
        }
        read.map_err(|error| told(&error))?.map_err(|error| told(&error))?
    }

    /// The same; an error where it fails.
    pub(super) async fn succeed(
        &self,
        doing: &'static str,
        arguments: &[&OsStr],
        take: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<(), RepositoryError> {
        let Ended { status, said } = self.run(doing, arguments, take).await?;
        if status.success() { Ok(()) } else { Err(self.refused(doing, said)) }
    }

    /// The same, answering JSON.
    pub(super) async fn json<T: serde::de::DeserializeOwned>(
        &self,
        doing: &'static str,
        arguments: &[&OsStr],
    ) -> Result<T, RepositoryError> {
        let mut answer = Vec::new();
        self.succeed(doing, arguments, &mut |bytes| answer.extend_from_slice(bytes)).await?;
        serde_json::from_slice(&answer).map_err(|source| RepositoryError::Answer { doing, source })
    }

    /// The same, a line at a time.
    pub(super) async fn lines(
        &self,
        doing: &'static str,
        arguments: &[&OsStr],
        each: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Ended, RepositoryError> {
        let mut line = Vec::new();
        let mut split = |bytes: &[u8]| {
            for part in bytes.split_inclusive(|byte| *byte == b'\n') {
                if line.len() + part.len() <= LINE_BYTES_MAX as usize {
                    line.extend_from_slice(part);
                }
                if part.ends_with(b"\n") {
                    each(&line);
                    line.clear();
                }
            }
        };
        self.run(doing, arguments, &mut split).await
    }

    /// What it said, as an error that a person can do something about.
    pub(super) fn refused(&self, doing: &'static str, said: String) -> RepositoryError {
        let place = || self.settings.target.to_string();
        if said.contains("wrong password or no key found") {
            return RepositoryError::WrongPassword { place: place(), file: self.password_file().to_owned() };
        }
        // It asks this as well where it was not let in, or did not reach it: then there is more to say.
        let found_none = said.contains("Is there a repository at the following location?");
        if found_none && hint_of(doing, &said).is_none() {
            return RepositoryError::NotThere { place: place() };
        }
        failed(doing, said)
    }

    fn command(&self, arguments: &[&OsStr]) -> Command {
        let mut command = Command::new("restic");
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // A terminal's progress bar is nothing for a pipe, and another repository nothing for this one.
        for name in ["RESTIC_REPOSITORY_FILE", "RESTIC_PASSWORD", "RESTIC_PASSWORD_COMMAND", "RESTIC_CACHE_DIR"] {
            command.env_remove(name);
        }
        command.env("RESTIC_REPOSITORY", self.settings.target.to_string());
        command.env("RESTIC_PASSWORD_FILE", self.password_file());
        command.env("RESTIC_COMPRESSION", &self.settings.compression);
        // Nobody looks at how far it is.
        command.env("RESTIC_PROGRESS_FPS", PROGRESS_A_SECOND);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        match &self.cache {
            Some(folder) => command.env("RESTIC_CACHE_DIR", folder),
            None => command.arg("--no-cache"),
        };
        if !self.settings.target.is_remote() {
            command.arg("-o").arg(format!("local.connections={FOLDER_CONNECTIONS}"));
        }
        if let Some(words) = &self.settings.sftp_command {
            command.arg("-o").arg(format!("sftp.command={words}"));
        }
        if let Some((uid, gid)) = self.run_as {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// `0.14.0` as a number that compares.
fn number(version: &str) -> [u32; 3] {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    [0; 3].map(|_place: u32| parts.next().unwrap_or(0))
}

/// What to do, from what is known of its words.
fn failed(doing: &'static str, said: String) -> RepositoryError {
    let hint = hint_of(doing, &said)
        .unwrap_or("see what restic itself says: RESTIC_REPOSITORY=… RESTIC_PASSWORD_FILE=… restic check");
    let said = if said.is_empty() { "nothing".to_owned() } else { said };
    RepositoryError::Restic { doing, said, hint }
}

async fn each_part(mut out: impl AsyncRead + Unpin, take: &mut (dyn FnMut(&[u8]) + Send)) -> std::io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match out.read(&mut buffer).await? {
            0 => return Ok(()),
            read => take(&buffer[..read]),
        }
    }
}

/// The last lines, without control characters: it quotes paths.
pub(super) async fn end_of(err: impl AsyncRead + Unpin) -> String {
    let (mut said, mut line) = (String::new(), Vec::new());
    let mut err = BufReader::new(err);
    loop {
        line.clear();
        let read = (&mut err).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) {
            return said.trim_end().to_owned();
        }
        let text = plain(&line);
        said.extend(text.trim_end().chars().map(|letter| if letter.is_control() { ' ' } else { letter }));
        said.push('\n');
        let mut cut = said.len().saturating_sub(SAID_BYTES_MAX);
        while !said.is_char_boundary(cut) {
            cut += 1;
        }
        said.drain(..cut);
    }
}

/// A line as people read it: since 0.17, restic tells in JSON why it ends where its answers are JSON.
fn plain(line: &[u8]) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Ends {
        message_type: String,
        message: String,
    }
    match serde_json::from_slice::<Ends>(line) {
        Ok(ends) if ends.message_type == "exit_error" => Cow::Owned(ends.message),
        _ => String::from_utf8_lossy(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_it_ends_with_is_told_in_plain_words() {
        let said = b"ssh: connect to host nas port 22: Connection refused\r\n\
            {\"message_type\":\"exit_error\",\"code\":1,\"message\":\"Fatal: unable to open\\nrepository\"}\n\
            {\"message_type\":\"status\",\"percent_done\":1}\n"
            .as_slice();
        let expected = "ssh: connect to host nas port 22: Connection refused\nFatal: unable to open repository\n\
            {\"message_type\":\"status\",\"percent_done\":1}";
        assert_eq!(end_of(said).await, expected);
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(number("0.9.6") < number(RESTIC_OLDEST));
        assert!(number("0.14.0") >= number(RESTIC_OLDEST));
        assert!(number("0.18.0-dev") > number(RESTIC_OLDEST));
        assert!(number("1.0") > number(RESTIC_OLDEST));
        assert!(number("") < number(RESTIC_OLDEST));
    }
}
