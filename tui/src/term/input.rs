//! The keyboard.

use super::decode::Decoder;
use crate::app::Msg;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::future::pending;
use std::io::{self, Stdin};
use std::os::fd::AsFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes of one read: what came at once belongs together.
const READ_BYTES: usize = 64 * 1024;

/// What a person types and pastes.
pub(super) struct Input {
    terminal: AsyncFd<Stdin>,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Input {
    /// Begins to listen.
    pub(super) fn new(marks_pastes: bool) -> io::Result<Self> {
        #[expect(deprecated, reason = "its successor is unsafe code; standard input keeps its number until the end")]
        let terminal = AsyncFd::with_interest(io::stdin(), Interest::READABLE)?;
        Ok(Self { terminal, decoder: Decoder::new(marks_pastes), buffer: vec![0; READ_BYTES] })
    }

    /// What came; `None` where nothing can come any more. May be given up while it waits.
    pub(super) async fn next(&mut self) -> Option<Vec<Msg>> {
        let wait = self.decoder.waits();
        let given_up = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            read = read(&self.terminal, &mut self.buffer) => match read {
                Ok(0) | Err(_) => None,
                Ok(length) => Some(self.decoder.take(&self.buffer[..length])),
            },
            () = given_up => Some(self.decoder.give_up()),
        }
    }
}

/// Reads once there is something. The terminal is shared with whoever started us, so it stays one that blocks: it is
/// only read where there is something for sure.
async fn read(terminal: &AsyncFd<Stdin>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = terminal.readable().await?;
        let mut asked = [PollFd::new(terminal.get_ref().as_fd(), PollFlags::POLLIN)];
        match poll(&mut asked, PollTimeout::ZERO) {
            Ok(0) => ready.clear_ready(),
            Ok(_) => match nix::unistd::read(terminal.get_ref(), buffer) {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(length) => return Ok(length),
            },
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
