//! Against real servers on loopback, which no app reaches unasked.

use super::Outbound;
use picloud_model::http_call::{HttpAnswer, HttpCall};
use picloud_model::ids::AppId;
use picloud_model::problem::Code;
use picloud_model::protocol::ServiceFailure;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server that writes down what it was asked, and answers by path.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers `/somewhere` with what `answers` has for it, else with an empty 200.
    async fn start(answers: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _client)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), answers));
            }
        });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything it was asked, each as text.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, asked: Arc<Mutex<Vec<String>>>, answers: &[(&str, &str)]) {
    loop {
        let mut request = Vec::new();
        while !complete(&request) {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let text = String::from_utf8(request).unwrap();
        let path = text.split(' ').nth(1).unwrap().to_owned();
        asked.lock().unwrap().push(text);
        if path == "/never" {
            std::future::pending::<()>().await;
        }
        let answer = answers.iter().find(|(known, _answer)| *known == path).map(|(_path, answer)| *answer);
        stream.write_all(answer.unwrap_or("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    }
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn get(url: &str) -> HttpCall {
    HttpCall {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: None,
        body_bytes_max: 1000,
    }
}

async fn send(allow: &[&str], call: HttpCall) -> Result<HttpAnswer, ServiceFailure> {
    let allow: Vec<String> = allow.iter().map(|entry| (*entry).to_owned()).collect();
    Arc::new(Outbound::default()).send(AppId(1), &allow, call, Duration::from_secs(20)).await
}

#[tokio::test]
async fn what_is_not_public_is_refused_with_the_line_that_would_allow_it() {
    let server = Server::start(&[]).await;
    let port = server.address.port();
    for (url, line) in [
        (server.url("/"), format!("allow = [\"127.0.0.1:{port}\"]")),
        (format!("http://localhost:{port}/"), format!("allow = [\"localhost:{port}\"]")),
        (format!("http://[::1]:{port}/"), format!("allow = [\"[::1]:{port}\"]")),
        ("https://192.168.178.1/".to_owned(), "allow = [\"192.168.178.1:443\"]".to_owned()),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "allow = [\"169.254.169.254:80\"]".to_owned()),
        // 127.0.0.1 in other clothes.
        (format!("http://2130706433:{port}/"), format!("127.0.0.1:{port}")),
        (format!("http://0x7f.1:{port}/"), format!("127.0.0.1:{port}")),
        (format!("http://[::ffff:127.0.0.1]:{port}/"), "[http] allow".to_owned()),
    ] {
        let refused = send(&["10.0.0.0/8", "127.0.0.1:1"], get(&url)).await.unwrap_err();
        assert_eq!(refused.code, Code::Forbidden, "{url}: {refused:?}");
        assert!(refused.message.contains(&line), "{url}: {refused:?}");
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn what_the_app_allows_is_asked_and_its_answer_is_whole() {
    const CREATED: &[(&str, &str)] = &[(
        "/x?y=1",
        "HTTP/1.1 201 Created\r\nX-Twice: a\r\nx-twice: b\r\ntransfer-encoding: chunked\r\n\r\n\
         3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    )];
    let server = Server::start(CREATED).await;
    let call = HttpCall {
        method: "POST".to_owned(),
        headers: vec![
            ("Content-Type".to_owned(), "text/plain".to_owned()),
            ("Host".to_owned(), "elsewhere".to_owned()),
            ("Content-Length".to_owned(), "9".to_owned()),
        ],
        body: b"hello".to_vec(),
        ..get(&server.url("/x?y=1"))
    };
    let got = send(&["127.0.0.0/8"], call).await.unwrap();
    assert_eq!((got.status, got.body.as_slice()), (201, b"abcde".as_slice()));
    assert_eq!(got.headers.iter().filter(|(name, _)| name == "x-twice").count(), 2);
    let asked = server.asked().join("").to_lowercase();
    assert!(asked.starts_with("post /x?y=1 http/1.1\r\n") && asked.ends_with("\r\n\r\nhello"), "{asked}");
    for line in [format!("host: {}", server.address), "content-length: 5".to_owned(), "user-agent: picloud/".to_owned()]
    {
        assert!(asked.contains(&line), "{line} in {asked}");
    }
    assert!(!asked.contains("elsewhere") && !asked.contains("accept-encoding"), "{asked}");
}

#[tokio::test]
async fn connections_are_used_again_for_the_same_app() {
    let server = Server::start(&[]).await;
    let outbound = Arc::new(Outbound::default());
    let allow = ["127.0.0.1".to_owned()];
    for _again in 0..3 {
        let sent = outbound.send(AppId(1), &allow, get(&server.url("/")), Duration::from_secs(20)).await;
        assert_eq!(sent.unwrap().status, 200);
    }
    let refused = outbound.send(AppId(2), &[], get(&server.url("/")), Duration::from_secs(20)).await;
    assert_eq!(refused.unwrap_err().code, Code::Forbidden, "what one app may is no other's");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn every_redirect_is_looked_at_like_the_first_url() {
    const TO: &[(&str, &str)] = &[
        ("/lan", "HTTP/1.1 302 Found\r\nlocation: http://192.168.1.1/\r\ncontent-length: 0\r\n\r\n"),
        ("/here", "HTTP/1.1 303 See Other\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n"),
        ("/same", "HTTP/1.1 307 Temporary Redirect\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n"),
        ("/round", "HTTP/1.1 302 Found\r\nlocation: /round\r\ncontent-length: 0\r\n\r\n"),
        ("/file", "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n"),
    ];
    let server = Server::start(TO).await;
    let local = ["127.0.0.1"];
    let refused = send(&local, get(&server.url("/lan"))).await.unwrap_err();
    assert!(refused.code == Code::Forbidden && refused.message.contains("192.168.1.1:80"), "{refused:?}");
    for (path, status) in [("/round", "more than 5 redirects"), ("/file", "no web server")] {
        let failed = send(&local, get(&server.url(path))).await.unwrap_err();
        assert!(failed.code == Code::NodeAway && failed.message.contains(status), "{failed:?}");
    }
    for (path, last) in [("/here", "GET /there"), ("/same", "POST /there")] {
        let call = HttpCall {
            method: "POST".to_owned(),
            headers: vec![("authorization".to_owned(), "Bearer s3cret".to_owned())],
            body: b"x".to_vec(),
            ..get(&server.url(path))
        };
        assert_eq!(send(&local, call).await.unwrap().status, 200);
        let asked = server.asked().pop().unwrap();
        assert!(asked.starts_with(last) && asked.contains("s3cret"), "{asked}");
    }
}

#[tokio::test]
async fn credentials_stay_with_the_server_they_were_for() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", other.local_addr().unwrap());
    let redirecting = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", redirecting.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut first, _client) = redirecting.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let seen = first.read(&mut bytes).await.unwrap();
        assert!(String::from_utf8_lossy(&bytes[..seen]).contains("s3cret"));
        first.write_all(location.as_bytes()).await.unwrap();
        let (mut second, _client) = other.accept().await.unwrap();
        let seen = second.read(&mut bytes).await.unwrap();
        second.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&bytes[..seen]).into_owned()
    });
    let headers = vec![("cookie".to_owned(), "s3cret".to_owned()), ("x-other".to_owned(), "stays".to_owned())];
    assert_eq!(send(&["127.0.0.1"], HttpCall { headers, ..get(&url) }).await.unwrap().status, 200);
    let asked = asked.await.unwrap();
    assert!(!asked.contains("s3cret") && asked.contains("stays"), "{asked}");
}

#[tokio::test]
async fn answers_that_are_too_large_too_late_or_none_are_failures_that_say_so() {
    const LARGE: &[(&str, &str)] = &[
        ("/told", "HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n"),
        ("/found", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n5\r\nfghij\r\n0\r\n\r\n"),
        ("/broken", "no HTTP at all\r\n\r\n"),
    ];
    let server = Server::start(LARGE).await;
    let local = ["127.0.0.1"];
    let failed = async |call| send(&local, call).await.unwrap_err();
    assert_eq!(failed(get(&server.url("/told"))).await.code, Code::TooLarge);
    assert_eq!(failed(HttpCall { body_bytes_max: 9, ..get(&server.url("/found")) }).await.code, Code::TooLarge);
    assert_eq!(failed(get(&server.url("/broken"))).await.code, Code::NodeAway);
    let late = failed(HttpCall { timeout_ms: Some(20), ..get(&server.url("/never")) }).await;
    assert!(late.code == Code::Deadline && late.message.contains("20 ms"), "{late:?}");
    let ended = Arc::new(Outbound::default())
        .send(AppId(1), &["127.0.0.1".to_owned()], get(&server.url("/never")), Duration::from_millis(20))
        .await;
    assert_eq!(ended.unwrap_err().code, Code::Deadline);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(failed(get(&format!("http://{nobody}/"))).await.code, Code::NodeAway);
    assert_eq!(failed(get("http://no-such-host.invalid/")).await.code, Code::NodeAway);
    for bad in ["", "ftp://example.org/", "http://", "/relative", "http://[::1/"] {
        assert_eq!(failed(get(bad)).await.code, Code::Invalid, "{bad}");
    }
    assert_eq!(
        failed(HttpCall { method: "CONNECT".to_owned(), ..get("http://example.org/") }).await.code,
        Code::Invalid
    );
    let split = vec![("x".to_owned(), "a\r\nb: c".to_owned())];
    assert_eq!(failed(HttpCall { headers: split, ..get("http://example.org/") }).await.code, Code::Invalid);
}
