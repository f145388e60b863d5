//! Takes from the worker everything a script could ever misuse: network, files, user, new privileges.
//!
//! Called first and while the process has one thread, for most of this holds for the calling thread and those it
//! starts. Best effort: what this kernel refuses is returned as a sentence each and logged by the parent; scripts have
//! no way to any of it even so. The order matters: namespaces and user need privileges, Landlock shuts the files, and
//! system calls are taken away last, those that all of this is made with among them.

mod calls;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// `nobody` on every Linux: owns nothing.
const NOBODY: u32 = 65_534;
/// Connections, each open twice, and a few descriptors of our own.
const OPEN_FILES_MAX: u64 = 16_384;
/// How much sooner than others the kernel should end the worker when memory runs out (-1000 to 1000).
const OOM_SCORE_ADJ: &str = "500";

/// Confines this process; the sentences say what this kernel does not allow to confine.
pub fn confine(run_as: Option<(u32, u32)>) -> Vec<String> {
    let mut unconfined = Vec::new();
    let mut note = |what: &str, result: Result<(), String>| {
        if let Err(error) = result {
            unconfined.push(format!("{what}: {error}"));
        }
    };
    note("limits", limit());
    note("memory score", std::fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ).map_err(|e| e.to_string()));
    note("no new privileges", set_no_new_privs().map_err(text));
    let own_namespaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC;
    let namespaces = if geteuid().is_root() {
        let left = unshare(own_namespaces);
        note("user", become_user(run_as.unwrap_or((NOBODY, NOBODY))));
        left
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | own_namespaces)
    };
    note("files (Landlock)", shut_files());
    match (calls::give_up(), namespaces) {
        // Either is enough to be without a network: a service may be forbidden to make namespaces.
        (Ok(()), _) | (Err(_), Ok(())) => {}
        (Err(calls), Err(namespaces)) => {
            note("network namespace", Err(text(namespaces)));
            note("system calls (seccomp)", Err(calls));
        }
    }
    unconfined
}

fn text(errno: nix::Error) -> String {
    errno.desc().to_owned()
}

fn limit() -> Result<(), String> {
    let set = |what, most: u64| {
        let limits = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(what, limits).map_err(|errno| std::io::Error::from(errno).to_string())
    };
    set(Resource::Core, 0)?;
    // No limit on file sizes: standard error may well be a log file that is longer already.
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(OPEN_FILES_MAX);
    set(Resource::Nofile, OPEN_FILES_MAX.min(hard))
}

fn become_user((uid, gid): (u32, u32)) -> Result<(), String> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[]).map_err(text)?;
    setresgid(gid, gid, gid).map_err(text)?;
    setresuid(uid, uid, uid).map_err(text)
}

/// No rule is added, so nothing is allowed: no file, no TCP connection or port, no signal or abstract socket outside.
fn shut_files() -> Result<(), String> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(abi)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|error| error.to_string())?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err("this kernel has no Landlock".to_owned()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}
