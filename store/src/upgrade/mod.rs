//! Before the store of an older program is changed, a checked copy of it is made; and the way back to that copy.
//!
//! ```text
//! before-upgrade/3-20261122T031500Z/      picloud.db history.db manifest.json: whole, for it has this name
//! before-upgrade/unfinished-…, gone-…     begun or half removed when the power went; removed with the next copy
//! after-going-back/4-20261123T081000Z/    what the newer program had, put aside when somebody went back
//! going-back.json                         somebody is going back: whoever opens the folder next ends it
//! ```
//!
//! The bytes of files of apps are not copied: a blob is never changed, and those that were there when the copy was made
//! are held for as long as it is kept (`Blobs::hold`).

mod content;
mod error;
mod expiry;
mod folder;
mod go_back;
mod look;
mod making;
mod manifest;
mod recorded;
mod steps;

pub use error::GoBackError;
pub use expiry::{COPIES_KEPT_MAX, COPY_KEPT_DAYS, copy_kept_ms, expire_copies};
pub use folder::{UpgradeCopy, upgrade_copies};
pub use go_back::{GoingBack, TableThen, WentBack, go_back, going_back};
pub use look::{StoreLook, look};
pub use manifest::{CopiedFile, CopiedTable, CopyManifest, Schema};
pub use recorded::{UpgradeEvent, upgrade_events};

pub(crate) use content::{content_of, is_whole};
pub(crate) use go_back::finish_going_back;
pub(crate) use making::{Copying, check_room, free_bytes, needed_bytes};
pub(crate) use steps::{Step, Stop, done, go_on};

#[cfg(test)]
mod tests;
