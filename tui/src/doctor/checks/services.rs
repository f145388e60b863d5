//! What systemd says of our units: whether they run, and how often they had to be started again.

use crate::doctor::{Case, Check, Finding, NotRun};
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check { name: "services", title: "Services", look, ..Check::PLAIN };

/// What is asked for.
const UNITS: &[&str] =
    &["picloud-appliance.service", "picloud-node.service", "picloud-backup.timer", "picloud-backup.service"];
const PROPERTIES: &str = "--property=Id,LoadState,ActiveState,SubState,Result,NRestarts,UnitFileState";

type Unit<'a> = BTreeMap<&'a str, &'a str>;

fn look(case: &Case) -> Finding {
    let arguments: Vec<&str> = ["show", PROPERTIES].into_iter().chain(UNITS.iter().copied()).collect();
    let said = match case.machine.run("systemctl", &arguments) {
        Ok(said) => said,
        Err(NotRun::Missing) => return Finding::unknown("this machine has no systemd"),
        Err(NotRun::Failed(why)) => return Finding::unknown(why),
    };
    let units =
        said.split("\n\n").map(|block| block.lines().filter_map(|line| line.split_once('=')).collect::<Unit<'_>>());
    let installed: Vec<Unit<'_>> =
        units.filter(|unit| unit.get("LoadState").is_some_and(|state| *state == "loaded")).collect();
    let mut findings: Vec<Finding> = installed.iter().flat_map(judge).collect();
    findings.extend(watchdog(case, &installed));
    Finding::worst(findings, Finding::ok("none of our units is installed here: nothing is run by systemd"))
}

fn judge(unit: &Unit<'_>) -> Vec<Finding> {
    let of = |name: &str| unit.get(name).copied().unwrap_or_default();
    let id = of("Id");
    let log = format!("see why: `journalctl -u {id} -n 50`");
    let is_enabled = of("UnitFileState").starts_with("enabled");
    // A service that a timer starts is idle between its times.
    let is_started_by_timer = id == "picloud-backup.service";
    let mut findings = vec![match of("ActiveState") {
        "failed" => Finding::failed(format!("{id} has failed ({})", of("Result")), log.clone())
            .cure(format!("then: `sudo systemctl restart {id}`")),
        "active" | "activating" | "reloading" => Finding::ok(format!("{id} is {}", of("SubState"))),
        _ if is_started_by_timer => Finding::ok(format!("{id} waits for its time")),
        _ if is_enabled => {
            Finding::failed(format!("{id} is not running"), format!("`sudo systemctl start {id}`")).cure(log.clone())
        }
        _ => Finding::ok(format!("{id} is installed and not switched on")),
    }];
    let restarts: u64 = of("NRestarts").parse().unwrap_or(0);
    if restarts > 0 {
        let times = if restarts == 1 { "once".to_owned() } else { format!("{restarts} times") };
        findings
            .push(Finding::warning(format!("{id} had to be started again {times} since it was first started"), log));
    }
    findings
}

/// Whether systemd ended one that no longer answered; the journal may be closed to this person.
fn watchdog(case: &Case, installed: &[Unit<'_>]) -> Option<Finding> {
    let names = installed.iter().filter_map(|unit| unit.get("Id").copied()).filter(|id| id.ends_with(".service"));
    let units: Vec<String> = names.map(|id| format!("--unit={id}")).collect();
    if units.is_empty() {
        return None;
    }
    let fixed = ["--boot", "--quiet", "--no-pager", "--output=cat", "--lines=20", "--grep=Watchdog timeout"];
    let arguments: Vec<&str> = fixed.into_iter().chain(units.iter().map(String::as_str)).collect();
    let said = case.machine.run("journalctl", &arguments).ok()?;
    let times = said.lines().filter(|line| !line.trim().is_empty()).count();
    (times > 0).then(|| {
        let what = format!("the watchdog ended a service that did not answer, {times} times since the machine started");
        Finding::warning(
            what,
            "see what it was at: `journalctl -b --grep=Watchdog`; and see `card-speed`, `memory` and `power`",
        )
    })
}
