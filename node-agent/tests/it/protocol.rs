//! An appliance that is too new or too old for the node: both say which of them is to be updated.

use crate::world::{World, until};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use picloud_cluster::identity::SERVER_NAME;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::{PROTOCOL, PROTOCOL_HEADER, PROTOCOL_OLDEST, agree};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;

/// How long it is watched whether a node asks again and again: a tenth of its pause.
const WATCHED: Duration = Duration::from_millis(1500);

/// The appliance's own address and CA, and a program that speaks other protocols.
struct Other {
    runtime: Option<tokio::runtime::Runtime>,
    asked: Arc<AtomicU32>,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Other {
    fn speaking(range: &'static str, ca: &Path, address: SocketAddr) -> Self {
        let acceptor = acceptor(ca);
        let (asked, paths) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (count, noted) = (Arc::clone(&asked), Arc::clone(&paths));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            // It fails when the test is over.
            while let Ok((stream, _from)) = listener.accept().await {
                let (acceptor, count, noted) = (acceptor.clone(), Arc::clone(&count), Arc::clone(&noted));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let answer = move |request: Request<hyper::body::Incoming>| {
                        count.fetch_add(1, Ordering::Relaxed);
                        noted.lock().unwrap().push(request.uri().path().to_owned());
                        std::future::ready(Ok::<_, Infallible>(refused(range, &request)))
                    };
                    let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    // It ends when the node hangs up.
                    let _ended = http.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
                });
            }
        });
        Self { runtime: Some(runtime), asked, paths }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_timeout(Duration::from_secs(5));
    }
}

/// What an appliance with these protocols answers.
fn refused(range: &str, request: &Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
    let (oldest, newest) = range.split_once('-').unwrap();
    let ours = (oldest.parse().unwrap(), newest.parse().unwrap());
    let said = request.headers()[PROTOCOL_HEADER].to_str().unwrap();
    let why =
        agree(ours, said).unwrap_err().replace("this machine", "the appliance").replace("that machine", "the node");
    let problem = serde_json::to_vec(&Problem::new(Code::Conflict, why)).unwrap();
    let answer = Response::builder().status(409).header(PROTOCOL_HEADER, range);
    answer.header("content-type", "application/problem+json").body(Full::new(Bytes::from(problem))).unwrap()
}

/// With a certificate as the appliance would have made it.
fn acceptor(ca: &Path) -> TlsAcceptor {
    let read = |file| std::fs::read_to_string(ca.join(file)).unwrap();
    let root = CertificateDer::from_pem_slice(read("ca.crt").as_bytes()).unwrap();
    let issuer = Issuer::from_ca_cert_der(&root, KeyPair::from_pem(&read("ca.key")).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
    let chain = vec![params.signed_by(&key, &issuer).unwrap().der().clone(), root];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

#[test]
fn a_node_whose_appliance_speaks_other_protocols_says_who_is_to_be_updated_serves_on_and_asks_seldom() {
    for (range, is_older) in [("7-8", "this node"), ("0-0", "the appliance")] {
        let mut world = World::new();
        let mut node = world.joined("pi2");
        world.appliance.stop();
        let other = Other::speaking(range, &world.folder.path().join("appliance/keys"), world.admin);
        let (oldest, newest) = (PROTOCOL_OLDEST, PROTOCOL);
        let why = format!(
            "one end speaks the node protocols {oldest}-{newest}, the other {range}: update PiCloud on {is_older}"
        );
        let status = node.until(|status| status["why"] == why.as_str());
        assert_eq!((&status["state"], &status["name"]), (&"away".into(), &"pi2".into()), "{status}");
        node.process.until_says(&format!("the appliance answers, but {why}"));
        let shown = node.run(&["status"]);
        assert!(String::from_utf8_lossy(&shown.stdout).contains(&why), "{shown:?}");
        let begun = Instant::now();
        assert_eq!(node.get("/led/who").body, "pi2!", "it serves what it knows");
        node.say(&["kept".to_owned()]);
        until(|| (begun.elapsed() >= WATCHED).then_some(()), String::new);
        assert_eq!(other.asked(), 1, "{:?}", other.paths.lock().unwrap());
        drop(other);
        // What it was, and what it kept, it still is and has once they understand each other.
        world.restart_appliance();
        node.process.stop();
        node.restart(&[]);
        node.until_state("up");
        world.until_noted(&["kept".to_owned()]);
    }
}

#[test]
fn a_machine_that_asks_to_join_an_appliance_of_other_protocols_says_who_is_to_be_updated() {
    let mut world = World::new();
    world.appliance.stop();
    let other = Other::speaking("7-8", &world.folder.path().join("appliance/keys"), world.admin);
    let node = world.node("pi2", &[]);
    node.process.until_says("the other 7-8: update PiCloud on this node");
    let status = node.status();
    assert_eq!(status["state"], "waiting");
    let says = status["asked"][world.admin.to_string()]["says"].as_str();
    assert!(says.is_some_and(|says| says.ends_with("update PiCloud on this node")), "{status}");
    assert_eq!(other.asked(), 1);
}
