//! Durable state: a trait a noun, [`Store`] = all of them.
//!
//! Methods are verbs of the domain and each is one transaction; no caller ever sees one. Not found is
//! `Ok(None)`; a broken expectation of the caller's (a taken name, a moved version) is
//! [`StoreError::Conflict`] or [`StoreError::Stale`]. No word of any SQL dialect crosses this file.
//!
//! To add a noun: a file in `picloud-model`, a trait here, a file of its name in `sqlite/` and in `postgres/`, cases in
//! `tests/conformance/`.

mod app_rules;
mod attention;
mod audit_chain;
mod audit_shown;
pub mod blobs;
mod cursor;
mod data_dir;
mod disk;
mod emission;
mod error;
mod events;
mod execution_body;
mod file_rules;
mod files;
mod filter;
mod kv_changes;
mod letters;
mod matching;
mod migrate_store;
mod node_rules;
mod nodes;
mod open;
mod parts;
mod postgres;
mod refusals;
mod route_words;
mod secret_rules;
mod snapshots;
mod sqlite;
mod triggering;
mod turns;
pub mod upgrade;

pub use attention::{Attention, LettersOf, PausedTrigger};
pub use cursor::{execution_cursor, execution_of_cursor};
pub use disk::Room;
pub use error::{Result, StoreError};
pub use events::{Claimed, DeadLetters, Deliveries, Events, Queued, Schedule, Slot, SlotEnded, TriggerWrite, Triggers};
pub use files::{FileChange, FileExpected, FileRow, FileWithBlob, FileWrite, Files, StoredBlob};
pub use migrate_store::{MigrateError, MoveProgress, MovedTable, StorePlace, migrate_store};
pub use nodes::{JoinTokenWrite, Kept, NodeSeen, NodeWrite, Nodes, Others, TokenJoin};
pub use open::{OpenError, OpenSettings, is_database_url, open, shown_database_url};

use async_trait::async_trait;
use picloud_model::app::{App, AppPatch, NewApp};
use picloud_model::audit::{Act, AuditEntry, AuditQuery, AuditVerdict, RefusedAct};
use picloud_model::clock::UnixMs;
use picloud_model::event::Cause;
use picloud_model::execution::{Execution, ExecutionQuery};
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, ExecutionId, KeyId, ScriptId};
use picloud_model::key::ApiKey;
use picloud_model::kv::{KvCollection, KvReply, KvRequest};
use picloud_model::limits::Limits;
use picloud_model::page::{Page, PageRequest};
use picloud_model::protocol::{AppSnapshot, KeyEntry};
use picloud_model::route::{Route, RouteSpec};
use picloud_model::scope::Grant;
use picloud_model::script::{Script, ScriptKind, ScriptVersion, VersionContext};
use picloud_model::secret::Secret;
use picloud_model::trigger::Trigger;
use std::path::Path;
use std::sync::Arc;

/// Apps.
#[async_trait]
pub trait Apps: Send + Sync {
    /// All apps by name, a page of them.
    async fn apps(&self, page: &PageRequest) -> Result<Page<App>>;
    /// The app called `name`.
    async fn app(&self, name: &str) -> Result<Option<App>>;
    /// Makes an app; [`StoreError::Conflict`] where the name is taken.
    async fn create_app(&self, app: &NewApp, act: &Act) -> Result<App>;
    /// Changes what `patch` names and counts the revision up; `expected` is the revision it must be at.
    async fn patch_app(&self, app: AppId, patch: &AppPatch, expected: Option<i64>, act: &Act) -> Result<Option<App>>;
    /// Removes the app and all that is its own (history is kept). Answers whether it was there.
    async fn delete_app(&self, app: AppId, expected: Option<i64>, act: &Act) -> Result<bool>;
}

/// A script or module to be saved: validated, with its imports known.
#[derive(Clone, Debug)]
pub struct ScriptWrite {
    /// Its name.
    pub name: String,
    /// Endpoint or module.
    pub kind: ScriptKind,
    /// The source.
    pub source: String,
    /// Names of the modules it imports; each must exist in the app after the transaction.
    pub imports: Vec<String>,
}

/// A static file to be stored.
#[derive(Clone, Debug)]
pub struct StaticWrite {
    /// Below `static/`.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// An app as one deploy wants it: exactly this, in one transaction.
#[derive(Clone, Debug)]
pub struct DeployWrite {
    /// The app, made where it does not exist.
    pub app: NewApp,
    /// The app's revision that the change was worked out against; `None`: it must not exist.
    pub expected: Option<i64>,
    /// All of its scripts and modules. One whose source and kind are live already makes no version.
    pub scripts: Vec<ScriptWrite>,
    /// All of its routes. One that is there already, field for field, keeps its id.
    pub routes: Vec<RouteSpec>,
    /// All of its static files.
    pub static_files: Vec<StaticWrite>,
    /// All of its triggers. One that is there by its name keeps its id, its queue and its state.
    pub triggers: Vec<TriggerWrite>,
}

/// What one app holds, whole: what a deploy is compared with and what an export writes.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The app.
    pub app: App,
    /// Its scripts and modules by name, with the live source.
    pub scripts: Vec<(Script, Arc<str>)>,
    /// Its routes in the order they were given.
    pub routes: Vec<Route>,
    /// Its static files by path.
    pub static_files: Vec<StaticFile>,
    /// Its triggers in the order they were given.
    pub triggers: Vec<Trigger>,
}

/// A stored static file, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticFile {
    /// Below `static/`.
    pub path: String,
    /// Its content.
    pub hash: ContentHash,
    /// Its size.
    pub size_bytes: i64,
    /// When its content last changed.
    pub updated_at: UnixMs,
}

/// Whole apps.
#[async_trait]
pub trait Deploys: Send + Sync {
    /// Makes the app exactly `deploy`, or nothing, and answers the app. Counts the revision up where anything
    /// changed. [`StoreError::Stale`] where the app is not at the expected revision (0: it does not exist).
    async fn deploy(&self, deploy: DeployWrite, act: &Act) -> Result<App>;
    /// What the app holds now, at one moment.
    async fn app_state(&self, app: AppId) -> Result<Option<AppState>>;
    /// What a worker needs of every app, at one moment.
    async fn snapshot(&self) -> Result<Vec<AppSnapshot>>;
    /// What a worker needs of one app.
    async fn app_snapshot(&self, app: AppId) -> Result<Option<AppSnapshot>>;
    /// Part of a static file's bytes; `None` where no app has such a file.
    async fn static_bytes(&self, hash: ContentHash, offset: u64, len: u32) -> Result<Option<Vec<u8>>>;
}

/// Several things of one app that change together.
#[derive(Clone, Debug)]
pub struct AppChange {
    /// The revision that the change was worked out against.
    pub expected: i64,
    /// Scripts and modules to save; all others stay. One whose source and kind are live already makes no version.
    pub scripts: Vec<ScriptWrite>,
    /// All of the app's routes; `None` leaves them.
    pub routes: Option<Vec<RouteSpec>>,
    /// All of the app's triggers; `None` leaves them.
    pub triggers: Option<Vec<TriggerWrite>>,
    /// What it is called in the audit log: `script.rollback`.
    pub action: &'static str,
    /// What it is about there.
    pub target: String,
}

/// Which versions are kept: the newest ones in any case, more while they are young and not too many; and never is
/// one dropped that is live, or that a kept version was saved with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionsKept {
    /// So many of the newest of a script, whatever their age.
    pub newest_min: u32,
    /// At most so many of a script.
    pub newest_max: u32,
    /// Beyond the minimum, those younger than this.
    pub age_ms_max: i64,
}

/// Scripts and modules.
#[async_trait]
pub trait Scripts: Send + Sync {
    /// The app's scripts and modules by name, of one kind or both.
    async fn scripts(&self, app: AppId, kind: Option<ScriptKind>, page: &PageRequest) -> Result<Page<Script>>;
    /// The script and its live version with source.
    async fn script(&self, app: AppId, name: &str) -> Result<Option<(Script, ScriptVersion)>>;
    /// Saves a version (none, if source and kind are live already) with its imports. `expected` is the live version
    /// it must be at, 0 for "must not exist". Refuses endpoint → module while routes or triggers lead to it,
    /// listing them.
    async fn save_script(&self, app: AppId, script: &ScriptWrite, expected: Option<i64>, act: &Act) -> Result<Script>;
    /// Removes it with its versions. Refuses while routes or triggers lead to it or others import it, listing them;
    /// `force` takes those routes and triggers (with their queues) along and leaves the importers broken.
    async fn delete_script(
        &self,
        app: AppId,
        name: &str,
        expected: Option<i64>,
        force: bool,
        act: &Act,
    ) -> Result<bool>;
    /// Its versions, newest first, without sources.
    async fn versions(&self, script: ScriptId, page: &PageRequest) -> Result<Page<ScriptVersion>>;
    /// One version with its source.
    async fn version(&self, script: ScriptId, version: i64) -> Result<Option<ScriptVersion>>;
    /// The modules it imports, by name.
    async fn imports(&self, script: ScriptId) -> Result<Vec<String>>;
    /// Who imports it, by name.
    async fn importers(&self, script: ScriptId) -> Result<Vec<Script>>;
    /// A source by its content.
    async fn source(&self, hash: ContentHash) -> Result<Option<Arc<str>>>;
    /// Counts that a run of this version took its worker down and answers how often this version has; from
    /// `quarantine_after` on, the script is quarantined (and the app's revision counts up), and counted no further.
    async fn record_crash(
        &self,
        app: AppId,
        script: &str,
        version: i64,
        run: ExecutionId,
        quarantine_after: u32,
        act: &Act,
    ) -> Result<u32>;
    /// How often runs of a version took their worker down, where it is quarantined for it; also of one that is not live.
    async fn quarantined_after_crashes(&self, script: ScriptId, version: i64) -> Result<Option<u32>>;
    /// Lifts the quarantine of every version and forgets the crashes. Answers whether there was one.
    async fn release_script(&self, app: AppId, script: &str, act: &Act) -> Result<bool>;
    /// What a version was live with; `None` where the version does not exist.
    async fn version_context(&self, script: ScriptId, version: i64) -> Result<Option<VersionContext>>;
    /// Puts several scripts and, where given, all routes of the app in place, in one transaction: how an app goes back
    /// to something earlier. `expected` is the revision that the change was worked out against.
    async fn change_app(&self, app: AppId, change: AppChange, act: &Act) -> Result<App>;
    /// Drops up to `versions_max` versions that `kept` does not keep as of `now`; answers how many.
    async fn prune_versions(&self, kept: &VersionsKept, now: UnixMs, versions_max: u32) -> Result<u64>;
}

/// Routes.
#[async_trait]
pub trait Routes: Send + Sync {
    /// The app's routes, in the order they were given.
    async fn routes(&self, app: AppId, page: &PageRequest) -> Result<Page<Route>>;
    /// One of them.
    async fn route(&self, app: AppId, id: picloud_model::RouteId) -> Result<Option<Route>>;
    /// Adds one, if the app is still at revision `expected` (against which it was checked for ambiguity). Refuses one
    /// whose script is no endpoint of the app.
    async fn create_route(&self, app: AppId, route: &RouteSpec, expected: i64, act: &Act) -> Result<Route>;
    /// Removes one. Answers whether it was there.
    async fn delete_route(&self, app: AppId, id: picloud_model::RouteId, act: &Act) -> Result<bool>;
}

/// Keys and values.
#[async_trait]
pub trait Kv: Send + Sync {
    /// Does one thing, atomically, as of `now` (an entry whose time is over is not there), for nobody's run.
    async fn kv(&self, app: AppId, request: KvRequest, now: UnixMs) -> Result<KvReply> {
        self.kv_for(app, request, &Cause::first(now, &Limits::default())).await
    }
    /// Does one thing, atomically, as of the cause's time; and in the same transaction one delivery for each trigger of
    /// the app that a change matches.
    async fn kv_for(&self, app: AppId, request: KvRequest, cause: &Cause) -> Result<KvReply>;
    /// The same by somebody's hand: a change goes into the audit log, with the key and never the value.
    async fn kv_by_hand(&self, app: AppId, request: KvRequest, act: &Act) -> Result<KvReply>;
    /// The app's collections by name.
    async fn kv_collections(&self, app: AppId, now: UnixMs) -> Result<Vec<KvCollection>>;
    /// Removes a collection; answers how many keys were in it.
    async fn delete_collection(&self, app: AppId, collection: &str, act: &Act) -> Result<u64>;
    /// Removes up to `entries_max` entries whose time was over at `now`; answers how many.
    async fn purge_expired(&self, now: UnixMs, entries_max: u32) -> Result<u64>;
    /// When the next entry's time is over.
    async fn next_expiry(&self) -> Result<Option<UnixMs>>;
}

/// What is kept of runs. Lives apart from everything else, so that history never wears on the data.
#[async_trait]
pub trait Executions: Send + Sync {
    /// Keeps these, in one transaction, and drops the oldest above the bounds.
    async fn add_executions(&self, executions: Vec<Execution>) -> Result<()>;
    /// The app's runs, newest first.
    async fn executions(&self, app: AppId, query: &ExecutionQuery) -> Result<Page<Execution>> {
        self.executions_of_apps(Some(&[app]), query).await
    }
    /// The runs of these apps, newest first; `None`: of all there ever were, those included that were deleted.
    async fn executions_of_apps(&self, apps: Option<&[AppId]>, query: &ExecutionQuery) -> Result<Page<Execution>>;
    /// One run.
    async fn execution(&self, app: AppId, id: ExecutionId) -> Result<Option<Execution>>;
    /// Drops up to `runs_max` of what is older than the retention times as of `now`; answers how many. Short, so that
    /// nobody waits behind it: call it again until it drops none.
    async fn expire_executions(&self, now: UnixMs, runs_max: u32) -> Result<u64>;
}

/// API keys. What is kept of one is its hash.
#[async_trait]
pub trait Keys: Send + Sync {
    /// All keys, oldest first.
    async fn keys(&self, page: &PageRequest) -> Result<Page<ApiKey>>;
    /// One of them.
    async fn key(&self, id: KeyId) -> Result<Option<ApiKey>>;
    /// All of them as those who check keys need them.
    async fn key_entries(&self) -> Result<Vec<KeyEntry>>;
    /// Makes one; [`StoreError::Conflict`] where the name is taken.
    async fn create_key(&self, key: &KeyWrite, act: &Act) -> Result<ApiKey>;
    /// Removes one. Answers whether it was there.
    async fn delete_key(&self, id: KeyId, act: &Act) -> Result<bool>;
    /// Notes when keys were last used, later ones only.
    async fn touch_keys(&self, used: &[(KeyId, UnixMs)]) -> Result<()>;
}

/// A key to be stored.
#[derive(Clone, Debug)]
pub struct KeyWrite {
    /// What to call it; unique.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: ContentHash,
    /// What it may do.
    pub scopes: Vec<Grant>,
    /// From when on it is refused.
    pub expires_at: Option<UnixMs>,
}

/// Secrets. The store sees them sealed only.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The app's secrets by name.
    async fn secrets(&self, app: AppId, page: &PageRequest) -> Result<Page<Secret>>;
    /// One of them.
    async fn secret(&self, app: AppId, name: &str) -> Result<Option<Secret>>;
    /// All of the app's, sealed.
    async fn sealed_secrets(&self, app: AppId) -> Result<Vec<(Secret, Vec<u8>)>>;
    /// Sets one. `sealed` `None` leaves the value as it is (and is a [`StoreError::Conflict`] where there is none),
    /// `scripts` `None` leaves the grants, or makes them [`picloud_model::secret::EVERY_SCRIPT`] where it is new.
    /// `expected` is the version it must be at, 0 for "must not exist". Makes no version where nothing changes.
    async fn put_secret(
        &self,
        app: AppId,
        name: &str,
        sealed: Option<Vec<u8>>,
        scripts: Option<Vec<String>>,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Secret>;
    /// Removes one, and with the last one the app's own key. Answers whether it was there.
    async fn delete_secret(&self, app: AppId, name: &str, expected: Option<i64>, act: &Act) -> Result<bool>;
    /// The app's own key, sealed; `None` while it has none.
    async fn app_key(&self, app: AppId) -> Result<Option<Vec<u8>>>;
    /// Keeps `sealed` as the app's key unless it has one already, and answers the one it has then.
    async fn put_app_key(&self, app: AppId, sealed: Vec<u8>) -> Result<Vec<u8>>;
}

/// The audit log. Changes write it themselves, in their own transaction; here it is read, and refusals are added.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Entries, newest first.
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>>;
    /// Up to `entries_max` entries after `seq`, oldest first, and the number of the oldest entry that is kept: where
    /// that is above `seq + 1`, some are missing in between.
    async fn audit_after(&self, seq: i64, entries_max: u32) -> Result<(Vec<AuditEntry>, i64)>;
    /// The number of the newest entry, 0 where there is none.
    async fn audit_last(&self) -> Result<i64>;
    /// Writes refusals down.
    async fn audit_refusals(&self, refused: Vec<RefusedAct>) -> Result<()>;
    /// Writes down what the appliance did that is no change of the store: a backup, a start.
    async fn audit_done(
        &self,
        act: &Act,
        app: Option<&str>,
        action: &str,
        target: &str,
        after: serde_json::Value,
    ) -> Result<()>;
    /// Checks the whole chain.
    async fn verify_audit(&self) -> Result<AuditVerdict>;
    /// The number of the newest committed entry; changes after every commit that added any, whoever waited for it.
    fn audit_signal(&self) -> tokio::sync::watch::Receiver<i64>;
}

/// Copies for backups.
#[async_trait]
pub trait Backup: Send + Sync {
    /// Writes consistent copies of everything durable into the folder `dir`, which is empty, while writes go on, and
    /// answers the names of the files. Together they are the store at one moment each.
    async fn copy_to(&self, dir: &Path) -> Result<Vec<String>>;
}

/// Everything durable.
pub trait Store:
    Apps
    + Deploys
    + Scripts
    + Routes
    + Triggers
    + Kv
    + Files
    + Events
    + Deliveries
    + DeadLetters
    + Attention
    + Executions
    + Keys
    + Secrets
    + Audit
    + Backup
    + Nodes
    + Kept
    + Others
{
}

impl<T> Store for T where
    T: Apps
        + Deploys
        + Scripts
        + Routes
        + Triggers
        + Kv
        + Files
        + Events
        + Deliveries
        + DeadLetters
        + Attention
        + Executions
        + Keys
        + Secrets
        + Audit
        + Backup
        + Nodes
        + Kept
        + Others
{
}
