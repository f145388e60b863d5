//! What one run carries with it: its call, the ports, and what it has used so far.
//!
//! Natives reach it with [`RunState::of`]. A run that `scripts::call` starts has its own `RunState` (its own
//! [`CallContext`]), but counts on the one it began with ([`RunState::root`]), so that calling around a limit
//! is not possible. Nothing here may outlive the run.

use crate::alloc;
use crate::context::CallContext;
use crate::error::{RhaiError, Stop, terminated};
use crate::services::Services;
use picloud_model::limits::Limits;
use picloud_model::redact::Redactor;
use rhai::NativeCallContext;
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// From this size on a native is expected to keep its thread for longer than a short run may.
const LONG_NATIVE_BYTES: u64 = 256 * 1024;

/// The state of one run. Its counters are atomic only because Rhai wants values to be `Sync`: one thread uses them.
pub(crate) struct RunState {
    /// Who, what, for how long.
    pub(crate) call: CallContext,
    /// The ports.
    pub(crate) services: Services,
    /// Caches and shared packages, for `scripts::call`.
    pub(crate) executor: Arc<crate::run::Shared>,
    /// When it began.
    pub(crate) started: Instant,
    /// The run that called this one with `scripts::call`.
    parent: Option<Arc<RunState>>,
    counters: Counters,
}

/// What calls of ports are counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    /// `kv_calls`.
    Kv,
    /// `secret_calls`.
    Secret,
    /// `publish_calls`: publishes and timers.
    Publish,
    /// `file_calls`.
    File,
    /// `http_calls`.
    Http,
}

impl Calls {
    /// The limit's name and value.
    fn limit(self, limits: &Limits) -> (&'static str, u64) {
        match self {
            Self::Kv => ("kv_calls", limits.kv_calls),
            Self::Secret => ("secret_calls", limits.secret_calls),
            Self::Publish => ("publish_calls", limits.publish_calls),
            Self::File => ("file_calls", limits.file_calls),
            Self::Http => ("http_calls", limits.http_calls),
        }
    }
}

/// What a run and all it calls use together; only those of the root are in use.
#[derive(Default)]
struct Counters {
    /// By [`Calls`].
    calls: [AtomicU64; 5],
    /// The secrets that it was told.
    secrets: Mutex<Redactor>,
    log_bytes: AtomicU64,
    logs_dropped: AtomicU64,
    handed_over: AtomicBool,
    stop: OnceLock<Stop>,
    kept: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
}

impl RunState {
    /// The state of a run that nothing else called.
    pub(crate) fn new(call: CallContext, executor: Arc<crate::run::Shared>) -> Arc<Self> {
        let services = executor.services.clone();
        Arc::new(Self {
            call,
            services,
            executor,
            started: Instant::now(),
            parent: None,
            counters: Counters::default(),
        })
    }

    /// The state of a run that `self` starts: another script, the same account.
    pub(crate) fn child(self: &Arc<Self>, call: CallContext) -> Arc<Self> {
        Arc::new(Self {
            call,
            services: self.services.clone(),
            executor: self.executor.clone(),
            started: self.started,
            parent: Some(self.clone()),
            counters: Counters::default(),
        })
    }

    /// The state of the run that called the native.
    pub(crate) fn of(context: &NativeCallContext) -> Arc<Self> {
        let tag = context.tag().expect("rhai always has a tag");
        // Only engines of `engine::for_run` evaluate anything, and each has its run as its tag.
        tag.clone().try_cast::<Arc<Self>>().expect("every engine that evaluates carries its run")
    }

    /// The run everything is counted on.
    pub(crate) fn root(&self) -> &Self {
        let mut state = self;
        while let Some(parent) = &state.parent {
            state = parent;
        }
        state
    }

    /// The names of the scripts under way, the outermost first: `a → b → a`.
    pub(crate) fn chain(&self) -> String {
        let mut names = vec![self.call.script.as_ref()];
        let mut state = self;
        while let Some(parent) = &state.parent {
            names.push(parent.call.script.as_ref());
            state = parent;
        }
        names.reverse();
        names.join(" → ")
    }

    /// How long the run may still take; zero once it is over.
    pub(crate) fn remaining(&self) -> Duration {
        self.call.deadline.saturating_duration_since(Instant::now())
    }

    /// To be called before anything that may block the thread. Tells the orchestrator, once a run.
    pub(crate) fn before_wait(&self) {
        let root = self.root();
        if !root.counters.handed_over.swap(true, Relaxed)
            && let Some(handover) = &root.call.handover
        {
            handover.now_long();
        }
    }

    /// Whether [`RunState::before_wait`] has been called.
    pub(crate) fn is_long(&self) -> bool {
        self.root().counters.handed_over.load(Relaxed)
    }

    /// To be called before every call of a port, or of several: refuses, past rescue, those over their limit, and any
    /// after the deadline.
    pub(crate) fn count(&self, calls: Calls, how_many: u64) -> Result<(), RhaiError> {
        let (name, limit) = calls.limit(&self.call.limits);
        let before = self.root().counters.calls[calls as usize].fetch_add(how_many, Relaxed);
        if before.saturating_add(how_many) > limit {
            return Err(self.stop(Stop::limit(name, limit)));
        }
        self.check_deadline()
    }

    /// Calls of a port so far.
    pub(crate) fn counted(&self, calls: Calls) -> u64 {
        let (_name, limit) = calls.limit(&self.call.limits);
        self.root().counters.calls[calls as usize].load(Relaxed).min(limit)
    }

    /// Remembers a secret that the run was told, so that it is in nothing that is kept of the run.
    pub(crate) fn told_secret(&self, value: &str) -> Result<(), RhaiError> {
        {
            // It outlives the account, so it is charged rather than counted: as it is, and once more as in JSON.
            let _until_the_end = alloc::Exempt::begin();
            self.root().counters.secrets.lock().unwrap_or_else(PoisonError::into_inner).add(value);
        }
        self.charge(2 * value.len() as u64)
    }

    /// Takes the secrets that the run was told out of `text`.
    pub(crate) fn redact(&self, text: &mut String) {
        if self.counted(Calls::Secret) > 0 {
            self.root().counters.secrets.lock().unwrap_or_else(PoisonError::into_inner).redact(text);
        }
    }

    /// What takes the secrets out that the run was told; for its end.
    pub(crate) fn take_redactor(&self) -> Redactor {
        std::mem::take(&mut *self.root().counters.secrets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps something of a cache until the account is closed: were the run to drop the last reference, its memory
    /// would be given back to an account that never paid for it.
    pub(crate) fn keep(&self, shared: Arc<dyn Any + Send + Sync>) {
        let _cache_work = alloc::Exempt::begin();
        let mut kept = self.root().counters.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // An import in a loop is the same thing again and again.
        if !kept.iter().any(|known| std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(&shared))) {
            kept.push(shared);
        }
    }

    /// Ends the run when its time is up.
    pub(crate) fn check_deadline(&self) -> Result<(), RhaiError> {
        if self.remaining().is_zero() { Err(self.stop(self.deadline())) } else { Ok(()) }
    }

    /// The deadline as a reason to stop.
    pub(crate) fn deadline(&self) -> Stop {
        Stop::Deadline(self.call.timeout)
    }

    /// To be called before an allocation of `extra_bytes` or so: ends the run rather than make it when the
    /// memory account does not have them.
    pub(crate) fn ensure_memory(&self, extra_bytes: u64) -> Result<(), RhaiError> {
        let limit = self.call.limits.memory_bytes;
        if extra_bytes > limit || alloc::used().saturating_add(extra_bytes) > limit {
            return Err(self.stop(Stop::limit("memory_bytes", limit)));
        }
        if extra_bytes >= LONG_NATIVE_BYTES {
            self.before_wait();
            self.check_deadline()?;
        }
        Ok(())
    }

    /// Bytes that the run may still hold.
    pub(crate) fn memory_left(&self) -> u64 {
        self.call.limits.memory_bytes.saturating_sub(alloc::used())
    }

    /// Adds memory that another thread allocated and this run now holds (the answer of a port) to its account.
    /// Call it once for each such value; dropping the value on this thread gives the bytes back.
    pub(crate) fn charge(&self, bytes: u64) -> Result<(), RhaiError> {
        alloc::charge(bytes);
        self.ensure_memory(0)
    }

    /// Refuses, past rescue, a string of more than `string_bytes`.
    pub(crate) fn check_string(&self, bytes: u64) -> Result<(), RhaiError> {
        self.check("string_bytes", bytes, self.call.limits.string_bytes)?;
        self.ensure_memory(bytes)
    }

    /// Refuses, past rescue, a blob longer than a string may be (or, where that is more, than a request's body).
    pub(crate) fn check_blob(&self, bytes: u64) -> Result<(), RhaiError> {
        let limits = &self.call.limits;
        if limits.request_body_bytes > limits.string_bytes {
            self.check("request_body_bytes", bytes, limits.request_body_bytes)?;
        } else {
            self.check("string_bytes", bytes, limits.string_bytes)?;
        }
        self.ensure_memory(bytes)
    }

    /// Refuses, past rescue, an array of more than `array_items`.
    pub(crate) fn check_array(&self, items: u64) -> Result<(), RhaiError> {
        self.check("array_items", items, self.call.limits.array_items)
    }

    /// Refuses, past rescue, an object map of more than `map_entries`.
    pub(crate) fn check_map(&self, entries: u64) -> Result<(), RhaiError> {
        self.check("map_entries", entries, self.call.limits.map_entries)
    }

    fn check(&self, name: &'static str, value: u64, limit: u64) -> Result<(), RhaiError> {
        if value > limit { Err(self.stop(Stop::limit(name, limit))) } else { Ok(()) }
    }

    /// Room for `bytes` of log lines? If not, the line is counted as dropped.
    pub(crate) fn take_log_bytes(&self, bytes: u64) -> bool {
        let counters = &self.root().counters;
        let fits = counters.log_bytes.fetch_add(bytes, Relaxed).saturating_add(bytes) <= self.call.limits.log_run_bytes;
        if !fits {
            counters.log_bytes.fetch_sub(bytes, Relaxed);
            counters.logs_dropped.fetch_add(1, Relaxed);
        }
        fits
    }

    /// Log lines that found no room.
    pub(crate) fn logs_dropped(&self) -> u64 {
        self.root().counters.logs_dropped.load(Relaxed)
    }

    /// Ends the run for `stop`: the error to return, which no `try` can keep, for from now on every operation
    /// of the run fails too. The first reason stands.
    pub(crate) fn stop(&self, stop: Stop) -> RhaiError {
        let root = self.root();
        let _first_stands = root.counters.stop.set(stop);
        alloc::trip();
        terminated()
    }

    /// Why the run was ended, if it was.
    pub(crate) fn stopped(&self) -> Option<&Stop> {
        self.root().counters.stop.get()
    }
}
