//! Starts one worker process with exactly what it may have: three descriptors, no environment, no terminal.
//!
//! Standard input is the channel and standard output the ingress socket, because those two the worker can take over
//! without unsafe code; descriptor 3 is the in-flight file, which it opens through `/proc`. The places for its clients'
//! connections come as a message over the channel, the first of all, and further ingress sockets with the second.

use super::SupervisorConfig;
use crate::inflight::InFlight;
use crate::ingress_sockets;
use crate::parking::{Parked, places};
use crate::run::gate::UNDER_WAY_PER_RUN;
use crate::worker::WorkerArguments;
use command_fds::{CommandFdExt, FdMapping};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use tokio::net::UnixStream;
use tokio::process::Child;

/// Where the worker finds the in-flight file.
pub(crate) const IN_FLIGHT_FD: i32 = 3;

/// A worker that was started and has said nothing yet.
pub(super) struct Launched {
    pub(super) child: Child,
    pub(super) channel: UnixStream,
    pub(super) in_flight: InFlight,
    pub(super) parked: Parked,
}

/// Starts the worker.
pub(super) fn launch(config: &SupervisorConfig, announce_inline: bool) -> std::io::Result<Launched> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let in_flight = InFlight::create(config.settings.concurrency as usize * UNDER_WAY_PER_RUN)?;
    let (parking, parked) = places(in_flight.slots());
    parking.hand_over(&ours)?;
    let (ingress, more) = config.ingress.split_first().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    ingress_sockets::hand_over(more, &ours)?;
    let arguments = WorkerArguments { run_as: config.run_as, announce_inline, log_priorities: config.log_priorities };
    let mut command = Command::new(&config.executable);
    command
        .args(arguments.to_args())
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(OwnedFd::from(ingress.try_clone()?)))
        .stderr(Stdio::inherit())
        // Ctrl-C on the terminal is for the parent, which then drains the worker.
        .process_group(0)
        .fd_mappings(vec![FdMapping { parent_fd: in_flight.file()?.into(), child_fd: IN_FLIGHT_FD }])
        .map_err(std::io::Error::other)?;
    let child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    Ok(Launched { child, channel: UnixStream::from_std(ours)?, in_flight, parked })
}
