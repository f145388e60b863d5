//! Postgres behind the traits: a file a noun, named as in `sqlite/`, each with the SQL of its trait.
//!
//! Any number of appliances share one database. A verb is one transaction ([`transaction`]), run again where it met
//! another one; what it tells others of goes with its commit ([`signals`], [`listener`]).

mod alone;
mod app_parts;
mod apps;
mod async_requests;
mod attention;
mod audit;
mod audit_rows;
mod backup;
mod before_upgrade;
mod changes;
mod claiming;
mod claims;
mod columns;
mod connection;
mod crashes;
mod dead_letter_rows;
mod dead_letters;
mod deliveries;
mod delivery_ends;
mod deploys;
mod emit;
mod enqueue;
mod error;
mod events;
mod executions;
mod file_rows;
mod file_writes;
mod files;
mod join_tokens;
mod keys;
mod kv;
mod kv_atomic;
mod kv_by_hand;
mod kv_events;
mod kv_list;
mod kv_quick;
mod letter_retries;
mod letters_gone;
mod listener;
mod matching;
mod migrate;
mod node_rows;
mod nodes;
mod routes;
mod script_changes;
mod script_rows;
mod scripts;
mod secrets;
mod signals;
mod slots;
mod snapshot;
mod static_files;
mod tables;
mod timers;
mod transaction;
mod trigger_parts;
mod trigger_rows;
mod triggers;
mod version_contexts;
mod version_pruning;

use crate::data_dir::DataDirLock;
use crate::{OpenError, OpenSettings};
pub(crate) use before_upgrade::look;
pub(crate) use connection::{Address, masked};
use picloud_model::clock::Clock;
use signals::Signals;
use sqlx::PgPool;
use std::sync::Arc;
pub(crate) use tables::PgSide;
use uuid::Uuid;

/// The store on Postgres.
pub(crate) struct PgStore {
    pool: PgPool,
    /// This opening of the store: whose notifications and claims are one's own.
    instance: Uuid,
    signals: Arc<Signals>,
    kept_max: KeptMax,
    /// The triggers of each app, as of a revision of it.
    triggers: matching::KnownTriggers,
    /// How many deliveries each app may have without counting.
    room: enqueue::Room,
    /// Which deliveries are under way here.
    claims: Arc<claims::Claims>,
    _lease: claims::Lease,
    /// Told when blobs may have been dropped.
    dropped: Arc<tokio::sync::Notify>,
    _listener: listener::Listener,
    /// Last: whoever takes the directory over finds nothing of this one at work.
    _lock: DataDirLock,
}

/// How much of what only grows is kept.
#[derive(Clone, Copy, Debug)]
struct KeptMax {
    audit_entries_max: i64,
    history_bytes_max: u64,
    history_app_runs_max: u32,
}

impl PgStore {
    /// Connects, brings the schema up to date, and begins to listen.
    pub(crate) async fn open(
        settings: &OpenSettings,
        database_url: &str,
        clock: &dyn Clock,
    ) -> Result<Self, OpenError> {
        let address = Address::parse(database_url)?;
        let lock = DataDirLock::take(&settings.data_dir)?;
        let gate = before_upgrade::Gate::pass(settings, &address, clock.now_ms()).await?;
        let pool = connection::connect(&address).await?;
        gate.leave().await;
        let instance = Uuid::now_v7();
        let signals = Arc::new(Signals::default());
        let listener = listener::Listener::start(&address, instance, signals.clone(), &pool).await?;
        let claims = Arc::new(claims::Claims::default());
        Ok(Self {
            claims: claims.clone(),
            _lease: claims::Lease::start(claims, instance, pool.clone()),
            pool,
            instance,
            signals,
            kept_max: KeptMax {
                audit_entries_max: i64::from(settings.audit_entries_max.max(1)),
                history_bytes_max: settings.history_bytes_max,
                history_app_runs_max: settings.history_app_runs_max,
            },
            triggers: matching::KnownTriggers::default(),
            room: enqueue::Room::default(),
            dropped: Arc::default(),
            _listener: listener,
            _lock: lock,
        })
    }
}
