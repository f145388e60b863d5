//! Which time zone the machine has, and whether that is one.

use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "time-zone", title: "Time zone", look, ..Check::PLAIN };

const LOCALTIME: &str = "/etc/localtime";
const ZONES: &str = "/zoneinfo/";

fn look(case: &Case) -> Finding {
    let machine = &case.machine;
    let linked = machine.link(LOCALTIME).and_then(|to| to.split_once(ZONES).map(|(_, name)| name.to_owned()));
    let written = || machine.read("/etc/timezone").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let Some(name) = linked.or_else(written) else {
        return Finding::ok(
            "none is set, so it is UTC; schedules go by their own `timezone`, and UTC where they have none",
        );
    };
    if !machine.has(LOCALTIME) {
        let cure = "`sudo apt install tzdata`, then `sudo timedatectl set-timezone Europe/Berlin`, or yours";
        return Finding::warning(
            format!("{name} is set, and this system does not know it: times are shown in UTC"),
            cure,
        );
    }
    Finding::ok(format!("{name}; schedules go by their own `timezone`, and UTC where they have none"))
        .fact("zone", name)
}
