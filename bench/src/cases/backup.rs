//! 1 GB of files into a repository and back, beside what a person would do by hand: `tar | zstd` there, `cp` back, both
//! down to the disk. Half of the bytes are random, as photos are; the other half is text.
//!
//! Ours encrypts, finds what it has already, and looks at what it wrote, which is in the time; a restore is opened and
//! compared.

use crate::Setup;
use crate::report::Row;
use crate::server::{Appliance, admin_socket, data_folder};
use anyhow::{Context, Result, ensure};
use picloud_model::bundle::Bundle;
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Files.
const FILES: u64 = 64;
/// Bytes of each.
const FILE_BYTES: u64 = 16 << 20;
/// How often each is done; the best counts, for a disk has bad moments.
const ROUNDS: u32 = 3;

pub(crate) fn run(setup: &Setup) -> Result<Vec<Row>> {
    let bundle: Bundle =
        serde_json::from_value(json!({ "name": "default", "limits": { "files_app_bytes": 4 * FILES * FILE_BYTES } }))?;
    let ours = Appliance::with(&setup.appliance, &[bundle])?;
    let data = ours.data.path().to_owned();
    fill(&admin_socket(&data))?;
    let folder = data_folder()?;
    let (place, copy) = (folder.path().join("repository"), folder.path().join("copy"));
    let mut best = [f64::INFINITY; 5];
    for _ in 0..ROUNDS {
        // In turn, so that all of them meet the disk in the same moods.
        let script = "tar -C \"$0\" -cf - files | zstd -q -f -o \"$1\" && sync \"$1\"";
        keep(&mut best[0], timed(|| shell(script, &[&data, &folder.path().join("by-hand.zst")]))?);
        keep(&mut best[1], timed(|| shell("cp -a \"$0/files\" \"$1\" && sync -f \"$1\"", &[&data, &copy]))?);
        remove(&copy)?;
        remove(&place)?;
        let repository = |command: &str, data: &Path| repository(&setup.appliance, command, data, &ours, &place);
        repository("init", &data)?;
        keep(&mut best[2], timed(|| repository("backup", &data))?);
        keep(&mut best[3], timed(|| repository("backup", &data))?);
        keep(&mut best[4], timed(|| repository("restore", &copy))?);
        remove(&copy)?;
    }
    let rate = |seconds: f64| (FILES * FILE_BYTES) as f64 / 1e6 / seconds;
    let [archive, copied, backup, again, restore] = best;
    Ok(vec![
        Row::share("backup: MB/s, 1 GB into a new repository", rate(archive), rate(backup), 0.5),
        Row::shown("backup: s, once more with nothing new", None, again),
        Row::ratio("backup: s, 1 GB restored", copied, restore, 1.5),
    ])
}

fn keep(best: &mut f64, seen: f64) {
    *best = best.min(seen);
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn shell(script: &str, arguments: &[&Path]) -> Result<()> {
    let status = Command::new("sh").arg("-c").arg(script).args(arguments).status().context("start a shell")?;
    ensure!(status.success(), "`{script}` failed");
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("remove `{}`", folder.display()))?;
    }
    Ok(())
}

/// `picloud-appliance repository COMMAND`, which must go well.
fn repository(program: &Path, command: &str, data: &Path, ours: &Appliance, place: &Path) -> Result<()> {
    let socket = admin_socket(ours.data.path());
    let out = Command::new(program)
        .args(["repository", command, "--config", "/dev/null", "--data-dir"])
        .arg(data)
        .arg("--admin-socket")
        .arg(socket)
        .arg("--backup-repository")
        .arg(place)
        .arg("--backup-password-file")
        .arg(ours.data.path().join("backup.password"))
        .output()
        .context("start the appliance's program")?;
    ensure!(out.status.success(), "repository {command}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}

/// Stores the files.
fn fill(socket: &Path) -> Result<()> {
    let mut random = File::open("/dev/urandom")?;
    let mut bytes = vec![0; usize::try_from(FILE_BYTES)?];
    for number in 0..FILES {
        random.read_exact(&mut bytes)?;
        if number % 2 == 0 {
            // Words out of a few hundred, as logs and notes have them.
            for at in (0..bytes.len()).step_by(8) {
                let word = format!("{:7} ", u32::from(bytes[at]) * 7919 + u32::from(bytes[at + 1] & 3));
                bytes[at..at + 8].copy_from_slice(&word.as_bytes()[..8]);
            }
        }
        send(socket, number, &bytes)?;
    }
    Ok(())
}

fn send(socket: &Path, number: u64, bytes: &[u8]) -> Result<()> {
    let mut stream = UnixStream::connect(socket).with_context(|| format!("connect to `{}`", socket.display()))?;
    let line = format!("POST /api/v1/apps/default/files/bench?name={number} HTTP/1.1");
    write!(stream, "{line}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", bytes.len())?;
    stream.write_all(bytes)?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status)?;
    ensure!(status.get(9..12) == Some("201"), "a file was answered with {status}");
    Ok(())
}
