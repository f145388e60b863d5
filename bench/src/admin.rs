//! Speaks to the appliance's admin socket: deploys, keys, and a stream that is left open.

use anyhow::{Context, Result, ensure};
use picloud_model::bundle::Bundle;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the head of a stream may take.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Deploys `bundle`.
pub(crate) fn deploy(socket: &Path, bundle: &Bundle) -> Result<()> {
    let body = serde_json::to_string(bundle).context("write the bundle")?;
    post(socket, &format!("/apps/{}/deploy", bundle.name), &body).map(drop)
}

/// Makes an API key that may call routes and answers it.
pub(crate) fn create_key(socket: &Path, name: &str) -> Result<String> {
    let body = json!({"name": name, "scopes": ["invoke"]}).to_string();
    let answer = post(socket, "/keys", &body)?;
    let made: Value = serde_json::from_str(&answer).context("read the new key")?;
    Ok(made["key"].as_str().context("a new key is shown")?.to_owned())
}

/// Asks to be told of every change, and answers the open stream.
pub(crate) fn watch(socket: &Path) -> Result<UnixStream> {
    let mut stream = connect(socket)?;
    stream.write_all(b"GET /api/v1/watch HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n")?;
    stream.set_read_timeout(Some(HEAD_WAIT))?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).context("read the head of /watch")?;
    ensure!(&head == b"HTTP/1.1 200", "/watch was answered with {}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// Listens to what is published on `topic` of the app `default` for whoever listens, and answers the open stream.
pub(crate) fn listen(socket: &Path, topic: &str) -> Result<UnixStream> {
    let mut stream = connect(socket)?;
    let head = format!("GET /api/v1/apps/default/topics?topic={topic} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.set_read_timeout(Some(HEAD_WAIT))?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).context("read the head of the stream")?;
    ensure!(&head == b"HTTP/1.1 200", "the stream was answered with {}", String::from_utf8_lossy(&head));
    Ok(stream)
}

fn connect(socket: &Path) -> Result<UnixStream> {
    UnixStream::connect(socket).with_context(|| format!("connect to `{}`", socket.display()))
}

/// What `path` shows.
pub(crate) fn get(socket: &Path, path: &str) -> Result<String> {
    ask(socket, "GET", path, "")
}

/// The body of the answer.
pub(crate) fn post(socket: &Path, path: &str, body: &str) -> Result<String> {
    ask(socket, "POST", path, body)
}

fn ask(socket: &Path, method: &str, path: &str, body: &str) -> Result<String> {
    let mut stream = connect(socket)?;
    let head = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("read the answer to {method} {path}"))?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.get(9..10) == Some("2"), "{method} {path} was answered with {answer}");
    Ok(answer.split_once("\r\n\r\n").map(|(_head, body)| body.to_owned()).unwrap_or_default())
}
