//! The control stream of a node: what it says is taken here; what it is to be told is said by `telling`.

use super::hub::{Attached, End};
use super::node_api::Remote;
use super::{body, telling};
use crate::appliance::Appliance;
use axum::response::Response;
use hyper::body::Incoming;
use picloud_cluster::frames::{FrameError, FrameReader};
use picloud_cluster::identity::Peer;
use picloud_model::clock::UnixMs;
use picloud_model::node::NodeRecord;
use picloud_model::placement::{LABEL_BYTES_MAX, Labels};
use picloud_model::problem::Problem;
use picloud_model::protocol::node::{FromNode, NodeHello};
use picloud_orchestrator::supervisor::Host;
use std::sync::Arc;
use std::time::Duration;

/// How long a node may take to say who it is.
const HELLO_MAX: Duration = Duration::from_secs(10);
/// Most facts and URLs that a node may say of itself.
const SAID_MAX: usize = 64;
/// Longest word of those, in bytes.
const WORD_BYTES_MAX: usize = 256;
/// Most deliveries that a node may take at once.
const PLACES_MAX: u32 = 4_096;
/// How long a node may take to read why its connection ends.
const LAST_WORDS_MAX: Duration = Duration::from_millis(300);
/// A certificate's end is looked at so often at least: the clock may be set.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// Opens the stream.
pub(super) async fn open(
    appliance: &Arc<Appliance>,
    body: Incoming,
    peer: &Peer,
    remote: &Remote,
) -> Result<Response, Problem> {
    let record = appliance.cluster.admitted(peer).await?;
    let (response, sender) = body::streamed();
    let (appliance, remote, not_after) = (Arc::clone(appliance), remote.clone(), peer.not_after);
    tokio::spawn(async move {
        let mut frames = FrameReader::new(body);
        let attached = match greeted(&appliance, &record, &mut frames).await {
            Ok(attached) => attached,
            Err(why) => {
                tracing::warn!(node = %record.name, from = %remote.address, "the node is not connected: {why}");
                return remote.cut.notify_one();
            }
        };
        tracing::info!(node = %record.name, from = %remote.address, "a node is connected");
        let why = tokio::select! {
            why = listen(&appliance, &attached, &mut frames) => why,
            end = telling::tell(&appliance, &attached, sender) => {
                // It reads this, or does not.
                let _either = tokio::time::timeout(LAST_WORDS_MAX, frames.next::<FromNode>()).await;
                match end {
                    End::Retired => "it was removed".to_owned(),
                    End::Cut => "it is connected anew, was silent for too long, or the appliance stops".to_owned(),
                }
            }
            () = expired(&appliance, not_after) => "its certificate has expired".to_owned(),
        };
        remote.cut.notify_one();
        let name = appliance.cluster.name_of(&attached.id).unwrap_or_else(|| record.name.clone());
        drop(attached);
        tracing::info!(node = %name, "a node's connection is over: {why}");
        appliance.cluster.went(&record.id);
    });
    Ok(response)
}

/// Takes the node's first frame.
async fn greeted(
    appliance: &Arc<Appliance>,
    record: &NodeRecord,
    frames: &mut FrameReader<Incoming>,
) -> Result<Attached, String> {
    let first = tokio::time::timeout(HELLO_MAX, frames.next::<FromNode>()).await;
    let hello = match first {
        Ok(Ok(Some(FromNode::Hello(hello)))) => checked(hello)?,
        Ok(Ok(_other)) => return Err("it did not say first who it is".to_owned()),
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_elapsed) => return Err(format!("it did not say within {} s who it is", HELLO_MAX.as_secs())),
    };
    appliance.cluster.came(&record.id, &hello.facts);
    // Whoever was removed or renamed meanwhile is it here, too.
    let record = appliance.cluster.record(&record.id).ok_or("it was removed")?;
    let attached = appliance.cluster.hub.attach(&record, hello);
    match appliance.cluster.record(&record.id) {
        Some(now) => appliance.cluster.hub.record_changed(&now),
        None => appliance.cluster.hub.retire(&record.id),
    }
    Ok(attached)
}

/// Refuses what is too much; leaves out what is no label.
fn checked(mut hello: NodeHello) -> Result<NodeHello, String> {
    hello.facts = facts(hello.facts);
    hello.places = hello.places.min(PLACES_MAX);
    hello.urls.retain(|url| url.len() <= WORD_BYTES_MAX && !url.chars().any(char::is_control));
    hello.urls.truncate(SAID_MAX);
    if hello.version.len() > LABEL_BYTES_MAX || hello.version.chars().any(char::is_control) {
        return Err("its version is no version".to_owned());
    }
    Ok(hello)
}

/// What a node says of itself, without what is no label.
pub(super) fn facts(said: Labels) -> Labels {
    said.into_iter()
        .filter(|(name, value)| picloud_model::placement::check_label(name, value).is_ok())
        .take(SAID_MAX)
        .collect()
}

/// Takes what the node says until it says no more, and answers why.
async fn listen(appliance: &Arc<Appliance>, node: &Attached, frames: &mut FrameReader<Incoming>) -> String {
    loop {
        let frame = match tokio::time::timeout(node.silence_max(), frames.next::<FromNode>()).await {
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None)) => return "it hung up".to_owned(),
            Ok(Err(FrameError::Stream(error))) => return format!("it is gone: {error}"),
            Ok(Err(error)) => {
                tracing::warn!(node = %node.id, "the node does not speak as it should: {error}");
                return error.to_string();
            }
            Err(_elapsed) => return format!("it was silent for {} s", node.silence_max().as_secs()),
        };
        if !node.is_current() {
            return "it is connected anew".to_owned();
        }
        match frame {
            FromNode::Hello(_) => return "it said twice who it is".to_owned(),
            FromNode::Beat { number, round_trip_ms, spooled } => node.beat(number, round_trip_ms, spooled),
            FromNode::Applied { revision } => node.applied(revision),
            FromNode::RunDone { run, result } => node.run_done(run, result),
            FromNode::Executions { batch, executions, dropped } => {
                if node.executions(batch) {
                    if dropped > 0 {
                        tracing::warn!(node = %node.id, runs = dropped, "a node had no room for the records of runs");
                    }
                    appliance.host.executions(executions);
                }
            }
            FromNode::Counts(counts) => appliance.host.counts(counts),
            FromNode::WorkerLost(runs) => {
                let (appliance, id) = (Arc::clone(appliance), node.id.clone());
                tokio::spawn(async move {
                    let name = appliance.cluster.name_of(&id).unwrap_or_else(|| id.to_string());
                    appliance.host.worker_lost_on(&name, runs).await;
                });
            }
            FromNode::Goodbye => {
                node.goodbye();
                return "it stops".to_owned();
            }
        }
    }
}

/// Ends when the certificate does.
async fn expired(appliance: &Appliance, not_after: UnixMs) {
    loop {
        let left = u64::try_from(not_after - appliance.clock.now_ms()).unwrap_or(0);
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(left).min(LOOK_EVERY)).await;
    }
}
