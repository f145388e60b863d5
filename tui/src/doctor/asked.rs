//! What the appliance answers when it is asked how it is. Gathered once, before anything is judged.

use crate::client::{Ask, Client};
use crate::failure::Failure;
use crate::path::ApiPath;
use crate::place::Place;
use crate::settings::Settings;
use http::{Method, header};
use picloud_model::clock::{Clock, UnixMs};
use picloud_model::node::Node;
use picloud_model::page::Page;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(8);
/// Nodes that are asked for at a time: as many as a page may have.
const NODES_PAGE: u32 = 1_000;

/// Who was asked, and what he said.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Where, as it is typed.
    pub(crate) place: String,
    /// Whether that is the machine this runs on.
    pub(crate) is_here: bool,
    /// What it is; or why it does not say.
    pub(crate) status: Result<Status, Silence>,
    /// The machines it knows.
    pub(crate) nodes: Result<Vec<Node>, String>,
    /// Its metrics without labels.
    pub(crate) metrics: Result<BTreeMap<String, f64>, String>,
    /// What came of its backups, where it tells more than its metrics do.
    pub(crate) backups: Option<Backups>,
    /// By how much its clock is ahead of this machine's.
    pub(crate) ahead_ms: Option<i64>,
    /// The certificates it shows, the one for its name first.
    pub(crate) certificates: Result<Vec<Certificate>, String>,
}

/// Why an appliance does not say how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    /// What happened.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) hint: String,
    /// Whether it is there and does not let this person ask.
    pub(crate) is_refused: bool,
}

/// How an appliance says it is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Status {
    /// Its version.
    pub(crate) version: String,
    /// Its machine's name.
    pub(crate) node: String,
    /// How long it has been up.
    pub(crate) uptime_s: u64,
    /// Where routes are answered.
    pub(crate) ingress_addr: String,
    /// Where this API is reached over the network.
    pub(crate) admin_url: Option<String>,
    /// The fingerprint of its CA.
    pub(crate) ca_fingerprint: Option<String>,
    /// Where its data is.
    pub(crate) data_dir: String,
    /// The worker's process.
    pub(crate) worker: Worker,
    /// Scripts that are not run any more.
    pub(crate) quarantined: usize,
    /// Bytes that it had written to disk since its start.
    pub(crate) bytes_written: u64,
    /// What waits, by app.
    pub(crate) queues: Vec<Queue>,
}

/// The worker.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Worker {
    /// Absent while none runs.
    pub(crate) pid: Option<u32>,
}

/// What waits in one app.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Queue {
    /// Which.
    pub(crate) app: String,
    /// For how long the oldest delivery has been due.
    pub(crate) oldest_due_ms: u64,
    /// Deliveries that no connected node may run.
    pub(crate) waiting_for_node: u64,
    /// Dead letters.
    pub(crate) dead_letters: u64,
}

/// What came of the last backups into the repository.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Backups {
    /// The last one that went well.
    pub(crate) success: Option<Backup>,
    /// The last one that did not, where it is newer.
    pub(crate) failure: Option<Backup>,
}

/// What came of one.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Backup {
    /// When it ended.
    pub(crate) at: String,
    /// Where it went.
    pub(crate) repository: String,
    /// Files of apps that had lost their bytes before.
    pub(crate) files_without_bytes: u64,
    /// Why there is none.
    pub(crate) error: Option<String>,
}

/// A certificate that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Whose it is, as it says.
    pub(crate) subject: String,
    /// From when on it holds.
    pub(crate) begins_at: UnixMs,
    /// Until when.
    pub(crate) ends_at: UnixMs,
}

/// Asks the appliance that the settings name.
pub(crate) async fn ask(client: &Client<'_>, settings: &Settings, clock: &dyn Clock) -> Asked {
    let (place, is_here) = match &settings.place {
        Place::Socket(path) => (path.display().to_string(), true),
        Place::Url(url) => (url.to_string(), url.is_loopback()),
    };
    let (status, ahead_ms) = match status(client, clock).await {
        Ok((status, ahead)) => (Ok(status), ahead),
        Err(silence) => (Err(silence), None),
    };
    let not_asked = || "the appliance did not answer".to_owned();
    let (nodes, metrics, backups, certificates) = match &status {
        Ok(status) => {
            let page = ApiPath::new(&["nodes"]).query("limit", Some(NODES_PAGE));
            let nodes = within(get::<Page<Node>>(client, page)).await.map(|page| page.items);
            let url = match &settings.place {
                Place::Url(url) => Some(url.to_string()),
                Place::Socket(_) => status.admin_url.clone(),
            };
            let backups = within(get::<Backups>(client, ApiPath::new(&["backup", "outcome"]))).await.ok();
            (nodes, within(metrics(client)).await, backups, certificates(url.as_deref()).await)
        }
        Err(_) => (Err(not_asked()), Err(not_asked()), None, Err(not_asked())),
    };
    Asked { place, is_here, status, nodes, metrics, backups, ahead_ms, certificates }
}

async fn within<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_TIME_MAX, work).await {
        Ok(done) => done.map_err(|failure| failure.problem().detail),
        Err(_elapsed) => Err(too_long()),
    }
}

fn too_long() -> String {
    format!("it took longer than {} s to answer", ANSWER_TIME_MAX.as_secs())
}

async fn get<T: DeserializeOwned>(client: &Client<'_>, path: ApiPath) -> Result<T, Failure> {
    client.get(path).await
}

/// The status, and by how much the clock of whoever said it is ahead.
async fn status(client: &Client<'_>, clock: &dyn Clock) -> Result<(Status, Option<i64>), Silence> {
    let asked_at = clock.now_ms();
    let asking = client.send(Ask::new(Method::GET, ApiPath::new(&["status"])));
    let answer = match tokio::time::timeout(ANSWER_TIME_MAX, asking).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => return Err(Silence::of(&failure)),
        Err(_elapsed) => {
            let hint =
                "is the machine out of memory, or its disk stuck? look at `journalctl -u picloud-appliance -n 50`";
            return Err(Silence { text: too_long(), hint: hint.to_owned(), is_refused: false });
        }
    };
    let said = answer.headers.get(header::DATE).and_then(|date| date.to_str().ok()).and_then(date_ms);
    let ahead = said.map(|said| ahead_ms(asked_at, clock.now_ms(), said));
    let status = answer.value().map_err(|failure| Silence::of(&failure))?;
    Ok((status, ahead))
}

impl Silence {
    /// The same as a failure of the whole command.
    pub(crate) fn failure(&self) -> Failure {
        let (message, hint) = (self.text.clone(), self.hint.clone());
        if self.is_refused { Failure::Refused { message, hint } } else { Failure::Unreachable { message, hint } }
    }

    fn of(failure: &Failure) -> Self {
        let problem = failure.problem();
        let is_refused = failure.exit_code() == 4;
        Self { text: problem.detail, hint: problem.hint.unwrap_or_default(), is_refused }
    }
}

/// `Sun, 22 Nov 2026 03:17:25 GMT`.
fn date_ms(text: &str) -> Option<i64> {
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond())
}

/// A date has whole seconds, cut off: what it says holds for a second, and for as long as the answer was under way.
fn ahead_ms(asked_at: UnixMs, answered_at: UnixMs, said: UnixMs) -> i64 {
    let (earliest, latest) = (said - answered_at, said + 999 - asked_at);
    if earliest > 0 { earliest } else { latest.min(0) }
}

async fn metrics(client: &Client<'_>) -> Result<BTreeMap<String, f64>, Failure> {
    let answer = client.send(Ask::new(Method::GET, ApiPath::new(&["metrics"]))).await?;
    Ok(unlabelled(&String::from_utf8_lossy(&answer.body)))
}

/// The metrics of a text that have no labels.
pub(crate) fn unlabelled(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains('{'));
    lines
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

async fn certificates(url: Option<&str>) -> Result<Vec<Certificate>, String> {
    let Some(url) = url.filter(|url| url.starts_with("https://")) else {
        return Err("the admin API is not served over HTTPS".to_owned());
    };
    let shown = crate::client::shown_certificates(url);
    match tokio::time::timeout(ANSWER_TIME_MAX, shown).await {
        Ok(Ok(chain)) => chain.iter().map(|der| read_certificate(der)).collect(),
        Ok(Err(failure)) => Err(failure.problem().detail),
        Err(_elapsed) => Err(too_long()),
    }
}

/// What a certificate says of itself.
pub(crate) fn read_certificate(der: &[u8]) -> Result<Certificate, String> {
    let (_rest, read) = x509_parser::parse_x509_certificate(der).map_err(|error| format!("a certificate: {error}"))?;
    let name = read.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    let validity = read.validity();
    Ok(Certificate {
        subject: name.unwrap_or("a name of its own").chars().filter(|c| !c.is_control()).collect(),
        begins_at: validity.not_before.timestamp().saturating_mul(1_000),
        ends_at: validity.not_after.timestamp().saturating_mul(1_000),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_only_by_what_whole_seconds_and_the_way_there_cannot_explain() {
        let said = date_ms("Sun, 22 Nov 2026 03:17:25 GMT").unwrap();
        assert_eq!(said % 1_000, 0);
        for (asked, answered, ahead) in [
            (said + 10, said + 20, 0),
            (said + 990, said + 1_400, 0),
            (said - 3_000, said - 2_000, 2_000),
            (said + 61_000, said + 62_000, -60_001),
        ] {
            assert_eq!(ahead_ms(asked, answered, said), ahead, "{asked} {answered}");
        }
    }

    #[test]
    fn metrics_without_labels_are_read_and_all_else_is_left() {
        let text = "# HELP picloud_apps Apps\n# TYPE picloud_apps gauge\npicloud_apps 3\npicloud_runs_total{app=\"a\"} 4\n\nbad\n";
        assert_eq!(unlabelled(text), BTreeMap::from([("picloud_apps".to_owned(), 3.0)]));
    }

    #[test]
    fn a_certificate_tells_its_name_and_its_end() {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "PiCloud CA");
        parameters.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = parameters.self_signed(&key).unwrap();
        let read = read_certificate(made.der()).unwrap();
        assert_eq!((read.subject.as_str(), read.ends_at), ("PiCloud CA", 1_893_456_000_000));
        assert!(read_certificate(b"no certificate").is_err());
    }
}
