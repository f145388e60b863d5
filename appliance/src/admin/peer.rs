//! Who is at the other end of the admin socket: the kernel says so, nobody is asked for a password.

use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist};
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::problem::{Code, Problem};
use std::ffi::CString;

/// The group whose members may use the admin socket.
const ADMIN_GROUP: &str = "picloud";

/// Who somebody of this machine is, or why they may not come in.
pub(super) type Admitted = Result<Principal, Box<Problem>>;

/// The principal with that user and group id, or why it may not come in.
///
/// Looks users and groups up, which may read files or ask a directory service: not for a thread that answers.
pub(super) fn admit(uid: u32, gid: u32) -> Admitted {
    let uid = Uid::from_raw(uid);
    let user = User::from_uid(uid).ok().flatten();
    let name = user.as_ref().map_or_else(|| format!("uid {uid}"), |user| user.name.clone());
    if uid.is_root() || uid == geteuid() || is_admin(user.as_ref(), Gid::from_raw(gid)) {
        return Ok(Principal { kind: PrincipalKind::Person, name });
    }
    let detail = format!(
        "user `{name}` may not use the admin socket: it is for root, the service's own user and group `{ADMIN_GROUP}`"
    );
    Err(Box::new(
        Problem::new(Code::Forbidden, detail)
            .hint(format!("sudo usermod -aG {ADMIN_GROUP} {name}, then log in again; or use sudo")),
    ))
}

fn is_admin(user: Option<&User>, gid: Gid) -> bool {
    let Some(group) = Group::from_name(ADMIN_GROUP).ok().flatten() else { return false };
    if gid == group.gid {
        return true;
    }
    let Some(user) = user else { return false };
    let Ok(name) = CString::new(user.name.as_str()) else { return false };
    getgrouplist(&name, user.gid).is_ok_and(|groups| groups.contains(&group.gid))
}

/// The group that the socket's file is given to, if this machine has it.
pub(super) fn admin_group() -> Option<Gid> {
    Group::from_name(ADMIN_GROUP).ok().flatten().map(|group| group.gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_services_own_user_come_in_and_a_stranger_is_told_how() {
        assert_eq!(admit(0, 0).unwrap().name, "root");
        assert_eq!(admit(geteuid().as_raw(), 0).unwrap().kind, PrincipalKind::Person);
        // No machine gives this id to anybody, and so it is in no group.
        let refused = admit(4_000_000_000, 4_000_000_000).unwrap_err();
        assert_eq!(refused.code, Code::Forbidden);
        assert!(refused.detail.contains("uid 4000000000"), "{refused}");
        assert!(refused.hint.unwrap().contains("usermod -aG picloud"));
    }
}
