//! What happened to the store while nobody could write it into its audit log: upgrades, and that somebody went back.
//! Each is told until it was written down.

use super::folder::{ASIDE, read_json, sync, upgrade_copies, whole_folders};
use super::go_back::WentBack;
use super::manifest::MANIFEST;
use crate::OpenError;
use crate::data_dir::{io_error, make_private_file};
use picloud_model::clock::{UnixMs, rfc3339};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The file that says that it is in the audit log.
const RECORDED: &str = "in-audit-log";

/// Something that is to be written into the audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct UpgradeEvent {
    /// When it was.
    pub at: UnixMs,
    /// `store.upgrade` or `store.go-back`.
    pub action: &'static str,
    /// `schema 3 → 4`
    pub target: String,
    /// What came of it.
    pub after: Value,
    mark: PathBuf,
}

impl UpgradeEvent {
    /// It is in the audit log: from now on nobody is told of it again. Blocks.
    pub fn recorded(&self) -> std::io::Result<()> {
        make_private_file(&self.mark)?;
        sync(self.mark.parent().unwrap_or(&self.mark))
    }
}

/// What is not in the audit log yet, oldest first. To be asked once the store is open: an upgrade that was refused made a
/// copy all the same, and is none. Blocks.
pub fn upgrade_events(data_dir: &Path) -> Result<Vec<UpgradeEvent>, OpenError> {
    let mut events = Vec::new();
    for copy in upgrade_copies(data_dir)? {
        let (from, to) = (copy.manifest.from, copy.manifest.to);
        let rows: u64 = copy.manifest.tables.iter().map(|table| table.rows).sum();
        events.push(UpgradeEvent {
            at: copy.manifest.made_at,
            action: "store.upgrade",
            target: format!("schema {from} → {to}"),
            after: json!({ "copy": copy.name(), "bytes": copy.manifest.size_bytes(), "rows": rows }),
            mark: copy.dir.join(RECORDED),
        });
    }
    let root = data_dir.join(ASIDE);
    for dir in whole_folders(&root).map_err(|source| io_error(source, data_dir, &root))? {
        let Ok(back) = read_json::<WentBack>(&dir.join(MANIFEST)) else { continue };
        events.push(UpgradeEvent {
            at: back.at,
            action: "store.go-back",
            target: format!("schema {} → {}", back.from, back.to),
            after: json!({ "as_of": rfc3339(back.copy_made_at), "put_aside": dir.file_name().map(|name| name.to_string_lossy()) }),
            mark: dir.join(RECORDED),
        });
    }
    events.retain(|event| !event.mark.exists());
    events.sort_by_key(|event| event.at);
    Ok(events)
}
