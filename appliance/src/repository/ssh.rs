//! What SSH itself says where restic got no connection: restic often ends before it has passed that on.

use super::RepositorySettings;
use super::hints::hint_of;
use super::restic::end_of;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Restic's words for a connection that did not come.
const NO_CONNECTION: &str = "unable to start the sftp session";
/// How long SSH is waited for once more.
const ASK_MAX: Duration = Duration::from_secs(60);

/// What restic said, with what SSH says of it where that is missing.
pub(super) async fn complete(
    settings: &RepositorySettings,
    run_as: Option<(u32, u32)>,
    doing: &str,
    said: String,
) -> String {
    let Some(destination) = settings.target.ssh_destination() else { return said };
    if !said.contains(NO_CONNECTION) || hint_of(doing, &said).is_some() {
        return said;
    }
    // Without one, the command that restic makes up.
    let words = settings.sftp_command.clone().unwrap_or_else(|| destination.command("-o BatchMode=yes"));
    match tokio::time::timeout(ASK_MAX, ask(&words, run_as)).await {
        Ok(Some(complaint)) => format!("{said}\n{complaint}"),
        _ => said,
    }
}

/// Connects, says nothing, and goes; what was said where that fails.
async fn ask(words: &str, run_as: Option<(u32, u32)>) -> Option<String> {
    // Its words are parted as restic does it: by the rules of a shell.
    let mut ssh = Command::new("sh");
    ssh.args(["-c", &format!("exec {words}")]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // A person at the terminal was asked by restic's own connection; this one asks nobody.
    ssh.env("SSH_ASKPASS_REQUIRE", "force").env("SSH_ASKPASS", "/bin/false");
    if let Some((uid, gid)) = run_as {
        ssh.uid(uid).gid(gid);
    }
    let mut child = ssh.kill_on_drop(true).spawn().ok()?;
    let err = child.stderr.take()?;
    let (said, status) = tokio::join!(end_of(err), child.wait());
    status.is_ok_and(|status| !status.success()).then_some(said)
}
