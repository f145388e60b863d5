//! A terminal: it shows what the program writes, and remembers every byte of it. It answers no question.

use crate::program::PATIENCE;
use crate::sequences;
use crate::world::World;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a key sends.
pub(crate) mod keys {
    pub(crate) const DOWN: &str = "\x1b[B";
    pub(crate) const CTRL_Z: &str = "\x1a";
}

/// How long nothing may be sent before it is quiet.
const QUIET: Duration = Duration::from_millis(400);
/// How often that is waited for.
const QUIET_WAITS_MAX: u32 = 50;

/// What is shown.
struct Shown {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    is_over: bool,
}

/// A terminal with a program in it.
pub(crate) struct Terminal {
    shown: Arc<(Mutex<Shown>, Condvar)>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

/// `picloud` before the world's appliance, with nothing of the tester's environment.
pub(crate) fn picloud(world: &World, term: &str) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_picloud"));
    command.env_clear();
    command.cwd(world.work());
    command.env("PICLOUD_SOCKET", world.served().join(".picloud/admin.sock"));
    command.env("TERM", term);
    command.env("LANG", "C.UTF-8");
    command.env("HOME", world.folder());
    command.env("PATH", "/usr/bin:/bin");
    command.env("TMPDIR", world.folder());
    command
}

impl Terminal {
    /// Runs a command in a terminal of this size.
    pub(crate) fn run(command: CommandBuilder, (columns, rows): (u16, u16)) -> Self {
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let cells = |number: u16| number.try_into().unwrap();
        let parser = vt100::Parser::new(cells(rows), cells(columns), 0);
        let shown = Arc::new((Mutex::new(Shown { parser, bytes: Vec::new(), is_over: false }), Condvar::new()));
        let (mut source, sink) = (pair.master.try_clone_reader().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut buffer = [0; 64 * 1024];
            loop {
                // The end of the program ends its terminal, with an error on Linux.
                let read = source.read(&mut buffer).unwrap_or(0);
                // The test has failed where it is poisoned; the program must not be stopped by a full terminal even then.
                let mut shown = sink.0.lock().unwrap_or_else(PoisonError::into_inner);
                shown.bytes.extend_from_slice(&buffer[..read]);
                shown.parser.process(&buffer[..read]);
                shown.is_over = read == 0;
                sink.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        let keyboard = Some(pair.master.take_writer().unwrap());
        Self { shown, master: pair.master, keyboard, child }
    }

    /// The terminal UI at its first whole screen.
    pub(crate) fn at_home(world: &World, term: &str, at: (u16, u16)) -> Self {
        let terminal = Self::run(picloud(world, term), at);
        terminal.until_text("live");
        terminal
    }

    /// Types.
    pub(crate) fn keys(&mut self, keys: &str) {
        let keyboard = self.keyboard.as_mut().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    /// Has another size.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        let cells = |number: u16| number.try_into().unwrap();
        self.lock().parser.set_size(cells(rows), cells(columns));
        self.master.resize(size(columns, rows)).unwrap();
    }

    /// Waits until what is shown is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        self.until_shown(what, |shown| is_so(shown.parser.screen()));
    }

    /// Waits until this text is shown.
    pub(crate) fn until_text(&self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text));
    }

    fn until_shown(&self, what: &str, is_so: impl Fn(&Shown) -> bool) {
        let (end, mut shown) = (Instant::now() + PATIENCE, self.lock());
        while !is_so(&shown) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !shown.is_over, "no {what}:\n{}", shown.parser.screen().contents());
            shown = self.shown.1.wait_timeout(shown, left).unwrap().0;
        }
    }

    /// What is shown, as text.
    pub(crate) fn text(&self) -> String {
        self.lock().parser.screen().contents()
    }

    /// Looks at what is shown.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.lock().parser.screen())
    }

    /// How many bytes came so far.
    pub(crate) fn count(&self) -> usize {
        self.lock().bytes.len()
    }

    /// All bytes that came so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    /// How many bytes come within this time: a wait for what must not come, or only at a rate.
    pub(crate) fn bytes_within(&self, time: Duration) -> usize {
        let (end, mut shown) = (Instant::now() + time, self.lock());
        let before = shown.bytes.len();
        while Instant::now() < end && !shown.is_over {
            let left = end.saturating_duration_since(Instant::now());
            shown = self.shown.1.wait_timeout(shown, left).unwrap().0;
        }
        shown.bytes.len() - before
    }

    /// Waits until nothing is sent any more: all that was asked for has come and is shown.
    pub(crate) fn until_quiet(&self) {
        let is_quiet = (0..QUIET_WAITS_MAX).any(|_| self.bytes_within(QUIET) == 0);
        assert!(is_quiet, "it writes though nothing happens:\n{}", self.text());
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.process_id().unwrap().to_string();
        let sent = std::process::Command::new("sh").args(["-c", "kill -\"$0\" \"$1\"", signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end of the program; answers its exit code.
    pub(crate) fn ended(&mut self) -> u32 {
        let (end, mut shown) = (Instant::now() + PATIENCE, self.lock());
        while !shown.is_over {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it does not end:\n{}", shown.parser.screen().contents());
            shown = self.shown.1.wait_timeout(shown, left).unwrap().0;
        }
        drop(shown);
        self.child.wait().unwrap().exit_code()
    }

    /// The terminal is as it was before the program.
    pub(crate) fn assert_restored(&self) {
        self.look(|screen| {
            assert!(!screen.alternate_screen(), "still on the second screen");
            assert!(!screen.hide_cursor(), "the cursor is hidden");
            assert!(!screen.bracketed_paste(), "pastes are still marked");
            assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "clicks are still told");
            assert!(!screen.inverse() && !screen.bold(), "letters are still reversed or bold");
        });
        let modes = self.master.get_termios().unwrap().local_flags.bits();
        assert!(modes & nix::libc::ICANON != 0, "keys still come one by one");
        assert!(modes & nix::libc::ECHO != 0, "what is typed is not shown");
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
        if !std::thread::panicking() {
            sequences::assert_no_question(&self.bytes());
        }
    }
}
