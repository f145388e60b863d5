//! Files of the machine the program runs on, sent and saved as streams: whole or not at all.

use super::asking::{Line, ask_of};
use crate::app::{Answer, Answered, Msg, Owner, Request};
use crate::client::{Ask, Outgoing, Streamed};
use crate::config::private_file;
use crate::failure::Failure;
use crate::path::ApiPath;
use http::{Method, header};
use picloud_model::problem::{Code, Problem};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often is told how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// One file on its way.
pub(super) struct Transfer {
    pub(super) line: Line,
    pub(super) owner: Owner,
    pub(super) results: mpsc::Sender<Msg>,
    /// What `~/` stands for.
    pub(super) home: Option<PathBuf>,
}

/// How far it is.
pub(super) struct Progress {
    owner: Owner,
    results: mpsc::Sender<Msg>,
    pub(super) bytes: u64,
    of: Option<u64>,
    told: Instant,
}

impl Progress {
    /// So much more is done.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            // Where others are told first, the next word comes soon.
            let _full =
                self.results.try_send(Msg::Transferring { owner: self.owner.clone(), bytes: self.bytes, of: self.of });
        }
    }
}

impl Transfer {
    /// Saves what the appliance answers in a file that is not there yet. The answer says `path` and `bytes`.
    pub(super) async fn download(self, path: ApiPath, to: String) {
        let answered = self.downloaded(Ask::new(Method::GET, path), &to).await;
        self.tell(answered).await;
    }

    /// The same with a request that is no plain reading.
    pub(super) async fn receive(self, request: Request, to: String) {
        let answered = self.downloaded(ask_of(request), &to).await;
        self.tell(answered).await;
    }

    /// Saves text in a file that is not there yet. The answer says `path` and `bytes`.
    pub(super) async fn save(self, text: String, to: String) {
        let answered = self.saved(text, &to).await;
        self.tell(answered).await;
    }

    /// Sends a file as the body of a request.
    pub(super) async fn upload(self, request: Request, from: String) {
        let answered = self.uploaded(request, &from).await;
        self.tell(answered).await;
    }

    pub(super) async fn tell(self, answered: Answered) {
        // Nobody listens any more where the program ends.
        let _ending = self.results.send(Msg::Transferred { owner: self.owner, answered }).await;
    }

    async fn downloaded(&self, ask: Ask, to: &str) -> Answered {
        let to = self.path_of(to)?;
        if fs::symlink_metadata(&to).is_ok() {
            return Err(in_the_way(&to));
        }
        let from = self.line.client().stream(ask).await.map_err(|failure| failure.problem())?;
        let mut half = Half::new(&to).map_err(|error| cannot("write", &to, &error))?;
        let bytes = self.copy(from, &mut half.file, &to).await?;
        half.finish(&to)?;
        Ok(saved(&to, bytes))
    }

    async fn saved(&self, text: String, to: &str) -> Answered {
        let to = self.path_of(to)?;
        // A card in a small machine takes its time.
        let written = tokio::task::spawn_blocking(move || {
            let mut half = Half::new(&to).map_err(|error| cannot("write", &to, &error))?;
            half.file.write_all(text.as_bytes()).map_err(|error| cannot("write", &to, &error))?;
            half.finish(&to)?;
            Ok(saved(&to, text.len() as u64))
        });
        written.await.unwrap_or_else(|error| Err(Problem::new(Code::Internal, format!("it was not written: {error}"))))
    }

    async fn copy(&self, mut from: Streamed, to: &mut fs::File, path: &Path) -> Result<u64, Problem> {
        let length = from.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let mut progress = self.progress(length);
        while let Some(part) = from.chunk().await.map_err(|failure| failure.problem())? {
            to.write_all(&part).map_err(|error| cannot("write", path, &error))?;
            progress.moved(part.len());
        }
        Ok(progress.bytes)
    }

    async fn uploaded(&self, request: Request, from: &str) -> Answered {
        let path = self.path_of(from)?;
        let opened = fs::File::open(&path).and_then(|file| file.metadata().map(|meta| (file, meta)));
        let (file, meta) = opened.map_err(|error| cannot("read", &path, &error))?;
        if !meta.is_file() {
            return Err(Problem::new(Code::Malformed, format!("{} is no file", path.display())).hint("name a file"));
        }
        let mut progress = self.progress(Some(meta.len()));
        let body = Outgoing::of(file, Some(meta.len()), move |part| progress.moved(part.len()));
        let sent = self.line.client().upload(ask_of(request), body).await;
        let answer = sent.map_err(|failure: Failure| failure.problem())?;
        let etag = answer.version().map(str::to_owned);
        Ok(Answer { status: answer.status.as_u16(), etag, body: answer.body })
    }

    pub(super) fn progress(&self, of: Option<u64>) -> Progress {
        let (owner, results) = (self.owner.clone(), self.results.clone());
        Progress { owner, results, bytes: 0, of, told: Instant::now() }
    }

    /// The path as a shell would take it.
    pub(super) fn path_of(&self, text: &str) -> Result<PathBuf, Problem> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Problem::new(Code::Malformed, "no file was named").hint("name one on this machine"));
        }
        Ok(match (text.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(text),
        })
    }
}

/// A file that is not whole yet; gone where it is dropped before.
pub(super) struct Half {
    path: PathBuf,
    pub(super) file: fs::File,
}

impl Half {
    /// Beside its place.
    pub(super) fn new(to: &Path) -> io::Result<Self> {
        let (path, file) = private_file(to)?;
        Ok(Self { path, file })
    }

    /// Puts it in its place, which must be free.
    pub(super) fn finish(self, to: &Path) -> Result<(), Problem> {
        let put = self.file.sync_all().and_then(|()| match fs::hard_link(&self.path, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // File systems without links, such as those of memory cards.
            Err(_no_links) if fs::symlink_metadata(to).is_err() => fs::rename(&self.path, to),
            linked => linked,
        });
        put.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => in_the_way(to),
            _ => cannot("write", to, &error),
        })
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        // It may be in its place by now.
        let _gone = fs::remove_file(&self.path);
    }
}

/// What is answered where a file was written.
fn saved(path: &Path, bytes: u64) -> Answer {
    let body = serde_json::json!({ "path": path.display().to_string(), "bytes": bytes }).to_string();
    Answer { status: 200, etag: None, body: body.into() }
}

pub(super) fn in_the_way(path: &Path) -> Problem {
    Problem::new(Code::Conflict, format!("{} is there already, and is not overwritten", path.display()))
        .hint("give another name")
}

pub(super) fn cannot(what: &str, path: &Path, error: &io::Error) -> Problem {
    Problem::new(Code::Malformed, format!("cannot {what} {} on this machine: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_whole_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("photo.jpg");
        let mut half = Half::new(&to).unwrap();
        half.file.write_all(b"new").unwrap();
        drop(half);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "half a file is none");
        let mut half = Half::new(&to).unwrap();
        half.file.write_all(b"new").unwrap();
        half.finish(&to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        let mut half = Half::new(&to).unwrap();
        half.file.write_all(b"newer").unwrap();
        assert_eq!(half.finish(&to).unwrap_err().code, Code::Conflict);
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
