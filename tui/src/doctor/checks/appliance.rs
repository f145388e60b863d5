//! Whether the appliance answers, and whether its scripts do.

use crate::doctor::words::{count, span};
use crate::doctor::{About, Case, Check, Finding};

pub(super) const CHECK: Check =
    Check { name: "appliance", title: "Appliance", about: About::Appliance, look, ..Check::PLAIN };

/// A delivery that has been due for so long waits for something.
const OVERDUE_MS: u64 = 5 * 60 * 1_000;

fn look(case: &Case) -> Finding {
    let asked = &case.asked;
    let status = match &asked.status {
        Ok(status) => status,
        Err(silence) if case.agent.is_some() && !case.is_appliance() => {
            return Finding::unknown(format!("this machine is a node: {}", silence.text));
        }
        Err(silence) => return Finding::failed(silence.text.clone(), silence.hint.clone()),
    };
    let up = format!(
        "{} {} at {} has been up for {}",
        status.node,
        status.version,
        asked.place,
        span(status.uptime_s as i64)
    );
    let mut findings = vec![Finding::ok(up)];
    if status.worker.pid.is_none() {
        let cure = "it is started again by itself; if it stays so: `journalctl -u picloud-appliance -n 50`";
        findings.push(Finding::failed("no worker runs at this moment: no script answers", cure));
    }
    if status.quarantined > 0 {
        let what = format!(
            "{} not run any more, for taking the worker down",
            count(status.quarantined, "script is", "scripts are")
        );
        findings.push(Finding::warning(
            what,
            "`picloud activity` names them; save a new version, or `picloud scripts release NAME --app APP`",
        ));
    }
    let letters: u64 = status.queues.iter().map(|queue| queue.dead_letters).sum();
    if letters > 0 {
        let letters = usize::try_from(letters).unwrap_or(usize::MAX);
        findings.push(Finding::warning(
            count(letters, "dead letter", "dead letters"),
            "`picloud dead-letters list --app APP`, then `retry` or `discard`",
        ));
    }
    for queue in &status.queues {
        if queue.waiting_for_node > 0 {
            let what = format!(
                "{} of {} wait for a node that may run them",
                count(usize::try_from(queue.waiting_for_node).unwrap_or(usize::MAX), "delivery", "deliveries"),
                queue.app
            );
            findings
                .push(Finding::warning(what, "`picloud nodes` and the labels in `[placement]` of the app's app.toml"));
        } else if queue.oldest_due_ms > OVERDUE_MS {
            let late = span((queue.oldest_due_ms / 1_000) as i64);
            findings.push(Finding::warning(
                format!("deliveries of {} are {late} late", queue.app),
                "`picloud activity`; is the machine too busy, or a trigger paused?",
            ));
        }
    }
    Finding::worst(findings, Finding::unknown("nothing is known"))
        .fact("version", status.version.clone())
        .fact("uptime_s", status.uptime_s)
}
