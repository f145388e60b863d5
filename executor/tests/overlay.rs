//! Dry runs: what a run sees of its own writes is what it would see of the real ones, and nothing leaves it.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[expect(dead_code, reason = "one harness, of which this program uses a part")]
mod harness;
mod memory;

use harness::{NOW_MS, TestApp, get, shown};
use memory::Memory;
use picloud_executor::services::{Kv, Services};
use picloud_executor::{
    CallContext, EventInput, Executor, ExecutorConfig, Overlay, RunAllocator, RunReport, Script, stack_bytes_for,
};
use picloud_model::clock::{Clock, ManualClock};
use picloud_model::effect::Effect;
use picloud_model::kv::{
    AtomicCheck, AtomicRequest, AtomicWrite, Condition, KvEntry, KvList, KvQuery, KvReply, KvRequest,
};
use proptest::prelude::*;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: RunAllocator = RunAllocator;

/// All ports over `memory`; sources and secrets are the harness's.
fn services(app: &TestApp, memory: &Arc<Memory>, clock: &Arc<ManualClock>) -> Services {
    Services {
        kv: memory.clone(),
        sources: app.ports(),
        secrets: app.ports(),
        pubsub: memory.clone(),
        timers: memory.clone(),
        files: memory.clone(),
        http: memory.clone(),
        clock: clock.clone(),
    }
}

/// An app whose ports are real, as far as memory goes.
struct Real {
    app: TestApp,
    memory: Arc<Memory>,
    executor: Executor,
}

impl Real {
    fn new() -> Self {
        let app = TestApp::new();
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let memory = Memory::new(clock.clone());
        let executor = Executor::new(ExecutorConfig::default(), services(&app, &memory, &clock));
        Self { app, memory, executor }
    }

    fn on_a_run_thread<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let stack_bytes = stack_bytes_for(self.app.limits.memory_bytes);
            std::thread::Builder::new().stack_size(stack_bytes).spawn_scoped(scope, run).unwrap().join().unwrap()
        })
    }

    fn run(&self, source: &str) -> String {
        let script = Script::Source(source.into());
        shown(&self.on_a_run_thread(|| self.executor.run_request(script, get("/"), self.app.call("main"))))
    }

    fn dry(&self, source: &str) -> (RunReport, Vec<Effect>) {
        let script = Script::Source(source.into());
        self.on_a_run_thread(|| {
            let (executor, overlay) = self.executor.dry();
            let report = executor.run_request(script, get("/"), self.app.call("main"));
            (report, overlay.effects())
        })
    }
}

#[test]
fn a_dry_run_does_everything_and_changes_nothing() {
    let real = Real::new();
    real.app.save("later", picloud_model::script::ScriptKind::Endpoint, "1");
    let before = r#"
        let c = kv::collection("c");
        c.set("count", 5); c.set("gone", 1); c.set("stays", 2);
        let f = files::collection("f");
        f.create(#{ name: "b.txt", content_type: "text/plain", data: "old" });
        f.create(#{ name: "d.txt", content_type: "text/plain", data: "dog" }).id"#;
    assert!(real.run(before).starts_with("200 "), "{}", real.run(before));
    let source = r#"
        let c = kv::collection("c");
        let seen = [c.incr("count", 2), c.delete("gone"), c.has("gone"), c.set("new", #{ a: 1 }, #{ if_absent: true }) > 0];
        seen.push(c.set("new", 2, #{ if_absent: true }));
        seen.push(kv::atomic().check("c", "stays", 99).set("c", "stays", 0).commit());
        let at = c.entry("stays").version;
        seen.push(kv::atomic().check("c", "stays", at).set("c", "stays", 3).publish("t", 1).commit().len());
        for entry in c.list().entries { seen.push(`${entry.key} = ${entry.value}`); }
        let f = files::collection("f");
        let made = f.create(#{ name: "c.txt", content_type: "text/plain", data: "cat" });
        let page = f.list();
        let old = page.files[0];
        seen.push(f.get(old.id).as_string());
        f.update(old.id, #{ name: "z.txt" });
        seen.push(f.get(old.id).as_string());
        f.update(old.id, #{ data: "new" });
        seen.push(f.get(old.id).as_string());
        seen.push(f.delete(page.files[2].id));
        for file in f.list().files { seen.push(`${file.name} ${file.size}`); }
        seen.push(pubsub::publish("orders/new", 7, #{ delay_ms: 5, dedup_key: "k" }).len());
        seen.push(pubsub::publish("orders/new", 7, #{ dedup_key: "k" }));
        pubsub::publish_ephemeral("live", 8);
        let timer = timer::after(1000, "later", 9);
        seen.push([timer::cancel(timer), timer::cancel(timer)]);
        let answer = http::post("https://example.org/hook", #{ tea: true });
        seen.push([answer.status, answer.headers["x-picloud-dry-run"], answer.body.len()]);
        seen"#;
    let (report, effects) = real.dry(source);
    let id = regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    let ids = |text: String| id.replace_all(&text, "ID").into_owned();
    let effects: Vec<String> =
        effects.into_iter().map(|effect| ids(format!("{} {} {}", effect.what, effect.target, effect.value))).collect();
    insta::assert_snapshot!(format!("{}\n\n{}", shown(&report).replace(",\"", ",\n\""), effects.join("\n")));
    assert_eq!(report.usage.http_calls, 1);
    assert!(real.memory.told.lock().unwrap().is_empty(), "nothing left the dry run");
    let after = r#"let c = kv::collection("c"); [c.get("count"), c.has("gone"), c.get("stays"), c.has("new"),
        files::collection("f").list().files.len()]"#;
    assert_eq!(real.run(after), "200 [5,true,2,false,2]");
}

#[test]
fn a_script_that_a_dry_run_calls_is_dry_too() {
    let real = Real::new();
    real.app.save("other", picloud_model::script::ScriptKind::Endpoint, r#"kv::collection("c").set("k", ctx.value)"#);
    let (report, effects) = real.dry(r#"scripts::call("other", 5); kv::collection("c").get("k")"#);
    assert_eq!((shown(&report).as_str(), effects.len()), ("200 5", 1));
    assert_eq!(real.run(r#"kv::collection("c").has("k")"#), "200 false");
}

#[test]
fn a_secret_that_a_dry_run_was_told_is_in_none_of_its_effects() {
    let real = Real::new();
    let source = r#"let token = secrets::get("token"); kv::collection("c").set("k", `with ${token}`);
        http::get("https://example.org/?token=" + url::encode(token)); pubsub::publish(token, 1); 1"#;
    let (report, effects) = real.dry(source);
    assert_eq!((shown(&report).as_str(), effects.len()), ("200 1", 3));
    assert!(effects[0].value.contains("[redacted]"), "{effects:?}");
    assert!(!format!("{effects:?}").contains("the value of token"), "{effects:?}");
}

#[test]
fn a_dry_run_for_an_event_sees_the_event() {
    let real = Real::new();
    let report = real.on_a_run_thread(|| {
        let (executor, _overlay) = real.executor.dry();
        let event = EventInput { json: br#"{"id": "e", "value": 7}"#.to_vec() };
        executor.run_event(Script::Source("ctx.event.value".into()), event, real.app.call("main"))
    });
    assert_eq!(report.value_json, "7");
}

#[test]
fn a_dry_run_pays_only_for_what_it_holds_and_keeps_no_more_than_it_may() {
    let real = Real::new();
    let (report, _effects) = real.dry(
        r#"let s = "x"; s.pad(250000, "x"); let c = kv::collection("c"); for i in 0..200 { c.set("k", s); } c.get("k").len()"#,
    );
    assert_eq!(shown(&report), "200 250000");
    assert!(report.usage.memory_bytes < 4 << 20, "{:?}", report.usage);
    let (report, effects) = real.dry(
        r#"let s = "x"; s.pad(250000, "x"); let c = kv::collection("c"); let e = (); let n = 0;
           try { for i in 0..900 { c.set("k", s); n += 1; } } catch (error) { e = error.message; } [n, e]"#,
    );
    let expected = "kv.set: a dry run keeps at most 67108864 bytes of what it would have written";
    assert_eq!(shown(&report), format!("200 [268,\"{expected}\"]"));
    assert!(effects.iter().all(|effect| effect.value.len() <= 4096 + '…'.len_utf8()));
}

/// One thing done to both.
#[derive(Clone, Debug)]
enum Op {
    Set { key: u8, value: i64, ttl_ms: Option<u64>, condition: Expect },
    Delete { key: u8, condition: Expect },
    Get(u8),
    Has(u8),
    Incr { key: u8, by: i64 },
    List { prefix: u8, limit: u32, reverse: bool, keys_only: bool },
    Atomic { checks: Vec<(u8, bool)>, sets: Vec<(u8, i64)>, deletes: Vec<u8> },
    Advance(i64),
}

/// What a write expects of its key, whatever its version is on either side.
#[derive(Clone, Copy, Debug)]
enum Expect {
    Anything,
    Absent,
    /// The version it has; none is ever -1.
    Now,
    Other,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let key = 0_u8..12;
    let expect = prop_oneof![
        3 => Just(Expect::Anything), 1 => Just(Expect::Absent), 1 => Just(Expect::Now), 1 => Just(Expect::Other)
    ];
    let op =
        prop_oneof![
            (key.clone(), -3_i64..3, prop::option::of(1_u64..50), expect.clone())
                .prop_map(|(key, value, ttl_ms, condition)| Op::Set { key, value, ttl_ms, condition }),
            (key.clone(), expect).prop_map(|(key, condition)| Op::Delete { key, condition }),
            key.clone().prop_map(Op::Get),
            key.clone().prop_map(Op::Has),
            (key.clone(), -3_i64..3).prop_map(|(key, by)| Op::Incr { key, by }),
            (0_u8..4, 1_u32..6, any::<bool>(), any::<bool>())
                .prop_map(|(prefix, limit, reverse, keys_only)| Op::List { prefix, limit, reverse, keys_only }),
            (
                prop::collection::vec((key.clone(), prop::bool::weighted(0.8)), 0..3),
                prop::collection::vec((key.clone(), -3_i64..3), 0..4),
                prop::collection::vec(key, 0..3)
            )
                .prop_map(|(checks, sets, deletes)| Op::Atomic { checks, sets, deletes }),
            (1_i64..30).prop_map(Op::Advance),
        ];
    prop::collection::vec(op, 1..40)
}

fn name(key: u8) -> String {
    // Names with prefixes in common, of different lengths.
    ["a", "a/1", "a/2", "a/22", "b", "b/1", "b/2", "c", "ä", "a/", "b/3", "aa"][usize::from(key)].to_owned()
}

const COLLECTION: &str = "things";

struct Side<'a> {
    kv: Arc<dyn Kv>,
    call: &'a CallContext,
}

impl Side<'_> {
    fn ask(&self, request: KvRequest) -> KvReply {
        self.kv.kv(self.call, request).unwrap()
    }

    fn version(&self, key: u8) -> Option<i64> {
        match self.ask(KvRequest::Get { collection: COLLECTION.to_owned(), key: name(key) }) {
            KvReply::Entry(entry) => entry.map(|entry| entry.version),
            other => panic!("{other:?}"),
        }
    }

    fn condition(&self, key: u8, expect: Expect) -> Condition {
        match expect {
            Expect::Anything => Condition::Always,
            Expect::Absent => Condition::IfAbsent,
            Expect::Now => Condition::IfVersion(self.version(key).unwrap_or(-1)),
            Expect::Other => Condition::IfVersion(-1),
        }
    }

    /// Does it; what came of it, without versions, which are not the same.
    fn apply(&self, op: &Op) -> String {
        let collection = COLLECTION.to_owned();
        let request = match op.clone() {
            Op::Set { key, value, ttl_ms, condition } => {
                let condition = self.condition(key, condition);
                KvRequest::Set { collection, key: name(key), value: value.to_string().into(), ttl_ms, condition }
            }
            Op::Delete { key, condition } => {
                let condition = self.condition(key, condition);
                KvRequest::Delete { collection, key: name(key), condition }
            }
            Op::Get(key) => KvRequest::Get { collection, key: name(key) },
            Op::Has(key) => KvRequest::Has { collection, key: name(key) },
            Op::Incr { key, by } => KvRequest::Incr { collection, key: name(key), by },
            Op::Atomic { checks, sets, deletes } => {
                let check = |(key, right): &(u8, bool)| AtomicCheck {
                    collection: COLLECTION.to_owned(),
                    key: name(*key),
                    version: if *right { self.version(*key) } else { Some(-1) },
                };
                let set = |(key, value): &(u8, i64)| AtomicWrite::Set {
                    collection: COLLECTION.to_owned(),
                    key: name(*key),
                    value: value.to_string().into(),
                    ttl_ms: None,
                };
                let delete = |key: &u8| AtomicWrite::Delete { collection: COLLECTION.to_owned(), key: name(*key) };
                KvRequest::Atomic(AtomicRequest {
                    checks: checks.iter().map(check).collect(),
                    writes: sets.iter().map(set).chain(deletes.iter().map(delete)).collect(),
                    publishes: Vec::new(),
                })
            }
            Op::List { prefix, limit, reverse, keys_only } => {
                let prefix = ["", "a", "b/", "a/2"][usize::from(prefix)].to_owned();
                return self.walk(&KvQuery { prefix, cursor: None, limit, reverse, keys_only });
            }
            Op::Advance(_) => return String::new(),
        };
        match self.ask(request) {
            KvReply::Set(version) => format!("set {}", version.is_some()),
            KvReply::Entry(entry) => format!("{:?}", entry.map(without_version)),
            KvReply::Atomic(versions) => format!("atomic {:?}", versions.map(|versions| versions.len())),
            other => format!("{other:?}"),
        }
    }

    /// What there is, with versions.
    fn kept(&self, all: &KvQuery) -> Vec<KvEntry> {
        match self.ask(KvRequest::List { collection: COLLECTION.to_owned(), query: all.clone() }) {
            KvReply::List(list) => list.entries,
            other => panic!("{other:?}"),
        }
    }

    /// All pages of a list.
    fn walk(&self, query: &KvQuery) -> String {
        let mut query = query.clone();
        let mut pages = Vec::new();
        loop {
            let request = KvRequest::List { collection: COLLECTION.to_owned(), query: query.clone() };
            let KvReply::List(KvList { entries, cursor }) = self.ask(request) else { panic!("no list") };
            pages.push(entries.into_iter().map(without_version).collect::<Vec<_>>());
            query.cursor = cursor;
            if query.cursor.is_none() {
                return format!("{pages:?}");
            }
        }
    }
}

fn without_version(entry: KvEntry) -> KvEntry {
    KvEntry { version: 0, ..entry }
}

proptest! {
    #[test]
    fn what_a_dry_run_sees_of_keys_is_what_a_real_one_would_see(before in ops(), during in ops()) {
        let app = TestApp::new();
        let call = app.call("main");
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let (base, real) = (Memory::new(clock.clone()), Memory::new(clock.clone()));
        let both = [Side { kv: base.clone(), call: &call }, Side { kv: real.clone(), call: &call }];
        for op in &before {
            both.iter().for_each(|side| { side.apply(op); });
        }
        let overlay = Overlay::new(services(&app, &base, &clock));
        let [base, real] = both;
        let dry = Side { kv: overlay.services().kv, call: &call };
        let all = KvQuery { limit: 1000, ..KvQuery::default() };
        let untouched = base.kept(&all);
        for op in &during {
            if let Op::Advance(by_ms) = op {
                clock.advance(*by_ms);
            }
            prop_assert_eq!(dry.apply(op), real.apply(op), "{:?}", op);
        }
        prop_assert_eq!(dry.walk(&all), real.walk(&all));
        // What was there is still there.
        let now = clock.now_ms();
        let untouched: Vec<_> = untouched.into_iter().filter(|entry| entry.expires_at.is_none_or(|at| at > now)).collect();
        prop_assert_eq!(base.kept(&all), untouched);
    }
}
