//! `kv`: the app's keys and values. Arguments are checked here; what they do is the port's.

use super::Namespace;
use super::atomic;
use super::options::{Options, arg};
use crate::error::{RhaiError, catchable, failed};
use crate::json::{self, ParseError};
use crate::run_state::{Calls, RunState};
use picloud_model::clock::rfc3339;
use picloud_model::kv::{Condition, KvEntry, KvList, KvQuery, KvReply, KvRequest, check_collection, check_key};
use picloud_model::limits::LIMITS;
use picloud_model::problem::Code;
use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};

const EXAMPLE: &str = r#"
let visits = kv::collection("visits");
let count = visits.incr("total", 1);
visits.set("last", #{ count: count, at: time::now() }, #{ ttl_ms: 86400000 });

// Change a value only if nobody else did in between:
let entry = visits.entry("last");
let version = visits.set("last", #{ count: 0 }, #{ if_version: entry.version });
if version == false { throw http_error(409, "somebody was faster"); }

// All keys, a page at a time:
let keys = [];
let page = visits.list(#{ prefix: "", limit: 50, keys_only: true });
for entry in page.entries { keys.push(entry.key); }
while page.cursor != () {
    page = visits.list(#{ prefix: "", limit: 50, keys_only: true, cursor: page.cursor });
    for entry in page.entries { keys.push(entry.key); }
}

// Both accounts, and word of it, or nothing:
let done = kv::atomic()
    .check("accounts", "anna", ())
    .set("accounts", "anna", 90)
    .set("accounts", "ben", 110)
    .publish("transfers", #{ from: "anna", to: "ben", amount: 10 })
    .commit();
if done == false { throw http_error(409, "somebody was faster"); }
keys
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new(
        "kv",
        "Keys and values of this app, kept on disk. A value is anything JSON can hold. An expired key is not there. \
         What was set is on the disk when the call returns. `value` may be `()`, which `get` does not tell from \
         absence: use `has` or `entry`.",
    )
    .example(EXAMPLE)
    .function("collection(name: string) -> collection", "A handle to a collection, which need not exist yet.", collection)
    .method("collection.set(key: string, value: any) -> int", "Sets a key and answers with its new version.", set)
    .method(
        "collection.set(key: string, value: any, options: map) -> int|bool",
        "Options: `ttl_ms` (forgotten so many milliseconds from now), `if_version` (only if the key is at this version), \
         `if_absent: true` (only if the key is not there). `false` when the condition did not hold.",
        set_with,
    )
    .method("collection.get(key: string) -> any", "The value, or `()`.", get)
    .method(
        "collection.entry(key: string) -> map",
        "`#{value, version, updated_at, expires_at}`, times in RFC 3339, `expires_at` `()` for never; or `()`.",
        entry,
    )
    .method("collection.has(key: string) -> bool", "Whether the key is there; reads no value.", has)
    .method("collection.delete(key: string) -> bool", "Deletes a key; whether it was there.", delete)
    .method(
        "collection.delete(key: string, options: map) -> bool",
        "Option: `if_version`. `false` when the key was not there or at another version.",
        delete_with,
    )
    .method(
        "collection.incr(key: string, by: int) -> int",
        "Adds to a whole number in one step and answers with the sum; an absent key counts as 0.",
        incr,
    )
    .method("collection.list() -> map", "The first page of all entries: `#{entries, cursor}`.", list)
    .method(
        "collection.list(options: map) -> map",
        "`#{entries: [#{key, value, version}], cursor}`, in the order of the keys' bytes; `cursor` is `()` at the end. \
         Options: `prefix`, `cursor` (of the last page), `limit`, `reverse`, `keys_only` (no `value` in the entries).",
        list_with,
    )
    .function(
        "atomic() -> atomic",
        "Begins what happens together or not at all: up to 100 checks, writes and publishes, on the disk when `commit()` \
         returns. Each key counts as a KV call, each publish as one.",
        atomic::atomic,
    )
    .method(
        "atomic.check(collection: string, key: string, version: int) -> atomic",
        "Commits only if the key is at this version; `()` for not there.",
        atomic::check,
    )
    .method("atomic.set(collection: string, key: string, value: any) -> atomic", "Sets a key.", atomic::set)
    .method(
        "atomic.set(collection: string, key: string, value: any, options: map) -> atomic",
        "Option: `ttl_ms`.",
        atomic::set_with,
    )
    .method("atomic.delete(collection: string, key: string) -> atomic", "Deletes a key, if it is there.", atomic::delete)
    .method("atomic.publish(topic: string, value: any) -> atomic", "Publishes, as `pubsub::publish` does.", atomic::publish)
    .method(
        "atomic.publish(topic: string, value: any, options: map) -> atomic",
        "Options: `delay_ms`, `dedup_key`.",
        atomic::publish_with,
    )
    .method(
        "atomic.commit() -> array|bool",
        "Does it all: the new versions of what was set, in order; or does nothing and answers `false`, where a check did \
         not hold. What was committed cannot be committed again.",
        atomic::commit,
    )
}

/// What `kv::collection` answers with; holds no app, which comes from the call.
#[derive(Clone)]
pub(super) struct Collection(ImmutableString);

type Fallible<T> = Result<T, RhaiError>;

fn collection(name: Dynamic) -> Fallible<Collection> {
    let name = arg("kv::collection", "name").text(&name)?;
    check_collection(&name).map_err(|why| arg("kv::collection", "name").fault(why))?;
    Ok(Collection(name))
}

/// Counts the call, asks the port, and puts the answer on the run's memory account.
fn ask(run: &RunState, function: &str, request: KvRequest) -> Fallible<KvReply> {
    run.count(Calls::Kv, 1)?;
    run.before_wait();
    let reply = run.services.kv.kv(&run.call, request).map_err(|failure| failed(run, function, &failure))?;
    run.charge(reply_bytes(&reply))?;
    Ok(reply)
}

/// What the port's thread allocated for a reply.
fn reply_bytes(reply: &KvReply) -> u64 {
    let entry_bytes = |entry: &KvEntry| entry.key.capacity() + entry.value.capacity();
    let bytes = match reply {
        KvReply::Entry(Some(entry)) => entry_bytes(entry),
        KvReply::List(list) => {
            list.entries.capacity() * size_of::<KvEntry>() + list.entries.iter().map(entry_bytes).sum::<usize>()
        }
        _ => 0,
    };
    bytes as u64
}

/// The port answered with something that is no answer to what it was asked.
fn confused(function: &str) -> RhaiError {
    catchable(
        crate::error::KIND_SERVICE,
        Code::Internal,
        format!("{function}: the store gave an answer of another kind"),
    )
}

fn key_of(run: &RunState, function: &'static str, key: &Dynamic) -> Fallible<String> {
    let key_arg = arg(function, "key");
    let key = key_arg.text(key)?;
    check_key(&key, run.call.limits.kv_key_bytes).map_err(|why| key_arg.fault(why))?;
    Ok(key.to_string())
}

fn set(context: NativeCallContext, on: &mut Collection, key: Dynamic, value: Dynamic) -> Fallible<Dynamic> {
    put(&RunState::of(&context), on, &key, &value, &Options::none("kv.set"))
}

fn set_with(
    context: NativeCallContext,
    on: &mut Collection,
    key: Dynamic,
    value: Dynamic,
    options: Dynamic,
) -> Fallible<Dynamic> {
    let options = Options::new("kv.set", options, &["ttl_ms", "if_version", "if_absent"])?;
    put(&RunState::of(&context), on, &key, &value, &options)
}

fn put(run: &RunState, on: &Collection, key: &Dynamic, value: &Dynamic, options: &Options) -> Fallible<Dynamic> {
    let key = key_of(run, "kv.set", key)?;
    let ttl_ms = ttl_of("kv.set", options)?;
    let condition = match (options.int("if_version")?, options.flag("if_absent")?) {
        (Some(_), true) => return Err(arg("kv.set", "if_absent").fault("cannot be given together with `if_version`")),
        (Some(version), false) => Condition::IfVersion(version),
        (None, true) => Condition::IfAbsent,
        (None, false) => Condition::Always,
    };
    let value = value_of(run, value)?;
    let request = KvRequest::Set { collection: on.0.to_string(), key, value, ttl_ms, condition };
    match ask(run, "kv.set", request)? {
        KvReply::Set(version) => Ok(version.map_or(Dynamic::FALSE, Dynamic::from)),
        _ => Err(confused("kv.set")),
    }
}

/// The option `ttl_ms`.
pub(super) fn ttl_of(function: &'static str, options: &Options) -> Fallible<Option<u64>> {
    match options.int("ttl_ms")? {
        Some(ttl_ms) if ttl_ms < 1 => Err(arg(function, "ttl_ms").fault(format_args!("must be above 0, not {ttl_ms}"))),
        ttl_ms => Ok(ttl_ms.map(i64::unsigned_abs)),
    }
}

fn value_of(run: &RunState, value: &Dynamic) -> Fallible<Vec<u8>> {
    arg("kv.set", "value").json(run, value, "kv_value_bytes", run.call.limits.kv_value_bytes)
}

fn parsed(run: &RunState, function: &str, key: &str, value: &[u8]) -> Fallible<Dynamic> {
    json::parse(value, run).map_err(|error| match error {
        ParseError::Stopped(stopped) => stopped,
        syntax => catchable(
            crate::error::KIND_SERVICE,
            Code::Corrupted,
            format!("{function}: the stored value of `{}` {syntax}", super::options::short(key)),
        ),
    })
}

fn read(run: &RunState, function: &'static str, on: &Collection, key: &Dynamic) -> Fallible<Option<KvEntry>> {
    let request = KvRequest::Get { collection: on.0.to_string(), key: key_of(run, function, key)? };
    match ask(run, function, request)? {
        KvReply::Entry(entry) => Ok(entry),
        _ => Err(confused(function)),
    }
}

fn get(context: NativeCallContext, on: &mut Collection, key: Dynamic) -> Fallible<Dynamic> {
    let run = RunState::of(&context);
    match read(&run, "kv.get", on, &key)? {
        Some(entry) => parsed(&run, "kv.get", &entry.key, &entry.value),
        None => Ok(Dynamic::UNIT),
    }
}

fn entry(context: NativeCallContext, on: &mut Collection, key: Dynamic) -> Fallible<Dynamic> {
    let run = RunState::of(&context);
    let Some(entry) = read(&run, "kv.entry", on, &key)? else { return Ok(Dynamic::UNIT) };
    let mut map = Map::new();
    map.insert("value".into(), parsed(&run, "kv.entry", &entry.key, &entry.value)?);
    map.insert("version".into(), entry.version.into());
    map.insert("updated_at".into(), rfc3339(entry.updated_at).into());
    map.insert("expires_at".into(), entry.expires_at.map_or(Dynamic::UNIT, |at| rfc3339(at).into()));
    Ok(map.into())
}

fn has(context: NativeCallContext, on: &mut Collection, key: Dynamic) -> Fallible<bool> {
    let run = RunState::of(&context);
    let request = KvRequest::Has { collection: on.0.to_string(), key: key_of(&run, "kv.has", &key)? };
    match ask(&run, "kv.has", request)? {
        KvReply::Was(was) => Ok(was),
        _ => Err(confused("kv.has")),
    }
}

fn delete(context: NativeCallContext, on: &mut Collection, key: Dynamic) -> Fallible<bool> {
    remove(&RunState::of(&context), on, &key, Condition::Always)
}

fn delete_with(context: NativeCallContext, on: &mut Collection, key: Dynamic, options: Dynamic) -> Fallible<bool> {
    let options = Options::new("kv.delete", options, &["if_version"])?;
    let condition = options.int("if_version")?.map_or(Condition::Always, Condition::IfVersion);
    remove(&RunState::of(&context), on, &key, condition)
}

fn remove(run: &RunState, on: &Collection, key: &Dynamic, condition: Condition) -> Fallible<bool> {
    let key = key_of(run, "kv.delete", key)?;
    match ask(run, "kv.delete", KvRequest::Delete { collection: on.0.to_string(), key, condition })? {
        KvReply::Was(was) => Ok(was),
        KvReply::Unmet => Ok(false),
        _ => Err(confused("kv.delete")),
    }
}

fn incr(context: NativeCallContext, on: &mut Collection, key: Dynamic, by: Dynamic) -> Fallible<i64> {
    let run = RunState::of(&context);
    let by = arg("kv.incr", "by").int(&by)?;
    let key = key_of(&run, "kv.incr", &key)?;
    match ask(&run, "kv.incr", KvRequest::Incr { collection: on.0.to_string(), key, by })? {
        KvReply::Number(number) => Ok(number),
        KvReply::NotANumber => Err(arg("kv.incr", "key").conflict("holds something else than a whole number")),
        KvReply::Overflow => Err(arg("kv.incr", "by").fault("the sum does not fit 64 bits")),
        _ => Err(confused("kv.incr")),
    }
}

fn list(context: NativeCallContext, on: &mut Collection) -> Fallible<Map> {
    page(&RunState::of(&context), on, &Options::none("kv.list"))
}

fn list_with(context: NativeCallContext, on: &mut Collection, options: Dynamic) -> Fallible<Map> {
    let options = Options::new("kv.list", options, &["prefix", "cursor", "limit", "reverse", "keys_only"])?;
    page(&RunState::of(&context), on, &options)
}

/// The longest page a script may ask for: an app's own `list_page` is what it gets without asking.
pub(super) fn page_max() -> u64 {
    LIMITS.iter().find(|row| row.name == "list_page").map_or(0, |row| row.ceiling)
}

fn page(run: &RunState, on: &Collection, options: &Options) -> Fallible<Map> {
    let limit = options.within("limit", 1..=page_max())?.unwrap_or(run.call.limits.list_page);
    let query = KvQuery {
        prefix: options.text("prefix")?.map(String::from).unwrap_or_default(),
        cursor: options.text("cursor")?.map(String::from),
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        reverse: options.flag("reverse")?,
        keys_only: options.flag("keys_only")?,
    };
    let keys_only = query.keys_only;
    match ask(run, "kv.list", KvRequest::List { collection: on.0.to_string(), query })? {
        KvReply::List(list) => page_map(run, list, keys_only),
        KvReply::BadCursor => Err(arg("kv.list", "cursor").fault("is not one this list gave")),
        _ => Err(confused("kv.list")),
    }
}

fn page_map(run: &RunState, list: KvList, keys_only: bool) -> Fallible<Map> {
    let mut entries = Array::with_capacity(list.entries.len());
    for entry in list.entries {
        let mut map = Map::new();
        if !keys_only {
            map.insert("value".into(), parsed(run, "kv.list", &entry.key, &entry.value)?);
        }
        map.insert("key".into(), entry.key.into());
        map.insert("version".into(), entry.version.into());
        entries.push(map.into());
        run.ensure_memory(0)?;
    }
    let mut page = Map::new();
    page.insert("entries".into(), entries.into());
    page.insert("cursor".into(), list.cursor.map_or(Dynamic::UNIT, Dynamic::from));
    Ok(page)
}
