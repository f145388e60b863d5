//! The terminal's modes: taken at the start, given back by whatever ends the program.

use super::caps::Dialect;
use crossterm::terminal::{disable_raw_mode, enable_raw_mode, window_size};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The size of a terminal that does not say how large it is.
const SIZE_UNKNOWN: (u16, u16) = (80, 24);

/// The terminal whose modes are ours now, if they are: whoever panics gives them back.
static TAKEN: Mutex<Option<Dialect>> = Mutex::new(None);

/// Whether it tells of clicks, as long as it is ours.
static POINTS: AtomicBool = AtomicBool::new(false);

/// Clicks, with places beyond column 223.
const CLICKS_ON: &str = "\x1b[?1000h\x1b[?1006h";
const CLICKS_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// Has it tell of clicks whenever it is ours, or not.
pub(super) fn point(is_on: bool) -> io::Result<()> {
    POINTS.store(is_on, Ordering::Relaxed);
    let modes = if is_on { CLICKS_ON } else { CLICKS_OFF };
    if is_taken() { write(modes.as_bytes()).map(|_took| ()) } else { Ok(()) }
}

/// Takes the terminal: keys come one by one, the screen is ours.
pub(super) fn take(dialect: Dialect) -> io::Result<()> {
    enable_raw_mode()?;
    *TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(dialect);
    let mut modes = String::new();
    if dialect.alternates {
        modes += "\x1b[?1049h";
    }
    if dialect.pastes {
        modes += "\x1b[?2004h";
    }
    if POINTS.load(Ordering::Relaxed) {
        modes += CLICKS_ON;
    }
    write(modes.as_bytes()).map(|_took| ())
}

/// Gives the terminal back as it was; answers whether it was ours.
pub(super) fn restore() -> bool {
    let taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let Some(dialect) = taken else { return false };
    let mut modes = String::from("\x1b[m");
    if POINTS.load(Ordering::Relaxed) {
        modes += CLICKS_OFF;
    }
    if dialect.pastes {
        modes += "\x1b[?2004l";
    }
    if dialect.hides_cursor {
        modes += "\x1b[?25h";
    }
    modes += if dialect.alternates { "\x1b[?1049l" } else { "\x1b[2J\x1b[H" };
    // Where the line is gone there is nothing left to restore.
    let _gone = write(modes.as_bytes());
    let _no_terminal = disable_raw_mode();
    true
}

/// Whether it was given back behind the loop's back: something panicked.
pub(super) fn is_taken() -> bool {
    TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some()
}

/// Has a panic give the terminal back before it says why.
pub(super) fn restore_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        before(info);
    }));
}

/// Sends bytes, all of them; answers how long the terminal took.
pub(super) fn write(mut bytes: &[u8]) -> io::Result<Duration> {
    let began = Instant::now();
    while !bytes.is_empty() {
        match nix::unistd::write(io::stdout(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => bytes = &bytes[sent..],
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(began.elapsed())
}

/// How large it is.
pub(super) fn size() -> (u16, u16) {
    match window_size() {
        Ok(size) if size.columns > 0 && size.rows > 0 => (size.columns, size.rows),
        _ => SIZE_UNKNOWN,
    }
}
