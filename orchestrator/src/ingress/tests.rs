//! The ingress over real sockets, with a stand-in for whoever runs scripts.

use super::*;
use crate::route_table::tests_support::{app, file, route};
use crate::static_files::StaticBytes;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::Response;
use http_body_util::Full;
use picloud_model::async_request::{Accepted, AsyncState, NewAsyncRequest};
use picloud_model::clock::ManualClock;
use picloud_model::key::hash_of_key;
use picloud_model::protocol::{
    AppSnapshot, Forward, Forwarded, KeyEntry, ServiceFailure, SignedReply, SignedRequest, Snapshot, VersionEntry,
};
use picloud_model::route::RouteAuth;
use picloud_model::script::ScriptKind;
use picloud_model::{AppId, AsyncRequestId, Code, ContentHash, KeyId};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Longer than any test may take; a test that needs it has failed.
const TOO_LONG: Duration = Duration::from_secs(20);

/// Says what it was asked; `/wait` waits to be let go.
#[derive(Default)]
struct Echo {
    began: Notify,
    go: Notify,
    runs: Mutex<usize>,
}

impl Answer for Arc<Echo> {
    async fn answer(&self, run: RunInput<'_>) -> Response<Full<Bytes>> {
        *self.runs.lock().unwrap() += 1;
        if run.route.path == "/wait" {
            self.began.notify_one();
            self.go.notified().await;
        }
        if run.route.path == "/big" {
            return Response::new(Full::new(Bytes::from(vec![b'x'; 300_000])));
        }
        let (method, path, query) = (run.method, run.path, run.query);
        let who = run.principal.map(|who| format!(" for {} {}", who.kind.as_str(), who.name)).unwrap_or_default();
        let version = run.preview.map(|preview| format!(" version {}", preview.entry.version)).unwrap_or_default();
        let hidden = if run.hide_authorization { " without its key" } else { "" };
        let said = format!(
            "{method} {path} ?{query} {} {} {:?} {} from {} [{}]{who}{version}{hidden}",
            run.app.name,
            run.route.path,
            run.params,
            run.headers.len(),
            run.remote_addr,
            String::from_utf8_lossy(&run.body)
        );
        Response::new(Full::new(Bytes::from(said)))
    }
}

/// Files by hash.
struct Files(HashMap<ContentHash, Bytes>);

impl StaticBytes for Files {
    fn read(
        &self,
        _: AppId,
        hash: ContentHash,
        offset: u64,
        len: u32,
    ) -> BoxFuture<'static, Result<Bytes, ServiceFailure>> {
        let part = self.0.get(&hash).map(|bytes| {
            let from = usize::try_from(offset).unwrap();
            bytes.slice(from..bytes.len().min(from + len as usize))
        });
        let gone = ServiceFailure { code: Code::NotFound, message: "the file is gone".to_owned() };
        async move { part.ok_or(gone) }.boxed()
    }
}

/// Every script has the versions 1 and 2.
struct TwoVersions;

impl Versions for TwoVersions {
    fn version(
        &self,
        _: AppId,
        _: &str,
        version: i64,
    ) -> BoxFuture<'static, Result<Option<VersionEntry>, ServiceFailure>> {
        let entry = VersionEntry {
            kind: ScriptKind::Endpoint,
            hash: ContentHash::of(b"1"),
            modules: Vec::new(),
            quarantined_after_crashes: None,
        };
        async move { Ok((version <= 2).then_some(entry)) }.boxed()
    }
}

/// Whoever keeps requests and files is away.
struct Away;

fn away<T: Send + 'static>() -> BoxFuture<'static, Result<T, ServiceFailure>> {
    let failure = ServiceFailure { code: Code::NodeAway, message: "nobody is there".to_owned() };
    async move { Err(failure) }.boxed()
}

impl Later for Away {
    fn accept(&self, _: AppId, _: Box<NewAsyncRequest>) -> BoxFuture<'static, Result<Accepted, ServiceFailure>> {
        away()
    }

    fn state(&self, _: AsyncRequestId) -> BoxFuture<'static, Result<Option<AsyncState>, ServiceFailure>> {
        away()
    }
}

impl SignedFiles for Away {
    fn ask(&self, _: SignedRequest) -> BoxFuture<'static, Result<SignedReply, ServiceFailure>> {
        away()
    }
}

/// Node `pi` runs what may not run here, and says what it was sent; `away` runs nowhere.
struct Nodes;

impl Elsewhere for Nodes {
    fn forward(
        &self,
        app: AppId,
        asked: Box<Forward>,
        wait_max: Duration,
    ) -> BoxFuture<'static, Result<Forwarded, ServiceFailure>> {
        if asked.script == "away" {
            return away();
        }
        let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        let said = serde_json::json!({ "app": app, "asked": asked, "wait_max_ms": wait_max.as_millis() });
        let answer = Forwarded { node: "pi".to_owned(), status: 201, headers, body: said.to_string().into_bytes() };
        async move { Ok(answer) }.boxed()
    }
}

/// `picloud_ci` calls routes of the kitchen, `picloud_author` writes its scripts, `picloud_other` is of elsewhere.
fn keys() -> Vec<KeyEntry> {
    let key = |id: i64, name: &str, scope: &str| KeyEntry {
        id: KeyId(id),
        name: name.to_owned(),
        hash: hash_of_key(&format!("picloud_{name}")),
        scopes: vec![scope.parse().unwrap()],
        expires_at: None,
    };
    vec![key(1, "ci", "invoke@kitchen"), key(2, "author", "script:write@kitchen"), key(3, "other", "invoke@garden")]
}

struct Site {
    address: SocketAddr,
    echo: Arc<Echo>,
    counting: Arc<Counting>,
    draining: Arc<AtomicBool>,
    drain: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

fn site(settings: IngressSettings) -> Site {
    site_of(kitchen(), settings)
}

fn kitchen() -> AppSnapshot {
    let mut key = route(&["GET"], "/key");
    key.auth = RouteAuth::Key;
    let mut broken = route(&["GET"], "/broken");
    broken.script = "crasher".to_owned();
    let rooms = route(&["GET", "POST"], "/rooms/{room}");
    let mut kitchen = app(
        1,
        "kitchen",
        &[
            route(&["GET"], "/"),
            rooms,
            route(&[], "/any"),
            route(&["GET"], "/wait"),
            route(&["GET"], "/big"),
            key,
            broken,
        ],
    );
    kitchen.limits.request_body_bytes = 1000;
    let mut crasher = kitchen.scripts[0].clone();
    crasher.name = "crasher".to_owned();
    crasher.quarantined_after_crashes = Some(3);
    kitchen.scripts.insert(0, crasher);
    kitchen.static_files = vec![
        file("docs/index.html", b"<p>docs"),
        file("gone.css", b"gone"),
        file("large.bin", &large()),
        file("x.css", b"a{color:red}"),
        file("x.css.br", b"brotli"),
        file("x.css.gz", b"gzip"),
    ];
    kitchen
}

fn large() -> Vec<u8> {
    (0..700_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect()
}

fn site_of(app: AppSnapshot, settings: IngressSettings) -> Site {
    let files = [b"<p>docs".to_vec(), large(), b"a{color:red}".to_vec(), b"brotli".to_vec(), b"gzip".to_vec()];
    let files = files.into_iter().map(|bytes| (ContentHash::of(&bytes), Bytes::from(bytes))).collect();
    let echo = Arc::new(Echo::default());
    let live = Live::of(Snapshot { revision: 1, apps: vec![Arc::new(app)], keys: Arc::new(keys()) });
    let live = Arc::new(ArcSwap::from_pointee(live));
    let counting = Arc::new(Counting::default());
    let draining = Arc::new(AtomicBool::new(false));
    let ingress = Ingress::new(IngressParts {
        live,
        answer: Arc::clone(&echo),
        files: StaticFiles::new(Arc::new(Files(files))),
        versions: Arc::new(TwoVersions),
        later: Arc::new(Away),
        signed: Arc::new(Away),
        elsewhere: Arc::new(Nodes),
        draining: Arc::clone(&draining),
        counting: Arc::clone(&counting),
        clock: Arc::new(ManualClock::new(0)),
        settings,
    });
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (drain, drained) = oneshot::channel();
    let served = tokio::spawn(Arc::new(ingress).serve(vec![listener], async move {
        let _told_or_gone = drained.await;
    }));
    Site { address, echo, counting, draining, drain, served }
}

impl Site {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` and gives all that comes back until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_all(&mut stream).await
    }

    /// The answer to `line`, the first lines of a request, on a connection of its own.
    async fn ask(&self, head: &str, body: &str) -> String {
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let headers: String = headers.lines().map(|header| format!("{header}\r\n")).collect();
        let request = format!("{line} HTTP/1.1\r\nhost: pi\r\nconnection: close\r\n{headers}{length}\r\n{body}");
        self.exchange(request.as_bytes()).await
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(TOO_LONG, stream.read_to_end(&mut answer)).await.expect("the server closes").unwrap();
    shown(&answer)
}

/// Reads until `end` has come.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).ends_with(end) {
        let mut byte = [0];
        let read = timeout(TOO_LONG, stream.read(&mut byte)).await.expect("more comes").unwrap();
        assert_eq!(read, 1, "closed after {}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    shown(&answer)
}

/// An answer without what differs every time.
fn shown(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer).replace("\r\n", "\n");
    text.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n")
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

#[tokio::test]
async fn every_kind_of_answer_is_as_written_here() {
    let site = site(IngressSettings::default());
    let mut answers = Vec::new();
    for (head, body) in [
        ("GET /kitchen", ""),
        ("POST /kitchen/rooms/a%20b?x=1&y", "hello"),
        ("HEAD /kitchen/rooms/1", ""),
        ("OPTIONS /kitchen/rooms/1", ""),
        ("DELETE /kitchen/rooms/1", ""),
        ("OPTIONS *", ""),
        ("GET http://other/kitchen/", ""),
        ("GET /nowhere", ""),
        ("GET /kitchen/../x", ""),
        ("GET /kitchen/key", ""),
        ("GET /kitchen/broken", ""),
        ("GET /.picloud/health", ""),
        ("GET /kitchen/docs?x", ""),
        ("POST /nowhere", "hello"),
        ("CONNECT pi:80", ""),
    ] {
        answers.push(format!("> {head}\n{}", site.ask(head, body).await));
    }
    insta::assert_snapshot!(answers.join("\n\n"));
}

#[tokio::test]
async fn keys_and_versions_are_answered_as_written_here() {
    let site = site(IngressSettings::default());
    let mut answers = Vec::new();
    for head in [
        "GET /kitchen/key",
        "GET /kitchen/key\nauthorization: Bearer picloud_ci",
        "GET /kitchen/key\nauthorization: Bearer picloud_author",
        "GET /kitchen/key\nauthorization: Bearer picloud_other",
        "GET /kitchen/key\nauthorization: Bearer picloud_nobody",
        "GET /kitchen/any\nauthorization: Bearer picloud_ci",
        "GET /kitchen/any\nauthorization: Bearer of something else",
        "GET /kitchen/any\nx-picloud-version: 2",
        "GET /kitchen/any\nx-picloud-version: 2\nauthorization: Bearer picloud_other",
        "GET /kitchen/any\nx-picloud-version: 2\nauthorization: Bearer picloud_author",
        "GET /kitchen/key\nx-picloud-version: 2\nauthorization: Bearer picloud_ci",
        "GET /kitchen/any\nx-picloud-version: 3\nauthorization: Bearer picloud_ci",
        "GET /kitchen/any\nx-picloud-version: two\nauthorization: Bearer picloud_ci",
        "GET /kitchen/any\nx-picloud-version: 1\nx-picloud-version: 2\nauthorization: Bearer picloud_ci",
        "GET /kitchen/broken\nx-picloud-version: 1\nauthorization: Bearer picloud_ci",
        "GET /kitchen/broken\nx-picloud-version: 2\nauthorization: Bearer picloud_ci",
    ] {
        answers.push(format!("> {head}\n{}", site.ask(head, "").await));
    }
    insta::assert_snapshot!(answers.join("\n\n"));
}

#[tokio::test]
async fn answers_that_no_run_gave_are_counted_by_status_and_keys_by_their_use() {
    let site = site(IngressSettings::default());
    for head in ["GET /nowhere", "GET /nowhere", "GET /kitchen/x.css", "GET /kitchen/any", "GET /kitchen/key"] {
        site.ask(head, "").await;
    }
    site.ask("GET /kitchen/key\nauthorization: Bearer picloud_ci", "").await;
    site.exchange(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
    let counts = site.counting.take().unwrap();
    assert_eq!(counts.statuses, [(200, 1), (400, 1), (401, 1), (404, 2)]);
    assert_eq!((counts.keys_used, counts.scripts), (vec![KeyId(1)], vec![]), "who runs counts runs");
    assert_eq!(site.counting.take(), None);
}

#[tokio::test]
async fn heads_that_cannot_be_read_are_refused_saying_why() {
    let site = site(IngressSettings::default());
    let long = "x".repeat(40_000);
    let many: String = (0..101).map(|number| format!("h{number}: x\r\n")).collect();
    let mut answers = Vec::new();
    for (what, request) in [
        ("garbage", b"\x00\xff\x17 what?\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("no host", b"GET /kitchen HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec()),
        ("two hosts", b"GET /kitchen HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n".to_vec()),
        ("no host in HTTP/1.0", b"GET /kitchen HTTP/1.0\r\n\r\n".to_vec()),
        ("long header", format!("GET /kitchen HTTP/1.1\r\nhost: pi\r\nx: {long}\r\n\r\n").into_bytes()),
        ("many headers", format!("GET /kitchen HTTP/1.1\r\nhost: pi\r\n{many}\r\n").into_bytes()),
        ("long path", format!("GET /{long} HTTP/1.1\r\nhost: pi\r\n\r\n").into_bytes()),
        (
            "two lengths",
            b"POST /kitchen/any HTTP/1.1\r\nhost: pi\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_vec(),
        ),
    ] {
        answers.push(format!("> {what}\n{}", site.exchange(&request).await));
    }
    insta::assert_snapshot!(answers.join("\n\n"));
    assert_eq!(status(&site.ask("GET /kitchen", "").await), "200");
}

#[tokio::test]
async fn a_body_over_the_apps_limit_is_refused_before_it_is_sent_or_while_it_comes() {
    let site = site(IngressSettings::default());
    let announced = "POST /kitchen/any HTTP/1.1\r\nhost: pi\r\ncontent-length: 1001\r\n\r\n";
    let expected = announced.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
    for head in [announced, &expected] {
        // Nothing of the body is sent, and the answer still comes; the server waits for the close after it.
        let mut stream = site.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert_eq!(status(&answer), "413", "{answer}");
        assert!(answer.contains(r#""limit":{"name":"request_body_bytes","value":1000}"#), "{answer}");
        assert!(answer.contains("connection: close"));
    }
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    let chunked = "POST /kitchen/any HTTP/1.1\r\nhost: pi\r\ntransfer-encoding: chunked\r\n\r\n";
    let over = site.exchange(format!("{chunked}{chunk}1\r\nx\r\n0\r\n\r\n").as_bytes()).await;
    assert_eq!(status(&over), "413", "{over}");
    assert_eq!(*site.echo.runs.lock().unwrap(), 0);
    let fits = site.ask("POST /kitchen/any", &"y".repeat(1000)).await;
    assert!(fits.ends_with(&format!("[{}]", "y".repeat(1000))), "{fits}");
    // A client that sends a megabyte before it reads is not cut off: its writes go on, and then it reads why.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(site.address).await.unwrap();
    let head = "POST /kitchen/any HTTP/1.1\r\nhost: pi\r\ncontent-length: 1000000\r\n\r\n";
    stream
        .write_all(format!("{head}{}", "z".repeat(1_000_000)).as_bytes())
        .await
        .expect("nothing resets the connection");
    assert_eq!(status(&read_all(&mut stream).await), "413");
}

#[tokio::test]
async fn a_client_that_expects_it_is_told_to_go_on() {
    let site = site(IngressSettings::default());
    let mut stream = site.connect().await;
    let head = b"POST /kitchen/any HTTP/1.1\r\nhost: pi\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await.lines().next(), Some("HTTP/1.1 100 Continue"));
    stream.write_all(b"hello").await.unwrap();
    let answer = read_until(&mut stream, "[hello]").await;
    assert_eq!(status(&answer), "200");
}

#[tokio::test]
async fn a_client_that_is_slow_or_stops_is_not_waited_for() {
    let short = Duration::from_millis(80);
    let settings = IngressSettings { head: short, body_pause: short, keep_alive: short, ..IngressSettings::default() };
    let site = site(settings);
    // A head that stops, a head that trickles, a connection without a word, a body that stops.
    let stopped = site.exchange(b"GET /kitchen HTTP/1.1\r\nhost").await;
    insta::assert_snapshot!(stopped, @r#"
HTTP/1.1 408 Request Timeout
content-type: application/problem+json
content-length: 125
connection: close

{"code":"request-timeout","status":408,"title":"request timeout","detail":"the head of the request did not come within 80ms"}
"#);
    let mut trickling = site.connect().await;
    let began = Instant::now();
    loop {
        let byte = trickling.write_all(b"x").await;
        let mut answer = [0; 1024];
        match timeout(Duration::from_millis(10), trickling.read(&mut answer)).await {
            Ok(_answered_or_closed) => break,
            Err(_nothing_yet) => assert!(byte.is_ok() && began.elapsed() < TOO_LONG),
        }
    }
    // A connection that never sends a head is a head that did not come.
    assert_eq!(status(&site.exchange(b"").await), "408");
    let body = site.exchange(b"POST /kitchen/any HTTP/1.1\r\nhost: pi\r\ncontent-length: 9\r\n\r\nabc").await;
    assert_eq!(status(&body), "408");
    assert!(body.contains("3 bytes had come"), "{body}");
    // An idle connection that was used before is closed without a word.
    let mut idle = site.connect().await;
    idle.write_all(b"GET /kitchen HTTP/1.1\r\nhost: pi\r\n\r\n").await.unwrap();
    let answer = read_all(&mut idle).await;
    assert_eq!((status(&answer), answer.matches("HTTP/1.1").count()), ("200", 1));
}

#[tokio::test]
async fn a_request_that_breaks_off_runs_nothing_and_hurts_nobody() {
    let site = site(IngressSettings::default());
    for start in ["GET /kitchen HTT", "POST /kitchen/any HTTP/1.1\r\nhost: pi\r\ncontent-length: 9\r\n\r\nabc"] {
        let mut stream = site.connect().await;
        stream.write_all(start.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        read_all(&mut stream).await;
    }
    let bad_chunk = "POST /kitchen/any HTTP/1.1\r\nhost: pi\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(status(&site.exchange(bad_chunk.as_bytes()).await), "400");
    assert_eq!(*site.echo.runs.lock().unwrap(), 0);
    assert_eq!(status(&site.ask("GET /kitchen", "").await), "200");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let site = site(IngressSettings::default());
    let one = |room| format!("GET /kitchen/rooms/{room} HTTP/1.1\r\nhost: pi\r\n\r\n");
    let last = "GET /kitchen/rooms/3 HTTP/1.1\r\nhost: pi\r\nconnection: close\r\n\r\n";
    let answer = site.exchange(format!("{}{}{last}", one(1), one(2)).as_bytes()).await;
    let rooms: Vec<&str> =
        answer.lines().filter_map(|line| line.strip_prefix("GET /kitchen/rooms/")?.get(..1)).collect();
    assert_eq!(rooms, ["1", "2", "3"], "{answer}");
}

#[tokio::test]
async fn a_head_has_the_length_of_the_body_it_does_not_send() {
    let site = site(IngressSettings::default());
    for (path, length) in [("/kitchen/big", 300_000), ("/kitchen/large.bin", 700_000), ("/kitchen/x.css", 12)] {
        let answer = site.ask(&format!("HEAD {path}"), "").await;
        assert!(answer.contains(&format!("content-length: {length}")), "{answer}");
        assert!(!answer.contains("xxxx") && !answer.contains("color"), "{path}");
    }
}

#[tokio::test]
async fn bodies_under_way_have_a_bound_together() {
    let site = site(IngressSettings { bodies_bytes_max: 500, ..IngressSettings::default() });
    let answer = site.ask("POST /kitchen/any", &"x".repeat(501)).await;
    assert_eq!(status(&answer), "503", "{answer}");
    assert!(answer.contains("retry-after: 1"));
    // What was refused is given back.
    assert_eq!(status(&site.ask("POST /kitchen/any", &"x".repeat(500)).await), "200");
}

#[tokio::test]
async fn connections_past_the_bound_wait_instead_of_being_refused() {
    let site = site(IngressSettings { connections_max: 2, ..IngressSettings::default() });
    let request = b"GET /kitchen HTTP/1.1\r\nhost: pi\r\n\r\n";
    let mut open = [site.connect().await, site.connect().await];
    for stream in &mut open {
        stream.write_all(request).await.unwrap();
        read_until(stream, "1 []").await;
    }
    let mut third = site.connect().await;
    third.write_all(request).await.unwrap();
    let mut byte = [0];
    assert!(
        timeout(Duration::from_millis(50), third.read(&mut byte)).await.is_err(),
        "it was served beside two others"
    );
    drop(open);
    read_until(&mut third, "1 []").await;
}

#[tokio::test]
async fn many_connections_are_served_side_by_side() {
    let site = Arc::new(site(IngressSettings::default()));
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let site = Arc::clone(&site);
            tokio::spawn(async move {
                let mut stream = site.connect().await;
                for _ in 0..5 {
                    stream.write_all(b"GET /kitchen HTTP/1.1\r\nhost: pi\r\n\r\n").await.unwrap();
                    assert_eq!(status(&read_until(&mut stream, "1 []").await), "200");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(*site.echo.runs.lock().unwrap(), 1000);
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way_and_takes_nothing_new() {
    // Longer than the test waits: nothing may end by running out of time.
    let never = Duration::from_secs(3600);
    let site = site(IngressSettings { head: never, keep_alive: never, drain: never, ..IngressSettings::default() });
    let mut unused = site.connect().await;
    let mut idle = site.connect().await;
    idle.write_all(b"GET /kitchen HTTP/1.1\r\nhost: pi\r\n\r\n").await.unwrap();
    read_until(&mut idle, "1 []").await;
    let mut busy = site.connect().await;
    busy.write_all(b"GET /kitchen/wait HTTP/1.1\r\nhost: pi\r\n\r\n").await.unwrap();
    site.echo.began.notified().await;
    site.drain.send(()).unwrap();
    assert_eq!(read_all(&mut idle).await, "");
    assert_eq!(read_all(&mut unused).await, "");
    assert!(TcpStream::connect(site.address).await.is_err());
    site.echo.go.notify_one();
    let answer = read_all(&mut busy).await;
    assert!(status(&answer) == "200" && answer.contains("connection: close"), "{answer}");
    timeout(TOO_LONG, site.served).await.expect("it returns").unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_is_on_its_way_when_a_drain_begins_is_answered() {
    let never = Duration::from_secs(3600);
    let site = site(IngressSettings { drain: never, last_request: never, ..IngressSettings::default() });
    let mut unused = site.connect().await;
    let mut idle = site.connect().await;
    idle.write_all(b"GET /kitchen HTTP/1.1\r\nhost: pi\r\n\r\n").await.unwrap();
    read_until(&mut idle, "1 []").await;
    // One that is over tells that all before it were accepted.
    let mut last = site.connect().await;
    last.write_all(b"GET /kitchen HTTP/1.1\r\nhost: pi\r\nconnection: close\r\n\r\n").await.unwrap();
    read_all(&mut last).await;
    site.drain.send(()).unwrap();
    while TcpStream::connect(site.address).await.is_ok() {}
    for connection in [&mut unused, &mut idle] {
        connection.write_all(b"GET /kitchen HTTP/1.1\r\nhost: pi\r\n\r\n").await.unwrap();
        let answer = read_all(connection).await;
        assert!(status(&answer) == "200" && answer.contains("connection: close"), "{answer}");
    }
    timeout(TOO_LONG, site.served).await.expect("it returns").unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let site = site(IngressSettings { drain: Duration::from_millis(50), ..IngressSettings::default() });
    let mut busy = site.connect().await;
    busy.write_all(b"GET /kitchen/wait HTTP/1.1\r\nhost: pi\r\n\r\n").await.unwrap();
    site.echo.began.notified().await;
    site.drain.send(()).unwrap();
    timeout(TOO_LONG, site.served).await.expect("it returns").unwrap().unwrap();
    assert_eq!(read_all(&mut busy).await, "");
}

#[tokio::test]
async fn static_files_answer_conditions_ranges_and_encodings() {
    let site = site(IngressSettings::default());
    let etag = format!("\"{}\"", ContentHash::of(b"a{color:red}"));
    let mut answers = Vec::new();
    for head in [
        "GET /kitchen/x.css".to_owned(),
        "GET /kitchen/static/x.css\naccept-encoding: gzip, br".to_owned(),
        "GET /kitchen/x.css\naccept-encoding: gzip".to_owned(),
        format!("GET /kitchen/x.css\nif-none-match: \"a\", W/{etag}"),
        "GET /kitchen/x.css\nif-modified-since: Tue, 14 Nov 2023 22:13:20 GMT".to_owned(),
        "GET /kitchen/x.css\nrange: bytes=2-6".to_owned(),
        format!("GET /kitchen/x.css\nrange: bytes=-4\nif-range: {etag}"),
        "GET /kitchen/x.css\nrange: bytes=-4\nif-range: \"other\"".to_owned(),
        "GET /kitchen/x.css\nrange: bytes=12-".to_owned(),
        "GET /kitchen/docs/".to_owned(),
        "GET /kitchen/gone.css".to_owned(),
    ] {
        let answer = site.ask(&head, "").await;
        answers.push(format!("> {head}\n{answer}"));
    }
    insta::assert_snapshot!(answers.join("\n\n"));
}

#[tokio::test]
async fn a_big_file_is_streamed_whole_and_in_parts() {
    let site = site(IngressSettings::default());
    for (range, from, to) in [("", 0, 700_000), ("range: bytes=262143-600000\r\n", 262_143, 600_001)] {
        let mut stream = site.connect().await;
        let head = format!("GET /kitchen/large.bin HTTP/1.1\r\nhost: pi\r\nconnection: close\r\n{range}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(TOO_LONG, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert!(answer[end..] == large()[from..to], "{}", String::from_utf8_lossy(&answer[..end]));
    }
}

/// The kitchen with two scripts that may not run here.
fn kitchen_with_a_camera() -> AppSnapshot {
    let mut kitchen = kitchen();
    for name in ["away", "camera"] {
        let mut elsewhere = kitchen.scripts[0].clone();
        (elsewhere.name, elsewhere.quarantined_after_crashes) = (name.to_owned(), None);
        elsewhere.elsewhere = true;
        kitchen.scripts.push(elsewhere);
        let mut leads = route(&["GET", "POST"], &format!("/{name}/{{id}}"));
        leads.script = name.to_owned();
        kitchen.routes.push(leads);
    }
    kitchen.scripts.sort_by(|a, b| a.name.cmp(&b.name));
    kitchen
}

#[tokio::test]
async fn a_request_whose_script_may_not_run_here_is_answered_by_a_node_that_says_its_name() {
    let site = site_of(kitchen_with_a_camera(), IngressSettings::default());
    let head = "POST /kitchen/camera/a%20b?size=1&x\nauthorization: Bearer picloud_ci\nx-picloud-version: 2";
    insta::assert_snapshot!(site.ask(head, "{\"a\":1}").await);
    insta::assert_snapshot!(site.ask("GET /kitchen/away/1", "").await);
    let large = "x".repeat(1001);
    let refused = site.ask("POST /kitchen/camera/1", &large).await;
    assert!(refused.starts_with("HTTP/1.1 413"), "the limit of bodies holds before anything is sent on: {refused}");
    let later = site.ask("GET /kitchen/camera/1\nprefer: respond-async", "").await;
    assert!(later.contains("nobody is there") && !later.contains("x-picloud-node"), "it is kept, not sent on: {later}");
    assert_eq!(*site.echo.runs.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_machine_that_drains_says_so_to_whoever_asks_for_its_health_and_goes_on_answering() {
    let site = site(IngressSettings::default());
    let status = async |path: &str| site.ask(&format!("GET {path}"), "").await[9..12].to_owned();
    for (draining, health) in [(false, "200"), (true, "503"), (false, "200")] {
        site.draining.store(draining, Ordering::Relaxed);
        assert_eq!((status("/.picloud/health").await.as_str(), status("/kitchen/any").await.as_str()), (health, "200"));
    }
}
