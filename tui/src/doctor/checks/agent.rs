//! Whether the agent of this machine has its appliance.

use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "agent", title: "Agent of this machine", look, ..Check::PLAIN };

fn look(case: &Case) -> Finding {
    let Some(agent) = &case.agent else {
        return if case.has_unit("picloud-node.service") {
            Finding::unknown("an agent is installed, and does not say how it is: sudo picloud doctor agent")
        } else if case.is_appliance() {
            Finding::ok("none is installed, and beside an appliance none is needed")
        } else {
            Finding::unknown("no agent is installed on this machine")
        };
    };
    let name = if agent.name.is_empty() { "it" } else { &agent.name };
    let at = agent.appliance_address.as_deref().map(|at| format!(" at {at}")).unwrap_or_default();
    let why = agent.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    match agent.state.as_str() {
        "up" | "slow" | "draining" => Finding::ok(format!("{name} is {}, and its appliance answers{at}", agent.state)),
        "waiting" => Finding::warning(
            format!("{name} asks to be let in{why}"),
            "on the appliance: `picloud nodes`, compare the fingerprint with `picloud-node status` here, then `picloud nodes approve NAME`",
        ),
        "away" => {
            let since = agent.away_since.as_deref().map(|since| format!(" since {since}")).unwrap_or_default();
            let spooled =
                if agent.spooled == 0 { String::new() } else { format!("; {} publishes wait here", agent.spooled) };
            Finding::failed(
                format!("no appliance answers{at}{since}{why}{spooled}; requests are answered from what is kept here"),
                "is the appliance up (`picloud doctor` there), and is its port 8443 reached from here?",
            )
        }
        "retired" => Finding::failed(
            "the appliance has removed this node: its key is not let in again",
            "to join it anew, as another node: `sudo systemctl stop picloud-node && sudo picloud-node reset`, then start it",
        ),
        "stopped" => Finding::warning(format!("{name} is not running"), "`sudo systemctl start picloud-node`"),
        other => Finding::unknown(format!("it says `{other}`, which this version does not know")),
    }
}
