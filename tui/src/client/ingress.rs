//! Whether a node answers requests: its health, asked as anybody could.

use http::StatusCode;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a node may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the node at `host:port` for its health; answers the status, or says why there is none. One that is drained says
/// so to whoever spreads requests: 503.
pub(crate) async fn health(authority: &str) -> Result<StatusCode, String> {
    let asked = tokio::time::timeout(ANSWER_TIMEOUT, ask(authority)).await;
    asked.unwrap_or_else(|_elapsed| Err(format!("it did not answer within {} s", ANSWER_TIMEOUT.as_secs())))
}

async fn ask(authority: &str) -> Result<StatusCode, String> {
    let stream = TcpStream::connect(authority).await.map_err(|error| error.to_string())?;
    let opened = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.map_err(|error| error.to_string())?;
    // It ends with the sender.
    let connection = tokio::spawn(connection);
    let request = http::Request::get("/.picloud/health")
        .header(http::header::HOST, authority)
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string());
    connection.abort();
    Ok(answer?.status())
}
