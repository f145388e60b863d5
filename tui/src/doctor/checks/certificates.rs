//! How long certificates still hold: of the CA, of the admin API (its own, or the owner's), of the nodes.

use crate::doctor::asked::Certificate;
use crate::doctor::words::{DAY_MS, span};
use crate::doctor::{About, Case, Check, Finding};
use picloud_model::node::{NodeKind, NodeState};

pub(super) const CHECK: Check =
    Check { name: "certificates", title: "Certificates", about: About::Appliance, look, ..Check::PLAIN };

/// Whatever renews itself has done so before this is left.
const SOON_MS: i64 = 14 * DAY_MS;

fn look(case: &Case) -> Finding {
    let mut findings = Vec::new();
    match &case.asked.certificates {
        Ok(all) => findings.extend(all.iter().map(|one| of_appliance(case.now_ms, one))),
        Err(why) if case.status().is_some_and(|status| status.admin_url.is_some()) => {
            findings.push(Finding::unknown(why.clone()))
        }
        Err(_) => {}
    }
    let joined = |state| !matches!(state, NodeState::Waiting | NodeState::Retired);
    for node in case.asked.nodes.iter().flatten().filter(|node| node.kind == NodeKind::Node && joined(node.state)) {
        if let Some(ends_at) = node.certificate_expires_at {
            let cure = format!("it renews it by itself once it is connected: `picloud doctor` on {}", node.name);
            findings.push(judge(case.now_ms, &format!("node {}", node.name), ends_at, &cure));
        }
    }
    if let Some(ends_at) =
        case.agent.as_ref().and_then(|agent| agent.certificate_expires_at.as_ref()?.parse::<jiff::Timestamp>().ok())
    {
        let cure = "the agent renews it by itself once its appliance answers";
        findings.push(judge(case.now_ms, "the agent of this machine", ends_at.as_millisecond(), cure));
    }
    let none = match case.status() {
        Some(_) => {
            Finding::ok("the admin API is not served over HTTPS, and there are no nodes: there are no certificates")
        }
        None => Finding::unknown("the appliance did not answer"),
    };
    let is_all_well = findings.iter().all(|finding| finding.state == crate::doctor::State::Ok);
    let soonest = findings.iter().filter_map(|finding| finding.facts.get("days_left")?.as_i64()).min();
    match soonest {
        Some(days) if is_all_well => {
            let number = findings.len();
            let all = Finding::worst(findings, none);
            let told = if number == 1 {
                "the certificate holds".to_owned()
            } else {
                format!("all {number} certificates hold")
            };
            Finding { text: format!("{told} for {} or more", span(days * crate::doctor::words::DAY_S)), ..all }
                .fact("days_left", days)
        }
        _ => Finding::worst(findings, none),
    }
}

fn of_appliance(now_ms: i64, one: &Certificate) -> Finding {
    let whose = format!("`{}`", one.subject);
    if one.begins_at > now_ms {
        let cure = "this machine's clock is behind, or was ahead when it was made: see `clock`";
        return Finding::failed(format!("the certificate of {whose} does not hold yet"), cure);
    }
    let cure = "the appliance renews its own by itself: `sudo systemctl restart picloud-appliance`; one of yours (`tls_cert`) you renew yourself";
    judge(now_ms, &whose, one.ends_at, cure)
}

fn judge(now_ms: i64, whose: &str, ends_at: i64, cure: &str) -> Finding {
    let left_ms = ends_at - now_ms;
    let left = span(left_ms.abs() / 1_000);
    let finding = if left_ms <= 0 {
        Finding::failed(format!("the certificate of {whose} ended {left} ago"), cure)
    } else if left_ms < SOON_MS {
        Finding::warning(format!("the certificate of {whose} ends in {left}"), cure)
    } else {
        Finding::ok(format!("the certificate of {whose} holds for {left}"))
    };
    finding.fact("days_left", left_ms / DAY_MS)
}
