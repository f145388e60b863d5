//! How the appliance's own worker is started: what it is told, and whom it runs as.

use crate::config::Config;
use crate::start_error::StartError;
use picloud_model::protocol::WorkerSettings;
use picloud_orchestrator::supervisor::SupervisorConfig;
use std::net::TcpListener;

/// This program's file, as the child finds it before it becomes its own: the same one, also where an update has put
/// another in its place.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// How workers are started.
pub(crate) fn started(
    config: &Config,
    ingress: Vec<TcpListener>,
    log_priorities: bool,
    node: &str,
) -> Result<SupervisorConfig, StartError> {
    let settings = &config.settings;
    Ok(SupervisorConfig {
        executable: THIS_PROGRAM.into(),
        ingress,
        settings: WorkerSettings {
            node: node.to_owned(),
            concurrency: settings.concurrency,
            module_cache_entries: settings.module_cache_size,
        },
        run_as: run_as(settings.worker_user.as_deref())?,
        log_priorities,
    })
}

fn run_as(user: Option<&str>) -> Result<Option<(u32, u32)>, StartError> {
    let Some(name) = user else { return Ok(None) };
    if !nix::unistd::geteuid().is_root() {
        tracing::warn!("`worker_user` has no effect: only an appliance that runs as root can change users");
        return Ok(None);
    }
    let found = nix::unistd::User::from_name(name).ok().flatten();
    let user = found.ok_or_else(|| StartError::NoSuchUser(name.to_owned()))?;
    Ok(Some((user.uid.as_raw(), user.gid.as_raw())))
}
