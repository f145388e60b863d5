//! HTTP: from a connection to what answers, and back. Knows routes, files and limits; runs no script itself.
//!
//! accept → head → path → [`RouteTable`](crate::route_table::RouteTable) → file, or body and [`Answer`] → answer. Every wait
//! has a limit in [`IngressSettings`]; every refusal is a problem with a code.

mod access;
mod answer;
mod answer_body;
mod connection;
mod forward;
mod io;
mod later;
mod request;
mod request_body;
mod settings;
mod signed;
#[cfg(test)]
mod tests;

pub use answer::{Answer, RunInput};
pub use answer_body::AnswerBody;
pub use forward::Elsewhere;
pub use later::Later;
pub use settings::IngressSettings;
pub use signed::SignedFiles;

use crate::counting::Counting;
use crate::live::Live;
use crate::previews::{Previews, Versions};
use crate::static_files::StaticFiles;
use access::Access;
use arc_swap::ArcSwap;
use connection::Stage;
use futures_util::future::join_all;
use picloud_model::clock::Clock;
use request_body::BodyBudget;
use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// What an ingress is made of.
pub struct IngressParts<A> {
    /// The apps, routes and keys of the moment.
    pub live: Arc<ArcSwap<Live>>,
    /// Who runs scripts.
    pub answer: A,
    /// Who has files.
    pub files: StaticFiles,
    /// Who has versions that are not live.
    pub versions: Arc<dyn Versions>,
    /// Who keeps requests that are answered later.
    pub later: Arc<dyn Later>,
    /// Who knows what signed URLs allow.
    pub signed: Arc<dyn SignedFiles>,
    /// Who knows which nodes may run what may not run here.
    pub elsewhere: Arc<dyn Elsewhere>,
    /// Whether this machine is to be sent no more requests; it goes on answering those that come.
    pub draining: Arc<AtomicBool>,
    /// Where answers are counted that no run gave.
    pub counting: Arc<Counting>,
    /// Wall time, for keys that expire.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub settings: IngressSettings,
}

/// Everything a request needs; one a worker.
pub struct Ingress<A> {
    live: Arc<ArcSwap<Live>>,
    answer: A,
    files: StaticFiles,
    signed: Arc<dyn SignedFiles>,
    access: Access,
    previews: Previews,
    later: Arc<dyn Later>,
    elsewhere: Arc<dyn Elsewhere>,
    /// Those that others answer.
    forwards: Semaphore,
    draining: Arc<AtomicBool>,
    counting: Arc<Counting>,
    settings: IngressSettings,
    bodies: BodyBudget,
}

impl<A: Answer> Ingress<A> {
    /// An ingress of these parts.
    pub fn new(parts: IngressParts<A>) -> Self {
        let IngressParts { live, answer, files, versions, later, signed, elsewhere, draining, .. } = parts;
        let (counting, settings) = (parts.counting, parts.settings);
        Self {
            live,
            answer,
            files,
            signed,
            access: Access::new(parts.clock, Arc::clone(&counting)),
            previews: Previews::new(versions),
            later,
            elsewhere,
            forwards: Semaphore::new(forward::FORWARDS_MAX),
            draining,
            counting,
            bodies: BodyBudget::new(settings.bodies_bytes_max),
            settings,
        }
    }

    /// Accepts connections until `drain` is done, then takes no new ones, finishes the requests under way (at most
    /// [`IngressSettings::drain`]) and returns.
    pub async fn serve(
        self: Arc<Self>,
        listeners: Vec<StdListener>,
        drain: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        let listening = |listener: StdListener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let listeners = listeners.into_iter().map(listening).collect::<std::io::Result<Vec<_>>>()?;
        let (stage, _) = watch::channel(Stage::Serving);
        let open = Arc::new(Semaphore::new(self.settings.connections_max as usize));
        let accepting = listeners.iter().map(|listener| self.accept(listener, &stage, &open));
        tokio::select! {
            _never = join_all(accepting) => {}
            () = drain => {}
        }
        drop(listeners);
        stage.send_replace(Stage::Draining);
        let closed = open.acquire_many(self.settings.connections_max);
        if tokio::time::timeout(self.settings.drain, closed).await.is_err() {
            let left = self.settings.connections_max as usize - open.available_permits();
            tracing::warn!(
                connections = left,
                "requests were still under way after {:?}: cut off",
                self.settings.drain
            );
            stage.send_replace(Stage::Closing);
            // Tasks end as soon as they are polled; there is nothing left that they could wait for.
            let _closed = open.acquire_many(self.settings.connections_max).await;
        }
        Ok(())
    }

    async fn accept(self: &Arc<Self>, listener: &TcpListener, stage: &watch::Sender<Stage>, open: &Arc<Semaphore>) {
        loop {
            // Past the bound connections wait in the kernel's backlog rather than being refused.
            let permit = Arc::clone(open).acquire_owned().await.expect("nobody closes it");
            let (stream, peer) = next(listener).await;
            let ingress = Arc::clone(self);
            let stage = stage.subscribe();
            tokio::spawn(async move {
                connection::run(ingress, stream, peer, stage).await;
                drop(permit);
            });
        }
    }
}

async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    /// How long to leave a machine alone that is out of file descriptors or memory.
    const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are written whole, so waiting for more to send only delays them.
                let _refused = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
