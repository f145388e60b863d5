//! The executor's ports, over the channel: what a script does to the world leaves its process here and nowhere else.

use crate::channel::worker_end::WorkerEnd;
use crate::ingress::SignedFiles;
use crate::ingress::{Elsewhere, Later};
use crate::previews::Versions;
use crate::run::current;
use crate::static_files::StaticBytes;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use picloud_executor::CallContext;
use picloud_executor::services::{Files, Http, Kv, PubSub, Secrets, Sources, Timers};
use picloud_model::async_request::{Accepted, AsyncState, NewAsyncRequest};
use picloud_model::file::{FilesReply, FilesRequest};
use picloud_model::http_call::{HttpAnswer, HttpCall};
use picloud_model::kv::{KvReply, KvRequest};
use picloud_model::problem::Code;
use picloud_model::protocol::{
    Caller, Forward, Forwarded, ServiceFailure, ServiceReply, ServiceRequest, SignedReply, SignedRequest, VersionEntry,
};
use picloud_model::publish::{Publish, Published};
use picloud_model::timer::{TimerReply, TimerRequest};
use picloud_model::{AppId, AsyncRequestId, ContentHash, ExecutionId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for part of a static file.
const STATIC_MAX: Duration = Duration::from_secs(10);
/// Longest wait until a request that is answered later is kept, or its answer is found.
const LATER_MAX: Duration = Duration::from_secs(10);
/// Longest wait for part of a file by signed URL, or for what one allows.
const SIGNED_MAX: Duration = Duration::from_secs(30);
/// Longest wait for all of an upload to be on the disk.
const SIGNED_FINISH_MAX: Duration = Duration::from_secs(300);
/// Longest wait for what a version is made of.
const VERSION_MAX: Duration = Duration::from_secs(10);

/// The ports of every run of this worker.
pub struct ChannelPorts(pub Arc<WorkerEnd>);

impl ChannelPorts {
    fn call(&self, call: &CallContext, request: ServiceRequest) -> Result<ServiceReply, ServiceFailure> {
        let caller = Caller {
            app: call.app_id,
            execution_id: call.execution_id,
            root_execution_id: call.root_execution_id,
            trigger_depth: call.trigger_depth,
            script: Arc::clone(&call.script),
            version: call.version,
        };
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

impl PubSub for ChannelPorts {
    fn publish(&self, call: &CallContext, publish: Publish) -> Result<Published, ServiceFailure> {
        match self.call(call, ServiceRequest::Publish(publish))? {
            ServiceReply::Published(published) => Ok(published),
            _other => Err(other_kind()),
        }
    }

    fn publish_ephemeral(&self, call: &CallContext, topic: &str, value: Vec<u8>) -> Result<(), ServiceFailure> {
        match self.call(call, ServiceRequest::PublishEphemeral { topic: topic.to_owned(), value })? {
            ServiceReply::Done => Ok(()),
            _other => Err(other_kind()),
        }
    }
}

impl Timers for ChannelPorts {
    fn timer(&self, call: &CallContext, request: TimerRequest) -> Result<TimerReply, ServiceFailure> {
        match self.call(call, ServiceRequest::Timer(request))? {
            ServiceReply::Timer(reply) => Ok(reply),
            _other => Err(other_kind()),
        }
    }
}

impl Files for ChannelPorts {
    fn files(&self, call: &CallContext, request: FilesRequest) -> Result<FilesReply, ServiceFailure> {
        match self.call(call, ServiceRequest::Files(request))? {
            ServiceReply::Files(reply) => Ok(reply),
            _other => Err(other_kind()),
        }
    }
}

impl Http for ChannelPorts {
    fn http(&self, call: &CallContext, request: HttpCall) -> Result<HttpAnswer, ServiceFailure> {
        match self.call(call, ServiceRequest::Http(request))? {
            ServiceReply::Http(answer) => Ok(answer),
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

impl Later for ChannelPorts {
    fn accept(
        &self,
        app: AppId,
        request: Box<NewAsyncRequest>,
    ) -> BoxFuture<'static, Result<Accepted, ServiceFailure>> {
        let channel = Arc::clone(&self.0);
        Box::pin(async move {
            let request = ServiceRequest::Accept(request);
            // What comes of it begins with it.
            let caller = Caller { root_execution_id: ExecutionId::new(), ..of_no_run(app) };
            match channel.call_async(caller, Instant::now() + LATER_MAX, request).await? {
                ServiceReply::Accepted(accepted) => Ok(accepted),
                _other => Err(other_kind()),
            }
        })
    }

    fn state(&self, id: AsyncRequestId) -> BoxFuture<'static, Result<Option<AsyncState>, ServiceFailure>> {
        let channel = Arc::clone(&self.0);
        Box::pin(async move {
            let request = ServiceRequest::AsyncState(id);
            match channel.call_async(of_no_run(AppId(0)), Instant::now() + LATER_MAX, request).await? {
                ServiceReply::AsyncState(state) => Ok(state),
                _other => Err(other_kind()),
            }
        })
    }
}

impl Elsewhere for ChannelPorts {
    fn forward(
        &self,
        app: AppId,
        request: Box<Forward>,
        wait_max: Duration,
    ) -> BoxFuture<'static, Result<Forwarded, ServiceFailure>> {
        let channel = Arc::clone(&self.0);
        Box::pin(async move {
            // The run begins with it; the parent gives it its id.
            let caller = of_no_run(app);
            match channel.call_async(caller, Instant::now() + wait_max, ServiceRequest::Forward(request)).await? {
                ServiceReply::Forwarded(answer) => Ok(answer),
                _other => Err(other_kind()),
            }
        })
    }
}

/// Who asks where no script runs, so that there is no execution to name.
fn of_no_run(app: AppId) -> Caller {
    let nil = ExecutionId(uuid::Uuid::nil());
    Caller { app, execution_id: nil, root_execution_id: nil, trigger_depth: 0, script: Arc::from(""), version: 0 }
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

impl SignedFiles for ChannelPorts {
    fn ask(&self, request: SignedRequest) -> BoxFuture<'static, Result<SignedReply, ServiceFailure>> {
        let channel = Arc::clone(&self.0);
        let longest = if matches!(request, SignedRequest::Finish { .. }) { SIGNED_FINISH_MAX } else { SIGNED_MAX };
        Box::pin(async move {
            let request = ServiceRequest::Signed(request);
            // Whose it is stands in the token.
            match channel.call_async(of_no_run(AppId(0)), Instant::now() + longest, request).await? {
                ServiceReply::Signed(reply) => Ok(reply),
                _other => Err(other_kind()),
            }
        })
    }
}

fn other_kind() -> ServiceFailure {
    ServiceFailure { code: Code::Internal, message: "the appliance answered with another kind of reply".to_owned() }
}
