//! A node as a script: it says over real TLS what the test wants it to say, also what no agent would.

use crate::support::{Appliance, PATIENCE, Reply};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use picloud_cluster::frames::{FrameReader, encode};
use picloud_cluster::identity::{ClientTls, NodeKey, Trust, ca_of_pem};
use picloud_model::placement::Labels;
use picloud_model::protocol::node::{
    Enrol, Enrolled, FromNode, NodeCall, NodeHello, NodeReply, PATH_CALLS, PATH_CONTROL, PATH_ENROL, PROTOCOL_HEADER,
    ToNode,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

/// Where nodes reach this appliance.
pub(crate) fn node_addr(appliance: &Appliance) -> SocketAddr {
    let (_, line) = appliance.output.wait_for(0, "admin API on https://");
    line.split_once("admin API on https://").unwrap().1.split_once(' ').unwrap().0.parse().unwrap()
}

/// A request to the admin API, from within the test's runtime.
pub(crate) fn admin(appliance: &Appliance, method: &str, path: &str, body: &str) -> Reply {
    std::thread::scope(|scope| scope.spawn(|| appliance.admin(method, path, body)).join().unwrap())
}

/// Deploys and expects that it works.
pub(crate) fn deploy(appliance: &Appliance, bundle: &Value) {
    std::thread::scope(|scope| scope.spawn(|| appliance.deploy(bundle)).join().unwrap());
}

/// A body that is sent as it comes.
pub(crate) struct Sent(mpsc::Receiver<Bytes>);

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A connection.
pub(crate) struct Connection {
    sender: SendRequest<Sent>,
}

/// Why there is none.
pub(crate) type Refused = String;

impl Connection {
    /// Dials, with the certificate where there is one.
    pub(crate) async fn open(
        addr: SocketAddr,
        trust: Trust,
        identity: Option<(&str, &NodeKey)>,
    ) -> Result<Self, Refused> {
        let tls = ClientTls::new(trust, identity).map_err(|error| error.to_string())?;
        let stream = TcpStream::connect(addr).await.map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(std::sync::Arc::clone(&tls.config));
        let stream = connector.connect(ClientTls::server_name(), stream).await.map_err(|error| error.to_string())?;
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Sends a request whose body goes on.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        protocol: Option<&str>,
    ) -> Result<(mpsc::Sender<Bytes>, http::Response<Incoming>), Refused> {
        let (body, receiver) = mpsc::channel(64);
        let mut request = http::Request::post(format!("https://picloud-node{path}"));
        if let Some(protocol) = protocol {
            request = request.header(PROTOCOL_HEADER, protocol);
        }
        let request = request.body(Sent(receiver)).unwrap();
        self.sender.ready().await.map_err(|error| error.to_string())?;
        let answered = tokio::time::timeout(PATIENCE, self.sender.send_request(request)).await;
        Ok((body, answered.map_err(|_elapsed| "no answer")?.map_err(|error| error.to_string())?))
    }

    /// The same with a body, and all of the answer.
    pub(crate) async fn exchange(&mut self, path: &str, protocol: Option<&str>, body: &[u8]) -> (u16, Value) {
        let (sender, receiver) = mpsc::channel(1);
        sender.send(Bytes::copy_from_slice(body)).await.unwrap();
        drop(sender);
        let mut request = http::Request::post(format!("https://picloud-node{path}"));
        if let Some(protocol) = protocol {
            request = request.header(PROTOCOL_HEADER, protocol);
        }
        self.sender.ready().await.unwrap();
        let answered = self.sender.send_request(request.body(Sent(receiver)).unwrap());
        whole(tokio::time::timeout(PATIENCE, answered).await.unwrap().unwrap()).await
    }

    /// Asks to be let in.
    pub(crate) async fn enrol(&mut self, key: &NodeKey, name: &str, token: Option<&str>) -> (u16, Value) {
        let body = serde_json::to_vec(&enrol(key, name, token)).unwrap();
        self.exchange(PATH_ENROL, Some("1-1"), &body).await
    }

    /// Opens a stream of frames; its status says whether it was.
    pub(crate) async fn stream(&mut self, path: &str) -> Result<Stream, (u16, Value)> {
        let (sender, response) = self.post(path, Some("1-1")).await.unwrap();
        if response.status() != 200 {
            return Err(whole(response).await);
        }
        assert_eq!(response.headers()[PROTOCOL_HEADER], "1");
        Ok(Stream { sender, frames: FrameReader::new(response.into_body()) })
    }

    /// Opens the control stream and says who it is; answers what it is called.
    pub(crate) async fn control(&mut self, hello: NodeHello) -> (Stream, String) {
        let mut stream = self.stream(PATH_CONTROL).await.unwrap();
        stream.say(&FromNode::Hello(hello)).await;
        let ToNode::Welcome { name, .. } = stream.next().await.unwrap() else { panic!("no welcome") };
        (stream, name)
    }

    /// Opens the call stream.
    pub(crate) async fn calls(&mut self) -> Stream {
        self.stream(PATH_CALLS).await.unwrap()
    }
}

/// Reads all of an answer.
pub(crate) async fn whole(response: http::Response<Incoming>) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// What a machine says to be let in.
pub(crate) fn enrol(key: &NodeKey, name: &str, token: Option<&str>) -> Enrol {
    Enrol {
        csr: key.csr_pem().unwrap(),
        name: name.to_owned(),
        facts: Labels::from([("arch".to_owned(), "aarch64".to_owned())]),
        version: "0.1.0".to_owned(),
        token: token.map(str::to_owned),
    }
}

/// What a node says first.
pub(crate) fn hello() -> NodeHello {
    NodeHello {
        version: "0.1.0".to_owned(),
        facts: Labels::from([("arch".to_owned(), "aarch64".to_owned())]),
        urls: vec!["http://127.0.0.1:1".to_owned()],
        places: 4,
        holding: Vec::new(),
        incarnation: 1,
    }
}

/// One stream of frames.
pub(crate) struct Stream {
    pub(crate) sender: mpsc::Sender<Bytes>,
    frames: FrameReader<Incoming>,
}

impl Stream {
    /// Says a frame.
    pub(crate) async fn say<T: Serialize>(&self, frame: &T) {
        self.sender.send(encode(frame).unwrap()).await.unwrap();
    }

    /// The next frame, `None` at the end.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        tokio::time::timeout(PATIENCE, self.frames.next()).await.expect("a frame comes").unwrap_or(None)
    }

    /// The first frame that is meant; others are passed over.
    pub(crate) async fn until<T>(&mut self, mut is_meant: impl FnMut(ToNode) -> Option<T>) -> T {
        loop {
            let frame = self.next().await.expect("the stream goes on");
            if let Some(found) = is_meant(frame) {
                return found;
            }
        }
    }

    /// A call and its answer.
    pub(crate) async fn call(&mut self, call: &NodeCall) -> NodeReply {
        self.say(call).await;
        self.next().await.expect("an answer comes")
    }
}

/// A node that was let in.
pub(crate) struct Member {
    pub(crate) key: NodeKey,
    pub(crate) in_by: Enrolled,
    pub(crate) addr: SocketAddr,
}

impl Member {
    /// Joins with a token made for it.
    pub(crate) async fn join(appliance: &Appliance, name: &str) -> Self {
        let made = admin(appliance, "POST", "/join-tokens", "{}");
        assert_eq!(made.status, 201, "{}", made.text());
        let token = made.json()["token"].as_str().unwrap().to_owned();
        let (addr, key) = (node_addr(appliance), NodeKey::make().unwrap());
        let trust = Trust::ByToken(token.split('.').nth(1).unwrap().to_owned());
        let mut connection = Connection::open(addr, trust, None).await.unwrap();
        let (status, body) = connection.enrol(&key, name, Some(&token)).await;
        assert_eq!(status, 200, "{body}");
        Self { key, in_by: serde_json::from_value(body).unwrap(), addr }
    }

    /// Dials with its certificate.
    pub(crate) async fn connect(&self) -> Result<Connection, Refused> {
        let trust = Trust::Pinned(ca_of_pem(&self.in_by.ca).unwrap());
        Connection::open(self.addr, trust, Some((&self.in_by.certificate, &self.key))).await
    }

    /// Its id.
    pub(crate) fn id(&self) -> String {
        self.key.id().to_string()
    }
}
