//! Changes of links and addresses, as the kernel tells them: then the responder looks at its interfaces again.
//!
//! By itself it would look every few seconds, for ever.

use mdns_sd::ServiceDaemon;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;

/// Links, and addresses of both kinds: RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// How often the responder looks while things change, in seconds.
const LOOKING_S: u32 = 1;
/// How long after the last change it goes on looking, in milliseconds: addresses come after the link.
const SETTLED_MS: u16 = 4_000;
/// What of a message is read; what it says does not matter.
const MESSAGE_BYTES: usize = 8 * 1024;
/// Room for the thread: it calls the system and a queue.
const STACK_BYTES: usize = 128 * 1024;

/// Watches until it is dropped.
pub(super) struct Links {
    /// Closed at the end, which the thread waits for.
    _end: UnixStream,
}

impl Links {
    /// Begins to watch.
    pub(super) fn watch(daemon: ServiceDaemon) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let netlink = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        let (end, ended) = UnixStream::pair()?;
        daemon.set_ip_check_interval(0).map_err(io::Error::other)?;
        let thread = thread::Builder::new().name("lan-links".to_owned()).stack_size(STACK_BYTES);
        // It ends when the other end of its socket is closed.
        thread.spawn(move || run(&netlink, &ended, &daemon))?;
        Ok(Self { _end: end })
    }
}

fn run(netlink: &OwnedFd, ended: &UnixStream, daemon: &ServiceDaemon) {
    let mut is_looking = false;
    loop {
        let mut fds = [PollFd::new(netlink.as_fd(), PollFlags::POLLIN), PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
        let timeout = if is_looking { PollTimeout::from(SETTLED_MS) } else { PollTimeout::NONE };
        let ready = match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_no_poll) => return,
            Ok(ready) => ready,
        };
        let is_ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        if is_ready(&fds[1]) {
            return;
        }
        let look = if ready > 0 {
            drain(netlink);
            // Also while it is looking: the interval begins anew.
            if is_looking { None } else { Some(LOOKING_S) }
        } else {
            Some(0)
        };
        if let Some(seconds) = look {
            // A full queue is tried again at the next change, or at the end of this one.
            is_looking = match daemon.set_ip_check_interval(seconds) {
                Ok(()) => seconds > 0,
                Err(mdns_sd::Error::DaemonShutdown) => return,
                Err(_busy) => true,
            };
        }
    }
}

/// Reads all that was told. Overflow is fine: that something changed is all there is to know.
fn drain(netlink: &OwnedFd) {
    let mut message = [0; MESSAGE_BYTES];
    loop {
        match recv(netlink.as_raw_fd(), &mut message, MsgFlags::empty()) {
            Ok(0) | Err(nix::errno::Errno::EAGAIN) => return,
            Ok(_) | Err(nix::errno::Errno::EINTR | nix::errno::Errno::ENOBUFS) => {}
            Err(_other) => return,
        }
    }
}
