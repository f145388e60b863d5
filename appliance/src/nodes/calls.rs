//! The call stream: what scripts on a node ask for, answered from the store, many at a time but never more than a bound.

use super::body;
use crate::appliance::Appliance;
use axum::body::Bytes;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::body::Incoming;
use picloud_cluster::frames::{FrameError, FrameReader, encode};
use picloud_cluster::identity::Peer;
use picloud_model::node::NodeId;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::{NodeCall, NodeReply};
use picloud_model::protocol::{ServiceFailure, ServiceReply, ServiceRequest};
use picloud_orchestrator::supervisor::Host;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Calls of one node that are worked on at once; past it nothing more is read, so that the node feels it.
const CALLS_IN_FLIGHT_MAX: usize = 256;
/// Answers that go out as one piece.
const REPLIES_AT_ONCE_MAX: usize = 64;
/// Longest time that an answer may be worth anything.
const DEADLINE_MAX: Duration = Duration::from_secs(60 * 60);

/// Opens the stream.
pub(super) async fn open(appliance: &Arc<Appliance>, body: Incoming, peer: &Peer) -> Result<Response, Problem> {
    let record = appliance.cluster.admitted(peer).await?;
    let (response, sender) = body::streamed();
    let (appliance, id) = (Arc::clone(appliance), record.id.clone());
    tokio::spawn(async move {
        let served = tokio::select! {
            served = serve(&appliance, &id, FrameReader::new(body), sender) => served,
            () = appliance.ended() => Ok(()),
        };
        if let Err(error) = served {
            tracing::warn!(node = %record.name, "the node's calls ended: {error}");
        }
    });
    Ok(response)
}

async fn serve(
    appliance: &Arc<Appliance>,
    id: &NodeId,
    mut frames: FrameReader<Incoming>,
    replies: mpsc::Sender<Bytes>,
) -> Result<(), FrameError> {
    let mut calls = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(reply) = calls.next(), if !calls.is_empty() => {
                let mut ready: Vec<Bytes> = vec![reply];
                while ready.len() < REPLIES_AT_ONCE_MAX
                    && let Some(Some(reply)) = calls.next().now_or_never()
                {
                    ready.push(reply);
                }
                appliance.cluster.hub.calls_answered(ready.len() as u64);
                let piece = if ready.len() == 1 { ready.swap_remove(0) } else { ready.concat().into() };
                if replies.send(piece).await.is_err() {
                    return Ok(());
                }
            }
            frame = frames.next::<NodeCall>(), if calls.len() < CALLS_IN_FLIGHT_MAX => match frame {
                Ok(Some(call)) => calls.push(answer(appliance, id, call)),
                // Whoever said its last word may still wait for answers.
                Ok(None) if calls.is_empty() => return Ok(()),
                Ok(None) => return finish(calls, replies).await,
                // The connection is over: its other stream tells of that.
                Err(FrameError::Stream(_)) => return Ok(()),
                Err(error) => return Err(error),
            },
        }
    }
}

async fn finish(
    mut calls: FuturesUnordered<impl Future<Output = Bytes>>,
    replies: mpsc::Sender<Bytes>,
) -> Result<(), FrameError> {
    while let Some(reply) = calls.next().await {
        if replies.send(reply).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn answer(appliance: &Appliance, node: &NodeId, call: NodeCall) -> Bytes {
    let id = call.id;
    let deadline = Duration::from_millis(u64::from(call.deadline_ms)).min(DEADLINE_MAX);
    let result = match tokio::time::timeout(deadline, answered(appliance, node, deadline, call)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(ServiceFailure {
            code: Code::Deadline,
            message: format!("the appliance gave no answer within {} ms", deadline.as_millis()),
        }),
    };
    encode(&NodeReply { id, result }).unwrap_or_else(|error| {
        let failure = ServiceFailure { code: Code::TooLarge, message: error.to_string() };
        encode(&NodeReply { id, result: Err(failure) }).expect("a failure is small and always encodes")
    })
}

async fn answered(
    appliance: &Appliance,
    node: &NodeId,
    deadline: Duration,
    call: NodeCall,
) -> Result<ServiceReply, ServiceFailure> {
    // Whoever was removed while its connection is being cut gets nothing more.
    if !appliance.cluster.is_admitted(node) {
        return Err(ServiceFailure { code: Code::Gone, message: "this node was removed".to_owned() });
    }
    match (call.request, call.once) {
        (ServiceRequest::Publish(publish), Some(once)) => {
            appliance.host.publish_once(&call.caller, publish, node, once).await
        }
        (request, _) => appliance.host.call(call.caller, deadline, request).await,
    }
}
