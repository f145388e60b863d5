//! A backup through the appliance that has the data in use: it copies while it goes on, and sends the archive.

use super::{Stopped, sockets};
use crate::config::{Config, Settings};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use picloud_model::problem::Problem;
use std::io::Write;
use std::path::Path;
use tokio::net::UnixStream;

/// Longest answer that is read for what it says: a status, a problem.
const WORDS_BYTES_MAX: usize = 1024 * 1024;

/// Asks for a backup and writes it to `out`.
pub(super) async fn take(config: &Config, out: &mut impl Write) -> Result<(), Stopped> {
    let mut appliance = find(&config.settings).await?;
    appliance.ready().await?;
    let mut response = appliance.send_request(request("POST", "/api/v1/backup")).await?;
    if !response.status().is_success() {
        let words = words(response).await?;
        let problem = serde_json::from_slice::<Problem>(&words);
        let text = problem.map_or_else(|_other| String::from_utf8_lossy(&words).into_owned(), |it| it.to_string());
        return Err(Stopped(format!("the appliance takes no backup: {text}")));
    }
    while let Some(frame) = response.body_mut().frame().await {
        let frame = frame
            .map_err(|error| Stopped(format!("the appliance broke off the backup: {error}\nhint: its log says why")))?;
        if let Ok(bytes) = frame.into_data() {
            out.write_all(&bytes).map_err(|error| format!("write the backup: {error}"))?;
        }
    }
    out.flush().map_err(|error| format!("write the backup: {error}"))?;
    Ok(())
}

/// The appliance that has this data in use, and no other one of this machine.
async fn find(settings: &Settings) -> Result<SendRequest<Empty<Bytes>>, Stopped> {
    let mut tried = Vec::new();
    for socket in sockets(settings) {
        match connect(&socket, &settings.data_dir).await {
            Ok(appliance) => return Ok(appliance),
            Err(reason) => tried.push(format!("`{}`: {reason}", socket.display())),
        }
    }
    tried.dedup();
    Err(Stopped(format!(
        "an appliance has `{}` in use, and none that does answers at\n  {}\nhint: name its socket: --admin-socket FILE",
        settings.data_dir.display(),
        tried.join("\n  ")
    )))
}

async fn connect(socket: &Path, data_dir: &Path) -> Result<SendRequest<Empty<Bytes>>, String> {
    let words_of = |error: &dyn std::fmt::Display| error.to_string();
    let stream = UnixStream::connect(socket).await.map_err(|error| words_of(&error))?;
    let (mut appliance, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| words_of(&error))?;
    tokio::spawn(connection);
    let status = appliance.send_request(request("GET", "/api/v1/status")).await.map_err(|error| words_of(&error))?;
    let status = words(status).await.map_err(|Stopped(reason)| reason)?;
    let status: serde_json::Value = serde_json::from_slice(&status).map_err(|error| words_of(&error))?;
    let Some(other) = status["data_dir"].as_str() else {
        return Err(status["detail"].as_str().unwrap_or("it does not say where its data is").to_owned());
    };
    let same = std::fs::canonicalize(other).ok() == std::fs::canonicalize(data_dir).ok();
    if same { Ok(appliance) } else { Err(format!("that appliance has its data in `{other}`")) }
}

fn request(method: &str, path: &str) -> Request<Empty<Bytes>> {
    let request = Request::builder().method(method).uri(path).header("host", "localhost").body(Empty::new());
    request.expect("its parts are constants")
}

async fn words(response: http::Response<hyper::body::Incoming>) -> Result<Bytes, Stopped> {
    let body = http_body_util::Limited::new(response.into_body(), WORDS_BYTES_MAX);
    let read = body.collect().await.map_err(|error| format!("read the appliance's answer: {error}"))?;
    Ok(read.to_bytes())
}
