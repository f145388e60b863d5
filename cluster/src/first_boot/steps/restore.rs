//! Which backup the appliance begins with: written down for root alone. It comes back later, when there is a network.

use super::super::disk::PRIVATE;
use super::super::restore::WANTED_FILE;
use super::Job;
use std::io::Result;

pub(super) fn tell(job: &Job<'_>) -> Option<String> {
    let repository = job.file.restore.repository.as_ref()?;
    let which = job.file.restore.snapshot.as_ref().map_or("the newest backup".to_owned(), |id| format!("backup {id}"));
    Some(if job.plan.restore.is_some() {
        format!("{which} of `{repository}`, before the appliance serves")
    } else {
        "came back before".to_owned()
    })
}

pub(super) fn act(job: &Job<'_>) -> Result<()> {
    match &job.plan.restore {
        Some(text) => job.disk.write(WANTED_FILE, text.as_bytes(), PRIVATE, None),
        None => job.disk.remove_file(WANTED_FILE),
    }
}
