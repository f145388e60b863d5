//! `kv::atomic()`: several keys and publishes of one app, all or none. The table's rows are in `kv`.

use super::options::{Options, arg};
use super::pubsub::{PUBLISH_OPTIONS, publish_of};
use crate::error::{KIND_SERVICE, RhaiError, catchable, failed};
use crate::run_state::{Calls, RunState};
use picloud_model::kv::{
    ATOMIC_PARTS_MAX, AtomicCheck, AtomicRequest, AtomicWrite, KvReply, KvRequest, check_collection, check_key,
};
use picloud_model::problem::Code;
use rhai::{Array, Dynamic, NativeCallContext};
use std::sync::{Arc, Mutex, PoisonError};

/// What is to happen, until it is committed. Shared, so that calls can be chained or stand alone.
#[derive(Clone, Default)]
pub(super) struct Atomic(Arc<Mutex<Option<AtomicRequest>>>);

type Fallible<T> = Result<T, RhaiError>;

/// `kv::atomic()`.
pub(super) fn atomic() -> Atomic {
    Atomic(Arc::new(Mutex::new(Some(AtomicRequest::default()))))
}

impl Atomic {
    /// Adds a part, if there may be one more.
    fn add(&self, function: &'static str, add: impl FnOnce(&mut AtomicRequest)) -> Fallible<Self> {
        let mut request = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(request) = request.as_mut() else { return Err(committed(function)) };
        if parts(request) >= ATOMIC_PARTS_MAX {
            let message =
                format!("{function}: more than {ATOMIC_PARTS_MAX} checks, writes and publishes in one commit");
            return Err(catchable(crate::error::KIND_ARGUMENT, Code::TooLarge, message));
        }
        add(request);
        Ok(self.clone())
    }
}

fn parts(request: &AtomicRequest) -> usize {
    request.checks.len() + request.writes.len() + request.publishes.len()
}

fn committed(function: &str) -> RhaiError {
    let message = format!("{function}: this was committed before: begin anew with kv::atomic()");
    catchable(crate::error::KIND_ARGUMENT, Code::Conflict, message)
}

fn place(run: &RunState, function: &'static str, collection: &Dynamic, key: &Dynamic) -> Fallible<(String, String)> {
    let (collection_arg, key_arg) = (arg(function, "collection"), arg(function, "key"));
    let (collection, key) = (collection_arg.text(collection)?, key_arg.text(key)?);
    check_collection(&collection).map_err(|why| collection_arg.fault(why))?;
    check_key(&key, run.call.limits.kv_key_bytes).map_err(|why| key_arg.fault(why))?;
    Ok((collection.to_string(), key.to_string()))
}

/// `.check(collection, key, version)`.
pub(super) fn check(
    context: NativeCallContext,
    on: &mut Atomic,
    collection: Dynamic,
    key: Dynamic,
    version: Dynamic,
) -> Fallible<Atomic> {
    const FUNCTION: &str = "atomic.check";
    let (collection, key) = place(&RunState::of(&context), FUNCTION, &collection, &key)?;
    let version = if version.is_unit() { None } else { Some(arg(FUNCTION, "version").int(&version)?) };
    on.add(FUNCTION, |request| request.checks.push(AtomicCheck { collection, key, version }))
}

/// `.set(collection, key, value)`.
pub(super) fn set(
    context: NativeCallContext,
    on: &mut Atomic,
    collection: Dynamic,
    key: Dynamic,
    value: Dynamic,
) -> Fallible<Atomic> {
    write(&RunState::of(&context), on, [&collection, &key, &value], &Options::none("atomic.set"))
}

/// `.set(collection, key, value, options)`.
pub(super) fn set_with(
    context: NativeCallContext,
    on: &mut Atomic,
    collection: Dynamic,
    key: Dynamic,
    value: Dynamic,
    options: Dynamic,
) -> Fallible<Atomic> {
    let options = Options::new("atomic.set", options, &["ttl_ms"])?;
    write(&RunState::of(&context), on, [&collection, &key, &value], &options)
}

fn write(run: &RunState, on: &Atomic, what: [&Dynamic; 3], options: &Options) -> Fallible<Atomic> {
    const FUNCTION: &str = "atomic.set";
    let (collection, key) = place(run, FUNCTION, what[0], what[1])?;
    let value = arg(FUNCTION, "value").json(run, what[2], "kv_value_bytes", run.call.limits.kv_value_bytes)?;
    let ttl_ms = super::kv::ttl_of(FUNCTION, options)?;
    on.add(FUNCTION, |request| request.writes.push(AtomicWrite::Set { collection, key, value, ttl_ms }))
}

/// `.delete(collection, key)`.
pub(super) fn delete(
    context: NativeCallContext,
    on: &mut Atomic,
    collection: Dynamic,
    key: Dynamic,
) -> Fallible<Atomic> {
    const FUNCTION: &str = "atomic.delete";
    let (collection, key) = place(&RunState::of(&context), FUNCTION, &collection, &key)?;
    on.add(FUNCTION, |request| request.writes.push(AtomicWrite::Delete { collection, key }))
}

/// `.publish(topic, value)`.
pub(super) fn publish(context: NativeCallContext, on: &mut Atomic, topic: Dynamic, value: Dynamic) -> Fallible<Atomic> {
    const FUNCTION: &str = "atomic.publish";
    let publish = publish_of(&RunState::of(&context), FUNCTION, &topic, &value, &Options::none(FUNCTION))?;
    on.add(FUNCTION, |request| request.publishes.push(publish))
}

/// `.publish(topic, value, options)`.
pub(super) fn publish_with(
    context: NativeCallContext,
    on: &mut Atomic,
    topic: Dynamic,
    value: Dynamic,
    options: Dynamic,
) -> Fallible<Atomic> {
    const FUNCTION: &str = "atomic.publish";
    let options = Options::new(FUNCTION, options, PUBLISH_OPTIONS)?;
    let publish = publish_of(&RunState::of(&context), FUNCTION, &topic, &value, &options)?;
    on.add(FUNCTION, |request| request.publishes.push(publish))
}

/// `.commit()`.
pub(super) fn commit(context: NativeCallContext, on: &mut Atomic) -> Fallible<Dynamic> {
    const FUNCTION: &str = "atomic.commit";
    let run = RunState::of(&context);
    let taken = on.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    let request = taken.ok_or_else(|| committed(FUNCTION))?;
    if parts(&request) == 0 {
        return Ok(Array::new().into());
    }
    // Every key is a call, as it would be alone, so that a commit is no way around the limits.
    run.count(Calls::Kv, (request.checks.len() + request.writes.len()) as u64)?;
    run.count(Calls::Publish, request.publishes.len() as u64)?;
    run.before_wait();
    let reply = run.services.kv.kv(&run.call, KvRequest::Atomic(request));
    match reply.map_err(|failure| failed(&run, FUNCTION, &failure))? {
        KvReply::Atomic(Some(versions)) => Ok(versions.into_iter().map(Dynamic::from).collect::<Array>().into()),
        KvReply::Atomic(None) => Ok(Dynamic::FALSE),
        _ => {
            let message = format!("{FUNCTION}: the store gave an answer of another kind");
            Err(catchable(KIND_SERVICE, Code::Internal, message))
        }
    }
}
