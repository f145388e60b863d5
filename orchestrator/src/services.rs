//! The executor's ports, over the channel: what a script does to the world leaves its process here and nowhere else.

use crate::channel::worker_end::WorkerEnd;
use crate::run::current;
use crate::static_files::StaticBytes;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use picloud_executor::CallContext;
use picloud_executor::services::{Kv, Sources};
use picloud_model::kv::{KvReply, KvRequest};
use picloud_model::problem::Code;
use picloud_model::protocol::{Caller, ServiceFailure, ServiceReply, ServiceRequest};
use picloud_model::{AppId, ContentHash, ExecutionId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for part of a static file.
const STATIC_MAX: Duration = Duration::from_secs(10);

/// The ports of every run of this worker.
pub struct ChannelPorts(pub Arc<WorkerEnd>);

impl ChannelPorts {
    fn call(&self, call: &CallContext, request: ServiceRequest) -> Result<ServiceReply, ServiceFailure> {
        let caller = Caller { app: call.app_id, execution_id: call.execution_id };
        current::while_waiting(|| self.0.call(caller, call.deadline, request))
    }
}

impl Kv for ChannelPorts {
    fn kv(&self, call: &CallContext, request: KvRequest) -> Result<KvReply, ServiceFailure> {
        match self.call(call, ServiceRequest::Kv(request))? {
            ServiceReply::Kv(reply) => Ok(reply),
            ServiceReply::Source(_) | ServiceReply::Bytes(_) => Err(other_kind()),
        }
    }
}

impl Sources for ChannelPorts {
    fn source(&self, call: &CallContext, hash: ContentHash) -> Result<Option<Arc<str>>, ServiceFailure> {
        match self.call(call, ServiceRequest::Source(hash))? {
            ServiceReply::Source(text) => Ok(text.map(Arc::from)),
            ServiceReply::Kv(_) | ServiceReply::Bytes(_) => Err(other_kind()),
        }
    }
}

impl StaticBytes for ChannelPorts {
    fn read(
        &self,
        app: AppId,
        hash: ContentHash,
        offset: u64,
        len: u32,
    ) -> BoxFuture<'static, Result<Bytes, ServiceFailure>> {
        let channel = Arc::clone(&self.0);
        Box::pin(async move {
            // No script runs for a file, so there is no execution to name.
            let caller = Caller { app, execution_id: ExecutionId(uuid::Uuid::nil()) };
            let request = ServiceRequest::Static { hash, offset, len };
            match channel.call_async(caller, Instant::now() + STATIC_MAX, request).await? {
                ServiceReply::Bytes(bytes) => Ok(bytes.into()),
                ServiceReply::Kv(_) | ServiceReply::Source(_) => Err(other_kind()),
            }
        })
    }
}

fn other_kind() -> ServiceFailure {
    ServiceFailure { code: Code::Internal, message: "the appliance answered with another kind of reply".to_owned() }
}
