//! A closed-loop HTTP/1.1 client: N connections, each sends its next request when its last answer is complete.
//!
//! It runs on one thread of this process, so it takes no more than one core from the servers.

use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Most bytes of an answer's head and body together.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What is sent, by how many, for how long.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    /// Whole requests; each connection goes round them, from its own start.
    pub(crate) requests: Arc<Vec<Vec<u8>>>,
    pub(crate) duration: Duration,
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    latencies_ns: Vec<u64>,
}

impl Seen {
    /// The latency that `share` of all requests did not exceed, in milliseconds.
    pub(crate) fn latency_ms(&mut self, share: f64) -> f64 {
        self.latencies_ns.sort_unstable();
        let index = ((self.latencies_ns.len() as f64 * share) as usize).min(self.latencies_ns.len().saturating_sub(1));
        self.latencies_ns.get(index).map_or(f64::NAN, |ns| *ns as f64 / 1e6)
    }

    /// Answers a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// Takes another connection's in.
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.latencies_ns.extend(other.latencies_ns);
    }
}

/// A whole request.
pub(crate) fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
    if !body.is_empty() {
        request.extend(format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()).into_bytes());
    }
    request.extend(b"\r\n");
    request.extend(body);
    request
}

/// Runs loads side by side, each to its end; any answer that is not a 200 fails the bench.
pub(crate) fn run(loads: &[Load]) -> Result<Vec<Seen>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the client")?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for (index, load) in loads.iter().enumerate() {
            for connection in 0..load.connections {
                let load = load.clone();
                tasks.spawn(async move { (index, drive(&load, connection).await) });
            }
        }
        let mut seen: Vec<Seen> = loads.iter().map(|_| Seen::default()).collect();
        while let Some(done) = tasks.join_next().await {
            let (index, one) = done.context("a connection of the client panicked")?;
            seen[index].add(one?);
        }
        Ok(seen)
    })
}

/// One request and the body it is answered with.
pub(crate) fn once(address: SocketAddr, request: &[u8]) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the client")?;
    runtime.block_on(async {
        let mut stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        let mut buffer = Vec::new();
        stream.write_all(request).await?;
        let (head, length) = answer(&mut stream, &mut buffer).await?;
        Ok(String::from_utf8_lossy(&buffer[head..length]).into_owned())
    })
}

async fn drive(load: &Load, connection: usize) -> Result<Seen> {
    let mut stream = TcpStream::connect(load.address).await.with_context(|| format!("connect to {}", load.address))?;
    stream.set_nodelay(true)?;
    let start = Instant::now();
    let mut seen = Seen::default();
    let mut buffer = Vec::with_capacity(4096);
    let mut next = connection * load.requests.len() / load.connections.max(1);
    while start.elapsed() < load.duration {
        let sent = Instant::now();
        stream.write_all(&load.requests[next]).await.context("send a request")?;
        let (_, length) = answer(&mut stream, &mut buffer).await?;
        ensure!(buffer.len() == length, "the server sent more than one answer");
        buffer.clear();
        seen.latencies_ns.push(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX));
        seen.requests += 1;
        next = (next + 1) % load.requests.len();
    }
    seen.elapsed = start.elapsed();
    Ok(seen)
}

/// Reads one answer into `buffer`; answers where its body begins and ends.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(usize, usize)> {
    let mut parsed = None;
    loop {
        if parsed.is_none() {
            parsed = parse_head(buffer)?;
        }
        if let Some((head, length)) = parsed
            && buffer.len() >= length
        {
            return Ok((head, length));
        }
        ensure!(buffer.len() < ANSWER_BYTES_MAX, "an answer is longer than {ANSWER_BYTES_MAX} bytes");
        if stream.read_buf(buffer).await.context("read an answer")? == 0 {
            bail!("the server closed the connection in the middle of an answer");
        }
    }
}

/// Where the body begins and ends, once the whole head is there.
fn parse_head(buffer: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&buffer[..end]).context("the head of an answer is no text")?;
    let status = head.get(9..12).unwrap_or_default();
    if status != "200" {
        bail!("answered with {head}\n{}", String::from_utf8_lossy(&buffer[end..]));
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.context("an answer has no content-length")?;
    Ok(Some((end + 4, end + 4 + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_an_answer_says_where_it_ends() {
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap(), None);
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab").unwrap(), Some((38, 40)));
        assert!(parse_head(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn latencies_are_told_by_share() {
        let mut seen = Seen { latencies_ns: (1..=100).map(|ms| ms * 1_000_000).collect(), ..Seen::default() };
        assert_eq!(seen.latency_ms(0.5), 51.0);
        assert_eq!(seen.latency_ms(0.99), 100.0);
    }
}
