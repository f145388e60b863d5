//! Sockets that the service manager bound, and keeps while the program is started anew: nobody is refused meanwhile.

use crate::settings::Origin;
use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};
use std::net::{SocketAddr, TcpListener};

/// What a socket is called that requests come in by: `FileDescriptorName=` of the socket unit.
const INGRESS: &str = "ingress";
/// The first descriptor that is handed down.
const FIRST_FD: usize = 3;
/// Most sockets for requests: each is asked in turn.
const SOCKETS_MAX: usize = 8;

/// What is wrong with a socket that was handed down.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// It has another name.
    #[error(
        "systemd hands down a socket called `{name}` (descriptor {fd}); `{INGRESS}` is the only name that is known\nhint: write FileDescriptorName={INGRESS} in the socket unit: systemctl edit {program}.socket"
    )]
    Name {
        /// Its name.
        name: String,
        /// Its descriptor.
        fd: usize,
        /// Whose socket unit it is.
        program: &'static str,
    },
    /// It is of another kind.
    #[error(
        "the socket `{INGRESS}` (descriptor {fd}) that systemd hands down is no TCP socket: {source}\nhint: requests come in by an address and a port, such as ListenStream=0.0.0.0:8080: systemctl cat {program}.socket"
    )]
    Kind {
        /// Its descriptor.
        fd: usize,
        /// What is wrong with it.
        source: std::io::Error,
        /// Whose socket unit it is.
        program: &'static str,
    },
    /// Nobody listens there.
    #[error(
        "the socket `{INGRESS}` (descriptor {fd}, {addr}) that systemd hands down does not listen\nhint: the socket unit needs ListenStream= and Accept=no: systemctl cat {program}.socket"
    )]
    Silent {
        /// Its descriptor.
        fd: usize,
        /// Where it is.
        addr: SocketAddr,
        /// Whose socket unit it is.
        program: &'static str,
    },
    /// The settings ask for one address, systemd listens on another.
    #[error(
        "ingress_addr is {wanted} ({set_in}), but systemd listens on {addrs} and hands that down\nhint: set the address there, and leave ingress_addr out: systemctl edit {program}.socket; or have the program bind it itself: systemctl mask --now {program}.socket"
    )]
    Elsewhere {
        /// What was asked for.
        wanted: SocketAddr,
        /// Where that was said.
        set_in: Origin,
        /// What was handed down.
        addrs: String,
        /// Whose socket unit it is.
        program: &'static str,
    },
    /// There are too many.
    #[error(
        "systemd hands down {count} sockets; at most {SOCKETS_MAX} are taken\nhint: take some out: systemctl edit {program}.socket"
    )]
    TooMany {
        /// So many.
        count: usize,
        /// Whose socket unit it is.
        program: &'static str,
    },
}

/// The sockets for requests. Without `names` all of them are.
pub(super) fn ingress(
    mut given: ListenFd,
    names: Option<&str>,
    program: &'static str,
) -> Result<Vec<TcpListener>, SocketError> {
    let count = given.len();
    if count > SOCKETS_MAX {
        return Err(SocketError::TooMany { count, program });
    }
    let mut names = names.map(|names| names.split(':'));
    let mut all = Vec::with_capacity(count);
    for index in 0..count {
        let fd = FIRST_FD + index;
        let name = names.as_mut().map_or(INGRESS, |names| names.next().unwrap_or_default());
        if name != INGRESS {
            return Err(SocketError::Name { name: name.to_owned(), fd, program });
        }
        match given.take_tcp_listener(index) {
            Ok(Some(listener)) => {
                listens(&listener, fd, program)?;
                all.push(listener);
            }
            Ok(None) => {}
            Err(source) => return Err(SocketError::Kind { fd, source, program }),
        }
    }
    Ok(all)
}

/// Whether requests come in where the settings want it, who said so in `set_in`: who set an address means it, above all
/// where it is one that fewer people reach. Without sockets there is nothing to say.
pub fn is_where_wanted(
    handed: &[TcpListener],
    wanted: SocketAddr,
    set_in: Option<&Origin>,
    program: &'static str,
) -> Result<(), SocketError> {
    let addrs: Vec<SocketAddr> = handed.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    match set_in {
        Some(set_in) if !handed.is_empty() && !addrs.iter().any(|addr| is_same(*addr, wanted)) => {
            let addrs = addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(SocketError::Elsewhere { wanted, set_in: set_in.clone(), addrs, program })
        }
        _ => Ok(()),
    }
}

/// Whether both mean the same place: all addresses of a machine are the same in both families.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && (one.ip() == other.ip() || one.ip().is_unspecified() && other.ip().is_unspecified())
}

fn listens(listener: &TcpListener, fd: usize, program: &'static str) -> Result<(), SocketError> {
    let kind = |source| SocketError::Kind { fd, source, program };
    let addr = listener.local_addr().map_err(kind)?;
    match getsockopt(listener, sockopt::AcceptConn) {
        Ok(true) => Ok(()),
        Ok(false) => Err(SocketError::Silent { fd, addr, program }),
        Err(errno) => Err(kind(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, socket};
    use std::os::fd::AsRawFd;

    #[test]
    fn a_socket_that_is_bound_and_does_not_listen_is_named_with_what_to_do() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        listens(&listening, 3, "picloud-node").unwrap();
        let silent = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let addr: SocketAddr = "127.0.0.1:0".parse().unwrap();
        bind(silent.as_raw_fd(), &SockaddrStorage::from(addr)).unwrap();
        let error = listens(&TcpListener::from(silent), 4, "picloud-node").unwrap_err().to_string();
        assert!(error.contains("descriptor 4, 127.0.0.1:") && error.contains("does not listen"), "{error}");
        assert!(error.contains("systemctl cat picloud-node.socket"), "{error}");
    }

    #[test]
    fn an_address_that_somebody_set_and_systemd_does_not_have_is_refused_with_who_set_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let other = SocketAddr::from(([0, 0, 0, 0], there.port()));
        let set_in = Origin::Environment("PICLOUD_INGRESS_ADDR".to_owned());
        let handed = [listener];
        let check = |wanted, set_in| is_where_wanted(&handed, wanted, set_in, "picloud-node");
        check(there, Some(&set_in)).unwrap();
        check(other, None).unwrap();
        is_where_wanted(&[], other, Some(&set_in), "picloud-node").unwrap();
        let error = check(other, Some(&set_in)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("ingress_addr is {other} (PICLOUD_INGRESS_ADDR), but systemd")), "{error}");
        assert!(error.contains(&there.to_string()) && error.contains("mask --now picloud-node.socket"), "{error}");
        assert!(is_same("[::]:80".parse().unwrap(), "0.0.0.0:80".parse().unwrap()));
    }

    #[test]
    fn nothing_that_was_handed_down_is_nothing() {
        assert!(ingress(ListenFd::empty(), Some("web"), "picloud-node").unwrap().is_empty());
    }
}
