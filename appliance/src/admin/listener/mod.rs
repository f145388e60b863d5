//! The two doors of the admin API: a socket for people of this machine, HTTPS for everybody else.

mod connection;
mod handshakes;
mod http2;
mod network;
mod per_address;
mod socket;
mod unread;

pub use network::{Https, HttpsError};
pub use socket::{ListenError, bind};

use super::router;
use crate::appliance::Appliance;
use connection::{Door, Peer};
use picloud_model::node::NODES_MAX;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};

/// Connections open at once at each door; at the socket the next one waits, over the network it is closed.
const CONNECTIONS_MAX: usize = 256;
/// Connections of nodes open at once; one that comes back may have two for a moment.
const NODE_CONNECTIONS_MAX: usize = NODES_MAX as usize + 64;
/// How long to wait after a failed accept (out of descriptors) before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listening side, once it serves.
pub struct Listening {
    /// Says that the end has come.
    end: watch::Sender<bool>,
    /// One permit an open connection.
    local: Arc<Semaphore>,
    remote: Arc<Semaphore>,
    nodes: Arc<Semaphore>,
}

impl Default for Listening {
    fn default() -> Self {
        let connections = |max| Arc::new(Semaphore::new(max));
        Self {
            end: watch::Sender::new(false),
            local: connections(CONNECTIONS_MAX),
            remote: connections(CONNECTIONS_MAX),
            nodes: connections(NODE_CONNECTIONS_MAX),
        }
    }
}

impl Listening {
    /// Serves from now on.
    pub fn serve(&self, socket: UnixListener, https: Option<Arc<Https>>, appliance: &Arc<Appliance>) {
        let door = Door { appliance: Arc::clone(appliance), router: router::router(Arc::clone(appliance)) };
        if let Some(https) = https {
            let places = network::Places { people: Arc::clone(&self.remote), nodes: Arc::clone(&self.nodes) };
            tokio::spawn(network::serve(https, door.clone(), places, self.end.subscribe()));
        }
        tokio::spawn(serve(socket, door, Arc::clone(&self.local), self.end.subscribe()));
    }

    /// Ends when the appliance stops, for answers that go on for long.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut end = self.end.subscribe();
        async move { ended(&mut end).await }
    }

    /// Takes no more connections and waits for the requests under way.
    pub async fn stop(&self) {
        self.end.send_replace(true);
        let all = u32::try_from(CONNECTIONS_MAX).expect("it is a small number");
        let of_nodes = u32::try_from(NODE_CONNECTIONS_MAX).expect("it is a small number");
        // All permits back means that no connection is open.
        let people = async { tokio::join!(self.local.acquire_many(all), self.remote.acquire_many(all)) };
        drop(tokio::join!(people, self.nodes.acquire_many(of_nodes)));
    }
}

async fn ended(end: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone: that is an end, too.
    drop(end.wait_for(|ended| *ended).await);
}

async fn serve(listener: UnixListener, door: Door, connections: Arc<Semaphore>, mut end: watch::Receiver<bool>) {
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ended(&mut end) => return,
        };
        match accepted {
            Ok((stream, _address)) => {
                let (door, end) = (door.clone(), end.clone());
                tokio::spawn(async move {
                    if let Some(admitted) = socket::admit(&stream).await {
                        connection::serve(stream, door, Peer::Local(admitted), end).await;
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the admin socket could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
