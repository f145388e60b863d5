//! Sources and static files: from the disk by their hash; what is not there comes from the appliance and stays.

use crate::appliance::{CallError, Link};
use crate::apps::Apps;
use crate::cache::{CacheError, Content};
use crate::slot::Slot;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ExecutionId};
use picloud_model::problem::Code;
use picloud_model::protocol::{Caller, STATIC_CHUNK_BYTES_MAX, ServiceFailure, ServiceReply, ServiceRequest};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the appliance may take for one piece.
const PIECE_MAX: Duration = Duration::from_secs(10);

type Answer = Result<ServiceReply, ServiceFailure>;
type Turns = Mutex<HashMap<ContentHash, Arc<tokio::sync::Mutex<()>>>>;

/// Gives what is in the cache and fills it.
pub struct Contents {
    cache: Arc<Content>,
    slot: Slot,
    apps: Arc<Apps>,
    /// What is being fetched: whoever wants the same waits for it.
    turns: Turns,
}

impl Contents {
    /// From this cache.
    pub fn new(cache: Arc<Content>, slot: Slot, apps: Arc<Apps>) -> Arc<Self> {
        Arc::new(Self { cache, slot, apps, turns: Mutex::default() })
    }

    /// The text of a source.
    pub(super) async fn source(&self, hash: &ContentHash, caller: Caller) -> Answer {
        if let Some(text) = self.cached(*hash, |cache, hash| cache.whole(hash)).await {
            return Ok(ServiceReply::Source(Some(String::from_utf8_lossy(&text).into_owned())));
        }
        self.fetch_source(hash, caller).await.map(ServiceReply::Source)
    }

    /// Part of a static file.
    pub(super) async fn file(&self, hash: &ContentHash, offset: u64, len: u32, caller: Caller) -> Answer {
        let len = len.min(STATIC_CHUNK_BYTES_MAX);
        if let Some(bytes) = self.cached(*hash, move |cache, hash| cache.part(hash, offset, len)).await {
            return Ok(ServiceReply::Bytes(bytes));
        }
        let size = self.apps.contents().files.get(hash).map(|(_app, size)| *size);
        if let Some(size) = size.filter(|size| self.cache.fits(*size)) {
            self.fetch_file(hash, size, caller.clone()).await?;
            if let Some(bytes) = self.cached(*hash, move |cache, hash| cache.part(hash, offset, len)).await {
                return Ok(ServiceReply::Bytes(bytes));
            }
        }
        // Too large for the cache, or the disk takes nothing.
        let link = self.slot.link().ok_or_else(|| self.away(hash))?;
        self.piece(&link, hash, offset, len, caller).await.map(ServiceReply::Bytes)
    }

    /// Fetches what is missing of what the apps of this moment are made of, so that the node can do without an
    /// appliance. Ends early where that one goes away: the next link begins anew.
    pub async fn fill(&self) {
        let contents = self.apps.contents();
        let (cache, hashes) = (Arc::clone(&self.cache), contents.hashes());
        let _done = tokio::task::spawn_blocking(move || cache.need(hashes)).await;
        let (mut fetched, mut left_out) = (0_u32, 0_u32);
        for (hash, app) in &contents.sources {
            if !self.cache.has(hash) {
                match self.fetch_source(hash, nobody(*app)).await {
                    Ok(_text) => fetched += 1,
                    Err(failure) => return tracing::debug!("filling the cache ended early: {}", failure.message),
                }
            }
        }
        for (hash, (app, size)) in &contents.files {
            if self.cache.has(hash) {
                continue;
            }
            if !self.cache.fits(*size) {
                left_out += 1;
                continue;
            }
            match self.fetch_file(hash, *size, nobody(*app)).await {
                Ok(()) => fetched += 1,
                Err(failure) => return tracing::debug!("filling the cache ended early: {}", failure.message),
            }
        }
        if left_out > 0 {
            tracing::warn!(
                files = left_out,
                "not all static files fit into the cache: without an appliance they are missing"
            );
        }
        tracing::debug!(fetched, "the cache holds what the apps are made of");
    }

    async fn fetch_source(&self, hash: &ContentHash, caller: Caller) -> Result<Option<String>, ServiceFailure> {
        let turn = self.turn(hash);
        let _alone = turn.lock().await;
        if let Some(text) = self.cached(*hash, |cache, hash| cache.whole(hash)).await {
            return Ok(Some(String::from_utf8_lossy(&text).into_owned()));
        }
        let link = self.slot.link().ok_or_else(|| self.away(hash))?;
        let reply = link.call(caller, PIECE_MAX, None, ServiceRequest::Source(*hash)).await;
        let text = match reply {
            Ok(ServiceReply::Source(text)) => text,
            other => return Err(self.no_answer(other)),
        };
        if let Some(text) = text.clone() {
            let (cache, hash) = (Arc::clone(&self.cache), *hash);
            kept(tokio::task::spawn_blocking(move || cache.put(&hash, text.as_bytes())).await)?;
        }
        Ok(text)
    }

    async fn fetch_file(&self, hash: &ContentHash, size: u64, caller: Caller) -> Result<(), ServiceFailure> {
        let turn = self.turn(hash);
        let _alone = turn.lock().await;
        if self.cache.has(hash) {
            return Ok(());
        }
        let link = self.slot.link().ok_or_else(|| self.away(hash))?;
        let cache = Arc::clone(&self.cache);
        let mut unfinished = match tokio::task::spawn_blocking(move || cache.begin()).await {
            Ok(Ok(unfinished)) => unfinished,
            Ok(Err(error)) => return kept(Ok(Err(error.into()))),
            Err(_panicked) => return Ok(()),
        };
        let mut offset = 0;
        while offset < size {
            let bytes = self.piece(&link, hash, offset, STATIC_CHUNK_BYTES_MAX, caller.clone()).await?;
            if bytes.is_empty() {
                break;
            }
            offset += bytes.len() as u64;
            let wrote = tokio::task::spawn_blocking(move || unfinished.write(&bytes).map(|()| unfinished)).await;
            unfinished = match wrote {
                Ok(Ok(unfinished)) => unfinished,
                Ok(Err(error)) => return kept(Ok(Err(error.into()))),
                Err(_panicked) => return Ok(()),
            };
        }
        let (cache, hash) = (Arc::clone(&self.cache), *hash);
        kept(tokio::task::spawn_blocking(move || cache.finish(unfinished, &hash)).await)
    }

    async fn piece(
        &self,
        link: &Link,
        hash: &ContentHash,
        offset: u64,
        len: u32,
        caller: Caller,
    ) -> Result<Vec<u8>, ServiceFailure> {
        let request = ServiceRequest::Static { hash: *hash, offset, len };
        match link.call(caller, PIECE_MAX, None, request).await {
            Ok(ServiceReply::Bytes(bytes)) => Ok(bytes),
            other => Err(self.no_answer(other)),
        }
    }

    async fn cached(
        &self,
        hash: ContentHash,
        read: impl FnOnce(&Content, &ContentHash) -> Option<Vec<u8>> + Send + 'static,
    ) -> Option<Vec<u8>> {
        if !self.cache.has(&hash) {
            return None;
        }
        let cache = Arc::clone(&self.cache);
        tokio::task::spawn_blocking(move || read(&cache, &hash)).await.ok()?
    }

    fn turn(&self, hash: &ContentHash) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for any more are forgotten here.
        turns.retain(|_hash, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(*hash).or_default())
    }

    fn away(&self, hash: &ContentHash) -> ServiceFailure {
        let mut failure = self.slot.failure();
        failure.message = format!("{}, and {} is not in this node's cache", failure.message, hash.short());
        failure
    }

    fn no_answer(&self, reply: Result<ServiceReply, CallError>) -> ServiceFailure {
        match reply {
            Err(CallError::Failed(failure)) => failure,
            Err(CallError::Away) => self.slot.failure(),
            Err(CallError::Frame(error)) => ServiceFailure { code: Code::TooLarge, message: error.to_string() },
            Ok(_other) => ServiceFailure {
                code: Code::Internal,
                message: "the appliance answered something else than was asked for".to_owned(),
            },
        }
    }
}

/// A disk that takes nothing stops nobody: what came is used, and fetched again the next time. Bytes that are not what
/// they should be are refused.
fn kept(kept: Result<Result<(), CacheError>, tokio::task::JoinError>) -> Result<(), ServiceFailure> {
    match kept {
        Ok(Err(error @ CacheError::OtherBytes(_))) => Err(ServiceFailure {
            code: Code::Corrupted,
            message: format!("what the appliance sent is damaged: {error}"),
        }),
        Ok(Err(CacheError::Io(error))) => {
            tracing::warn!(%error, "the cache takes nothing");
            Ok(())
        }
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

/// Where no script asks.
fn nobody(app: AppId) -> Caller {
    let nil = ExecutionId(uuid::Uuid::nil());
    Caller { app, execution_id: nil, root_execution_id: nil, trigger_depth: 0, script: "".into(), version: 0 }
}
