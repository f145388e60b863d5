//! Speaks to the appliance's admin socket: one deploy, nothing else.

use anyhow::{Context, Result, ensure};
use picloud_model::bundle::Bundle;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Deploys `bundle`.
pub(crate) fn deploy(socket: &Path, bundle: &Bundle) -> Result<()> {
    let body = serde_json::to_vec(bundle).context("write the bundle")?;
    let mut stream = UnixStream::connect(socket).with_context(|| format!("connect to `{}`", socket.display()))?;
    let head = format!(
        "POST /api/v1/apps/{}/deploy HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        bundle.name,
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("read the answer to the deploy")?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.get(9..10) == Some("2"), "the deploy of `{}` was answered with {answer}", bundle.name);
    Ok(())
}
