//! Whether this person may open the admin socket.

use crate::doctor::{Case, Check, Finding};

pub(super) const CHECK: Check = Check { name: "socket", title: "Admin socket", look, ..Check::PLAIN };

/// Whose members may open it.
const GROUP: &str = "picloud";

fn look(case: &Case) -> Finding {
    let person = case.machine.person();
    let place = &case.asked.place;
    match &case.asked.status {
        Ok(_) => Finding::ok(format!("{} is let in at {place}", person.name)),
        Err(silence) if silence.is_refused => {
            let is_member = case.machine.read("/etc/group").is_some_and(|groups| has_member(&groups, &person.name));
            let holds = person.groups.iter().any(|group| group == GROUP);
            let cure = match (is_member, holds) {
                (true, false) => "log out and in again: the group holds from the next login on".to_owned(),
                (_, true) => "is it the socket of another appliance? its owner may open it, and root".to_owned(),
                (false, false) => format!("`sudo adduser {} {GROUP}`, then log in again", person.name),
            };
            Finding::failed(format!("{} may not open {place}", person.name), cure)
        }
        Err(_) if !case.is_appliance() => Finding::unknown("no appliance is installed on this machine"),
        Err(silence) => Finding::unknown(silence.text.clone()),
    }
}

/// `picloud:x:990:ada,ben`
fn has_member(groups: &str, user: &str) -> bool {
    let line = groups.lines().find(|line| line.starts_with(&format!("{GROUP}:")));
    line.and_then(|line| line.rsplit_once(':'))
        .is_some_and(|(_, members)| members.split(',').any(|name| name.trim() == user))
}
