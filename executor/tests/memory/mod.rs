//! What is behind the ports, in memory: one app, the semantics of the contract, nothing else.
#![expect(unreachable_pub, reason = "one module, compiled into several test programs")]

use picloud_executor::CallContext;
use picloud_executor::services::{Files, Http, Kv, PubSub, Timers};
use picloud_model::Code;
use picloud_model::clock::{Clock, ManualClock};
use picloud_model::file::{File, FileQuery, FilesReply, FilesRequest};
use picloud_model::hash::ContentHash;
use picloud_model::http_call::{HttpAnswer, HttpCall};
use picloud_model::ids::{EventId, FileId, TimerId};
use picloud_model::kv::{AtomicRequest, AtomicWrite, Condition, KvEntry, KvList, KvQuery, KvReply, KvRequest};
use picloud_model::protocol::ServiceFailure;
use picloud_model::publish::{Publish, Published};
use picloud_model::timer::{TimerReply, TimerRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// By collection and id.
type FilesById = BTreeMap<(String, FileId), (File, Vec<u8>)>;

/// All ports but sources and secrets.
pub struct Memory {
    clock: Arc<ManualClock>,
    kv: Mutex<KvState>,
    ids: Mutex<u128>,
    /// Topic and key.
    dedup_keys: Mutex<BTreeSet<(String, String)>>,
    timers: Mutex<BTreeSet<TimerId>>,
    files: Mutex<FilesById>,
    /// One line a publish, timer and request.
    pub told: Mutex<Vec<String>>,
}

impl Memory {
    pub fn new(clock: Arc<ManualClock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            kv: Mutex::default(),
            ids: Mutex::default(),
            dedup_keys: Mutex::default(),
            timers: Mutex::default(),
            files: Mutex::default(),
            told: Mutex::default(),
        })
    }

    /// The same ids in every run of a test.
    fn id(&self) -> uuid::Uuid {
        let mut ids = self.ids.lock().unwrap();
        *ids += 1;
        uuid::Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0000 + *ids)
    }

    fn tell(&self, line: String) {
        self.told.lock().unwrap().push(line);
    }

    fn publish_now(&self, publish: &Publish) -> Published {
        let Publish { topic, value, delay_ms, dedup_key } = publish;
        if let Some(key) = dedup_key
            && !self.dedup_keys.lock().unwrap().insert((topic.clone(), key.clone()))
        {
            return Published { event: None, deliveries: 0 };
        }
        self.tell(format!("{topic} {} after {delay_ms}", String::from_utf8_lossy(value)));
        Published { event: Some(EventId(self.id())), deliveries: 0 }
    }

    fn atomic(&self, state: &mut KvState, request: AtomicRequest, now: i64) -> Option<Vec<i64>> {
        let live = |stored: &&Stored| stored.expires_at.is_none_or(|at| at > now);
        for check in request.checks {
            let found = state.entries.get(&(check.collection, check.key)).filter(live);
            if found.map(|stored| stored.version) != check.version {
                return None;
            }
        }
        let mut versions = Vec::new();
        for write in request.writes {
            match write {
                AtomicWrite::Set { collection, key, value, ttl_ms } => {
                    state.sequence += 1;
                    let expires_at = ttl_ms.map(|ttl_ms| now + i64::try_from(ttl_ms).unwrap());
                    let stored = Stored { value, version: state.sequence, updated_at: now, expires_at };
                    state.entries.insert((collection, key), stored);
                    versions.push(state.sequence);
                }
                AtomicWrite::Delete { collection, key } => {
                    state.entries.remove(&(collection, key));
                }
            }
        }
        for publish in &request.publishes {
            self.publish_now(publish);
        }
        Some(versions)
    }
}

impl PubSub for Memory {
    fn publish(&self, _: &CallContext, publish: Publish) -> Result<Published, ServiceFailure> {
        if publish.topic == "full" {
            return Err(ServiceFailure { code: Code::Overloaded, message: "200000 deliveries wait".to_owned() });
        }
        Ok(self.publish_now(&publish))
    }

    fn publish_ephemeral(&self, _: &CallContext, topic: &str, value: Vec<u8>) -> Result<(), ServiceFailure> {
        self.tell(format!("{topic} {} to listeners", String::from_utf8_lossy(&value)));
        Ok(())
    }
}

impl Timers for Memory {
    fn timer(&self, _: &CallContext, request: TimerRequest) -> Result<TimerReply, ServiceFailure> {
        let (due_at, script, value) = match request {
            TimerRequest::Cancel(id) => return Ok(TimerReply::Cancelled(self.timers.lock().unwrap().remove(&id))),
            TimerRequest::After { ms, script, value } => {
                (self.clock.now_ms() + i64::try_from(ms).unwrap(), script, value)
            }
            TimerRequest::At { at, script, value } => (at, script, value),
        };
        let id = TimerId(self.id());
        self.timers.lock().unwrap().insert(id);
        self.tell(format!("{script} {} at {due_at}", String::from_utf8_lossy(&value)));
        Ok(TimerReply::Set(id))
    }
}

impl Files for Memory {
    fn files(&self, _: &CallContext, request: FilesRequest) -> Result<FilesReply, ServiceFailure> {
        let now = self.clock.now_ms();
        let mut files = self.files.lock().unwrap();
        Ok(match request {
            FilesRequest::Create { collection, file, data } => {
                let id = FileId(self.id());
                let file = File {
                    id,
                    name: file.name,
                    content_type: file.content_type,
                    size: data.len() as u64,
                    sha256: ContentHash::of(&data),
                    version: 1,
                    created_at: now,
                    updated_at: now,
                    metadata: file.metadata,
                };
                files.insert((collection, id), (file.clone(), data));
                FilesReply::File(Some(file))
            }
            FilesRequest::Head { collection, id } => {
                FilesReply::File(files.get(&(collection, id)).map(|(file, _)| file.clone()))
            }
            FilesRequest::Get { collection, id, bytes_max } => match files.get(&(collection, id)) {
                Some((file, _)) if file.size > bytes_max => {
                    return Err(ServiceFailure { code: Code::TooLarge, message: "it is too large".to_owned() });
                }
                found => FilesReply::Bytes(found.map(|(_, data)| data.clone().into())),
            },
            FilesRequest::Update { collection, id, patch, data, if_version } => {
                let Some((file, bytes)) = files.get_mut(&(collection, id)) else { return Ok(FilesReply::File(None)) };
                if if_version.is_some_and(|version| version != file.version) {
                    return Ok(FilesReply::File(None));
                }
                if let Some(data) = data {
                    *bytes = data.into_vec();
                    (file.size, file.sha256) = (bytes.len() as u64, ContentHash::of(bytes));
                }
                file.name = patch.name.unwrap_or_else(|| file.name.clone());
                file.content_type = patch.content_type.unwrap_or_else(|| file.content_type.clone());
                file.metadata = patch.metadata.unwrap_or_else(|| file.metadata.clone());
                (file.version, file.updated_at) = (file.version + 1, now);
                FilesReply::File(Some(file.clone()))
            }
            FilesRequest::Delete { collection, id } => FilesReply::Was(files.remove(&(collection, id)).is_some()),
            FilesRequest::List { collection, query } => {
                let of = files.iter().filter(|((of, _), _)| *of == collection);
                file_page(of.map(|(_, (file, _))| file.clone()).collect(), &query)
            }
            FilesRequest::Sign { collection, id, grant } => {
                if !files.contains_key(&(collection, id)) {
                    return Err(ServiceFailure { code: Code::NotFound, message: "there is no such file".to_owned() });
                }
                FilesReply::Url(format!("/.picloud/files/{} {} {}", grant.method, grant.ttl_ms, grant.once))
            }
        })
    }
}

fn file_page(mut files: Vec<File>, query: &FileQuery) -> FilesReply {
    files.retain(|file| file.name.starts_with(&query.prefix));
    files.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    if let Some(cursor) = &query.cursor {
        let Ok(after) = cursor.parse::<FileId>() else { return FilesReply::BadCursor };
        let at = files.iter().position(|file| file.id == after).map_or(0, |index| index + 1);
        files.drain(..at);
    }
    let more = files.len() > query.limit as usize;
    files.truncate(query.limit as usize);
    let cursor = files.last().filter(|_| more).map(|last| last.id.to_string());
    FilesReply::List { files, cursor }
}

impl Http for Memory {
    /// Answers with what it was sent.
    fn http(&self, _: &CallContext, call: HttpCall) -> Result<HttpAnswer, ServiceFailure> {
        let failure = |code, message: &str| Err(ServiceFailure { code, message: message.to_owned() });
        if call.url.contains("127.0.0.1") {
            return failure(Code::Forbidden, "127.0.0.1 is this machine: allow it in [http] of app.toml");
        }
        if call.url.contains("slow.") {
            return failure(Code::Deadline, "no answer within 5 ms");
        }
        let text = |text: &str| text.to_owned();
        let mut headers = vec![(text("content-type"), text("application/json")), (text("x-many"), text("one"))];
        headers.push((text("x-many"), text("two")));
        let status = if call.url.contains("teapot.") { 418 } else { 200 };
        let body = if call.url.contains("bytes.") {
            vec![0xff, 0xfe]
        } else {
            let (sent, body) = (&call.headers, String::from_utf8_lossy(&call.body));
            let timeout_ms = call.timeout_ms;
            serde_json::json!({
                "method": call.method, "url": call.url, "headers": sent, "body": body, "timeout_ms": timeout_ms,
            })
            .to_string()
            .into_bytes()
        };
        Ok(HttpAnswer { status, headers, body })
    }
}

#[derive(Default)]
struct Stored {
    value: Vec<u8>,
    version: i64,
    updated_at: i64,
    expires_at: Option<i64>,
}

/// By collection and key.
type Entries = BTreeMap<(String, String), Stored>;

#[derive(Default)]
struct KvState {
    sequence: i64,
    entries: Entries,
}

impl Kv for Memory {
    fn kv(&self, _: &CallContext, request: KvRequest) -> Result<KvReply, ServiceFailure> {
        let now = self.clock.now_ms();
        let mut state = self.kv.lock().unwrap();
        if let KvRequest::Atomic(request) = request {
            return Ok(KvReply::Atomic(self.atomic(&mut state, request, now)));
        }
        let KvState { sequence, entries } = &mut *state;
        entries.retain(|_, stored| stored.expires_at.is_none_or(|at| at > now));
        let entry = |key: &str, stored: &Stored| KvEntry {
            key: key.to_owned(),
            value: stored.value.clone(),
            version: stored.version,
            updated_at: stored.updated_at,
            expires_at: stored.expires_at,
        };
        Ok(match request {
            KvRequest::Set { collection, .. } if collection == "full" => {
                return Err(ServiceFailure { code: Code::StorageFull, message: "the disk is full".to_owned() });
            }
            KvRequest::Set { collection, key, value, ttl_ms, condition } => {
                let at = (collection, key);
                if !holds(condition, entries.get(&at)) {
                    return Ok(KvReply::Set(None));
                }
                *sequence += 1;
                let expires_at = ttl_ms.map(|ttl_ms| now + i64::try_from(ttl_ms).unwrap());
                entries.insert(at, Stored { value, version: *sequence, updated_at: now, expires_at });
                KvReply::Set(Some(*sequence))
            }
            KvRequest::Get { collection, key } => {
                let found = entries.get(&(collection, key.clone()));
                KvReply::Entry(found.map(|stored| entry(&key, stored)))
            }
            KvRequest::Has { collection, key } => KvReply::Was(entries.contains_key(&(collection, key))),
            KvRequest::Delete { collection, key, condition } => {
                let at = (collection, key);
                if !holds(condition, entries.get(&at)) {
                    return Ok(KvReply::Unmet);
                }
                KvReply::Was(entries.remove(&at).is_some())
            }
            KvRequest::Incr { collection, key, by } => {
                let stored = entries.entry((collection, key)).or_default();
                let text = if stored.value.is_empty() { "0" } else { std::str::from_utf8(&stored.value).unwrap() };
                let Ok(number) = text.parse::<i64>() else { return Ok(KvReply::NotANumber) };
                let Some(sum) = number.checked_add(by) else { return Ok(KvReply::Overflow) };
                *sequence += 1;
                (stored.value, stored.version, stored.updated_at) = (sum.to_string().into_bytes(), *sequence, now);
                KvReply::Number(sum)
            }
            KvRequest::List { collection, query } => list(&collection, &query, entries, &entry),
            KvRequest::Atomic(_) => unreachable!("done above"),
        })
    }
}

fn holds(condition: Condition, stored: Option<&Stored>) -> bool {
    match condition {
        Condition::Always => true,
        Condition::IfVersion(version) => stored.is_some_and(|stored| stored.version == version),
        Condition::IfAbsent => stored.is_none(),
    }
}

fn list(collection: &str, query: &KvQuery, entries: &Entries, entry: &dyn Fn(&str, &Stored) -> KvEntry) -> KvReply {
    let mut found: Vec<KvEntry> = entries
        .iter()
        .filter(|((of, key), _)| of == collection && key.starts_with(&query.prefix))
        .map(|((_, key), stored)| entry(key, stored))
        .collect();
    if query.reverse {
        found.reverse();
    }
    if let Some(cursor) = &query.cursor {
        let Some(after) = cursor.strip_prefix("after:") else { return KvReply::BadCursor };
        let at = found.iter().position(|entry| entry.key == after).map_or(0, |index| index + 1);
        found.drain(..at);
    }
    let more = found.len() > query.limit as usize;
    found.truncate(query.limit as usize);
    if query.keys_only {
        found.iter_mut().for_each(|entry| entry.value.clear());
    }
    let cursor = found.last().filter(|_| more).map(|last| format!("after:{}", last.key));
    KvReply::List(KvList { entries: found, cursor })
}
