//! Load on the ingress of a machine, and what its clients saw: connections that were refused, and the longest time in
//! which nobody got an answer.
//!
//! A machine's network can only be entered by a process of its own, so this is a task too: it goes on until its input
//! ends, and then prints one line of JSON.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// The task: `ADDR:PORT PATH`.
pub(crate) const LOAD: &str = "machine-load";
/// Clients at once, each with one connection.
const CLIENTS: usize = 16;
/// Requests over one connection before the next one: a restart meets old and new connections.
const REQUESTS_PER_CONNECTION: u32 = 20;
/// An answer that takes longer counts as none.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A longer load is a mistake.
const LOAD_MAX: Duration = Duration::from_secs(600);
/// Load goes on for so long after what was done is done: new connections meet the new program.
const LOAD_AFTER: Duration = Duration::from_secs(2);

/// What the clients saw.
#[derive(Default)]
struct Seen {
    answered: AtomicU64,
    refused: AtomicU64,
    /// Ended without an answer, or with another one than 200.
    failed: AtomicU64,
    /// Kept connections that were closed between two requests, as any server may.
    closed: AtomicU64,
    /// When each answer came, in microseconds since the start.
    at_us: Mutex<Vec<u64>>,
    /// The first few failures, in words.
    told: Mutex<Vec<String>>,
}

/// The task itself.
pub(crate) fn load(args: &[String]) -> Result<()> {
    let [addr, path] = args else { bail!("`{LOAD}` takes ADDR:PORT and PATH") };
    let addr: SocketAddr = addr.parse().with_context(|| format!("`{addr}` is no address with a port"))?;
    let (ended, end) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let _all = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _nobody_waits = ended.send(());
    });
    println!("{}", put(addr, path, &end));
    Ok(())
}

/// Puts load on `addr` until the end is told.
fn put(addr: SocketAddr, path: &str, end: &Receiver<()>) -> Value {
    let (seen, over, start) = (Seen::default(), AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    connection(addr, path, start, &over, &seen);
                }
            });
        }
        let _in_time = end.recv_timeout(LOAD_MAX);
        std::thread::sleep(LOAD_AFTER);
        over.store(true, Ordering::Relaxed);
    });
    let mut at_us = seen.at_us.into_inner().expect("no client panics");
    at_us.sort_unstable();
    let gap_us = at_us.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(u64::MAX);
    json!({
        "answered": seen.answered.into_inner(),
        "refused": seen.refused.into_inner(),
        "failed": seen.failed.into_inner(),
        "closed": seen.closed.into_inner(),
        "longest_gap_ms": gap_us / 1_000,
        "told": seen.told.into_inner().expect("no client panics"),
    })
}

/// One connection and its requests.
fn connection(addr: SocketAddr, path: &str, start: Instant, over: &AtomicBool, seen: &Seen) {
    let stream = match TcpStream::connect_timeout(&addr, ANSWER_MAX) {
        Ok(stream) => stream,
        Err(error) => {
            seen.refused.fetch_add(1, Ordering::Relaxed);
            tell(seen, &format!("connect: {error}"));
            // Refused connections in a tight loop would only be a load of their own.
            std::thread::sleep(Duration::from_millis(5));
            return;
        }
    };
    let _set = stream.set_read_timeout(Some(ANSWER_MAX)).and_then(|()| stream.set_nodelay(true));
    let mut reader = BufReader::new(stream);
    for request in 0..REQUESTS_PER_CONNECTION {
        if over.load(Ordering::Relaxed) {
            return;
        }
        match ask(&mut reader, path) {
            Ok(Answer { status: 200, goes_on }) => {
                seen.answered.fetch_add(1, Ordering::Relaxed);
                let at = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
                seen.at_us.lock().expect("no client panics").push(at);
                if !goes_on {
                    return;
                }
            }
            Ok(Answer { status, .. }) => {
                seen.failed.fetch_add(1, Ordering::Relaxed);
                tell(seen, &format!("status {status}"));
                return;
            }
            // A kept connection may be closed between two requests; clients then take another, as this one does.
            Err(error) if request > 0 && is_closed(&error) => {
                seen.closed.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(error) => {
                seen.failed.fetch_add(1, Ordering::Relaxed);
                tell(seen, &format!("request {request} of a connection: {error}"));
                return;
            }
        }
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn tell(seen: &Seen, what: &str) {
    let mut told = seen.told.lock().expect("no client panics");
    if told.len() < 10 && !told.iter().any(|one| one == what) {
        told.push(what.to_owned());
    }
}

struct Answer {
    status: u16,
    /// Whether the connection takes another request.
    goes_on: bool,
}

/// One request; an end of the connection before the first byte is `UnexpectedEof`.
fn ask(reader: &mut BufReader<TcpStream>, path: &str) -> std::io::Result<Answer> {
    let bad = |what: &str| std::io::Error::new(ErrorKind::InvalidData, what.to_owned());
    write!(reader.get_mut(), "GET {path} HTTP/1.1\r\nHost: machine\r\n\r\n")?;
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| bad("no status line"))?;
    let (mut body_bytes, mut goes_on) = (0_u64, true);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(bad("the connection ended within the headers"));
        }
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(length) = header.strip_prefix("content-length:") {
            body_bytes = length.trim().parse().map_err(|_no_number| bad("a content-length that is no number"))?;
        } else if header == "connection: close" {
            goes_on = false;
        }
    }
    let read = std::io::copy(&mut reader.by_ref().take(body_bytes), &mut std::io::sink())?;
    if read < body_bytes {
        return Err(bad("the connection ended within the body"));
    }
    Ok(Answer { status, goes_on })
}

/// Load on a machine while something is done to it; answers what the clients saw.
pub(super) fn during<T>(
    container: &super::nspawn::Container,
    path: &str,
    what: impl FnOnce() -> Result<T>,
) -> Result<(T, Value)> {
    let own: &Path = &std::env::current_exe().context("find this program")?;
    let mut client = container
        .on_its_network(own)
        .args([LOAD, "127.0.0.1:8080", path])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("start the clients")?;
    let done = what();
    drop(client.stdin.take());
    let said = client.wait_with_output().context("wait for the clients")?;
    ensure!(said.status.success(), "the clients failed");
    let seen = serde_json::from_slice(&said.stdout).context("read what the clients saw")?;
    Ok((done?, seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn answers_are_counted_and_refusals_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 512];
                let _some = stream.read(&mut asked).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").unwrap();
            });
            let (seen, over) = (Seen::default(), AtomicBool::new(false));
            connection(addr, "/", Instant::now(), &over, &seen);
            assert_eq!((seen.answered.into_inner(), seen.refused.into_inner()), (1, 0));
        });
        drop(listener);
        let (seen, over) = (Seen::default(), AtomicBool::new(false));
        connection(addr, "/", Instant::now(), &over, &seen);
        assert_eq!((seen.answered.into_inner(), seen.refused.into_inner()), (0, 1));
        assert!(seen.told.into_inner().unwrap()[0].starts_with("connect: "));
    }

    #[test]
    fn the_task_takes_two_words() {
        let args = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
        assert!(load(&args(&["127.0.0.1:1"])).unwrap_err().to_string().contains("ADDR:PORT and PATH"));
        assert!(load(&args(&["here", "/"])).unwrap_err().to_string().contains("`here` is no address"));
    }
}
