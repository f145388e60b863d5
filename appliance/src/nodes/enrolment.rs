//! How machines are let in: by a join token, by somebody who approves them, or because they are in already.

use super::control::facts;
use super::node_api::{self, Remote};
use super::strangers::{Decision, Stranger};
use crate::admin::from_store;
use crate::appliance::Appliance;
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use picloud_cluster::identity::{AskedKey, Peer, csr_key};
use picloud_model::audit::Act;
use picloud_model::hash::ContentHash;
use picloud_model::join_token::TokenParts;
use picloud_model::node::{NodeRecord, check_name};
use picloud_model::placement::{LABEL_BYTES_MAX, Labels};
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::{ENROL_BYTES_MAX, Enrol, Enrolled};
use picloud_store::{NodeWrite, TokenJoin};
use std::sync::Arc;
use std::time::Duration;

/// How long a request's body may take to arrive.
const BODY_MAX: Duration = Duration::from_secs(10);
/// How long a stranger's request is held until somebody decides.
const HELD_MAX: Duration = Duration::from_secs(10 * 60);

/// A machine asks to be let in.
pub(super) async fn enrol(appliance: &Arc<Appliance>, body: Incoming, remote: &Remote) -> Result<Response, Problem> {
    let enrol = read(body).await?;
    let key = asked_key(&enrol)?;
    if let Some(record) = appliance.cluster.look_up(&key.id()).await? {
        return certify(appliance, &record, &key);
    }
    match &enrol.token {
        Some(token) => by_token(appliance, token, &enrol, &key, remote).await,
        None => by_approval(appliance, &enrol, &key, remote).await,
    }
}

/// A node asks for its next certificate.
pub(super) async fn renew(appliance: &Arc<Appliance>, body: Incoming, peer: &Peer) -> Result<Response, Problem> {
    let record = appliance.cluster.admitted(peer).await?;
    let key = asked_key(&read(body).await?)?;
    certify(appliance, &record, &key)
}

async fn read(body: Incoming) -> Result<Enrol, Problem> {
    let read = tokio::time::timeout(BODY_MAX, Limited::new(body, ENROL_BYTES_MAX).collect()).await;
    let bytes = match read {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("the request has more than {ENROL_BYTES_MAX} bytes");
            return Err(Problem::new(Code::TooLarge, detail));
        }
        Ok(Err(error)) => return Err(Problem::new(Code::Malformed, format!("the request broke off: {error}"))),
        Err(_elapsed) => {
            let detail = format!("the request did not arrive within {} s", BODY_MAX.as_secs());
            return Err(Problem::new(Code::RequestTimeout, detail));
        }
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::new(Code::Malformed, format!("this is no request to be let in: {error}")))
}

fn asked_key(enrol: &Enrol) -> Result<AskedKey, Problem> {
    csr_key(&enrol.csr).map_err(|error| Problem::new(Code::Malformed, error.to_string()))
}

async fn by_token(
    appliance: &Arc<Appliance>,
    token: &str,
    enrol: &Enrol,
    key: &AskedKey,
    remote: &Remote,
) -> Result<Response, Problem> {
    let token: TokenParts = token
        .parse()
        .map_err(|error: picloud_model::join_token::BadToken| Problem::new(Code::Malformed, error.to_string()))?;
    if !appliance.cluster.tls()?.ca_fingerprint().to_string().starts_with(&token.ca) {
        return Err(Problem::new(Code::Forbidden, "the join token is another appliance's")
            .hint("the token says which: its second part begins that appliance's CA fingerprint"));
    }
    let name = name_of(enrol, key);
    let node =
        NodeWrite { fingerprint: key.fingerprint, name, labels: Labels::new(), facts: facts(enrol.facts.clone()) };
    let who = Principal { kind: PrincipalKind::Node, name: node.name.clone() };
    let act = Act { who, from: remote.address.to_string(), at: appliance.clock.now_ms(), message: None };
    let joined = appliance.store.admit_by_token(token.id, ContentHash::of(token.secret.as_bytes()), &node, &act).await;
    match joined.map_err(from_store)? {
        TokenJoin::Joined(record) => {
            appliance.cluster.strangers().decide(&record.id, Decision::Admitted);
            appliance.cluster.reload().await.map_err(from_store)?;
            tracing::info!(node = %record.id, name = %record.name, from = %remote.address, token = token.id, "a node joined with a token");
            certify(appliance, &record, key)
        }
        TokenJoin::Refused => {
            Err(Problem::new(Code::Forbidden, "the join token is not known here, has expired, or is used up")
                .hint("make another on the appliance: picloud join-tokens create"))
        }
    }
}

async fn by_approval(
    appliance: &Arc<Appliance>,
    enrol: &Enrol,
    key: &AskedKey,
    remote: &Remote,
) -> Result<Response, Problem> {
    let now = appliance.clock.now_ms();
    let is_text = |text: &&String| text.len() <= LABEL_BYTES_MAX && !text.chars().any(char::is_control);
    let mut held = appliance.cluster.strangers().ask(Stranger {
        id: key.id(),
        fingerprint: key.fingerprint,
        name: name_of(enrol, key),
        facts: facts(enrol.facts.clone()),
        version: Some(&enrol.version).filter(is_text).cloned(),
        address: Some(remote.address),
        first_at: now,
        last_at: now,
        has_asked: true,
    })?;
    let decision = tokio::select! {
        decision = tokio::time::timeout(HELD_MAX, held.decided()) => decision,
        () = appliance.ended() => {
            return Err(Problem::new(Code::NodeAway, "the appliance stops").retry_after_s(5));
        }
    };
    match decision {
        Ok(Decision::Admitted) => match appliance.cluster.look_up(&key.id()).await? {
            Some(record) => certify(appliance, &record, key),
            None => Err(turned_away()),
        },
        Ok(Decision::TurnedAway) => Err(turned_away()),
        Err(_elapsed) => Err(Problem::new(Code::RequestTimeout, "nobody has decided yet; ask again")),
    }
}

fn turned_away() -> Problem {
    Problem::new(Code::Forbidden, "somebody decided that this machine is not let in")
}

/// Gives a node that is in a certificate.
fn certify(appliance: &Arc<Appliance>, record: &NodeRecord, key: &AskedKey) -> Result<Response, Problem> {
    if record.fingerprint != key.fingerprint {
        return Err(Problem::new(Code::Forbidden, format!("the request is for another key than node {}'s", record.id)));
    }
    let tls = appliance.cluster.tls()?;
    let (certificate, ends_at) = tls.sign_node(key).map_err(|error| {
        tracing::error!(node = %record.id, %error, "a node's certificate could not be made");
        Problem::internal()
    })?;
    appliance.cluster.certified(&record.id, ends_at);
    Ok(node_api::json(&Enrolled { certificate, ca: tls.ca_pem(), name: record.name.clone() }))
}

/// What it calls itself, or what it is called where that is no name.
fn name_of(enrol: &Enrol, key: &AskedKey) -> String {
    if check_name(&enrol.name).is_ok() { enrol.name.clone() } else { super::name_for(&key.id()) }
}
