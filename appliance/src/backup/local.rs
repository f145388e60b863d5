//! The appliance of this machine that has a data folder in use, asked over its admin socket.

use crate::config::Settings;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use picloud_model::problem::Problem;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

/// Longest answer that is read for what it says: a status, a problem, an app.
const WORDS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A connection to it.
pub struct Local(SendRequest<Full<Bytes>>);

impl Local {
    /// The appliance that has this data in use, and no other one of this machine. An error says what to do.
    pub async fn find(settings: &Settings) -> Result<Self, String> {
        let mut tried = Vec::new();
        for socket in sockets(settings) {
            match Self::connect(&socket, &settings.data_dir).await {
                Ok(appliance) => return Ok(appliance),
                Err(reason) => tried.push(format!("`{}`: {reason}", socket.display())),
            }
        }
        tried.dedup();
        Err(format!(
            "an appliance has `{}` in use, and none that does answers at\n  {}\nhint: name its socket: --admin-socket FILE",
            settings.data_dir.display(),
            tried.join("\n  ")
        ))
    }

    async fn connect(socket: &Path, data_dir: &Path) -> Result<Self, String> {
        let words_of = |error: &dyn std::fmt::Display| error.to_string();
        let stream = UnixStream::connect(socket).await.map_err(|error| words_of(&error))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| words_of(&error))?;
        tokio::spawn(connection);
        let mut appliance = Self(sender);
        let status = appliance.send(request("GET", "/api/v1/status", Bytes::new())).await?;
        let status: serde_json::Value =
            serde_json::from_slice(&words(status).await?).map_err(|error| words_of(&error))?;
        let Some(other) = status["data_dir"].as_str() else {
            return Err(status["detail"].as_str().unwrap_or("it does not say where its data is").to_owned());
        };
        let same = std::fs::canonicalize(other).ok() == std::fs::canonicalize(data_dir).ok();
        if same { Ok(appliance) } else { Err(format!("that appliance has its data in `{other}`")) }
    }

    /// Sends a request; an answer of whatever status.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        let told = |error: hyper::Error| format!("the appliance does not answer: {error}\nhint: see its log");
        self.0.ready().await.map_err(told)?;
        self.0.send_request(request).await.map_err(told)
    }

    /// Sends a request and reads the answer; one that is refused is an error.
    pub async fn ask(&mut self, method: &str, path: &str, body: impl Into<Bytes>) -> Result<Bytes, String> {
        let response = self.send(request(method, path, body.into())).await?;
        words(accepted(response).await?).await
    }

    /// Whether there is something at `path`.
    pub async fn is_there(&mut self, path: &str) -> Result<bool, String> {
        let response = self.send(request("GET", path, Bytes::new())).await?;
        if response.status() == http::StatusCode::NOT_FOUND {
            words(response).await?;
            return Ok(false);
        }
        words(accepted(response).await?).await.map(|_found| true)
    }

    /// Asks for an answer that goes on until either side ends it.
    pub async fn open(&mut self, method: &str, path: &str) -> Result<Opened, String> {
        let response = self.send(request(method, path, Bytes::new())).await?;
        let mut body = accepted(response).await?.into_body();
        let (sender, lines) = tokio::sync::mpsc::channel(1);
        let reading = tokio::spawn(async move {
            let mut first = Vec::new();
            // Only the first line says something; the rest says that it goes on.
            while let Some(Ok(frame)) = body.frame().await {
                let Some(bytes) = frame.data_ref() else { continue };
                if first.len() < WORDS_BYTES_MAX && !first.contains(&b'\n') {
                    first.extend_from_slice(bytes);
                    if first.contains(&b'\n') && sender.send(Bytes::from(first.clone())).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Opened { reading, lines })
    }
}

/// An answer that goes on. Dropping it ends the request.
pub struct Opened {
    reading: JoinHandle<()>,
    lines: tokio::sync::mpsc::Receiver<Bytes>,
}

impl Opened {
    /// Its first line.
    pub async fn line(&mut self) -> Result<Bytes, String> {
        self.lines.recv().await.ok_or_else(|| "the appliance broke off\nhint: its log says why".to_owned())
    }

    /// Whether the other side has ended it.
    pub fn is_over(&self) -> bool {
        self.reading.is_finished()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// A request to the admin API.
pub fn request(method: &str, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("content-type", "application/json").body(Full::new(body));
    request.expect("methods are constants, and paths are encoded")
}

/// The answer, if it is a good one; otherwise what the appliance says.
pub async fn accepted(response: Response<Incoming>) -> Result<Response<Incoming>, String> {
    if response.status().is_success() {
        return Ok(response);
    }
    let words = words(response).await?;
    let problem = serde_json::from_slice::<Problem>(&words);
    let text = problem.map_or_else(|_other| String::from_utf8_lossy(&words).into_owned(), |it| it.to_string());
    Err(format!("the appliance refuses: {text}"))
}

/// All of an answer.
pub async fn words(response: Response<Incoming>) -> Result<Bytes, String> {
    let body = Limited::new(response.into_body(), WORDS_BYTES_MAX);
    let read = body.collect().await.map_err(|error| format!("read the appliance's answer: {error}"))?;
    Ok(read.to_bytes())
}

/// Where an appliance with these settings may listen: where they say, or where `dev` puts its socket.
fn sockets(settings: &Settings) -> [PathBuf; 2] {
    [settings.admin_socket.clone(), settings.data_dir.join("admin.sock")]
}
