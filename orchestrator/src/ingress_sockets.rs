//! Ingress sockets: had although a worker that is about to end has them still, and those beside the first one on their
//! way from the parent to a worker, in one message over the channel.

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Most ingress sockets of a worker.
pub const INGRESSES_MAX: usize = 8;

/// How long an address may be another's: a worker whose parent was killed has it until it notices.
const TAKEN_MAX: Duration = Duration::from_secs(2);
/// How often it is asked for meanwhile. Nobody tells when an address falls free.
const TAKEN_PAUSE: Duration = Duration::from_millis(20);

/// Binds with `bind`, again and again for 2 s where it says that the address is taken.
pub fn when_free<T>(bind: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    when_free_or(bind, || {
        std::thread::sleep(TAKEN_PAUSE);
        begun.elapsed() < TAKEN_MAX
    })
}

/// `wait` waits for the next time, and says whether there is to be one.
fn when_free_or<T>(mut bind: impl FnMut() -> io::Result<T>, mut wait: impl FnMut() -> bool) -> io::Result<T> {
    loop {
        match bind() {
            Err(taken) if taken.kind() == io::ErrorKind::AddrInUse && wait() => {}
            bound_or_not => return bound_or_not,
        }
    }
}

/// Gives them to the worker at the other end.
pub(crate) fn hand_over(more: &[TcpListener], channel: &UnixStream) -> io::Result<()> {
    if more.len() >= INGRESSES_MAX {
        return Err(io::Error::other(format!("a worker takes at most {INGRESSES_MAX} ingress sockets")));
    }
    let fds: Vec<BorrowedFd<'_>> = more.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(INGRESSES_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&fds));
    }
    let message = [IoSlice::new(&[0])];
    retry_on_intr(|| sendmsg(channel, &message, &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Takes those that the parent gave.
pub(crate) fn take_over(channel: &UnixStream) -> io::Result<Vec<TcpListener>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(INGRESSES_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut message = [IoSliceMut::new(&mut byte)];
    if retry_on_intr(|| recvmsg(channel, &mut message, &mut control, RecvFlags::CMSG_CLOEXEC))?.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut all = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            all.extend(fds.map(TcpListener::from));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_had_once_its_worker_has_ended_and_what_is_no_address_here_is_said_at_once() {
        let mut before = Some(TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = before.as_ref().unwrap().local_addr().unwrap();
        let mut waits = 0;
        let bound = when_free_or(
            || TcpListener::bind(addr),
            || {
                waits += 1;
                before = before.take().filter(|_| waits < 3);
                true
            },
        );
        assert_eq!((bound.unwrap().local_addr().unwrap(), waits), (addr, 3));
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = when_free_or(|| TcpListener::bind(taken.local_addr().unwrap()), || false);
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        // Of the net that is for examples in documents.
        let elsewhere = when_free_or(|| TcpListener::bind("192.0.2.1:0"), || panic!("no use in waiting"));
        assert_eq!(elsewhere.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn as_many_come_as_were_sent_and_in_their_order() {
        for count in [0, 1, INGRESSES_MAX - 1] {
            let (parent, worker) = UnixStream::pair().unwrap();
            let sent: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
            hand_over(&sent, &parent).unwrap();
            let taken = take_over(&worker).unwrap();
            let addrs = |all: &[TcpListener]| all.iter().map(|it| it.local_addr().unwrap()).collect::<Vec<_>>();
            assert_eq!(addrs(&taken), addrs(&sent));
        }
        let (parent, _worker) = UnixStream::pair().unwrap();
        let many: Vec<_> = (0..INGRESSES_MAX).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(hand_over(&many, &parent).is_err());
    }
}
