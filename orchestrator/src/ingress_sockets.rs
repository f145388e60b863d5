//! The ingress sockets beside the first one, on their way from the parent to a worker: one message over the channel.

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

/// Most ingress sockets of a worker.
pub const INGRESSES_MAX: usize = 8;

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
