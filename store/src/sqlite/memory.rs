//! What the data's writer remembers between transactions.

use super::audit_rows::ends;
use super::matching::KnownTriggers;
use super::versions::Versions;
use super::waiting::Waiting;
use super::writer::BatchState;
use crate::OpenSettings;
use rusqlite::Connection;
use std::cell::Cell;
use tokio::sync::watch;

/// The writer's memory.
pub(super) struct Memory {
    /// The sequence of KV versions.
    pub(super) versions: Versions,
    /// The audit log's part.
    pub(super) audit: AuditMemory,
    /// The triggers of each app.
    pub(super) triggers: KnownTriggers,
    /// Deliveries.
    pub(super) waiting: Waiting,
}

/// How long the audit log may become, and who is told of its growth.
pub(super) struct AuditMemory {
    /// Entries that are kept.
    pub(super) entries_max: i64,
    /// Whether the running transaction added entries.
    grown: Cell<bool>,
    newest: watch::Sender<i64>,
}

impl Memory {
    /// Out of what is stored and set.
    pub(super) fn load(conn: &Connection, settings: &OpenSettings) -> rusqlite::Result<Self> {
        let newest = conn.query_row("SELECT last_seq FROM audit_ends WHERE id = 1", [], |row| row.get(0))?;
        let audit = AuditMemory {
            entries_max: i64::from(settings.audit_entries_max.max(1)),
            grown: Cell::new(false),
            newest: watch::Sender::new(newest),
        };
        Ok(Self {
            versions: Versions::load(conn)?,
            audit,
            triggers: KnownTriggers::default(),
            waiting: Waiting::load(conn)?,
        })
    }
}

impl AuditMemory {
    /// An entry was added in the running transaction.
    pub(super) fn grew(&self) {
        self.grown.set(true);
    }

    /// The number of the newest entry that is on the disk, and its changes.
    pub(super) fn signal(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }
}

impl BatchState for Memory {
    fn begin(&mut self, conn: &Connection, jobs: usize) -> rusqlite::Result<()> {
        self.audit.grown.set(false);
        self.triggers.begin();
        self.versions.begin(conn, jobs)
    }

    fn job_begins(&mut self) {
        self.waiting.job_begins();
    }

    fn committed(&mut self, conn: &Connection) {
        self.waiting.committed();
        if !self.audit.grown.get() {
            return;
        }
        match ends(conn) {
            // The job that added the entry may have been taken back.
            Ok(ends) => drop(
                self.audit.newest.send_if_modified(|newest| std::mem::replace(newest, ends.last_seq) != ends.last_seq),
            ),
            Err(error) => tracing::error!(error = %error, "who follows the audit log was not told of new entries"),
        }
    }

    fn taken_back(&mut self, whole: bool) {
        self.versions.taken_back(whole);
        self.triggers.taken_back();
        self.waiting.taken_back(whole);
    }
}
