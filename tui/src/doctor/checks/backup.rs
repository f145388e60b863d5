//! How old the newest backup is, where it is, and why there is no newer one.

use crate::doctor::asked::{Backup, Backups};
use crate::doctor::block::mount_of;
use crate::doctor::words::span;
use crate::doctor::{About, Case, Check, Finding};
use picloud_model::activity::BACKUP_OLD_MS;

pub(super) const CHECK: Check =
    Check { name: "backup", title: "Backup", about: About::Appliance, look, ..Check::PLAIN };

/// When a backup last went well, and when one last failed, in seconds since 1970.
const LAST_SUCCESS: &str = "picloud_backup_last_success_timestamp_seconds";
const LAST_FAILURE: &str = "picloud_backup_last_failure_timestamp_seconds";

const MAKE: &str = "`sudo -u picloud picloud-appliance repository backup`, or one file: `picloud backup FILE`";
const LOG: &str = "see why: `journalctl -u picloud-backup -n 50`";
const BEGIN: &str = "set `backup_repository` in /etc/picloud/appliance.toml, then `sudo -u picloud picloud-appliance repository init` \
and `sudo systemctl enable --now picloud-backup.timer`; or at least now: `picloud backup FILE`";

const SAME_DISK: &str =
    "take them elsewhere, too: another disk, another machine over SSH, or a bucket (`backup_repository`)";
const LOST: &str = "`journalctl -u picloud-backup` names them; an older backup may have them: `picloud-appliance repository restore --app APP --as NAME`";
/// Letters of an error that are told.
const ERROR_CHARS_MAX: usize = 200;

/// What is known of the newest one, and of one that failed since.
struct Known {
    last_s: Option<i64>,
    failed_s: Option<i64>,
    backups: Backups,
}

fn known(case: &Case) -> Result<Known, String> {
    let at = |backup: &Option<Backup>| Some(backup.as_ref()?.at.parse::<jiff::Timestamp>().ok()?.as_second());
    if let Some(backups) = case.asked.backups.clone() {
        return Ok(Known { last_s: at(&backups.success), failed_s: at(&backups.failure), backups });
    }
    let metrics = case.asked.metrics.as_ref().map_err(Clone::clone)?;
    let at = |name: &str| metrics.get(name).map(|at| *at as i64).filter(|at| *at > 0);
    Ok(Known { last_s: at(LAST_SUCCESS), failed_s: at(LAST_FAILURE), backups: Backups::default() })
}

fn look(case: &Case) -> Finding {
    let Known { last_s, failed_s, backups } = match known(case) {
        Ok(known) => known,
        Err(why) => return Finding::unknown(why),
    };
    let why = backups.failure.as_ref().and_then(|failure| failure.error.as_deref()).map(first_line);
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    let Some(last_s) = last_s else {
        if failed_s.is_some() {
            let told = format!("backups are tried, and none has ever gone well{why}");
            return Finding::failed(told, LOG).cure(MAKE);
        }
        return Finding::warning("no backup was ever made to a repository", BEGIN);
    };
    let age_s = (case.now_ms / 1_000 - last_s).max(0);
    let place = backups.success.as_ref().map(|backup| backup.repository.clone()).filter(|place| !place.is_empty());
    let where_to = place.as_ref().map(|place| format!(", in {place}")).unwrap_or_default();
    let told = format!("the newest backup is {} old{where_to}", span(age_s));
    let age = match failed_s {
        Some(failed_s) if failed_s > last_s => {
            Finding::warning(format!("the last backup failed{why}; {told}"), LOG).cure(MAKE)
        }
        _ if age_s > BACKUP_OLD_MS / 1_000 => {
            Finding::warning(told, "is the timer on? `systemctl status picloud-backup.timer`").cure(MAKE)
        }
        _ => Finding::ok(told),
    };
    let lost = backups.success.as_ref().map(|backup| backup.files_without_bytes).filter(|lost| *lost > 0);
    let lost = lost.map(|lost| Finding::warning(format!("{lost} files of apps had lost their bytes before it"), LOST));
    let beside = place.as_ref().filter(|place| is_on_disk_of_data(case, place));
    let beside =
        beside.map(|_place| Finding::warning("the disk with the data is also the one with the backups", SAME_DISK));
    let all = [Some(age), beside, lost].into_iter().flatten().collect();
    let finding = Finding::worst(all, Finding::unknown("nothing is known")).fact("age_s", age_s);
    match place {
        Some(place) => finding.fact("repository", place),
        None => finding,
    }
}

/// Whether a repository would go with the disk that it is to help with.
fn is_on_disk_of_data(case: &Case, place: &str) -> bool {
    let disk = |path: &str| mount_of(&*case.machine, path)?.disk(&*case.machine);
    let data = case.status_here().and_then(|status| disk(&status.data_dir));
    place.starts_with('/') && data.is_some() && disk(place) == data
}

/// What went wrong, without what to do about it; it may quote what another program said.
fn first_line(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    line.chars().filter(|letter| !letter.is_control()).take(ERROR_CHARS_MAX).collect()
}
