//! The executor's ports, over the channel: what a script does to the world leaves its process here and nowhere else.

use crate::channel::worker_end::WorkerEnd;
use crate::previews::Versions;
use crate::run::current;
use crate::static_files::StaticBytes;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use picloud_executor::CallContext;
use picloud_executor::services::{Kv, Secrets, Sources};
use picloud_model::kv::{KvReply, KvRequest};
use picloud_model::problem::Code;
use picloud_model::protocol::{Caller, ServiceFailure, ServiceReply, ServiceRequest, VersionEntry};
use picloud_model::{AppId, ContentHash, ExecutionId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for part of a static file.
const STATIC_MAX: Duration = Duration::from_secs(10);
/// Longest wait for what a version is made of.
const VERSION_MAX: Duration = Duration::from_secs(10);

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
            _other => Err(other_kind()),
        }
    }
}

impl Sources for ChannelPorts {
    fn source(&self, call: &CallContext, hash: ContentHash) -> Result<Option<Arc<str>>, ServiceFailure> {
        match self.call(call, ServiceRequest::Source(hash))? {
            ServiceReply::Source(text) => Ok(text.map(Arc::from)),
            _other => Err(other_kind()),
        }
    }
}

impl Secrets for ChannelPorts {
    fn secret(&self, call: &CallContext, name: &str) -> Result<String, ServiceFailure> {
        let request = ServiceRequest::Secret { script: call.script.as_ref().to_owned(), name: name.to_owned() };
        match self.call(call, request)? {
            ServiceReply::Secret(value) => Ok(value),
            _other => Err(other_kind()),
        }
    }
}

impl Versions for ChannelPorts {
    fn version(
        &self,
        app: AppId,
        script: &str,
        version: i64,
    ) -> BoxFuture<'static, Result<Option<VersionEntry>, ServiceFailure>> {
        let channel = Arc::clone(&self.0);
        let request = ServiceRequest::Version { script: script.to_owned(), version };
        Box::pin(async move {
            match channel.call_async(of_no_run(app), Instant::now() + VERSION_MAX, request).await? {
                ServiceReply::Version(found) => Ok(found),
                _other => Err(other_kind()),
            }
        })
    }
}

/// Who asks where no script runs, so that there is no execution to name.
fn of_no_run(app: AppId) -> Caller {
    Caller { app, execution_id: ExecutionId(uuid::Uuid::nil()) }
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
            let request = ServiceRequest::Static { hash, offset, len };
            match channel.call_async(of_no_run(app), Instant::now() + STATIC_MAX, request).await? {
                ServiceReply::Bytes(bytes) => Ok(bytes.into()),
                _other => Err(other_kind()),
            }
        })
    }
}

fn other_kind() -> ServiceFailure {
    ServiceFailure { code: Code::Internal, message: "the appliance answered with another kind of reply".to_owned() }
}
