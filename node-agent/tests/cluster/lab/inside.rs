//! The test itself, once more, in namespaces of its own.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// Tells the test that it is there.
const INSIDE: &str = "PICLOUD_LAB_INSIDE";

/// Runs `body` in new namespaces (network, host name, mounts, processes; users, too, where this is not root): by
/// running this test again there. What it starts ends with it, however it ends.
pub(crate) fn inside(body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let mut command = Command::new("setpriv");
    // If this process is ended from outside, the one below is, and with it everybody in its namespace.
    command.args(["--pdeathsig", "KILL", "unshare"]);
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !mounts_are_shared() {
        // There is nothing to change, and where the root is no mount (a chroot), it could not be.
        command.args(["--propagation", "unchanged"]);
    }
    command.arg("--");
    command.arg(std::env::current_exe().unwrap()).args([&name(), "--exact", "--nocapture"]);
    // Process ids are the same in each: what is named after one needs a folder that no other test has. A database is
    // another user's, and has to get through.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    command.env("TMPDIR", folder.path());
    // With one thread, a test has no thread of its own, and no name.
    let status = command.env(INSIDE, "1").env("RUST_TEST_THREADS", "2").stdin(Stdio::null()).status();
    let status = status.expect("setpriv is part of util-linux, which every Debian has");
    assert!(
        status.success(),
        "the test failed in its own namespaces ({status}), see above. If nothing of it stands there, this machine has \
         none to give: run as root, or allow them: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=1000"
    );
}

/// Whether what is mounted here would show elsewhere.
fn mounts_are_shared() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.is_empty() || mounts.contains(" shared:")
}

/// The name of the test that runs on this thread.
fn name() -> String {
    let of_thread = std::thread::current().name().map(str::to_owned).filter(|name| name != "main");
    let args: Vec<String> = std::env::args().skip(1).collect();
    let asked = || args.iter().find(|arg| !arg.starts_with('-')).cloned();
    of_thread.or_else(asked).expect("tests run on threads of their own, or alone")
}
