//! Any text as a cursor is refused or leads into its own list: what follows is the end of that list, and a cursor is
//! of no more than one list.
//!
//! The lists are those of a store with a few of everything in it. An input is taken as it is, and as the bytes within a
//! cursor, which a change of its text would seldom leave whole. `cursors/` holds inputs that once led somewhere new.

use crate::{Guard, open};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use picloud_model::app::{App, NewApp};
use picloud_model::audit::{Act, AuditQuery};
use picloud_model::execution::{Execution, ExecutionQuery, Outcome, Usage};
use picloud_model::kv::{Condition, KvQuery, KvReply, KvRequest};
use picloud_model::page::{Page, PageRequest};
use picloud_model::route::{RouteAuth, RouteSpec};
use picloud_model::script::ScriptKind;
use picloud_model::{AppId, ContentHash, ExecutionId, ScriptId};
use picloud_store::{DeployWrite, KeyWrite, ScriptWrite, Store, StoreError};
use proptest::prelude::*;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// So many items in each list.
const ITEMS: u8 = 5;
/// When everything happens.
const NOW_MS: i64 = 1_767_323_045_678;

/// A list with cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Apps,
    Scripts,
    Versions,
    Routes,
    Kv,
    KvReverse,
    Executions,
    Keys,
    Secrets,
    Audit,
}

const LISTS: &[List] = &[
    List::Apps,
    List::Scripts,
    List::Versions,
    List::Routes,
    List::Kv,
    List::KvReverse,
    List::Executions,
    List::Keys,
    List::Secrets,
    List::Audit,
];

/// The store, and each list as it is without a cursor.
struct Shelves {
    runtime: Runtime,
    store: Arc<dyn Store>,
    app: AppId,
    script: ScriptId,
    whole: Vec<Vec<String>>,
    _guard: Guard,
}

impl Shelves {
    /// A new store.
    fn filled() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (store, guard, app, script) = runtime.block_on(async {
            let (store, guard) = open().await;
            let app = fill(&*store).await;
            let script = store.script(app.id, "s0").await.expect("it reads").expect("it was deployed").0.id;
            (store, guard, app.id, script)
        });
        let mut shelves = Self { runtime, store, app, script, whole: Vec::new(), _guard: guard };
        for &list in LISTS {
            let (items, cursor) = shelves.page(list, None, 1_000).expect("a list without a cursor is given");
            assert!(items.len() >= usize::from(ITEMS) && cursor.is_none(), "{list:?} is short: {items:?}");
            shelves.whole.push(items);
        }
        shelves.walk();
        shelves
    }

    /// Takes `text` for a cursor of every list.
    fn check(&self, text: &str) {
        let mut led_into = Vec::new();
        for (list, whole) in LISTS.iter().zip(&self.whole) {
            if let Some((items, _cursor)) = self.page(*list, Some(text.to_owned()), 1_000) {
                led_into.push(list);
                assert!(whole.ends_with(&items), "{list:?} after {text:?} is {items:?}");
            }
        }
        assert!(led_into.len() <= 1, "{text:?} is of {led_into:?}");
    }

    /// Page by page every list is what it is in one, and each of its cursors is its own.
    fn walk(&self) {
        for (list, whole) in LISTS.iter().zip(&self.whole) {
            let (mut walked, mut cursor) = (Vec::new(), None);
            loop {
                let (items, next) = self.page(*list, cursor, 1).expect("a list knows its own cursor");
                walked.extend(items);
                let Some(next) = next else { break };
                self.check(&next);
                cursor = Some(next);
            }
            assert_eq!(&walked, whole, "{list:?}");
        }
    }

    /// A page and its cursor; `None` where the cursor is refused.
    fn page(&self, list: List, cursor: Option<String>, limit: u32) -> Option<(Vec<String>, Option<String>)> {
        let page = PageRequest { limit: Some(limit), cursor: cursor.clone() };
        let store = &self.store;
        self.runtime.block_on(async {
            match list {
                List::Apps => shown(store.apps(&page).await),
                List::Scripts => shown(store.scripts(self.app, None, &page).await),
                List::Versions => shown(store.versions(self.script, &page).await),
                List::Routes => shown(store.routes(self.app, &page).await),
                List::Kv | List::KvReverse => self.kv_page(cursor, limit, list == List::KvReverse).await,
                List::Executions => {
                    let query = ExecutionQuery { limit: Some(limit), cursor, ..ExecutionQuery::default() };
                    shown(store.executions(self.app, &query).await)
                }
                List::Keys => shown(store.keys(&page).await),
                List::Secrets => shown(store.secrets(self.app, &page).await),
                List::Audit => {
                    let query = AuditQuery { limit: Some(limit), cursor, ..AuditQuery::default() };
                    shown(store.audit(&query).await)
                }
            }
        })
    }

    async fn kv_page(
        &self,
        cursor: Option<String>,
        limit: u32,
        reverse: bool,
    ) -> Option<(Vec<String>, Option<String>)> {
        let query = KvQuery { cursor, limit, reverse, ..KvQuery::default() };
        let request = KvRequest::List { collection: "things".to_owned(), query };
        match self.store.kv(self.app, request, NOW_MS).await {
            Ok(KvReply::List(list)) => {
                Some((list.entries.iter().map(|entry| format!("{entry:?}")).collect(), list.cursor))
            }
            Ok(KvReply::BadCursor) => None,
            other => panic!("a list was answered with {other:?}"),
        }
    }
}

fn shown<T: Debug>(page: Result<Page<T>, StoreError>) -> Option<(Vec<String>, Option<String>)> {
    match page {
        Ok(page) => Some((page.items.iter().map(|item| format!("{item:?}")).collect(), page.cursor)),
        Err(StoreError::BadCursor) => None,
        Err(other) => panic!("a list was answered with {other:?}"),
    }
}

async fn fill(store: &dyn Store) -> App {
    let act = Act::of_appliance("pi", NOW_MS);
    for number in 1..ITEMS {
        let app = NewApp { name: format!("app-{number}"), ..NewApp::default() };
        store.create_app(&app, &act).await.expect("an app can be made");
    }
    let script = |number: u8, source: &str| ScriptWrite {
        name: format!("s{number}"),
        kind: ScriptKind::Endpoint,
        source: source.to_owned(),
        imports: Vec::new(),
    };
    let route = |number: u8| RouteSpec {
        methods: Vec::new(),
        path: format!("/{number}"),
        script: "s0".to_owned(),
        auth: RouteAuth::Public,
    };
    let deploy = DeployWrite {
        app: NewApp { name: "kitchen".to_owned(), ..NewApp::default() },
        expected: None,
        scripts: (0..ITEMS).map(|number| script(number, "1")).collect(),
        routes: (0..ITEMS).map(route).collect(),
        static_files: Vec::new(),
        triggers: Vec::new(),
    };
    let app = store.deploy(deploy, &act).await.expect("an app can be deployed");
    for number in 0..ITEMS {
        let source = format!("{number} + 1");
        store.save_script(app.id, &script(0, &source), None, &act).await.expect("a version can be saved");
        let set = KvRequest::Set {
            collection: "things".to_owned(),
            key: format!("key {number}"),
            value: b"1".to_vec(),
            ttl_ms: None,
            condition: Condition::Always,
        };
        store.kv(app.id, set, NOW_MS).await.expect("a value can be set");
        let key = KeyWrite {
            name: format!("key {number}"),
            hash: ContentHash::of(&[number]),
            scopes: Vec::new(),
            expires_at: None,
        };
        store.create_key(&key, &act).await.expect("a key can be made");
        let name = format!("SECRET_{number}");
        store.put_secret(app.id, &name, Some(vec![number]), None, None, &act).await.expect("a secret can be set");
    }
    let runs = (0..ITEMS).map(|number| run(app.id, number)).collect();
    store.add_executions(runs).await.expect("runs can be kept");
    app
}

fn run(app: AppId, number: u8) -> Execution {
    let id: ExecutionId = format!("01890000-0000-7000-8000-{number:012}").parse().expect("this is an id");
    Execution {
        id,
        root_id: id,
        app_id: app,
        app: "kitchen".to_owned(),
        script: "s0".to_owned(),
        version: 1,
        node: "pi".to_owned(),
        cause: "GET /".to_owned(),
        outcome: Outcome::Failed,
        status: 500,
        started_at: NOW_MS + i64::from(number),
        duration_us: 1,
        usage: Usage::default(),
        error_json: String::new(),
        logs: Vec::new(),
        logs_dropped: 0,
        trigger_depth: 0,
        trigger: String::new(),
        attempt: 0,
        result_json: String::new(),
        input_json: String::new(),
    }
}

fn check_both_ways(shelves: &Shelves, input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        shelves.check(text);
    }
    shelves.check(&URL_SAFE_NO_PAD.encode(input));
}

#[test]
fn what_once_led_somewhere_new_is_refused_or_leads_into_its_own_list() {
    let shelves = Shelves::filled();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/properties/cursors");
    let mut inputs = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        check_both_ways(&shelves, &std::fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 50, "{inputs} inputs");
}

#[test]
fn any_text_is_refused_or_leads_into_its_own_list() {
    let shelves = Shelves::filled();
    // What a list gave, with a byte changed, comes farther than what is made up.
    let given: Vec<Vec<u8>> = LISTS
        .iter()
        .filter_map(|list| shelves.page(*list, None, 2)?.1)
        .map(|cursor| URL_SAFE_NO_PAD.decode(cursor).expect("a cursor is base64"))
        .collect();
    let changed = (proptest::sample::select(given), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut bytes, at, byte)| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        },
    );
    let inputs = prop_oneof![proptest::collection::vec(any::<u8>(), 0..64), changed];
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest::test_runner::TestRunner::new(config)
        .run(&inputs, |input| {
            check_both_ways(&shelves, &input);
            Ok(())
        })
        .unwrap();
}
