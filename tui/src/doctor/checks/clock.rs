//! Whether the clock is right, and whether somebody sets it. A Raspberry Pi forgets the time when its plug is pulled.

use crate::doctor::words::{DAY_MS, span};
use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "clock", title: "Clock", look, ..Check::PLAIN };

/// 2026-01-01: whoever has an earlier time has none.
const EARLIEST_MS: i64 = 20_454 * DAY_MS;
/// So far two clocks may be apart before schedules look odd.
const APART_MS_MAX: i64 = 5_000;
/// So far before certificates and tokens are refused.
const FAR_APART_MS: i64 = 5 * 60 * 1_000;
/// What systemd's own client leaves behind once it has the time.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

const SET: &str = "`sudo timedatectl set-ntp true` (package systemd-timesyncd), and let it reach a time server: UDP port 123, or \
`NTP=` of your router in /etc/systemd/timesyncd.conf";

fn look(case: &Case) -> Finding {
    let mut findings = Vec::new();
    if case.now_ms < EARLIEST_MS {
        let now = picloud_model::clock::rfc3339(case.now_ms);
        findings.push(Finding::failed(format!("the clock says {now}, which is long ago: it was never set"), SET));
    }
    if case.asked.is_here {
        findings.push(synchronized(case));
    }
    if let Some(ahead_ms) = case.asked.ahead_ms {
        findings.push(against_appliance(ahead_ms).fact("appliance_ahead_ms", ahead_ms));
    }
    Finding::worst(findings, Finding::unknown("the appliance did not answer, so its clock could not be compared"))
}

fn synchronized(case: &Case) -> Finding {
    let said = case.machine.run("timedatectl", &["show", "--property=NTP", "--property=NTPSynchronized"]);
    let said = said.unwrap_or_default();
    let is = |name: &str| {
        let value = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim() == "yes")
    };
    match (is("NTPSynchronized"), is("NTP")) {
        (Some(true), _) => Finding::ok("set by a time server"),
        (None, _) if case.machine.has(SYNCHRONIZED) => Finding::ok("set by a time server"),
        (Some(false), Some(true)) => Finding::warning("a time server is asked for, and none has answered yet", SET),
        (Some(false), _) => Finding::warning("nobody sets the clock", SET),
        (None, _) => Finding::unknown("`timedatectl` does not tell whether anybody sets the clock"),
    }
}

fn against_appliance(ahead_ms: i64) -> Finding {
    let apart = span(ahead_ms.abs() / 1_000);
    let told = if ahead_ms > 0 {
        format!("the appliance's clock is {apart} ahead of this machine's")
    } else {
        format!("the appliance's clock is {apart} behind this machine's")
    };
    let cure = "run `timedatectl` on both machines, and set the one that is wrong";
    match ahead_ms.abs() {
        FAR_APART_MS.. => Finding::failed(told, cure),
        APART_MS_MAX.. => Finding::warning(told, cure),
        _ => Finding::ok("the appliance has the same time"),
    }
}
