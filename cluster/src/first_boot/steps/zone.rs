//! The time zone: the link that programs follow, and the name that Debian keeps beside it.

use super::super::disk::PUBLIC;
use super::Job;
use std::io::Result;

pub(super) fn tell(job: &Job<'_>) -> Option<String> {
    job.file.time_zone.clone()
}

pub(super) fn act(job: &Job<'_>) -> Result<()> {
    let Some(zone) = &job.file.time_zone else { return Ok(()) };
    job.disk.link("/etc/localtime", &format!("/usr/share/zoneinfo/{zone}"))?;
    job.disk.write("/etc/timezone", format!("{zone}\n").as_bytes(), PUBLIC, None)
}
