//! A tiny admin API on a Unix socket that answers what a test tells it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

pub(crate) mod https;
pub(crate) mod program;

pub(crate) use program::{Ran, picloud, run};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

impl Ran {
    /// All of it, for a snapshot; the folder of the test is called FOLDER.
    pub(crate) fn shown(&self, folder: &Path) -> String {
        let text = format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err);
        text.replace(&folder.display().to_string(), "FOLDER")
    }
}

/// One request as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `GET /api/v1/apps`
    pub(crate) line: String,
    /// `name: value` in lower case, sorted.
    pub(crate) headers: Vec<String>,
    /// The body.
    pub(crate) body: String,
}

/// The admin API of a test.
pub(crate) struct FakeAdmin {
    /// A folder of its own; commands run in it, the socket is in it.
    pub(crate) folder: tempfile::TempDir,
    seen: Arc<Mutex<Vec<Seen>>>,
    thread: Option<JoinHandle<()>>,
}

/// `(status, extra header lines, body)`, in the order in which they are given away.
pub(crate) type Answer = (u16, &'static str, String);

impl FakeAdmin {
    /// Answers so many requests with these, one after the other, and then no more.
    pub(crate) fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("admin.sock")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut answers: VecDeque<Answer> = answers.into_iter().collect();
        let record = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read_request(&mut stream) else { return };
                record.lock().unwrap().push(request);
                let (status, headers, body) = answers.pop_front().unwrap_or((500, "", "no answer is left".to_owned()));
                let length = body.len();
                write!(stream, "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}").unwrap();
            }
        });
        Self { folder, seen, thread: Some(thread) }
    }

    /// Answers one request.
    pub(crate) fn once(status: u16, body: impl ToString) -> Self {
        Self::answering([(status, "", body.to_string())])
    }

    /// Runs `picloud` with these arguments against this admin API.
    pub(crate) fn picloud(&self, arguments: &[&str]) -> Ran {
        self.picloud_with_input(arguments, "")
    }

    /// The same, with something on standard input.
    pub(crate) fn picloud_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let socket = self.folder.path().join("admin.sock");
        let mut command = picloud(self.folder.path());
        command.env("PICLOUD_SOCKET", socket).args(arguments);
        run(command, input)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The request, where there was exactly one.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.into_iter().next().unwrap()
    }

    /// Writes a file below the folder.
    pub(crate) fn write(&self, path: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for FakeAdmin {
    fn drop(&mut self) {
        // A connection without a request ends the thread.
        drop(UnixStream::connect(self.folder.path().join("admin.sock")));
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the fake admin API failed");
    }
}

/// Reads a request; `None` where the other end says nothing, or not enough.
fn read_request(stream: &mut impl Read) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap();
        let name = name.to_ascii_lowercase();
        if name == "content-length" {
            length = value.parse().unwrap();
        } else {
            headers.push(format!("{name}: {value}"));
        }
    }
    headers.sort();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Some(Seen { line, headers, body: String::from_utf8(body).unwrap() })
}
