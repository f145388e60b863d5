//! How old the newest backup is.

use crate::doctor::words::{DAY_S, span};
use crate::doctor::{About, Case, Check, Finding};

pub(super) const CHECK: Check =
    Check { name: "backup", title: "Backup", about: About::Appliance, look, ..Check::PLAIN };

/// When a backup last went well, and when one last failed, in seconds since 1970.
const LAST_SUCCESS: &str = "picloud_backup_last_success_timestamp_seconds";
const LAST_FAILURE: &str = "picloud_backup_last_failure_timestamp_seconds";
/// A timer makes one a day; three days without are no accident.
const OLD_S: i64 = 3 * DAY_S;

const MAKE: &str = "`sudo -u picloud picloud-appliance repository backup`, or one file: `picloud backup FILE`";
const LOG: &str = "see why: `journalctl -u picloud-backup -n 50`";
const BEGIN: &str = "set `backup_repository` in /etc/picloud/appliance.toml, then `sudo -u picloud picloud-appliance repository init` \
and `sudo systemctl enable --now picloud-backup.timer`; or at least now: `picloud backup FILE`";

fn look(case: &Case) -> Finding {
    let metrics = match &case.asked.metrics {
        Ok(metrics) => metrics,
        Err(why) => return Finding::unknown(why.clone()),
    };
    let at = |name: &str| metrics.get(name).map(|at| *at as i64).filter(|at| *at > 0);
    let now_s = case.now_ms / 1_000;
    let Some(last) = at(LAST_SUCCESS) else {
        if at(LAST_FAILURE).is_some() {
            return Finding::failed("backups are tried, and none has ever gone well", LOG).cure(MAKE);
        }
        return Finding::warning("no backup was ever made to a repository", BEGIN);
    };
    let age_s = (now_s - last).max(0);
    let told = format!("the newest backup is {} old", span(age_s));
    let finding = match at(LAST_FAILURE) {
        Some(failed) if failed > last => Finding::warning(format!("the last backup failed; {told}"), LOG).cure(MAKE),
        _ if age_s > OLD_S => {
            Finding::warning(told, "is the timer on? `systemctl status picloud-backup.timer`").cure(MAKE)
        }
        _ => Finding::ok(told),
    };
    finding.fact("age_s", age_s)
}
