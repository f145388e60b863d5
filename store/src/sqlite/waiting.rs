//! What the writer remembers of deliveries: how many of each app wait, which ids are free, and whom a commit wakes.

use super::claims::Claims;
use super::error::JobResult;
use picloud_model::ids::AppId;
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Ids that are reserved at a time: one write of the mark in a thousand deliveries.
const BLOCK: i64 = 1_000;
/// Apps whose number is kept in memory; with more, all are counted anew as they are needed.
const APPS_COUNTED_MAX: usize = 4_096;

/// The writer's memory of deliveries.
pub(super) struct Waiting {
    /// What is claimed; those who claim see it, too.
    pub(super) claims: Arc<Claims>,
    counts: RefCell<HashMap<AppId, i64>>,
    /// What the running job changed of them.
    changes: RefCell<Vec<(AppId, i64)>>,
    /// What the running job counted, with what it had changed before.
    counted: RefCell<Vec<AppId>>,
    last_id: Cell<i64>,
    reserved_id: Cell<i64>,
    may_be_claimed: Cell<bool>,
    schedules_changed: Cell<bool>,
    delivery_signal: watch::Sender<u64>,
    schedule_signal: watch::Sender<u64>,
}

impl Waiting {
    /// Goes on above every id that may have been given out.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let reserved =
            conn.query_row("SELECT reserved FROM sequences WHERE name = 'delivery'", [], |row| row.get(0))?;
        Ok(Self {
            claims: Arc::new(Claims::load(conn)?),
            counts: RefCell::default(),
            changes: RefCell::default(),
            counted: RefCell::default(),
            last_id: Cell::new(reserved),
            reserved_id: Cell::new(reserved),
            may_be_claimed: Cell::new(false),
            schedules_changed: Cell::new(false),
            delivery_signal: watch::Sender::new(0),
            schedule_signal: watch::Sender::new(0),
        })
    }

    /// Draws `count` ids in a row; answers the first.
    pub(super) fn draw_ids(&self, conn: &Connection, count: i64) -> JobResult<i64> {
        let first = self.last_id.get() + 1;
        let last = self.last_id.get() + count;
        if last > self.reserved_id.get() {
            let reserved = last + BLOCK;
            conn.prepare_cached("UPDATE sequences SET reserved = ?1 WHERE name = 'delivery'")?.execute([reserved])?;
            self.reserved_id.set(reserved);
        }
        self.last_id.set(last);
        Ok(first)
    }

    /// How many deliveries of the app there are.
    pub(super) fn count(&self, conn: &Connection, app: AppId) -> JobResult<i64> {
        if let Some(count) = self.counts.borrow().get(&app) {
            return Ok(*count);
        }
        let mut select = conn.prepare_cached("SELECT count(*) FROM deliveries WHERE app_id = ?1")?;
        let count = select.query_row([app.0], |row| row.get(0))?;
        let mut counts = self.counts.borrow_mut();
        if counts.len() >= APPS_COUNTED_MAX {
            counts.clear();
        }
        counts.insert(app, count);
        self.counted.borrow_mut().push(app);
        Ok(count)
    }

    /// The app has so many more deliveries, or fewer. For who has just written or removed them.
    pub(super) fn changed_by(&self, app: AppId, more: i64) {
        if let Some(count) = self.counts.borrow_mut().get_mut(&app) {
            *count += more;
            self.changes.borrow_mut().push((app, more));
        }
    }

    /// Something may be claimed after this commit that could not be before.
    pub(super) fn wake(&self) {
        self.may_be_claimed.set(true);
    }

    /// Schedules are others after this commit.
    pub(super) fn wake_schedules(&self) {
        self.schedules_changed.set(true);
    }

    /// Changes after every commit with [`Waiting::wake`].
    pub(super) fn delivery_signal(&self) -> watch::Sender<u64> {
        self.delivery_signal.clone()
    }

    /// Changes after every commit with [`Waiting::wake_schedules`].
    pub(super) fn schedule_signal(&self) -> watch::Receiver<u64> {
        self.schedule_signal.subscribe()
    }

    /// A job begins: what it changes from here on may be taken back alone.
    pub(super) fn job_begins(&self) {
        self.changes.borrow_mut().clear();
        self.counted.borrow_mut().clear();
    }

    /// What was changed is on the disk.
    pub(super) fn committed(&self) {
        self.claims.committed();
        if self.may_be_claimed.take() {
            self.delivery_signal.send_modify(|commits| *commits += 1);
        }
        if self.schedules_changed.take() {
            self.schedule_signal.send_modify(|commits| *commits += 1);
        }
    }

    /// The job, or the `whole` transaction, was taken back.
    pub(super) fn taken_back(&self, whole: bool) {
        // The mark may have been taken back with it: whoever draws next reserves again.
        self.reserved_id.set(self.last_id.get());
        if whole {
            self.counts.borrow_mut().clear();
            self.claims.taken_back();
        } else {
            let mut counts = self.counts.borrow_mut();
            for app in self.counted.borrow_mut().drain(..) {
                counts.remove(&app);
            }
            for (app, more) in self.changes.borrow_mut().drain(..) {
                if let Some(count) = counts.get_mut(&app) {
                    *count -= more;
                }
            }
        }
    }
}
