//! `reset`: forgets the appliance, the key and everything that was kept.

use super::{Stopped, terminal};
use crate::config::Settings;
use crate::identity::IdentityFiles;
use crate::spool::Spool;
use crate::start;
use picloud_cluster::private_file;
use picloud_model::clock::{Clock, SystemClock};

/// The spool's files.
const SPOOL_FILES: [&str; 3] = ["spool.db", "spool.db-wal", "spool.db-shm"];

/// Forgets everything, while no agent runs there.
pub(super) fn run(settings: &Settings, force: bool) -> Result<(), Stopped> {
    let data_dir = &settings.data_dir;
    if !data_dir.exists() {
        return Err(Stopped(format!("there is no node in `{}`", data_dir.display())));
    }
    let _lock = start::lock(data_dir)?;
    if !force {
        let waiting = if data_dir.join(SPOOL_FILES[0]).exists() {
            Spool::open(data_dir, SystemClock.now_ms())?.waiting()
        } else {
            0
        };
        if waiting > 0 {
            return Err(Stopped(format!(
                "{waiting} publishes wait to be forwarded and would be lost\n\
                 hint: start the node where its appliance answers, or give them up: picloud-node reset --force"
            )));
        }
    }
    // Whom it belongs to goes last: a reset that breaks off can be made again.
    for file in SPOOL_FILES {
        private_file::remove(&data_dir.join(file))?;
    }
    let cache = data_dir.join("cache");
    if cache.exists() {
        std::fs::remove_dir_all(&cache)?;
    }
    IdentityFiles::of(data_dir).forget()?;
    terminal::say("everything is forgotten: the next start makes a new node");
    Ok(())
}
