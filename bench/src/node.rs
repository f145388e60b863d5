//! Agents that are measured: joined to an appliance of this machine, or strangers to it.

use crate::admin;
use crate::server::{Appliance, Server, admin_socket, data_folder, free_address};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a node may take to be up.
const UP_WAIT: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Bytes of Ethernet, IPv4 and TCP headers around a segment, with the usual options.
const HEADER_BYTES: u64 = 14 + 20 + 32;

/// An agent with its data folder.
pub(crate) struct Node {
    pub(crate) server: Server,
    _data: TempDir,
}

impl Node {
    /// One that has joined with a token, and is up.
    pub(crate) fn joined(program: &Path, appliance: &Appliance, name: &str) -> Result<Self> {
        let socket = admin_socket(appliance.data.path());
        let made: Value = serde_json::from_str(&admin::post(&socket, "/join-tokens", "{}")?)?;
        let token = made["token"].as_str().context("a new token is shown")?.to_owned();
        let further = ["--name", name, "--join-token", &token, "--mdns", "false"];
        let node = Self::of(program, appliance, &further, Server::start)?;
        let begun = Instant::now();
        loop {
            let nodes: Value = serde_json::from_str(&admin::get(&socket, "/nodes")?)?;
            let items = nodes["items"].as_array().cloned().unwrap_or_default();
            if items.iter().any(|node| node["name"] == name && node["state"] == "up" && node["in_step"] == true) {
                return Ok(node);
            }
            ensure!(begun.elapsed() < UP_WAIT, "node {name} is not up after {UP_WAIT:?}: {nodes}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// One that asks to join, and finds the appliance by itself.
    pub(crate) fn stranger(program: &Path, appliance: &Appliance) -> Result<Self> {
        // It listens to nobody before it has something to answer.
        Self::of(program, appliance, &["--name", "stranger"], Server::begin)
    }

    fn of(
        program: &Path,
        appliance: &Appliance,
        further: &[&str],
        start: fn(Command, SocketAddr, PathBuf) -> Result<Server>,
    ) -> Result<Self> {
        let (data, address) = (data_folder()?, free_address()?);
        let mut command = Command::new(program);
        command.arg("run").arg("--data-dir").arg(data.path()).arg("--ingress-addr").arg(address.to_string());
        command.arg("--appliance").arg(admin_addr(appliance)?.to_string()).args(further);
        let server = start(command, address, data.path().join("bench.log"))?;
        Ok(Self { server, _data: data })
    }

    /// Bytes that went either way on its connections to the appliance, headers included, as the kernel counts them.
    pub(crate) fn link_bytes(&self, appliance: &Appliance) -> Result<u64> {
        let port = admin_addr(appliance)?.port();
        let filter = format!("( dport = :{port} )");
        let out = Command::new("ss").args(["-tinH", "state", "established", &filter]).output().context("start ss")?;
        ensure!(out.status.success(), "ss: {}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let sum = |name: &str| {
            let values = text.split_ascii_whitespace().filter_map(|word| word.strip_prefix(name)?.parse::<u64>().ok());
            values.sum::<u64>()
        };
        ensure!(sum("segs_out:") > 0, "the node has no connection to the appliance:\n{text}");
        Ok(sum("bytes_sent:") + sum("bytes_received:") + (sum("segs_out:") + sum("segs_in:")) * HEADER_BYTES)
    }
}

/// Where an appliance answers nodes.
fn admin_addr(appliance: &Appliance) -> Result<SocketAddr> {
    let status: Value = serde_json::from_str(&admin::get(&admin_socket(appliance.data.path()), "/status")?)?;
    let url = status["admin_url"].as_str().context("the appliance is reached over the network")?;
    url.trim_start_matches("https://").parse().with_context(|| format!("read `{url}`"))
}
