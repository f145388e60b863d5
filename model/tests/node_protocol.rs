//! The bytes of every frame between a node and an appliance. They may be of two versions: what is here stays as it is
//! within one protocol, and what is new is a variant at the end that brings a protocol of its own.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

use picloud_model::execution::{Execution, LogLevel, LogLine, Outcome, Usage};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, EventId, ExecutionId, KeyId};
use picloud_model::kv::KvRequest;
use picloud_model::limits::Limits;
use picloud_model::placement::{Labels, Placement};
use picloud_model::problem::Code;
use picloud_model::protocol::node::{FromNode, NodeCall, NodeHello, NodeReply, Once, PROTOCOL, SecretEntry, ToNode};
use picloud_model::protocol::{
    AppSnapshot, Caller, Counts, KeyEntry, LostRun, RouteEntry, RunInput, RunRequest, RunResult, ScriptEntry,
    ServiceFailure, ServiceReply, ServiceRequest, Snapshot, StaticEntry, Verdict,
};
use picloud_model::publish::{Publish, Published};
use picloud_model::route::RouteAuth;
use picloud_model::script::ScriptKind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Write};
use std::sync::Arc;
use uuid::Uuid;

/// A frame in hexadecimal digits; that it reads back as what it was is looked at, too.
fn line<T: Serialize + DeserializeOwned + Debug>(text: &mut String, name: &str, frame: &T) {
    let bytes = postcard::to_stdvec(frame).unwrap();
    let back: T = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(format!("{back:?}"), format!("{frame:?}"));
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(text, "{name}: {digits}").unwrap();
}

fn run_id() -> ExecutionId {
    ExecutionId(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10))
}

fn labels() -> Labels {
    Labels::from([("arch".to_owned(), "aarch64".to_owned())])
}

fn caller() -> Caller {
    Caller {
        app: AppId(7),
        execution_id: run_id(),
        root_execution_id: run_id(),
        trigger_depth: 1,
        script: "hello".into(),
        version: 3,
    }
}

fn execution() -> Execution {
    Execution {
        id: run_id(),
        root_id: run_id(),
        app_id: AppId(7),
        app: "kitchen".to_owned(),
        script: "hello".to_owned(),
        version: 3,
        node: "pi-1".to_owned(),
        cause: "GET /".to_owned(),
        outcome: Outcome::Ok,
        status: 200,
        started_at: 1_790_000_000_000,
        duration_us: 42,
        usage: Usage { operations: 1, memory_bytes: 2, kv_calls: 3, ..Usage::default() },
        error_json: String::new(),
        logs: vec![LogLine {
            at: 1_790_000_000_000,
            level: LogLevel::Info,
            message: "hi".to_owned(),
            fields: String::new(),
        }],
        logs_dropped: 0,
        trigger_depth: 0,
        trigger: String::new(),
        attempt: 0,
        result_json: String::new(),
        input_json: String::new(),
    }
}

fn app() -> AppSnapshot {
    AppSnapshot {
        id: AppId(7),
        name: "kitchen".to_owned(),
        hosts: vec!["kitchen.example.org".to_owned()],
        env: vec![("city".to_owned(), "Berlin".to_owned())],
        limits: Limits::default(),
        http_allow: vec!["192.168.1.5".to_owned()],
        routes: vec![RouteEntry {
            id: 1,
            methods: vec!["GET".to_owned()],
            path: "/".to_owned(),
            script: "hello".to_owned(),
            auth: RouteAuth::Public,
        }],
        scripts: vec![ScriptEntry {
            name: "hello".to_owned(),
            kind: ScriptKind::Endpoint,
            version: 3,
            hash: ContentHash::of(b"hi"),
            quarantined_after_crashes: None,
            placement: Placement { needs: vec!["camera".to_owned()], ..Placement::default() },
            elsewhere: true,
        }],
        static_files: vec![StaticEntry {
            path: "index.html".to_owned(),
            hash: ContentHash::of(b"<p>"),
            size_bytes: 3,
            updated_at: 1_790_000_000_000,
        }],
    }
}

fn key() -> KeyEntry {
    KeyEntry {
        id: KeyId(1),
        name: "door".to_owned(),
        hash: ContentHash::of(b"key"),
        scopes: Vec::new(),
        expires_at: Some(1_790_000_000_000),
    }
}

fn request() -> RunRequest {
    RunRequest {
        app: AppId(7),
        script: "hello".to_owned(),
        source: None,
        version: Some(3),
        input: RunInput::Event { json: b"{}".to_vec(), trigger: Some("on".to_owned()), attempt: 1 },
        principal: None,
        execution_id: run_id(),
        root_execution_id: run_id(),
        trigger_depth: 1,
        cause: "trigger on".to_owned(),
        dry_run: false,
    }
}

fn result() -> RunResult {
    RunResult {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: b"hi".to_vec(),
        execution: execution(),
        verdict: Verdict::Done,
        effects: Vec::new(),
    }
}

fn lost() -> LostRun {
    LostRun {
        app: AppId(7),
        script: "hello".to_owned(),
        version: 3,
        execution_id: run_id(),
        cause: "GET /".to_owned(),
        started_at: 1_790_000_000_000,
        root_execution_id: run_id(),
        trigger_depth: 0,
        trigger: String::new(),
        attempt: 0,
    }
}

fn failure() -> ServiceFailure {
    ServiceFailure { code: Code::NodeAway, message: "away".to_owned() }
}

#[test]
fn what_a_node_says_keeps_its_bytes() {
    let mut text = String::new();
    let hello = NodeHello {
        version: "0.1.0".to_owned(),
        facts: labels(),
        urls: vec!["http://192.168.1.20:8080".to_owned()],
        places: 8,
        holding: vec![run_id()],
        incarnation: 5,
    };
    line(&mut text, "Hello", &FromNode::Hello(hello));
    line(&mut text, "Beat", &FromNode::Beat { number: 300, round_trip_ms: 4, spooled: 1 });
    line(&mut text, "Applied", &FromNode::Applied { revision: 9 });
    line(&mut text, "RunDone ok", &FromNode::RunDone { run: run_id(), result: Ok(result()) });
    line(&mut text, "RunDone failed", &FromNode::RunDone { run: run_id(), result: Err(failure()) });
    line(&mut text, "Executions", &FromNode::Executions { batch: 2, executions: vec![execution()], dropped: 1 });
    line(&mut text, "Counts", &FromNode::Counts(Counts { statuses: vec![(404, 3)], ..Counts::default() }));
    line(&mut text, "WorkerLost", &FromNode::WorkerLost(vec![lost()]));
    line(&mut text, "Goodbye", &FromNode::Goodbye);
    insta::assert_snapshot!(text);
}

#[test]
fn what_an_appliance_says_keeps_its_bytes() {
    let mut text = String::new();
    let welcome = ToNode::Welcome {
        appliance: "hub".to_owned(),
        version: "0.1.0".to_owned(),
        name: "pi-1".to_owned(),
        others: vec!["192.168.1.3:8443".to_owned()],
    };
    line(&mut text, "Welcome", &welcome);
    let keys = || Arc::new(vec![key()]);
    let snapshot = Snapshot { revision: 1, apps: vec![Arc::new(app())], keys: keys() };
    line(&mut text, "Snapshot", &ToNode::Snapshot(snapshot));
    line(&mut text, "AppChanged", &ToNode::AppChanged { revision: 2, app: Arc::new(app()) });
    line(&mut text, "AppRemoved", &ToNode::AppRemoved { revision: 3, app: AppId(7) });
    line(&mut text, "Keys", &ToNode::Keys { revision: 4, keys: keys() });
    let secret = SecretEntry { name: "token".to_owned(), scripts: vec!["*".to_owned()], value: "hunter2".to_owned() };
    line(&mut text, "Secrets", &ToNode::Secrets { app: AppId(7), secrets: vec![secret] });
    line(&mut text, "Run", &ToNode::Run(vec![request()]));
    line(&mut text, "Taken", &ToNode::Taken(vec![run_id()]));
    line(&mut text, "TakenExecutions", &ToNode::TakenExecutions { batch: 2 });
    line(&mut text, "Beat", &ToNode::Beat { number: 300 });
    line(&mut text, "Drain", &ToNode::Drain(true));
    line(&mut text, "Retired", &ToNode::Retired);
    insta::assert_snapshot!(text);
}

#[test]
fn calls_and_their_answers_keep_their_bytes() {
    let mut text = String::new();
    let call = |once, request| NodeCall { id: 1, caller: caller(), deadline_ms: 10_000, once, request };
    let get = ServiceRequest::Kv(KvRequest::Get { collection: "c".to_owned(), key: "k".to_owned() });
    line(&mut text, "call", &call(None, get));
    let publish = Publish { topic: "t".to_owned(), value: b"1".to_vec(), delay_ms: 0, dedup_key: None };
    let once = Once { number: 7, settled_below: 6, event: EventId(run_id().0) };
    line(&mut text, "publish", &call(Some(once), ServiceRequest::Publish(publish)));
    let published = Published { event: Some(once.event), deliveries: 2 };
    line(&mut text, "published", &NodeReply { id: 1, result: Ok(ServiceReply::Published(published)) });
    line(&mut text, "failure", &NodeReply { id: 1, result: Err(failure()) });
    insta::assert_snapshot!(text);
}

/// The kinds of requests and answers that calls carry stand in this order for good.
#[test]
fn calls_of_every_kind_keep_their_number() {
    assert_eq!(PROTOCOL, 1, "a new protocol has its own snapshots beside these");
    let first_byte = |request: &ServiceRequest| postcard::to_stdvec(request).unwrap()[0];
    let secret = ServiceRequest::Secret { script: String::new(), name: String::new() };
    let ephemeral = ServiceRequest::PublishEphemeral { topic: String::new(), value: Vec::new() };
    let version = ServiceRequest::Version { script: String::new(), version: 1 };
    let numbers = [&ServiceRequest::Source(ContentHash::of(b"")), &secret, &version, &ephemeral].map(first_byte);
    assert_eq!(numbers, [1, 3, 4, 6]);
}
