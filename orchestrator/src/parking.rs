//! The clients of runs under way, kept where the parent can still answer them when the worker is dead.
//!
//! A place is a socket pair whose receiving end the parent holds as well and never looks at while all is well. A run
//! that is named in the in-flight file also leaves a reference to its client's connection there (one `sendmsg` with
//! `SCM_RIGHTS`, one `recv` to take it away). It outlives the worker, and with it the connection does. Best effort: a
//! client without a place sees its connection close. Knows nothing of HTTP; what is said to them is the supervisor's.

use picloud_model::ExecutionId;
use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recv, recvmsg, sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use uuid::Uuid;

/// Places of one worker, for its first slots; as many as one message can hand over, and few descriptors beside those
/// that a process may have.
const PLACES_MAX: usize = 126;
/// Descriptors of a place in the worker.
const PLACE_FDS: usize = 2;
/// What says whose connection it is: the run, and whether its answer has a body.
const LABEL_BYTES: usize = 17;

/// The connection that a run's answer goes to.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Arc<OwnedFd>,
    head_only: bool,
}

impl Client {
    /// The client behind `connection`; `head_only` where it asked for no body.
    pub fn new(connection: Arc<OwnedFd>, head_only: bool) -> Self {
        Self { connection, head_only }
    }
}

/// The worker's side.
#[derive(Debug, Default)]
pub struct Parking(Vec<Place>);

#[derive(Debug)]
struct Place {
    sending: OwnedFd,
    receiving: OwnedFd,
}

/// The parent's side.
#[derive(Debug, Default)]
pub struct Parked(Vec<OwnedFd>);

/// A client whose run was under way when the worker died.
#[derive(Debug)]
pub struct ParkedClient {
    /// The run.
    pub execution_id: ExecutionId,
    /// Whether it asked for no body.
    pub head_only: bool,
    /// The connection, or whatever else the worker sent as one.
    pub connection: OwnedFd,
}

/// Places for `slots` slots, or for the first ones: a process without descriptors to spare is no reason not to start.
pub fn places(slots: usize) -> (Parking, Parked) {
    let (mut parking, mut parked) = (Vec::new(), Vec::new());
    while parking.len() < slots.min(PLACES_MAX) {
        match place() {
            Ok((place, end)) => {
                parking.push(place);
                parked.push(end);
            }
            Err(error) => {
                tracing::warn!("clients of runs that take their worker down may get no answer: {error}");
                break;
            }
        }
    }
    (Parking(parking), Parked(parked))
}

fn place() -> io::Result<(Place, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (sending, receiving) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let end = receiving.try_clone()?;
    Ok((Place { sending, receiving }, end))
}

impl Parking {
    /// Gives all places to the worker at the other end of `channel`, before anything else is said on it.
    pub fn hand_over(self, channel: &UnixStream) -> io::Result<()> {
        let fds: Vec<BorrowedFd<'_>> =
            self.0.iter().flat_map(|place| [place.sending.as_fd(), place.receiving.as_fd()]).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PLACES_MAX * PLACE_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&fds));
        }
        let message = [IoSlice::new(&[0])];
        retry_on_intr(|| sendmsg(channel, &message, &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// Takes the places that the parent gave.
    pub fn take_over(channel: &UnixStream) -> io::Result<Self> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PLACES_MAX * PLACE_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut message = [IoSliceMut::new(&mut byte)];
        if retry_on_intr(|| recvmsg(channel, &mut message, &mut control, RecvFlags::CMSG_CLOEXEC))?.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut fds = descriptors(&mut control).into_iter();
        let pair = || Some(Place { sending: fds.next()?, receiving: fds.next()? });
        Ok(Self(std::iter::from_fn(pair).collect()))
    }

    /// Leaves `client` at the place of `slot`, which must be empty. False if it could not.
    pub fn park(&self, slot: usize, run: ExecutionId, client: &Client) -> bool {
        let Some(place) = self.0.get(slot) else { return false };
        let mut label = [0; LABEL_BYTES];
        label[..LABEL_BYTES - 1].copy_from_slice(run.0.as_bytes());
        label[LABEL_BYTES - 1] = u8::from(client.head_only);
        let connection = [client.connection.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&connection));
        let message = [IoSlice::new(&label)];
        retry_on_intr(|| sendmsg(&place.sending, &message, &mut control, SendFlags::NOSIGNAL)).is_ok()
    }

    /// Takes away what was left at the place of `slot`.
    pub fn take_away(&self, slot: usize) {
        let Some(place) = self.0.get(slot) else { return };
        // Without room for a descriptor the kernel lets go of the one in the message.
        let mut label = [0; LABEL_BYTES];
        if let Err(error) = retry_on_intr(|| recv(&place.receiving, &mut label, RecvFlags::empty())) {
            tracing::error!("a client cannot be taken from its place: {error}");
        }
    }
}

impl Parked {
    /// The clients that a dead worker left.
    pub fn take(self) -> Vec<ParkedClient> {
        self.0.iter().filter_map(left).collect()
    }
}

/// What is left at a place. A message that is none of ours is nobody's.
fn left(place: &OwnedFd) -> Option<ParkedClient> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut label = [0; LABEL_BYTES];
    let mut message = [IoSliceMut::new(&mut label)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let bytes = retry_on_intr(|| recvmsg(place, &mut message, &mut control, flags)).ok()?.bytes;
    let connection = descriptors(&mut control).pop()?;
    let run = Uuid::from_slice(&label[..LABEL_BYTES - 1]).ok().filter(|_| bytes == LABEL_BYTES)?;
    Some(ParkedClient { execution_id: ExecutionId(run), head_only: label[LABEL_BYTES - 1] != 0, connection })
}

fn descriptors(control: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    fds
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::send;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// A connection: the client's end, and the worker's.
    fn connection() -> (TcpStream, OwnedFd) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0.into())
    }

    fn handed_over(slots: usize) -> (Parking, Parked) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (parking, parked) = places(slots);
        parking.hand_over(&ours).unwrap();
        (Parking::take_over(&theirs).unwrap(), parked)
    }

    #[test]
    fn a_client_left_by_a_worker_that_is_gone_can_be_answered_and_one_taken_away_cannot() {
        let (parking, parked) = handed_over(3);
        let (mut left, ours) = connection();
        let (mut answered, others) = connection();
        let (run, other) = (ExecutionId::new(), ExecutionId::new());
        assert!(parking.park(1, run, &Client::new(Arc::new(ours), true)));
        assert!(parking.park(2, other, &Client::new(Arc::new(others), false)));
        parking.take_away(2);
        drop(parking);
        assert_eq!(answered.read(&mut [0]).unwrap(), 0, "nobody holds it any more");
        let mut clients = parked.take();
        assert_eq!(clients.len(), 1);
        let client = clients.pop().unwrap();
        assert_eq!((client.execution_id, client.head_only), (run, true));
        TcpStream::from(client.connection).write_all(b"x").unwrap();
        let mut said = String::new();
        left.read_to_string(&mut said).unwrap();
        assert_eq!(said, "x");
    }

    #[test]
    fn a_place_is_used_again_and_again_and_there_are_so_many_places_and_no_more() {
        let (parking, parked) = handed_over(PLACES_MAX + 10);
        assert_eq!((parking.0.len(), parked.0.len()), (PLACES_MAX, PLACES_MAX));
        let (_client, ours) = connection();
        let client = Client::new(Arc::new(ours), false);
        for _ in 0..1_000 {
            assert!(parking.park(PLACES_MAX - 1, ExecutionId::new(), &client));
            parking.take_away(PLACES_MAX - 1);
        }
        assert!(!parking.park(PLACES_MAX, ExecutionId::new(), &client));
        parking.take_away(PLACES_MAX);
        assert!(parked.take().is_empty());
    }

    #[test]
    fn a_message_that_is_none_of_ours_is_nobodys_client() {
        let (parking, parked) = places(2);
        send(&parking.0[0].sending, b"garbage", SendFlags::empty()).unwrap();
        send(&parking.0[1].sending, &[7; 400], SendFlags::empty()).unwrap();
        assert!(parked.take().is_empty());
    }

    #[test]
    fn a_worker_without_places_goes_on_without_and_one_without_a_parent_does_not() {
        assert!(handed_over(0).0.0.is_empty());
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        assert_eq!(Parking::take_over(&theirs).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
