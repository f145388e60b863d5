//! How the node is: asked for over a socket in the data folder, answered with one line of JSON.
//!
//! Only the agent's own user and root may open the socket. Whoever connects sends one line: `status`, or `join` once
//! `picloud-node join` has written down what is new.

use crate::agent::{Agent, Event};
use crate::context::{Asked, Context};
use crate::identity::Belonging;
use crate::slot::State;
use picloud_cluster::identity::{fingerprint_groups, whole_fingerprint_groups};
use picloud_model::clock::rfc3339;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// The socket's name in the data folder.
const SOCKET: &str = "node.sock";
/// Clients at once.
const CLIENTS_MAX: usize = 8;
/// How long one may take.
const CLIENT_MAX: Duration = Duration::from_secs(5);
/// Longest line.
const LINE_BYTES_MAX: u64 = 64;
/// Largest answer.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// How a node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `waiting`, `up`, `away` or `retired`.
    pub state: String,
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its key's fingerprint, as people compare it.
    pub fingerprint: String,
    /// All of it.
    pub whole_fingerprint: String,
    /// The program's version.
    pub version: String,
    /// The CA that it trusts, as people compare it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The appliance that answers, or answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appliance: Option<String>,
    /// Where that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appliance_address: Option<String>,
    /// Since when no appliance answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_since: Option<String>,
    /// Why none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Where it answers requests; empty while it has nothing to serve.
    pub urls: Vec<String>,
    /// The change that it was told of last.
    pub revision: u64,
    /// Deliveries it is running.
    pub running: u64,
    /// Publishes that wait to be forwarded.
    pub spooled: u64,
    /// Sources and static files that are not in its cache: without an appliance they are missing.
    pub missing: u64,
    /// When its certificate ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<String>,
    /// Its worker's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_pid: Option<u32>,
    /// Whom it asks to be let in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub asked: BTreeMap<String, Asked>,
}

impl Report {
    /// How it is now.
    pub(crate) fn of(agent: &Agent, appliance: &str, running: usize) -> Self {
        let Agent { context, spool, worker, cache, .. } = agent;
        let fingerprint = context.key.fingerprint();
        let (up, why) = match context.slot.state() {
            State::Up(link) => (Some(link.address().to_string()), None),
            State::Away { since, why } => (None, Some((rfc3339(since), why))),
        };
        let belonging = context.belonging.borrow().clone();
        let state = match (&belonging, &up) {
            (Belonging::Nobody, _) => "waiting",
            (Belonging::Retired { .. }, _) => "retired",
            (Belonging::Member(_), Some(_)) => "up",
            (Belonging::Member(_), None) => "away",
        };
        let member = context.member();
        let is_member = member.is_some();
        let (away_since, why) = why.filter(|_why| is_member).unzip();
        let known = context.apps.known();
        Self {
            state: state.to_owned(),
            id: context.key.id().to_string(),
            name: context.name(),
            fingerprint: fingerprint_groups(&fingerprint),
            whole_fingerprint: whole_fingerprint_groups(&fingerprint),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ca: member.as_ref().and_then(|it| it.ca_fingerprint()).map(|ca| fingerprint_groups(&ca)),
            appliance: Some(appliance.to_owned()).filter(|name| !name.is_empty()),
            appliance_address: up,
            away_since,
            why,
            urls: if known { crate::urls::of(worker.addr()) } else { Vec::new() },
            revision: context.apps.revision(),
            running: running as u64,
            spooled: spool.waiting(),
            missing: context.apps.contents().hashes().iter().filter(|hash| !cache.has(hash)).count() as u64,
            certificate_expires_at: member.and_then(|it| it.expires_at()).map(rfc3339),
            worker_pid: worker.pid(),
            asked: if is_member { BTreeMap::new() } else { context.asked().clone() },
        }
    }
}

/// Somebody asks.
pub(crate) struct StatusAsk(oneshot::Sender<Report>);

impl StatusAsk {
    pub(crate) fn answer(self, report: Report) {
        let _gave_up = self.0.send(report);
    }
}

/// Where the socket is.
pub fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET)
}

/// Opens the socket. Whoever holds the data folder's lock owns its place.
pub(crate) fn listen(data_dir: &Path) -> std::io::Result<UnixListener> {
    let path = socket(data_dir);
    picloud_cluster::private_file::remove(&path)?;
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers whoever asks.
pub(crate) async fn serve(listener: UnixListener, context: Arc<Context>, events: mpsc::Sender<Event>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes it");
        let client = match listener.accept().await {
            Ok((client, _address)) => client,
            Err(error) => {
                tracing::warn!(%error, "nobody can be told how this node is");
                return;
            }
        };
        let (context, events) = (Arc::clone(&context), events.clone());
        tokio::spawn(async move {
            let answered = tokio::time::timeout(CLIENT_MAX, answer(client, &context, &events)).await;
            if let Ok(Err(error)) = answered {
                tracing::debug!(%error, "somebody could not be told how this node is");
            }
            drop(place);
        });
    }
}

async fn answer(client: UnixStream, context: &Context, events: &mpsc::Sender<Event>) -> std::io::Result<()> {
    let (reading, mut writing) = client.into_split();
    let mut line = String::new();
    BufReader::new(reading.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    if line.trim() == "join" {
        context.told.notify_one();
    }
    let (asked, answered) = oneshot::channel();
    if events.send(Event::Asked(StatusAsk(asked))).await.is_ok()
        && let Ok(report) = answered.await
    {
        let mut json = serde_json::to_vec(&report).expect("texts and numbers are always JSON");
        json.push(b'\n');
        writing.write_all(&json).await?;
    }
    Ok(())
}

/// Asks the agent of this data folder; `None` where none runs.
pub async fn ask(data_dir: &Path, word: &str) -> std::io::Result<Option<Report>> {
    use std::io::ErrorKind;
    let mut stream = match UnixStream::connect(socket(data_dir)).await {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        connected => connected?,
    };
    let asked = async {
        stream.write_all(format!("{word}\n").as_bytes()).await?;
        let mut text = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut text).await?;
        serde_json::from_slice(&text).map(Some).map_err(std::io::Error::other)
    };
    tokio::time::timeout(CLIENT_MAX, asked).await.unwrap_or_else(|_elapsed| Err(ErrorKind::TimedOut.into()))
}
