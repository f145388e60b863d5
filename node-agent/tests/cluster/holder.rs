//! The other end of the ledger's `hold` script: answers when the test likes to, and knows who asked.

use crate::lab::{PATIENCE, address};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A run that waits for its answer.
pub(crate) struct Held {
    /// What it was started with.
    pub(crate) n: String,
    /// The node that it says to run on.
    pub(crate) node: String,
    stream: TcpStream,
}

impl Held {
    /// Lets it go on. It may have ended meanwhile.
    pub(crate) fn release(mut self) {
        let _gone = self.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    }
}

/// Listens where the script asks.
pub(crate) struct Holder(TcpListener);

impl Holder {
    /// Begins to listen.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind((address(254), 9000)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// The next run that asks.
    pub(crate) fn next(&self) -> Held {
        self.within(PATIENCE).expect("a run asks")
    }

    /// The next run that asks within this time.
    pub(crate) fn within(&self, time: Duration) -> Option<Held> {
        let begun = Instant::now();
        loop {
            if let Ok((stream, _peer)) = self.0.accept() {
                return Some(read(stream));
            }
            if begun.elapsed() > time {
                return None;
            }
            std::thread::sleep(crate::lab::LOOK_EVERY);
        }
    }
}

fn read(stream: TcpStream) -> Held {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap();
    let (n, node) = path.trim_start_matches('/').split_once('/').unwrap();
    Held { n: n.to_owned(), node: node.to_owned(), stream }
}
