//! Where to join, and with which token: the file that the agent reads, in its own folder and its own.

use super::super::check::joining;
use super::super::disk::PRIVATE;
use super::Job;
use std::io::Result;

pub(super) fn tell(job: &Job<'_>) -> Option<String> {
    let joining = joining(job.file)?;
    let with = if joining.token.is_some() { "with the join token" } else { "once somebody approves it" };
    let at = joining.appliance.map_or_else(|| "the appliance that is found".to_owned(), |at| format!("`{at}`"));
    Some(format!("asks {at} to be let in, {with}"))
}

pub(super) fn act(job: &Job<'_>) -> Result<()> {
    let Some(joining) = joining(job.file) else { return Ok(()) };
    let here = job.disk.at(&job.plan.data_dir);
    let Some((path, bytes)) = (job.program.join_file)(&here, &joining) else { return Ok(()) };
    let owner = job.disk.owner(super::super::SERVICE_USER);
    job.disk.folder(&job.plan.data_dir, 0o700, owner)?;
    let inside = path.strip_prefix(&here).unwrap_or(&path);
    let path = job.plan.data_dir.join(inside);
    if let Some(folder) = path.parent() {
        job.disk.folder(folder, 0o700, owner)?;
    }
    job.disk.write(&path, &bytes, PRIVATE, owner)
}
