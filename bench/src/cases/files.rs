//! A file of 1 GB in through the admin API and out again, beside `cp`, `sync` and `sha256sum` of the same file: what a
//! person would do who wants it copied, on the disk, and checked.

use crate::report::Row;
use crate::server::{Appliance, admin_socket, data_folder};
use crate::{Setup, process};
use anyhow::{Context, Result, ensure};
use picloud_model::bundle::Bundle;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Its size.
const FILE_BYTES: u64 = 1 << 30;
/// Bytes that are sent or taken at once.
const PART_BYTES: usize = 256 * 1024;
/// How often each is done; the best counts, for a disk has bad moments.
const ROUNDS: u32 = 3;
/// What the appliance may hold at most, in MB.
const RSS_MB_MAX: f64 = 64.0;

pub(crate) fn run(setup: &Setup) -> Result<Vec<Row>> {
    let bundle: Bundle = serde_json::from_value(json!({
        "name": "default", "limits": { "file_bytes": FILE_BYTES, "files_app_bytes": 8 * FILE_BYTES },
    }))?;
    let folder = data_folder()?;
    let (source, copy) = (folder.path().join("source"), folder.path().join("copy"));
    make(&source)?;
    let ours = Appliance::with(&setup.appliance, &[bundle])?;
    let socket = admin_socket(ours.data.path());
    let mut best = Best::default();
    for _ in 0..ROUNDS {
        // In turn, so that all of them meet the disk in the same moods.
        keep(&mut best.limit, timed(|| shell_copy(&source, &copy))?);
        let (id, took) = {
            let start = Instant::now();
            let id = send(&socket, &source)?;
            (id, start.elapsed().as_secs_f64())
        };
        keep(&mut best.sent, took);
        keep(&mut best.fetched, timed(|| fetch(&socket, &id, &copy))?);
        request(&socket, &format!("DELETE /api/v1/apps/default/files/bench/{id}"), None)?;
    }
    let rate = |seconds: f64| FILE_BYTES as f64 / 1e6 / seconds;
    let peak = process::peak_rss_bytes(ours.server.pid())? as f64 / 1e6;
    Ok(vec![
        Row::share("files: MB/s, 1 GB in", rate(best.limit), rate(best.sent), 0.7),
        Row::share("files: MB/s, 1 GB out", rate(best.limit), rate(best.fetched), 0.7),
        Row::at_most("files: most RSS of the appliance, MB", peak, RSS_MB_MAX),
    ])
}

/// Seconds, the least seen.
struct Best {
    limit: f64,
    sent: f64,
    fetched: f64,
}

impl Default for Best {
    fn default() -> Self {
        Self { limit: f64::INFINITY, sent: f64::INFINITY, fetched: f64::INFINITY }
    }
}

fn keep(best: &mut f64, seen: f64) {
    *best = best.min(seen);
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Bytes that no file system can shorten.
fn make(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let copied = std::io::copy(&mut File::open("/dev/urandom")?.take(FILE_BYTES), &mut file)?;
    ensure!(copied == FILE_BYTES, "only {copied} random bytes came");
    Ok(file.sync_all()?)
}

fn shell_copy(from: &Path, to: &Path) -> Result<()> {
    let script = "cp \"$0\" \"$1\" && sync \"$1\" && sha256sum \"$1\" > /dev/null";
    let status = Command::new("sh").args(["-c", script]).arg(from).arg(to).status().context("start a shell")?;
    ensure!(status.success(), "cp, sync or sha256sum failed");
    Ok(())
}

/// Sends the file and answers its id.
fn send(socket: &Path, from: &Path) -> Result<String> {
    let answer = request(socket, "POST /api/v1/apps/default/files/bench?name=bench", Some(from))?;
    let mut text = String::new();
    answer.take(64 * 1024).read_to_string(&mut text)?;
    let file: Value = serde_json::from_str(&text).context("read the file's description")?;
    Ok(file["id"].as_str().context("a file has an id")?.to_owned())
}

fn fetch(socket: &Path, id: &str, to: &Path) -> Result<()> {
    let mut answer = request(socket, &format!("GET /api/v1/apps/default/files/bench/{id}"), None)?;
    let mut file = File::create(to)?;
    let mut part = vec![0; PART_BYTES];
    let mut bytes = 0;
    loop {
        let length = answer.read(&mut part)?;
        if length == 0 {
            break;
        }
        file.write_all(&part[..length])?;
        bytes += length as u64;
    }
    ensure!(bytes == FILE_BYTES, "only {bytes} bytes came back");
    Ok(file.sync_all()?)
}

/// Asks, and answers what follows the head.
fn request(socket: &Path, line: &str, body: Option<&Path>) -> Result<impl Read + use<>> {
    let mut stream = UnixStream::connect(socket).with_context(|| format!("connect to `{}`", socket.display()))?;
    let length = if body.is_some() { FILE_BYTES } else { 0 };
    write!(stream, "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")?;
    if let Some(body) = body {
        let (mut file, mut part) = (File::open(body)?, vec![0; PART_BYTES]);
        loop {
            let length = file.read(&mut part)?;
            if length == 0 {
                break;
            }
            stream.write_all(&part[..length])?;
        }
    }
    let mut answer = BufReader::with_capacity(PART_BYTES, stream);
    let mut status = String::new();
    answer.read_line(&mut status)?;
    ensure!(status.get(9..10) == Some("2"), "{line} was answered with {status}");
    let mut header = String::new();
    while answer.read_line(&mut header)? > 2 {
        header.clear();
    }
    Ok(answer)
}
