//! A client of one request a connection, which is all these tests need.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything in these tests should ever take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header, whose name is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// `GET path`; an error is a connection that was refused or broke.
pub(crate) async fn try_get(address: SocketAddr, path: &str) -> std::io::Result<Answer> {
    try_get_with(address, path, &[]).await
}

/// The same with headers.
async fn try_get_with(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> std::io::Result<Answer> {
    exchange(address, "GET", path, headers, "").await
}

/// Any request, which must be answered.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let answer = exchange(address, method, path, headers, body).await;
    answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let mut headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        if !body.is_empty() {
            headers += &format!("content-length: {}\r\n", body.len());
        }
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n{body}");
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let broken = || std::io::Error::other(format!("no answer but {text:?}"));
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("an answer within the test's patience")
}

/// A connection of which nothing is asked yet.
pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// One short answer of a connection that stays open: what comes up to its announced length.
pub(crate) async fn read_answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().split_once("content-length: ").unwrap().1.to_owned();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() == length {
                return text;
            }
        }
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut bytes)).await;
        assert_ne!(read.expect("an answer within the test's patience").unwrap(), 0, "{text}");
    }
}

/// `GET path`, which must be answered.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    try_get(address, path).await.unwrap_or_else(|error| panic!("GET {path}: {error}"))
}

/// `GET path` with the key `picloud_{key}` and other headers.
pub(crate) async fn get_as(address: SocketAddr, path: &str, key: &str, headers: &[(&str, &str)]) -> Answer {
    let authorization = format!("Bearer picloud_{key}");
    let headers = [&[("authorization", authorization.as_str())], headers].concat();
    try_get_with(address, path, &headers).await.unwrap_or_else(|error| panic!("GET {path}: {error}"))
}

/// Waits until `condition` holds of the watched value.
pub(crate) async fn until<T: Clone>(watched: &tokio::sync::watch::Sender<T>, condition: impl Fn(&T) -> bool) -> T {
    let mut receiver = watched.subscribe();
    let reached = tokio::time::timeout(PATIENCE, receiver.wait_for(condition)).await;
    reached.expect("what the test waits for happens").unwrap().clone()
}
