//! Tells the service manager how things are: ready, a line for `systemctl status`, alive, ending.
//!
//! One datagram each. Nobody waits for an answer, and what cannot be said is only logged: the program goes on.

use super::cut;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for room at the service manager's end.
const SEND_MAX: Duration = Duration::from_secs(1);
/// Longest line of status.
const STATUS_BYTES_MAX: usize = 400;

/// The way to the service manager; silent where there is none. Clones are the same way.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Option<Arc<Way>>);

#[derive(Debug)]
struct Way {
    socket: UnixDatagram,
    to: SocketAddr,
    said: Mutex<Said>,
}

/// What was said last, so that nothing is said twice.
#[derive(Debug, Default)]
struct Said {
    /// What holds while nothing is wrong.
    status: String,
    /// What is wrong, and goes before it.
    trouble: Option<String>,
    shown: String,
}

impl Notifier {
    /// To the socket that `NOTIFY_SOCKET` names; a name that begins with `@` is no file.
    pub fn to(name: Option<&OsStr>) -> Self {
        let Some(name) = name else { return Self(None) };
        match Way::to(name) {
            Ok(way) => Self(Some(Arc::new(way))),
            Err(error) => {
                tracing::warn!(%error, "the service manager cannot be told anything: NOTIFY_SOCKET leads nowhere");
                Self(None)
            }
        }
    }

    /// Requests are answered from now on.
    pub fn ready(&self, status: &str) {
        self.change(|said| status.clone_into(&mut said.status), &["READY=1"]);
    }

    /// How things are, in one line; said once for as long as it stays.
    pub fn status(&self, status: &str) {
        self.change(|said| status.clone_into(&mut said.status), &[]);
    }

    /// What is wrong, in the place of the status; `None` when it is over.
    pub fn trouble(&self, trouble: Option<String>) {
        self.change(|said| said.trouble = trouble, &[]);
    }

    /// The program is alive: the watchdog waits anew.
    pub fn alive(&self) {
        if let Some(way) = &self.0 {
            way.say("WATCHDOG=1\n");
        }
    }

    /// The program ends, in order.
    pub fn stopping(&self) {
        let end = |said: &mut Said| (said.status, said.trouble) = ("ends: what is under way may end".to_owned(), None);
        self.change(end, &["STOPPING=1"]);
    }

    fn change(&self, change: impl FnOnce(&mut Said), more: &[&str]) {
        let Some(way) = &self.0 else { return };
        let mut said = way.said.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut said);
        let shown = one_line(said.trouble.as_ref().unwrap_or(&said.status));
        let mut text: String = more.iter().map(|line| format!("{line}\n")).collect();
        if shown != said.shown {
            text.push_str(&format!("STATUS={shown}\n"));
            said.shown = shown;
        }
        if !text.is_empty() {
            way.say(&text);
        }
    }
}

impl Way {
    fn to(name: &OsStr) -> io::Result<Self> {
        let to = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_MAX))?;
        Ok(Self { socket, to, said: Mutex::default() })
    }

    fn say(&self, text: &str) {
        if let Err(error) = self.socket.send_to_addr(text.as_bytes(), &self.to) {
            tracing::debug!(%error, text, "the service manager could not be told");
        }
    }
}

/// A status has one line, for each line is a message of its own.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    cut(&lines.join("; "), STATUS_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that was said until now.
    fn heard(manager: &UnixDatagram) -> Vec<String> {
        manager.set_nonblocking(true).unwrap();
        let mut all = Vec::new();
        let mut room = [0; 4_096];
        while let Ok(bytes) = manager.recv(&mut room) {
            all.push(String::from_utf8(room[..bytes].to_vec()).unwrap());
        }
        all
    }

    #[test]
    fn what_is_said_are_the_lines_that_the_service_manager_reads_and_no_status_is_said_twice() {
        let folder = tempfile::tempdir().unwrap();
        let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let notifier = Notifier::to(Some(folder.path().join("notify").as_os_str()));
        notifier.ready("answers");
        notifier.status("answers");
        notifier.alive();
        notifier.trouble(Some("the worker does not answer\nhint: wait".to_owned()));
        // Nobody is to read that all is well while it is not.
        notifier.status("answers for 3 apps");
        notifier.trouble(None);
        notifier.stopping();
        let expected = [
            "READY=1\nSTATUS=answers\n",
            "WATCHDOG=1\n",
            "STATUS=the worker does not answer; hint: wait\n",
            "STATUS=answers for 3 apps\n",
            "STOPPING=1\nSTATUS=ends: what is under way may end\n",
        ];
        assert_eq!(heard(&manager), expected);
    }

    #[test]
    fn a_name_that_is_no_file_is_reached_and_nobody_is_no_error() {
        let name = format!("picloud-test-notify-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::to(Some(OsStr::new(&format!("@{name}")))).alive();
        assert_eq!(heard(&manager), ["WATCHDOG=1\n"]);
        for nobody in [None, Some("/nowhere/notify"), Some("relative\0odd")] {
            Notifier::to(nobody.map(OsStr::new)).ready("answers");
        }
    }

    #[test]
    fn a_status_is_one_line_and_short() {
        assert_eq!(one_line("a\n\n  b\r\n"), "a; b");
        assert_eq!(one_line(&"ä".repeat(STATUS_BYTES_MAX)).len(), STATUS_BYTES_MAX);
    }
}
