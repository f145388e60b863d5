//! Any bytes on the channel between worker and parent are frames or an error, at either end; what is a frame reads
//! back as what was written.
//!
//! The first byte of an input chooses the direction, or the parent's whole end with a real socket.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picloud_model::protocol::{Caller, ServiceFailure, ServiceReply, ServiceRequest, ToParent, ToWorker};
use picloud_orchestrator::channel::{FrameError, decode, encode, parent_end};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

fn decode_and_back<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let Ok(frame) = decode::<T>(bytes) else { return };
    let written = encode(&frame).expect("what was decoded can be encoded");
    let again: T = decode(&written[4..]).expect("what was encoded can be decoded");
    assert_eq!(format!("{frame:?}"), format!("{again:?}"));
    assert_eq!(encode(&again).expect("it can be encoded again"), written);
}

/// Answers every call with its failure, and takes the rest.
struct Refusing;

#[async_trait::async_trait]
impl parent_end::Answerer for Refusing {
    async fn call(
        &self,
        _caller: Caller,
        _deadline: Duration,
        _request: ServiceRequest,
    ) -> Result<ServiceReply, ServiceFailure> {
        Ok(ServiceReply::Source(None))
    }

    fn take(&self, _frame: ToParent) {}
}

/// What the parent's end says about `bytes`, once the worker has closed.
async fn served(bytes: &[u8]) -> FrameError {
    let (parent, mut worker) = UnixStream::pair().expect("a socket pair can be made");
    let (outgoing, serve) = parent_end::open(parent, Refusing);
    drop(outgoing);
    let (error, _written) = tokio::join!(serve, async {
        // Refused where the parent has had enough.
        let _refused = worker.write_all(bytes).await;
        drop(worker);
    });
    error
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

thread_local! {
    static RUNTIME: Runtime = runtime();
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    match choice % 3 {
        0 => decode_and_back::<ToParent>(bytes),
        1 => decode_and_back::<ToWorker>(bytes),
        _ => drop(RUNTIME.with(|runtime| runtime.block_on(served(bytes)))),
    }
});
